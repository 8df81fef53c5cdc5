"""What a host does for its customers: tokens for one conversation, and the state that a conversation goes on with."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request

from constrained.serve.access.customer_tokens import CustomerTokens
from constrained.serve.access.roles import Principal, Role, allow
from constrained.serve.customers.wire import StateRequest, TokenReply, TokenRequest
from constrained.serve.routing import new_router, service_of
from constrained.serve.service import Service
from constrained.serve.wire import Id

router = new_router()


@router.post("/v1/conversations/{conversation}/token", summary="A token for the customer of a conversation")
async def mint_token(
    conversation: Id, body: TokenRequest, request: Request, principal: Annotated[Principal, allow(Role.CHANNEL)]
) -> TokenReply:
    service = service_of(request)
    service.turns.packs.get(body.pack)
    if body.state is not None:
        await _set_state(service, principal.tenant, conversation, body.pack, body.state)
    customers: CustomerTokens = request.app.state.customers
    token, expires_at = customers.mint(principal.tenant, conversation, body.pack, body.lifetime_s, body.name)
    return TokenReply(token=token, conversation=conversation, expires_at=expires_at)


@router.put("/v1/conversations/{conversation}/state", status_code=204, summary="The state that a conversation goes on with")
async def set_state(conversation: Id, body: StateRequest, request: Request, principal: Annotated[Principal, allow(Role.CHANNEL)]) -> None:
    await _set_state(service_of(request), principal.tenant, conversation, body.pack, body.state)


async def _set_state(service: Service, tenant: str, conversation: str, pack: str, state: dict[str, Any]) -> None:
    """In its turn among the turns of the conversation."""
    async with service.gate.turn(tenant, conversation):
        await service.in_turn_thread(service.turns.set_state, tenant, conversation, pack, state)
