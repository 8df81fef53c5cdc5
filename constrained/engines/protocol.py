"""A closed question put to an engine, and its answer: the one interface between a turn and a model.

Hearing and deciding are the same act: choosing one of a finite set of candidates. So an engine has one method.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from constrained.errors import DeadlineError, EngineError

Mode = Literal["exact", "refine", "bounded", "prefix", "code", "walk", "rules"]
Speaker = Literal["user", "reply"]
MODEL_MODES = frozenset(get_args(Mode)) - {"rules"}
TOLERANCE = 1e-3  # probabilities summed in a short float type come this close to 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """One thing that can be chosen.

    Attributes:
        key: unique within its choice ("2:sell_key", "yes").
        name: short and readable ("sell the key", "yes"): the ``key`` surface.
        text: what would be said or meant; for an option the approved text with its slots filled.
        when: plain language, what kind of message it answers.
        examples: messages that it answers.
        no_match: True for "none of the others": it is scored as the absence of evidence for them.
    """

    key: str
    text: str
    when: str = ""
    examples: tuple[str, ...] = ()
    no_match: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A closed question: pick one of ``candidates`` (at least one).

    Attributes:
        kind: ``option`` (what to say), ``heard`` (what the message meant) or ``span`` (which part of it is meant).
        question: plain language; empty for ``option``.
    """

    name: str
    kind: Literal["option", "heard", "span"]
    candidates: tuple[Candidate, ...]
    question: str = ""


@dataclass(frozen=True, slots=True)
class ExtractionField:
    """Something of a given form that a message may say: an order number, a plate.

    Attributes:
        grammar: a Lark grammar, ``start`` its root. pattern: a regular expression; one of the two is empty.
        examples: texts of the form.
    """

    name: str
    question: str
    grammar: str = ""
    pattern: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromptContext:
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
class ChoiceRequest:
    """What one conversation puts to an engine: choices, and what a model may read of it."""

    choices: Sequence[Choice]
    scene: PromptContext


@dataclass(frozen=True, slots=True)
class HandedOn:
    """What one of several engines said of a choice before it was put to the next one.

    Attributes:
        stage: its number and name. best: the key of its best candidate. probability: of that. threshold: what was needed.
    """

    stage: str
    best: str
    probability: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Decoding:
    """What decoding one choice cost, and what is certain about it.

    Attributes:
        reason: why this mode; one phrase for people.
        n_tokens: tokens that went through the model, those of choices decoded in the same passes included.
        n_passes: forward passes, likewise.
        n_nodes: what ``exact`` would have scored: inner nodes of the candidates' trie, or context x message tokens.
        n_expanded: how much of that was scored.
        n_exact: candidates whose score is exact; the others' are estimates or bounds.
        gap: nats by which the best score certainly beats every other candidate's; negative when one could still be
            better by as much; None where the mode certifies nothing.
        mass: certain bounds of the best candidate's probability, before calibration; None as above.
        flips: in how many orders of the candidates another one was best; None where the order plays no part.
        answered_by: which of several engines answered, by number and name; None where there is one.
        handed_on: what those before it said, first to last.
    """

    reason: str = ""
    n_tokens: int = 0
    n_passes: int = 0
    n_nodes: int = 0
    n_expanded: int = 0
    n_exact: int = 0
    gap: float | None = None
    mass: tuple[float, float] | None = None
    flips: int | None = None
    answered_by: str | None = None
    handed_on: tuple[HandedOn, ...] = ()

    def plain(self) -> Decoding:
        """The same in plain values of our own."""
        mass = (float(self.mass[0]), float(self.mass[1])) if self.mass is not None else None
        gap, flips = None if self.gap is None else float(self.gap), None if self.flips is None else int(self.flips)
        n_tokens, n_passes, n_nodes = int(self.n_tokens), int(self.n_passes), int(self.n_nodes)
        counts = n_tokens, n_passes, n_nodes, int(self.n_expanded), int(self.n_exact)
        by = None if self.answered_by is None else str(self.answered_by)
        before = tuple(HandedOn(str(one.stage), str(one.best), float(one.probability), float(one.threshold)) for one in self.handed_on)
        return Decoding(str(self.reason), *counts, gap, mass, flips, by, before)

    def to_json(self) -> dict[str, Any]:
        """For a record: what is known of it, as JSON values."""
        found = {name: value for name, value in asdict(self).items() if value is not None and (value or name != "handed_on")}
        return {name: str(value) if value in (math.inf, -math.inf) else value for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Distribution:
    """An engine's answer to one Choice.

    Attributes:
        probabilities: one per candidate, in order; they sum to 1.
        mode: how it was decoded.
        scores: in nats, before calibration, one per candidate; empty where an engine has none.
        decoding: what it cost; None where an engine does not tell.
    """

    probabilities: tuple[float, ...]
    mode: Mode
    scores: tuple[float, ...] = ()
    decoding: Decoding | None = None

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

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """One distribution per choice, in order. Raises EngineError or DeadlineError, never returns less."""
        ...


@runtime_checkable
class BatchEngine(Protocol):
    """An engine that answers many conversations in one batch."""

    def decide_many(self, asks: Sequence[ChoiceRequest], deadline: Deadline | None = None) -> list[list[Distribution]]:
        """For each ask one distribution per choice, in order; one deadline for all. Raises as ``Engine.choose`` does."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """How an engine that was fitted on messages does on each of them while it is left out.

    Attributes:
        confidences: [message] probability of the best candidate. is_right: [message] whether that is the right one.
        counts: [message] what each counts; they sum to 1.
    """

    confidences: tuple[float, ...]
    is_right: tuple[bool, ...]
    counts: tuple[float, ...]


@runtime_checkable
class CrossValidated(Protocol):
    """An engine that knows how sure and how right it is, by messages that it was fitted on, each left out in turn."""

    def left_out(self, choice: Choice, scene: PromptContext) -> LeftOut | None:
        """For a choice among these candidates; None where it is fitted on no messages of them. One object as long as the fit is one."""
        ...


@runtime_checkable
class Extractor(Protocol):
    """What an engine may do besides choosing: read texts of a given form out of the message.

    A reading is never said as such. It is checked against its form and against the message, and is then one
    candidate of a choice; what is said stays an approved text, where it fills a slot at most.
    """

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> Sequence[str | None]:
        """One text per blank, in order, or None where the message says none. Raises EngineError or DeadlineError."""
        ...


@runtime_checkable
class Told(Protocol):
    """An engine that is told by people what each message means, as golden dialogues do: its choice is evidence enough for an act.

    Not for live conversations: with every other engine a message must itself be clear evidence; see ``logic.acts``.
    """

    is_told: bool


@runtime_checkable
class CatalogBound(Protocol):
    """An engine of which a part was made for one catalog: an adapter, a calibration."""

    def check_catalog(self, name: str, digest: str) -> None:
        """Raises AdapterError or CalibrationError for any other catalog than that one."""
        ...


def checked(answers: Iterable[Distribution], sizes: Sequence[int]) -> list[Distribution]:
    """An engine's answers as plain values of our own; an engine's may be a subclass, or hold tensors.

    Raises EngineError unless each is a probability distribution over as many candidates as its choice has.
    """
    found = [_plain(one) for one in answers]
    if len(found) != len(sizes):
        raise EngineError(f"{len(sizes)} choices were put, {len(found)} answered", hint="the engine is faulty; nothing was said")
    for answer, size in zip(found, sizes, strict=True):
        wrong = _wrong(answer, size)
        if wrong:
            raise EngineError(f"the engine's answer {wrong}", hint="the engine is faulty; nothing was said")
    return found


def _plain(answer: Distribution) -> Distribution:
    decoding = answer.decoding.plain() if answer.decoding is not None else None
    return Distribution(tuple(map(float, answer.probabilities)), answer.mode, tuple(map(float, answer.scores)), decoding)


def _wrong(answer: Distribution, size: int) -> str:
    found = answer.probabilities
    if len(found) != size or len(answer.scores) not in (0, size):
        return f"has {len(found)} probabilities and {len(answer.scores)} scores for {size} candidates"
    if not all(0.0 <= probability <= 1.0 + TOLERANCE for probability in found):  # false for NaN as well
        return f"holds {next(value for value in found if not 0.0 <= value <= 1.0 + TOLERANCE)}, which is no probability"
    if abs(math.fsum(found) - 1.0) > TOLERANCE:
        return f"sums to {math.fsum(found):.6g}, not to 1"
    return "" if answer.mode in MODEL_MODES else f"has the mode {answer.mode!r}"
