"""What goes over the wire: requests and replies as frozen values, with examples that run. ``replies`` makes a TurnReply of a Turn.

    POST /v1/turns                       TurnRequest  -> TurnReply
    POST /v1/conversations/{id}/fork     ForkRequest  -> TurnReply (of a new conversation)
    GET  /v1/conversations/{id}          -> ConversationReply
    GET  /v1/catalogs                    -> CatalogsReply
    GET  /v1/catalogs/{pack}             -> CatalogReply
    GET  /v1/usage                       -> UsageReply
    GET  /healthz, /readyz               -> HealthReply, ReadyReply
    WS   /v1/events                      -> Event, one a message
    /v1/handovers and more               see ``handover.wire``
    any error                            -> ErrorReply
    customers' requests and replies: see ``customers.wire``

Each request but /, /healthz, /readyz and /openapi.json carries ``Authorization: Bearer TOKEN``; a WebSocket of a browser,
which cannot set headers, offers the subprotocols ``constrained`` and ``token.TOKEN``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from constrained.catalog.contexts import Context

Effects = Literal["run", "hand_over"]
EffectsOutcome = Literal["none", "ran", "handed_over", "failed", "unknown"]
Source = Literal["model", "rules", "fallback"]
EventKind = Literal["turn", "reload", "reload_refused", "draining", "handover", "person"]

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]
PackName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
EventName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$")]
Place = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,99}$")]
Seconds = Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(_Wire):
    """How a turn is to be taken; what is not given is the server's own setting.

    Attributes:
        within: seconds from the arrival of the request; when they are over the rules choose (``source`` is ``rules``).
        engine: one of the engines that ``GET /v1/catalogs`` names; ``rules`` asks no model.
        threshold: the fallback is said when the best option's probability is lower.
        channel, jurisdiction: where the conversation takes place; a response approved for one place is said there only.
        effects: ``run``: this server runs them, once, and tells the state after them. ``hand_over``: the caller runs them.
        context: where the reply is shown: ``html``, ``markdown`` or ``ssml`` has the reply hold ``rendered`` as well.
    """

    model_config = ConfigDict(strict=True)  # false is no threshold, and "1" no number

    within: Seconds | None = None
    engine: str | None = Field(None, max_length=200)
    threshold: Probability | None = None
    locale: Locale | None = None
    channel: Place | None = None
    jurisdiction: Place | None = None
    effects: Effects = "run"
    context: Context = "plain"


class TurnRequest(Settings):
    """One message of a conversation.

    Attributes:
        conversation: which one; a new one begins where none is named, or one of that name is not there yet.
        state: the host's facts. Where it is missing: the state after the last turn, or the pack's default.
        done, failed: names of effects that the caller was handed with the last reply, and what became of them; other events
            that the host has committed stand in ``done`` too. A procedure that waits for them goes on, also with an empty message.
        idempotency_key: a request that is sent again with its key gets the stored reply; nothing runs a second time.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"pack": "tavern", "message": "Sixty gold for the cellar key, old man?", "state": {"gold": 80}},
                {"pack": "tavern", "message": "What have you heard?", "conversation": "table-4", "within": 0.15, "idempotency_key": "4-1"},
                {"pack": "tavern", "message": "A room, please.", "engine": "rules", "effects": "hand_over"},
            ]
        }
    )

    pack: PackName
    message: str
    conversation: Id | None = None
    state: dict[str, Any] | None = None
    done: list[EventName] = Field(default_factory=list, max_length=100)
    failed: list[EventName] = Field(default_factory=list, max_length=100)
    idempotency_key: Id | None = None


class ForkRequest(Settings):
    """Takes a turn of a conversation again in a new one, with what is changed: the state, the message, the engine.

    Attributes:
        turn: which turn, by its ``number``; the last one where it is missing.
        effects: ``hand_over`` unless asked for: a turn that was taken once has run its effects.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"turn": 1, "state": {"gold": 0}}, {"engine": "rules"}]})

    turn: Annotated[int, Field(ge=1)] | None = None
    message: str | None = None
    state: dict[str, Any] | None = None
    effects: Effects = "hand_over"


class EffectReply(_Wire):
    """One effect of the chosen option: ``call`` is how it is written, ``pay(50)``."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    call: str


class OptionReply(_Wire):
    """A response that was allowed: its text, the line of logic that allowed it, its probability (None: no model was asked)."""

    id: str
    text: str
    slots: dict[str, Any]
    line: str
    probability: float | None
    effects: tuple[str, ...] = ()


class ObligationReply(_Wire):
    """A response that had to be said before (or after) the chosen one."""

    id: str
    text: str
    line: str
    is_after: bool


class HeardReply(_Wire):
    """One thing that was heard, how surely, and among which candidates. ``line`` is where the question is written."""

    name: str
    question: str
    value: Any
    probability: float
    candidates: tuple[tuple[str, float], ...]
    line: str


class BlockedReply(_Wire):
    """An offer that was not allowed, why, and which line made it."""

    id: str
    reason: str
    line: str


class DecisionReply(_Wire):
    """The options with their probabilities, and how one of them came to be chosen."""

    options: tuple[OptionReply, ...]
    chosen: str
    mode: str
    margin: float
    abstained: bool
    threshold: float
    why: str
    decoding: dict[str, Any] | None


class TurnReply(_Wire):
    """One turn, as it was released. ``text`` is the catalog's rendering, byte for byte.

    Attributes:
        approved: which of ``said`` have an approval that is in force; the others are drafts.
        number: place in the conversation, from 1. response_id: the chosen response; ``said``: all of ``text``, in order.
        rendered: ``text`` escaped for the request's ``context``; empty for ``plain``.
        slots: of the chosen response. voices: voice keys of what is said.
        engine: which one was asked. degraded: the kind of error for which the rules chose though a model was asked; empty when it answered.
        source: ``model``, ``rules`` (no model, or no time), or ``fallback``.
        effects_outcome: ``unknown`` after a crash while they ran: they are not run again. ``failed``: see effects_error.
        state_after: after the effects where they ran, else None.
        goes_on: a procedure has more to say once it is known what became of the effects: send an empty message.
        handover: the conversation waits for a person from this turn on, unless it did before; see GET /v1/handovers.
        offered: ids of what the reply asks about in place of doing it; the next message answers. pending: ids of what was wanted, too.
        record: the entry in the log, as JSON; where the log is sealed, as it was before.
        is_repeat: this request was answered before; nothing ran a second time.
    """

    turn_id: str
    conversation: str
    number: int
    pack: str
    engine: str
    response_id: str
    text: str
    said: tuple[str, ...]
    voices: tuple[str, ...]
    slots: dict[str, Any]
    effects: tuple[EffectReply, ...]
    effects_outcome: EffectsOutcome
    effects_error: str = ""
    source: Source
    degraded: str = ""
    decision: DecisionReply
    heard: tuple[HeardReply, ...]
    blocked: tuple[BlockedReply, ...]
    obligations: tuple[ObligationReply, ...]
    goes_on: bool = False
    handover: bool = False
    offered: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    approved: tuple[str, ...] = ()
    state_before: dict[str, Any]
    state_after: dict[str, Any] | None
    timings_ms: dict[str, float]
    record: dict[str, Any]
    is_repeat: bool = False
    rendered: str = ""


class ConversationReply(_Wire):
    """A conversation: its state now, and its turns, oldest first."""

    conversation: str
    pack: str
    number: int
    state: dict[str, Any]
    turns: tuple[TurnReply, ...]


class CatalogEntry(_Wire):
    """A pack that is served."""

    pack: str
    speaker: str
    version: str
    locale: str
    locales: tuple[str, ...]
    n_responses: int
    hash: str


class CatalogsReply(_Wire):
    """What is served, and the engines that a request may name; the first of them is used unless it does."""

    packs: tuple[CatalogEntry, ...]
    engines: tuple[str, ...]


class ResponseEntry(_Wire):
    """One response: texts by locale, what it answers.

    Attributes:
        approved: locale -> whether an approval of the text is in force today, where the server is; else it is a draft.
        examples: messages that it answers, by locale. line: where it is written, ``tavern.yaml:12``.
        source: the passage of a policy document that it rests on, ``terms: Refunds``; empty where it cites none.
        variants: locale -> what may be said in place of the text there.
    """

    id: str
    texts: dict[str, str]
    when: str
    examples: dict[str, tuple[str, ...]]
    tags: tuple[str, ...]
    voice: str | None
    line: str
    source: str
    is_fallback: bool
    approved: dict[str, bool]
    variants: dict[str, tuple[str, ...]] = {}


class CatalogReply(CatalogEntry):
    """A pack with its responses, and the state that its logic reads.

    Attributes:
        n_approved: of the responses, in the pack's own locale. warning: an edit of the pack is not in force, and why.
        state_schema: JSON schema. default_state: None where a field has no default.
        rules: the policy's source. file, line: where it is written. source: of the whole file.
        questions: what is heard: field -> question.
    """

    n_approved: int
    warning: str
    persona: str
    fallback: str
    responses: tuple[ResponseEntry, ...]
    state_schema: dict[str, Any]
    default_state: dict[str, Any] | None
    questions: dict[str, str]
    rules: str
    source: str
    file: str
    line: int


class UsageEntry(_Wire):
    """Turns of one pack with one outcome since the process started; ``seconds`` from message to reply, waiting included."""

    pack: str
    outcome: str
    n_turns: int
    n_tokens: int
    seconds: float


class UsageReply(_Wire):
    """What the tenant that asks has used. What has to be exact over restarts is counted from the records in the log."""

    tenant: str
    usage: tuple[UsageEntry, ...]


class HealthReply(_Wire):
    """The process is alive."""

    status: Literal["ok"] = "ok"
    version: str


class ReadyReply(_Wire):
    """Whether turns are taken now, and how many are being taken. ``reason`` tells why not.

    ``warnings``: pack -> an edit of it that is not in force, because nobody has signed it or its check fails.
    """

    is_ready: bool
    reason: str
    packs: dict[str, str]
    engines: tuple[str, ...]
    n_running: int
    n_waiting: int
    warnings: dict[str, str] = {}


class Event(_Wire):
    """Something happened: a turn was taken (its message and text are left out), a pack reloaded, a reload refused, a drain.

    ``handover``: an entry of the queue changed; ``detail`` is its state. ``person``: a person answered in the conversation.
    """

    kind: EventKind
    at: str
    pack: str = ""
    conversation: str = ""
    turn_id: str = ""
    number: int = 0
    response_id: str = ""
    source: str = ""
    detail: str = ""


class ErrorDetail(_Wire):
    """What is wrong, in one sentence, and what to do now. ``type`` is the name of the error."""

    type: str
    message: str
    hint: str = ""
    code: str | None = None
    param: str | None = None


class ErrorReply(_Wire):
    """The body of every answer that is not 2xx; nothing was said."""

    error: ErrorDetail
