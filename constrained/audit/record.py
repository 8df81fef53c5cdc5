"""The audit entry of one turn: enough to replay it without a model. Knows no engine and no file."""

from __future__ import annotations

import os
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

FORMAT = 1


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HeardEntry(_Entry):
    """One question of Heard that was asked: the value understood, and how sure the model was of it."""

    name: str
    value: Any
    probability: float


class OptionEntry(_Entry):
    """One allowed option: its slots, the line of logic that allowed it, its probability (None when not asked)."""

    id: str
    slots: dict[str, Any]
    line: str
    probability: float | None = None


class ObligationEntry(_Entry):
    """One response that had to be said this turn."""

    id: str
    slots: dict[str, Any]
    line: str
    is_after: bool = False


class DecisionEntry(_Entry):
    """What was chosen, how, and how surely. ``index`` is its place among the options, ``decoding`` what it cost."""

    chosen: str
    index: int
    mode: str
    margin: float
    abstained: bool
    threshold: float
    decoding: dict[str, Any] = {}


class Record(_Entry):
    """One turn. Values are JSON; ``previous`` and ``hash`` chain the records of one log.

    Attributes:
        sequence: place in the log, from 1: the line number in a file.
        previous: ``hash`` of the record before it. hash: ``sha256:`` over the canonical JSON of all other fields.
        number: place in the conversation, from 1.
        at: when, ISO 8601. today: the date that approvals were held against.
        versions: names and hashes of catalog, policy and engine in force.
        message: what was read of the user's message, cleaned.
        state: the host's state as JSON. heard: what the model understood; empty without a model.
        said: response id -> number of the turn that last said it, before this turn.
        text: what was released, byte for byte. effects: what the host was told to do.
        timings_ms: stage -> milliseconds.
    """

    format: int = FORMAT
    sequence: int = 0
    previous: str = ""
    hash: str = ""
    turn_id: str
    conversation: str
    number: int
    at: str
    today: str
    locale: str
    versions: dict[str, str]
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


def versions(policy: Any) -> dict[str, str]:
    """What is in force besides the engine: a Policy's catalog and itself, by name and hash."""
    catalog = policy.catalog
    return {"catalog": f"{catalog.name} {catalog.version} {catalog.hash}", "policy": f"{policy.name} {policy.hash}"}


def to_json(value: Any) -> Any:
    """A value as JSON types; what JSON has no type for becomes text."""
    return to_jsonable_python(value, fallback=str)


def portable(text: str, file: str) -> str:
    """``text`` without the folder of the logic file: a record reads the same wherever the logic lies."""
    folder = os.path.dirname(file)
    return text.replace(folder + os.sep, "") if folder else text
