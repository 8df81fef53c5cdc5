"""The routes of hand-overs: the queue, what a person reads and answers there, and the customer's side as server events."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from constrained.serve.access.roles import Principal, Role, allow
from constrained.serve.customers.view import check_conversation
from constrained.serve.errors import RefusedError
from constrained.serve.handover.event_stream import parse_event_id, stream_replies
from constrained.serve.handover.queue import HandoverQueue
from constrained.serve.handover.store import Handover, QueueFilter
from constrained.serve.handover.wire import (
    AnswerReply,
    AnswerRequest,
    HandoverReply,
    HandoversReply,
    PossibleReply,
    RepliesReply,
    TakeoverRequest,
    TranscriptReply,
)
from constrained.serve.routing import json_reply, new_router, service_of
from constrained.serve.wire import Id, PackName

router = new_router()
Reader = Annotated[Principal, allow(Role.AGENT, Role.SUPERVISOR, Role.AUDITOR)]
Person = Annotated[Principal, allow(Role.AGENT, Role.SUPERVISOR)]
Listener = Annotated[Principal, allow(Role.CUSTOMER, Role.CHANNEL, Role.AGENT, Role.SUPERVISOR, Role.AUDITOR)]
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "One event ``reply`` for each reply; a comment as a heartbeat.", "content": {"text/event-stream": {}}}
}


@router.get("/v1/handovers", response_model=HandoversReply, summary="Conversations that wait for a person")
async def list_handovers(
    request: Request,
    principal: Reader,
    state: QueueFilter | None = None,
    pack: PackName | None = None,
    after: Id | None = None,
    most: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    found = await _queue(request).page(principal.tenant, state, pack, after or "", most)
    return json_reply(HandoversReply(handovers=tuple(map(_entry, found)), next=found[-1].id if len(found) == most else ""))


@router.get("/v1/handovers/{handover}", response_model=TranscriptReply, summary="A hand-over: what was said, and why")
async def one_handover(handover: Id, request: Request, principal: Reader) -> Response:
    entry, state, entries = await _queue(request).transcript(principal.tenant, handover)
    return json_reply(TranscriptReply(handover=_entry(entry), state=state, entries=entries))


@router.get("/v1/handovers/{handover}/replies", response_model=RepliesReply, summary="What may be answered, from the catalog")
async def find_replies(handover: Id, request: Request, principal: Person, q: Annotated[str, Query(max_length=500)] = "") -> Response:
    queue, service = _queue(request), service_of(request)
    found = await service.in_turn_thread(queue.replies.search, principal.tenant, handover, q)
    replies = (
        PossibleReply(id=one.option.id, text=one.option.text, when=one.option.response.when, score=one.score, by=one.by) for one in found
    )
    return json_reply(RepliesReply(replies=tuple(replies)))


@router.post("/v1/handovers/{handover}/claim", response_model=HandoverReply, summary="Take it, or keep it longer")
async def claim(handover: Id, request: Request, principal: Person) -> Response:
    return json_reply(_entry(await _queue(request).claim(principal.tenant, handover, _name(principal))))


@router.post("/v1/handovers/{handover}/release", response_model=HandoverReply, summary="Give it back; a supervisor, another's too")
async def release(handover: Id, request: Request, principal: Person) -> Response:
    holder = None if Role.SUPERVISOR in principal.roles else _name(principal)
    return json_reply(_entry(await _queue(request).release(principal.tenant, handover, holder)))


@router.post("/v1/handovers/{handover}/answer", response_model=AnswerReply, summary="Say a response of the catalog")
async def answer(handover: Id, body: AnswerRequest, request: Request, principal: Person) -> Response:
    said, entry = await _queue(request).answer(principal.tenant, handover, _name(principal), body.response_id, body.idempotency_key)
    named = {name: getattr(said, name) for name in ("reply_id", "number", "response_id", "text", "by", "at", "sequence")}
    return json_reply(AnswerReply(**named, record_hash=said.hash, handover=_entry(entry)))


@router.post("/v1/handovers/{handover}/takeover", response_model=HandoverReply, summary="Go on by another channel; this closes it")
async def take_over(handover: Id, body: TakeoverRequest, request: Request, principal: Person) -> Response:
    queue, name = _queue(request), _name(principal)
    if body.response_id is not None:
        await queue.answer(principal.tenant, handover, name, body.response_id, f"takeover {body.channel}")
    return json_reply(_entry(await queue.close_entry(principal.tenant, handover, name, f"taken over by {body.channel}")))


@router.post("/v1/handovers/{handover}/close", response_model=HandoverReply, summary="It is over; the engine answers alone again")
async def close(handover: Id, request: Request, principal: Person) -> Response:
    return json_reply(_entry(await _queue(request).close_entry(principal.tenant, handover, _name(principal), "closed")))


@router.get("/v1/conversations/{conversation}/events", responses=EVENTS, summary="What is said in a conversation, as server events")
async def events(
    conversation: Id,
    request: Request,
    principal: Listener,
    last_event_id: Annotated[str | None, Header(description="Begin behind this event; 0.0: with the first reply.")] = None,
) -> Response:
    check_conversation(principal, conversation)
    service, replies, tenant = service_of(request), _queue(request).replies, principal.tenant
    after = await service.in_background(replies.last_place, tenant, conversation)
    if last_event_id:
        after = parse_event_id(last_event_id)
    with service.events.subscribe(tenant, conversation):  # too many listen already: 503, before the stream begins
        pass
    stream = stream_replies(service, principal, conversation, lambda place: replies.said_after(tenant, conversation, place), after)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})


def _queue(request: Request) -> HandoverQueue:
    queue: HandoverQueue = request.app.state.handovers
    return queue


def _name(principal: Principal) -> str:
    """Who answers: it stands in the record."""
    if not principal.name:
        hint = "name the holder in the line of --tokens: TENANT TOKEN ROLE NAME"
        raise RefusedError(403, "the token names nobody, and what a person says is recorded with the name", hint=hint)
    return principal.name


def _entry(entry: Handover) -> HandoverReply:
    content = {name: value for name, value in asdict(entry).items() if name in HandoverReply.model_fields}
    times = {name: _iso(getattr(entry, name)) for name in ("claimed_until", "at", "changed_at")}
    return HandoverReply(**{**content, **times})


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds") if at_s else ""
