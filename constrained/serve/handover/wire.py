"""What goes over the wire about hand-overs; see ``wire`` for the rest.

GET  /v1/handovers                          -> HandoversReply
GET  /v1/handovers/{id}                     -> TranscriptReply
GET  /v1/handovers/{id}/replies?q=          -> RepliesReply
POST /v1/handovers/{id}/claim, /release     -> HandoverReply
POST /v1/handovers/{id}/answer              AnswerRequest -> AnswerReply
POST /v1/handovers/{id}/takeover            TakeoverRequest -> HandoverReply
POST /v1/handovers/{id}/close               -> HandoverReply
GET  /v1/conversations/{id}/events          -> server events, one a reply
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from constrained.serve.handover.store import HandoverState
from constrained.serve.wire import BlockedReply, EffectsOutcome, HeardReply, Id, ObligationReply, Place


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HandoverReply(_Wire):
    """One entry of the queue.

    Attributes:
        id: of the turn that handed over. number: of that turn. reason: the response that it said.
        state: a claim whose time is over reads as ``waiting``. version: counts the changes.
        claimed_by, claimed_until: empty where nobody has it. outcome: why it was closed.
        at, changed_at: ISO 8601.
    """

    id: str
    conversation: str
    pack: str
    number: int
    reason: str
    locale: str
    state: HandoverState
    version: int
    claimed_by: str
    claimed_until: str
    outcome: str
    at: str
    changed_at: str


class HandoversReply(_Wire):
    """A page of the queue, the one that waits longest first. ``next``: what ``after`` is for the next page; empty at the end."""

    handovers: tuple[HandoverReply, ...]
    next: str


class TranscriptEntry(_Wire):
    """One reply with its evidence; what a person said has no message, no probability and no line.

    Attributes:
        place: 0 for a turn; what people answered after it is counted on. by: empty for the engine, else the person's name.
        probability: of the chosen option; None where no model was asked. line: of the logic that allowed it.
        sequence, record_hash: the entry's place in the log.
    """

    number: int
    place: int
    by: str
    at: str
    message: str
    text: str
    response_id: str
    mode: str
    probability: float | None
    threshold: float
    why: str
    line: str
    heard: tuple[HeardReply, ...]
    blocked: tuple[BlockedReply, ...]
    obligations: tuple[ObligationReply, ...]
    effects: tuple[str, ...]
    effects_outcome: EffectsOutcome
    approval: str
    sequence: int
    record_hash: str


class TranscriptReply(_Wire):
    """An entry of the queue with its conversation: the state now, and what was said, oldest first."""

    handover: HandoverReply
    state: dict[str, Any]
    entries: tuple[TranscriptEntry, ...]


class PossibleReply(_Wire):
    """A response that may be said there, as it would be said. ``score``: how well it fits what was looked for, 0 to 1."""

    id: str
    text: str
    when: str
    score: float | None
    by: Literal["", "engine", "words"]


class RepliesReply(_Wire):
    """What may be answered, best first."""

    replies: tuple[PossibleReply, ...]


class AnswerRequest(_Wire):
    """Says one response of the catalog. A request that is sent again with its key is answered as before; nothing is said twice."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"response_id": "hours", "idempotency_key": "a-1"}]})

    response_id: Id
    idempotency_key: Id | None = None


class AnswerReply(_Wire):
    """What was said, with its place in the log, and the entry of the queue after it."""

    reply_id: str
    number: int
    response_id: str
    text: str
    by: str
    at: str
    sequence: int
    record_hash: str
    handover: HandoverReply


class TakeoverRequest(_Wire):
    """The person goes on by another channel: the entry is closed. ``response_id``: what tells the customer so, said before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"channel": "phone"}]})

    channel: Place
    response_id: Id | None = None
