"""What a game asks beside turns: what would be said, a turn called off before it is said, a conversation as one value to save.

POST   /v1/conversations/{id}/preview      PreviewRequest -> PreviewReply
DELETE /v1/conversations/{id}/turns/{key}
GET    /v1/conversations/{id}/save         -> SavedConversation
PUT    /v1/conversations/{id}/save         SavedConversation
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from constrained.dialogue.dialogue import Dialogue
from constrained.errors import SaveError
from constrained.games import load, save
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.serve.access.roles import Principal, Role, allow
from constrained.serve.cancelling import kept_already
from constrained.serve.customers.view import check_conversation
from constrained.serve.errors import RefusedError
from constrained.serve.replies import make_reply
from constrained.serve.routing import json_reply, new_router, service_of
from constrained.serve.storage.sessions import StoredConversation
from constrained.serve.turns import Turns
from constrained.serve.wire import (
    BlockedReply,
    DecisionReply,
    EffectReply,
    HeardReply,
    Id,
    ObligationReply,
    PackName,
    Settings,
    Source,
    TurnRequest,
)
from constrained.understanding.protected.phrases import says

Host = Annotated[Principal, allow(Role.CHANNEL)]
Talking = Annotated[Principal, allow(Role.CUSTOMER, Role.CHANNEL)]
router = new_router()


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PreviewRequest(Settings):
    """A message that is not said: how would it be answered now?

    Attributes:
        message: empty: what may be said to somebody of whom nothing is heard.
        state: the host's facts; those after the last turn where it is missing.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"pack": "tavern", "message": "A room, please.", "engine": "rules"}]})

    pack: PackName
    message: str = ""
    state: dict[str, Any] | None = None


class Button(_Wire):
    """A message that a player can say by a press: the first example of a response that is allowed now."""

    id: str
    message: str


class PreviewReply(_Wire):
    """The turn that it would be; the fields are those of TurnReply. ``buttons``: for options that have examples, in their order."""

    pack: str
    engine: str
    response_id: str
    text: str
    source: Source
    effects: tuple[EffectReply, ...]
    decision: DecisionReply
    heard: tuple[HeardReply, ...]
    blocked: tuple[BlockedReply, ...]
    obligations: tuple[ObligationReply, ...]
    offered: tuple[str, ...]
    buttons: tuple[Button, ...]


class LoadReply(_Wire):
    """Where a saved conversation goes on. ``notes``: what could not be kept as it was, a sentence each."""

    conversation: str
    pack: str
    notes: tuple[str, ...]


@router.post("/v1/conversations/{conversation}/preview", response_model=PreviewReply, summary="What would be said; nothing is kept")
async def preview(conversation: Id, body: PreviewRequest, request: Request, principal: Host) -> Response:
    service = service_of(request)
    async with service.gate.turn(principal.tenant, f"preview {conversation}"):
        return json_reply(await service.in_turn_thread(_preview, service.turns, principal.tenant, conversation, body))


@router.delete("/v1/conversations/{conversation}/turns/{key}", status_code=204, summary="Call off a turn that is not said yet")
async def cancel(conversation: Id, key: Id, request: Request, principal: Talking) -> None:
    check_conversation(principal, conversation)
    service, key = service_of(request), f"{conversation}/{key}"
    service.fates.cancel(principal.tenant, key)
    await service.in_background(_check_not_kept, service.turns, principal.tenant, key)


@router.get("/v1/conversations/{conversation}/save", summary="A conversation as one value, for the file of a saved game")
async def save_conversation(conversation: Id, request: Request, principal: Host) -> dict[str, Any]:
    service = service_of(request)
    async with service.gate.turn(principal.tenant, conversation):  # behind the turns that came before
        return await service.in_turn_thread(_save, service.turns, principal.tenant, conversation)


@router.put("/v1/conversations/{conversation}/save", summary="Begin a conversation where a saved one stood")
async def load_conversation(conversation: Id, body: dict[str, Any], request: Request, principal: Host) -> LoadReply:
    service = service_of(request)
    async with service.gate.turn(principal.tenant, conversation):
        return await service.in_turn_thread(_load, service.turns, principal.tenant, conversation, body)


def _check_not_kept(turns: Turns, tenant: str, key: str) -> None:
    """Raises RefusedError, 409, where what was called off only repeats a request whose turn is kept."""
    with turns.sessions.look(tenant) as store:
        if store.find_repeat(key) is not None:
            raise kept_already()


def _preview(turns: Turns, tenant: str, conversation: str, request: PreviewRequest) -> PreviewReply:
    """Raises RefusedError, and what ``Turns.preview`` raises."""
    policy, values = turns.packs.get(request.pack), request.model_dump(exclude_unset=True)
    with turns.sessions.look(tenant) as store:
        stored = store.find(conversation)
    job = turns.make_job(tenant, TurnRequest(**values | {"message": request.message}))
    if stored is not None:
        _check_pack(stored, request.pack)
        state = json.loads(stored.state) if request.state is None else request.state
        job = replace(job, state=state, memory=_memory(stored))
    engine, _ = turns.engine(request.engine, request.pack)
    turn = turns.preview(job)
    reply = make_reply(turn, policy, conversation=conversation, pack=request.pack, engine=engine, outcome="none", degraded="")
    shared = {name: getattr(reply, name) for name in PreviewReply.model_fields if name != "buttons"}
    return PreviewReply.model_construct(**shared, buttons=_buttons(policy, turn.decision.options, turn.record.locale))


def _buttons(policy: Policy, options: tuple[Option, ...], locale: str) -> tuple[Button, ...]:
    """None for a response that answers talk of suicide: no button puts such words into a player's mouth."""
    catalog = policy.catalog
    examples = ((one.id, catalog[one.id].examples.get(locale, ())) for one in options if one.id != catalog.fallback)
    return tuple(
        Button(id=name, message=found[0]) for name, found in examples if found and not any(says("self_harm", one) for one in found)
    )


def _save(turns: Turns, tenant: str, conversation: str) -> dict[str, Any]:
    """What ``constrained.games.save`` gives of one dialogue, under the name of its pack."""
    with turns.sessions.hold(tenant, conversation) as store:
        store.existing(conversation)
        stored = turns.recovery.conversation(store, conversation) or store.existing(conversation)
    policy = turns.packs.get(stored.pack)
    npc = Dialogue(policy, conversation=conversation, memory=_memory(stored), drafts=True)  # says nothing
    return save({stored.pack: npc}, {stored.pack: policy.state_type.from_json(json.loads(stored.state))})


def _load(turns: Turns, tenant: str, conversation: str, saved: dict[str, Any]) -> LoadReply:
    """A name of its own for each load: turns of a conversation are numbered, and the log tells one story of each.

    Raises SaveError, PackError, or RefusedError: 409 where a conversation of the name went on.
    """
    npcs = saved.get("npcs")
    pack = next(iter(npcs)) if isinstance(npcs, dict) and len(npcs) == 1 else None
    if pack is None:
        raise SaveError("this is no save of one conversation", hint="send what GET .../save gave")
    policy = turns.packs.get(pack)
    npc = Dialogue(policy, conversation=conversation, drafts=True)
    loaded = load(saved, {pack: npc})
    state = loaded.states.get(pack) or policy.state_type.default()
    texts = npc.memory().model_dump_json(), json.dumps(state.model_dump(mode="json"))
    fresh = StoredConversation(tenant, conversation, pack, npc.memory().number, *texts, True)
    with turns.sessions.hold(tenant, conversation) as store:
        stored = store.find(conversation)
        if stored is None:
            turns.begin(store, fresh)
        elif (stored.pack, stored.memory, stored.state) != (fresh.pack, fresh.memory, fresh.state):
            raise RefusedError(409, f"{conversation} went on already", hint="load into a conversation of a new name", param="conversation")
    return LoadReply(conversation=conversation, pack=pack, notes=loaded.notes)


def _memory(stored: StoredConversation) -> Memory:
    """As the next turn finds it: where a person spoke since, a yes answers the person."""
    memory = Memory.model_validate_json(stored.memory)
    return memory.overtaken() if stored.is_overtaken or stored.claimed_until > time.time() else memory


def _check_pack(stored: StoredConversation, pack: str) -> None:
    if stored.pack != pack:
        raise RefusedError(409, f"this conversation is with {stored.pack!r}", hint="name another conversation", param="pack")
