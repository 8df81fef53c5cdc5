"""What a host does for its customers: tokens for one conversation, and the state that a conversation goes on with."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request

from constrained.serve.customer_tokens import CustomerTokens
from constrained.serve.customer_wire import StateRequest, TokenReply, TokenRequest
from constrained.serve.roles import Principal, Role, allow
from constrained.serve.routing import new_router, service_of
from constrained.serve.wire import Id

router = new_router()


@router.post("/v1/conversations/{conversation}/token", summary="A token for the customer of a conversation")
async def mint_token(
    conversation: Id, body: TokenRequest, request: Request, principal: Annotated[Principal, allow(Role.CHANNEL)]
) -> TokenReply:
    policy = service_of(request).turns.packs.get(body.pack)
    said: dict[str, Any] = {}
    if body.name:
        said["sub"] = body.name
    if body.state is not None:
        said["state"] = policy.state_type.from_json(body.state).model_dump(mode="json")
    customers: CustomerTokens = request.app.state.customers
    token, expires_at = customers.mint(principal.tenant, conversation, body.pack, body.lifetime_s, **said)
    return TokenReply(token=token, conversation=conversation, expires_at=expires_at)


@router.put("/v1/conversations/{conversation}/state", status_code=204, summary="The state that a conversation goes on with")
async def set_state(conversation: Id, body: StateRequest, request: Request, principal: Annotated[Principal, allow(Role.CHANNEL)]) -> None:
    service = service_of(request)
    async with service.gate.turn(principal.tenant, conversation):
        await service.in_turn_thread(service.turns.set_state, principal.tenant, conversation, body.pack, body.state)
