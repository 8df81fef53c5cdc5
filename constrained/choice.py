"""A closed question put to an engine, and its answer: the one interface between a turn and a model.

Hearing and deciding are the same act: choosing one of a finite set of candidates. So an engine has one
method. This module knows neither catalogs nor policies nor torch.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from constrained.errors import DeadlineError

Mode = Literal["exact", "refine", "bounded", "prefix", "code", "walk", "rules"]
Speaker = Literal["user", "reply"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that can be chosen.

    Attributes:
        key: unique within its choice ("2:sell_key", "yes").
        name: short and readable ("sell the key", "yes"): the ``key`` surface.
        text: what would be said or meant; for an option the approved text with its slots filled.
        when: plain language, what kind of message it answers.
        examples: messages that it answers.
        rest: True for "none of the others": it is scored as the absence of evidence for them.
    """

    key: str
    text: str
    when: str = ""
    examples: tuple[str, ...] = ()
    rest: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A closed question: pick one of ``candidates`` (at least one).

    Attributes:
        kind: ``option`` (what to say) or ``heard`` (what the message meant).
        question: plain language; empty for ``option``.
    """

    name: str
    kind: Literal["option", "heard"]
    candidates: tuple[Candidate, ...]
    question: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a model may read. Split so that the static part is computed once per catalog version.

    Attributes:
        static_id: names the static part; equal ids mean equal static parts (the catalog and policy hashes).
        speaker, persona, rules, listing: static. ``rules`` is the policy's source, ``listing`` the
            catalog's ids with their ``when``.
        background: static. Messages of every kind that this desk hears: what a likelihood is compared with.
        state, history, message: dynamic. ``history`` is oldest first.
    """

    static_id: str
    speaker: str
    persona: str
    rules: str
    listing: tuple[tuple[str, str], ...]
    background: tuple[str, ...]
    state: str
    history: tuple[tuple[Speaker, str], ...]
    message: str
    locale: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """An engine's answer to one Choice.

    Attributes:
        probabilities: one per candidate, in order; they sum to 1.
        mode: how it was decoded.
        scores: log-likelihoods in nats before calibration, one per candidate; empty where an engine has none.
    """

    probabilities: tuple[float, ...]
    mode: Mode
    scores: tuple[float, ...] = ()

    @property
    def best(self) -> int:
        """Index of the most probable candidate; the first one of equals."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)

    @property
    def margin(self) -> float:
        """Probability of the best minus that of the second best; 1.0 for a single candidate."""
        ranked = sorted(self.probabilities, reverse=True)
        return ranked[0] - ranked[1] if len(ranked) > 1 else 1.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time on the monotonic clock, after which the rules-only answer is given."""

    within_s: float
    at_s: float

    @classmethod
    def after(cls, within_s: float) -> Deadline:
        return cls(within_s, time.monotonic() + within_s)

    @property
    def left_s(self) -> float:
        return self.at_s - time.monotonic()

    def check(self) -> None:
        """Raises DeadlineError when the time is over; engines call it between forward passes."""
        if self.left_s <= 0:
            raise DeadlineError(
                f"no answer within {self.within_s:g} s", within_s=self.within_s, hint="give more time, or use a smaller model"
            )


@runtime_checkable
class Engine(Protocol):
    """Where a model runs. An engine chooses among candidates; it has no way to return a text."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What a record needs to name the model: model, weights, tokenizer, dtype, device, rule."""
        ...

    def choose(self, choices: Sequence[Choice], scene: Scene, deadline: Deadline | None = None) -> list[Distribution]:
        """One distribution per choice, in order. Raises EngineError or DeadlineError, never returns less."""
        ...

