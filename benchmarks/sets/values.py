"""The values of a set: labels and what they mean, labelled messages, and which part each message is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One message and its label.

    Attributes:
        label: of what should answer it; empty where nothing in the set does (out of scope).
        also: further labels that are as right (NLU++: a message has several intents).
        state: facts that a host knows at this turn (STAR: what was said, what a lookup gave); empty where a set has none.
        allowed: the labels that the set's rules leave at this turn; empty where it has no rules. ``label`` may be missing.
        history: what was said before, oldest first, as ("user" | "reply", text).
    """

    message: str
    label: str
    also: tuple[str, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    history: tuple[tuple[str, str], ...] = ()

    @property
    def rights(self) -> tuple[str, ...]:
        """Every label that is right; none for a message that is out of scope."""
        return (self.label, *self.also) if self.label else ()


@dataclass(frozen=True, slots=True)
class Set:
    """One set, split. No message of ``examples``, ``train``, ``dev`` stands in two of them, capitals and punctuation aside.
    STAR, whose messages are answered by where they stand, is split by dialogue instead: "yes" is in many.

    Attributes:
        labels: sorted. when: label -> plain language. texts: label -> what is said; made up where the set has no replies.
        examples: label -> the messages that a writer would have given, ``shots`` of them drawn by ``seed``.
        train: labelled messages that are no examples. dev: to measure on; the same for every ``shots`` and ``seed``.
        oos_train, oos: messages that nothing answers; to fit on, and to measure on beside ``dev``.
    """

    name: str
    labels: tuple[str, ...]
    when: Mapping[str, str]
    texts: Mapping[str, str]
    examples: Mapping[str, tuple[str, ...]]
    train: tuple[Row, ...]
    dev: tuple[Row, ...]
    oos_train: tuple[Row, ...] = ()
    oos: tuple[Row, ...] = ()

    @property
    def shown(self) -> tuple[Row, ...]:
        """The examples as rows: with ``train``, all that may be learned from."""
        return tuple(Row(message, label) for label in self.labels for message in self.examples.get(label, ()))
