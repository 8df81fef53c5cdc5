"""What a customer may ask and is told: a message of its own conversation goes in, approved text comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from constrained.serve.access.roles import Principal
from constrained.serve.customers.wire import CustomerConversation, CustomerReply, CustomerTurn
from constrained.serve.errors import RefusedError
from constrained.serve.openai_api import ChatMetadata, ChatRequest
from constrained.serve.storage.sessions import StoredConversation
from constrained.serve.turns import TurnJob
from constrained.serve.wire import Event, TurnReply, TurnRequest

ASKED = frozenset({"pack", "message", "conversation", "locale", "idempotency_key"})  # of a TurnRequest
CHAT_ROLES = frozenset({"user", "assistant"})
CHAT_METADATA = frozenset({"conversation", "locale"})


def check_conversation(principal: Principal, conversation: str) -> None:
    """Raises RefusedError: 403 for a customer in a conversation that is another's."""
    if principal.is_customer and conversation != principal.conversation:
        raise RefusedError(403, "the token is for another conversation", hint="a customer's token is for one conversation")


def narrow_turn(principal: Principal, request: TurnRequest) -> TurnRequest:
    """The request as it may be asked; a customer's is one of its own conversation. Raises RefusedError: 403."""
    if not principal.is_customer:
        return request
    _check_fields(request.model_fields_set - ASKED)
    check_conversation(principal, request.conversation or str(principal.conversation))
    _check_pack(principal, request.pack)
    return request.model_copy(update={"conversation": principal.conversation})


def narrow_chat(principal: Principal, request: ChatRequest) -> ChatRequest:
    """Likewise. What a customer says that the desk said is not read: its conversation is kept here."""
    if not principal.is_customer:
        return request
    metadata = request.metadata or ChatMetadata()
    _check_fields({f"metadata.{name}" for name in metadata.model_fields_set - CHAT_METADATA})
    if any(one.role not in CHAT_ROLES or one.tool_calls for one in request.messages):
        raise RefusedError(403, "a customer's transcript holds messages of user and assistant only", hint="send these", param="messages")
    check_conversation(principal, metadata.conversation or str(principal.conversation))
    _check_pack(principal, request.model)
    return request.model_copy(update={"metadata": metadata.model_copy(update={"conversation": principal.conversation})})


def with_principal(principal: Principal, job: TurnJob) -> TurnJob:
    """The job with what a customer's token says; its effects are this server's to run."""
    if not principal.is_customer:
        return job
    settings = job.settings.model_copy(update={"effects": "run"})
    return replace(job, settings=settings, claimed_state=principal.state, claimed_at=principal.signed_at)


def customer_reply(reply: TurnReply) -> CustomerReply:
    return CustomerReply(**{name: getattr(reply, name) for name in CustomerReply.model_fields})


def customer_conversation(stored: StoredConversation, replies: list[TurnReply]) -> CustomerConversation:
    turns = tuple(
        CustomerTurn(turn_id=one.turn_id, number=one.number, message=str(one.record.get("message", "")), text=one.text) for one in replies
    )
    return CustomerConversation(conversation=stored.id, pack=stored.pack, number=stored.number, turns=turns)


def customer_completion(completion: dict[str, Any]) -> dict[str, Any]:
    """A completion, or a chunk of one, without what it says of the decision and of effects."""
    choices = [_plain_choice(one) for one in completion["choices"]]
    told = {"turn_id", "conversation", "number", "is_repeat"}
    extension = {name: value for name, value in completion.get("constrained", {}).items() if name in told}
    kept = {**completion, "choices": choices, **({"constrained": extension} if extension else {})}
    if kept.get("usage"):
        kept["usage"] = dict.fromkeys(kept["usage"], 0)
    return kept


def _plain_choice(choice: dict[str, Any]) -> dict[str, Any]:
    parts = {
        name: {key: one for key, one in value.items() if key != "tool_calls"} if isinstance(value, dict) else value
        for name, value in choice.items()
    }
    return {**parts, "finish_reason": choice["finish_reason"] and "stop"}


def customer_event(event: Event) -> Event | None:
    """What a customer hears of an event; None: nothing."""
    if event.kind not in ("turn", "person", "draining"):
        return None
    return Event(kind=event.kind, at=event.at, conversation=event.conversation, turn_id=event.turn_id, number=event.number)


def _check_fields(refused: set[str] | frozenset[str]) -> None:
    if refused:
        name = sorted(refused)[0]
        hint = "the host gives the state in the token, or with PUT /v1/conversations/ID/state"
        raise RefusedError(403, f"{name} is not a customer's to set", hint=hint, param=name)


def _check_pack(principal: Principal, pack: str) -> None:
    if pack != principal.pack:
        raise RefusedError(403, f"the token is for {principal.pack!r}", hint="name this pack", param="pack")
