"""What a log chains: the record of a turn, what became of its effects, a reply by a person, an erasure."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import to_jsonable_python

FORMAT = 5
RULED_FORMAT = 6  # of a turn whose choice rests on more than probabilities: on what the message is evidence for, or on the time
ASKED_FORMAT = 7  # of a turn that offers something, follows an offer or a series of fallbacks, or was given too long a message
MASKED_FORMAT = 8  # of a turn out of which what may not be logged was taken, or whose fields are sealed each by itself
READABLE = (1, 2, 3, 4, 5, 6, 7, 8)  # formats that this version reads


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _left_out(content: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Without the fields that hold their default: a record that needs none of them reads as it did before there were any."""
    return {name: value for name, value in content.items() if name not in defaults or value != defaults[name]}


class Chained(_Entry):
    """What every entry of a log has: its place in the chain.

    Attributes:
        sequence: place in the log, from 1: the line number in a file.
        previous: ``hash`` of the entry before it. hash: ``sha256:`` over the canonical JSON of all other fields.
    """

    format: int = FORMAT
    sequence: int = 0
    previous: str = ""
    hash: str = ""


class HeardEntry(_Entry):
    """One question of Heard that was asked: the value understood, how sure the model was of it; of a protected trigger, its judges."""

    name: str
    value: Any
    probability: float
    judge: str = ""

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _left_out(serialize(self), judge="")


class OptionEntry(_Entry):
    """One allowed option: its slots, the line of logic that allowed it, its probability (None when not asked).

    ``risk``: of its effects. ``withheld``: why an act could not be chosen. Both are told from format 6 on.
    """

    id: str
    slots: dict[str, Any]
    line: str
    probability: float | None = None
    risk: str = ""
    withheld: str = ""

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _left_out(serialize(self), risk="", withheld="")


class ObligationEntry(_Entry):
    """One response that had to be said this turn; ``rule``: the obligation of the conversation that demanded it."""

    id: str
    slots: dict[str, Any]
    line: str
    is_after: bool = False
    rule: str = ""


class ProcedureEntry(_Entry):
    """Where a procedure stood when the message came, and where it stands after the turn.

    Attributes:
        name: of the innermost procedure that runs. version, code: of it; the code as a hash.
        step: the response id that it waited at, with its line; both empty before it began.
        answer: how it went on; empty where the turn left it where it was.
        next_step, next_line: where it waits now; empty when it is over.
    """

    name: str
    version: int
    code: str
    step: str = ""
    line: str = ""
    answer: str = ""
    next_step: str = ""
    next_line: str = ""


class DecisionEntry(_Entry):
    """What was chosen, how, and how surely. ``index`` is its place among the options, ``decoding`` what it cost.

    ``answer``: how the message was read as an answer to the open question, ``judge``: by whom, ``act_threshold``: the least
    probability of an act; all three only where they changed the choice, from format 6 on.

    In format 7, ``index`` may be a place behind the options: among the offers, then the catalog's own responses. ``how`` says how
    the reply came about (see ``logic.clarifying``); ``spoken`` are the places of all that was said, where that is more; ``asks`` those
    of the options that were asked about; ``pending`` the ids of what was wanted, too; ``wishes`` what parts of the message were
    clear wishes for: pairs of a place and its probability.
    """

    chosen: str
    index: int
    mode: str
    margin: float
    abstained: bool
    threshold: float
    decoding: dict[str, Any] = {}
    answer: str = ""
    judge: str = ""
    act_threshold: float | None = None
    how: str = ""
    spoken: tuple[int, ...] = ()
    asks: tuple[int, ...] = ()
    pending: tuple[str, ...] = ()
    wishes: tuple[tuple[int, float], ...] = ()

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content = _left_out(serialize(self), answer="", judge="", act_threshold=None, how="")
        return {name: value for name, value in content.items() if value or name not in ("spoken", "asks", "pending", "wishes")}


class SealedPart(_Entry):
    """One sealed field: the name of its day's key, and nonce and AES-GCM over its canonical JSON, base64."""

    key: str
    data: str


class SealedEntry(_Entry):
    """What of a record can only be read with its subject's key.

    Attributes:
        subject: a pseudonym of the person; the key is kept under it. key: names the key, and gives nothing of it away.
        fields: names of the fields that are sealed; the record holds nothing in their place.
        nonce, data: AES-GCM over the canonical JSON of their contents, base64; bound to the turn's id. Empty with ``parts``.
        day, parts: where each field is sealed by itself, under the keys of this day too; from format 8 on.
    """

    subject: str
    key: str
    fields: tuple[str, ...]
    nonce: str
    data: str
    day: str = ""
    parts: dict[str, SealedPart] = {}

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _left_out(serialize(self), day="", parts={})


class Record(Chained):
    """One turn. Values are JSON; ``previous`` and ``hash`` chain the entries of one log.

    Attributes:
        number: place in the conversation, from 1.
        at: when, ISO 8601. today: the date that approvals were held against.
        versions: names and hashes of catalog, policy, engine (with tokenizer, weights, calibration) and library in force.
        prompt: ``sha256:`` over all that the model was given to read; empty without a model.
        approvals: response id -> the approval in force, for each option and obligation that has one.
        message: what was read of the user's message, cleaned.
        state: the host's state as JSON. heard: what the model understood; empty without a model.
        said: response id -> number of the turn that last said it, before this turn.
        text: what was released, byte for byte. effects: what the host was told to do.
        timings_ms: stage -> milliseconds.
        procedure: where the running procedure stood and stands; None where none runs. memory: what else the logic was
            given of the turns before: the events of running procedures, what the host has told to be done.
        sensitive: what of it is marked sensitive, by name: ``slots.RESPONSE.SLOT``, ``state.FIELD``, ``heard.FIELD``.
        sealed: what was taken out of the fields above and encrypted; None in a log that seals nothing.
        masked: field -> kinds of what stands in it as a mark only, see ``masking``; told from format 8 on.
    """

    kind: Literal["turn"] = "turn"
    turn_id: str
    conversation: str
    number: int
    at: str
    today: str
    locale: str
    versions: dict[str, str]
    prompt: str = ""
    approvals: dict[str, str] = {}
    message: str
    state: Any
    said: dict[str, int]
    heard: tuple[HeardEntry, ...]
    options: tuple[OptionEntry, ...]
    obligations: tuple[ObligationEntry, ...]
    blocked: tuple[dict[str, str], ...]
    decision: DecisionEntry
    text: str
    effects: tuple[str, ...]
    timings_ms: dict[str, float]
    procedure: ProcedureEntry | None = None
    memory: dict[str, Any] = {}
    sensitive: tuple[str, ...] = ()
    sealed: SealedEntry | None = None
    masked: dict[str, tuple[str, ...]] = {}

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _left_out(serialize(self), masked={})


Status = Literal["done", "failed", "not_run"]


class OutcomeEntry(_Entry):
    """What became of one effect; ``detail`` says why it failed or was not run."""

    effect: str
    status: Status
    detail: str = ""


class Outcome(Chained):
    """What the host made of a turn's effects, in order: the entry that follows the turn's own, once they ran."""

    kind: Literal["outcome"] = "outcome"
    turn_id: str
    conversation: str
    at: str
    outcomes: tuple[OutcomeEntry, ...]


class Erasure(Chained):
    """A subject's key was destroyed: what was sealed under it cannot be read any more. ``by``: who ordered it."""

    kind: Literal["erasure"] = "erasure"
    subject: str
    at: str
    by: str
    reason: str = ""


class KeyChange(Chained):
    """The key that signs the log changes; ``before`` and ``after`` are public keys as lines of text, ``by`` is who ordered it.

    It stands twice: the checkpoint over the first is the last one of the key before, that over the second the first of the key after.
    """

    kind: Literal["key_change"] = "key_change"
    before: str
    after: str
    at: str
    by: str


class PersonReply(Chained):
    """A person answered in a conversation, with a response of the catalog: there are no other words.

    Attributes:
        handover: the turn that handed the conversation over. number: the last turn before the reply.
        at: when, ISO 8601. today: the date that the approval was held against.
        versions: names and hashes of catalog, policy and library, and of the approvals in force. approval: the one of the response.
        by: who said it, as the server knows the person.
        text: what was released, byte for byte; ``slots``: what its holes were filled with, from the state.
    """

    kind: Literal["person_reply"] = "person_reply"
    reply_id: str
    handover: str
    conversation: str
    number: int
    at: str
    today: str
    locale: str
    versions: dict[str, str]
    approval: str = ""
    by: str
    response_id: str
    slots: dict[str, Any]
    text: str


class ErasedField(_Entry):
    """One field that a rule of retention erased: the days whose records lost it, all older than ``kept_days`` when it was erased.

    ``n_records``: how many records those are, without held ones.
    """

    field: str
    kept_days: int
    days: tuple[str, ...]
    n_records: int


class Retention(Chained):
    """Fields were erased by age: the keys of their days were destroyed. No line of the log changes.

    Attributes:
        by: who ran it. rules: ``sha256:`` over the file of rules. held: conversations that are exempt.
    """

    kind: Literal["retention"] = "retention"
    at: str
    by: str
    rules: str
    erased: tuple[ErasedField, ...]
    held: tuple[str, ...] = ()


ENTRIES: dict[str, type[Chained]] = {
    "turn": Record,
    "outcome": Outcome,
    "erasure": Erasure,
    "key_change": KeyChange,
    "person_reply": PersonReply,
    "retention": Retention,
}


@lru_cache(maxsize=1)
def library() -> str:
    """Name and version of this library: with it the prompt's shape and the formats are known."""
    return f"constrained {version('constrained')}"


def prompt_hash(static_id: str, state: str, history: Sequence[Sequence[str]], message: str) -> str:
    """Names what a model was given to read. ``static_id`` names the static part by the hashes of catalog and policy."""
    text = json.dumps([static_id, state, [list(one) for one in history], message], ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def versions(policy: Any) -> dict[str, str]:
    """What is in force besides the engine: a Policy's catalog and itself, by name and hash."""
    catalog = policy.catalog
    return {"catalog": f"{catalog.name} {catalog.version} {catalog.hash}", "policy": f"{policy.name} {policy.hash}"}


def to_json(value: Any) -> Any:
    """A value as JSON types; what JSON has no type for becomes text."""
    return to_jsonable_python(value, fallback=str)


def portable(text: str, file: str) -> str:
    """``text`` without the folder of the logic file: a record reads the same wherever the logic lies."""
    folder = _folder(file)
    return text.replace(folder + os.sep, "") if folder else text


@lru_cache(maxsize=256)
def _folder(file: str) -> str:
    return os.path.dirname(file)
