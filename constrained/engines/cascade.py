"""An engine of several, small to large: what one leaves open is the next one's question; and thresholds for it, chosen on data.

Either on what an engine makes of its own examples while each is left out (``fit_threshold``, at load, nothing to run), or on the
answers of all stages to labelled messages (``fit_cascade``).

Source: Varshney and Baral, Model Cascading: Towards Jointly Improving Efficiency and Accuracy of NLP Systems, EMNLP 2022.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from constrained.engines.protocol import (
    BatchEngine,
    CatalogBound,
    Choice,
    ChoiceRequest,
    CrossValidated,
    Deadline,
    Decoding,
    Distribution,
    Engine,
    ExtractionField,
    Extractor,
    HandedOn,
    LeftOut,
    PromptContext,
    checked,
)
from constrained.errors import CalibrationError, EngineError

EVERY_KIND = frozenset(("option", "heard", "span"))
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stage:
    """One engine of a cascade.

    Attributes:
        threshold: it answers a choice whose best candidate has at least this probability, and leaves the others to the next
            one. The last stage answers whatever comes to it; its threshold is not used.
        name: as it stands in records; the name of its model when empty.
        target_error: in place of ``threshold``: share of wrong ones among what it answers. The threshold is then fitted for each
            choice, see ``fit_threshold``; it answers a choice that it was fitted on no messages of.
        most_handed_on: with a target error: the share of messages that it leaves to the next one at most.
        kinds: of choices that it may leave to the next one; it answers the others.
        is_pooled: what comes to it from a stage before is answered by the mean of both: it alone cannot make an act likely enough.
    """

    engine: Engine
    threshold: float = 0.0
    name: str = ""
    target_error: float | None = None
    most_handed_on: float = 1.0
    kinds: frozenset[str] = EVERY_KIND
    is_pooled: bool = False

    def __post_init__(self) -> None:
        """Raises EngineError for numbers that are no shares, or a target that the engine cannot fit a threshold for."""
        for name, value in (("threshold", self.threshold), ("target_error", self.target_error), ("most_handed_on", self.most_handed_on)):
            if value is not None and not 0.0 <= value <= 1.0:
                raise EngineError(f"a stage's {name} is {value:g}, which is no probability", hint="use a number from 0 to 1")
        if self.target_error is not None and not isinstance(self.engine, CrossValidated):
            raise EngineError(
                f"{self.label} cannot tell how right it is of its own examples", hint="give a threshold; fit_cascade finds one on messages"
            )

    def threshold_of(self, choice: Choice, scene: PromptContext) -> float:
        """The probability from which it answers this choice."""
        if choice.kind not in self.kinds:
            return 0.0
        if self.target_error is None or not isinstance(self.engine, CrossValidated):
            return self.threshold
        known = self.engine.left_out(choice, scene)
        return fit_threshold(known, self.target_error, self.most_handed_on).threshold if known is not None else 0.0

    def limits(self, number: int) -> dict[str, str]:
        """For an identity: what decides whether it answers."""
        found = {f"{number}.threshold": f"{self.threshold:.6g}"}
        if self.target_error is not None:
            found = {f"{number}.target_error": f"{self.target_error:.6g}", f"{number}.most_handed_on": f"{self.most_handed_on:.6g}"}
        found |= {f"{number}.pooled": "yes"} if self.is_pooled else {}
        return found | ({f"{number}.hands_on": " ".join(sorted(self.kinds))} if self.kinds != EVERY_KIND else {})

    @property
    def label(self) -> str:
        return self.name or str(self.engine.identity.get("model", "")) or type(self.engine).__name__


class Cascade:
    """Puts each choice to the first stage; what that one is not sure of goes to the next.

        Dialogue(desk, engine=Cascade([Stage(small, 0.9), Stage(large)]))
        Dialogue(desk, engine=Cascade([Stage(SmallEngine(), target_error=0.1), Stage(large)]))

    What the last stage is not sure of is the dialogue's own matter: below its threshold the fallback is said. When a
    later stage is too late or fails, so is the cascade; an answer that was not sure enough does not stand in for it.

    Args:
        stages: at least one, small to large.

    Raises EngineError when there is none.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        if not stages:
            raise EngineError("a cascade of no engines answers nothing", hint="give at least one Stage")
        self.stages = tuple(stages)
        self.is_shared = all(getattr(stage.engine, "is_shared", True) for stage in self.stages)  # see TransformersEngine

    @property
    def identity(self) -> Mapping[str, str]:
        """The stages' own names behind their number: ``1.model``, ``1.threshold``, ``2.model``."""
        found = {"engine": "cascade", "model": " > ".join(stage.label for stage in self.stages)}
        for number, stage in enumerate(self.stages, 1):
            found |= {f"{number}.{name}": str(value) for name, value in stage.engine.identity.items()}
            if number < len(self.stages):
                found |= stage.limits(number)
            elif stage.is_pooled:
                found |= {f"{number}.pooled": "yes"}
        return found

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        return self.decide_many([ChoiceRequest(choices, scene)], deadline)[0]

    def decide_many(self, asks: Sequence[ChoiceRequest], deadline: Deadline | None = None) -> list[list[Distribution]]:
        """Many conversations: each stage gets what is open of all of them at once."""
        found: dict[tuple[int, int], Distribution] = {}
        before: dict[tuple[int, int], tuple[HandedOn, ...]] = {}
        unsure: dict[tuple[int, int], Distribution] = {}
        open_ = {(row, column) for row, ask in enumerate(asks) for column in range(len(ask.choices))}
        for number, stage in enumerate(self.stages, 1):
            if not open_:
                break
            if deadline is not None:
                deadline.check()
            is_last = number == len(self.stages)
            for place, answer in _ask_open(stage.engine, asks, open_, deadline):
                choice, scene = asks[place[0]].choices[place[1]], asks[place[0]].scene
                if stage.is_pooled and place in unsure:
                    answer = _mean(unsure[place], answer)
                probability, threshold = answer.probabilities[answer.best], 0.0 if is_last else stage.threshold_of(choice, scene)
                if probability >= threshold:
                    found[place] = _with_stages(answer, f"{number}: {stage.label}", before.get(place, ()))
                else:
                    said = HandedOn(f"{number}: {stage.label}", choice.candidates[answer.best].key, probability, threshold)
                    before[place], unsure[place] = (*before.get(place, ()), said), answer
            open_ -= found.keys()
        return [[found[row, column] for column in range(len(ask.choices))] for row, ask in enumerate(asks)]

    def check_catalog(self, name: str, digest: str) -> None:
        """Every stage answers this catalog's choices, so all parts that were made for one must be made for it."""
        for stage in self.stages:
            if isinstance(stage.engine, CatalogBound):
                stage.engine.check_catalog(name, digest)

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> Sequence[str | None]:
        """By the first stage that reads; what has a grammar, and was not found, by the next one that does. Nothing where none does."""
        found: list[str | None] = [None] * len(blanks)
        open_ = list(range(len(blanks)))
        for reader in (stage.engine for stage in self.stages if isinstance(stage.engine, Extractor)):
            for index, text in zip(open_, reader.read([blanks[index] for index in open_], scene, deadline), strict=True):
                found[index] = text
            open_ = [index for index in open_ if found[index] is None and blanks[index].grammar]
            if not open_:
                break
        return found


def _ask_open(
    engine: Engine, asks: Sequence[ChoiceRequest], open_: set[tuple[int, int]], deadline: Deadline | None
) -> Iterator[tuple[tuple[int, int], Distribution]]:
    """The engine's answers to the open choices, each with its place. Raises EngineError for answers that are none."""
    columns = {row: sorted(column for at, column in open_ if at == row) for row in sorted({row for row, _ in open_})}
    put = [ChoiceRequest([asks[row].choices[column] for column in open_columns], asks[row].scene) for row, open_columns in columns.items()]
    if isinstance(engine, BatchEngine):
        answers = engine.decide_many(put, deadline)
    else:
        answers = [engine.choose(ask.choices, ask.scene, deadline) for ask in put]
    if len(answers) != len(put):
        raise EngineError(f"{len(put)} conversations were put, {len(answers)} answered", hint="the engine is faulty; nothing was said")
    for (row, open_columns), ask, given in zip(columns.items(), put, answers, strict=True):
        sound = checked(given, [len(choice.candidates) for choice in ask.choices])
        yield from (((row, column), answer) for column, answer in zip(open_columns, sound, strict=True))


def _mean(first: Distribution, second: Distribution) -> Distribution:
    """The second answer with the mean of both probabilities (a linear opinion pool; Stone, The Opinion Pool, 1961)."""
    shares = tuple((one + other) / 2 for one, other in zip(first.probabilities, second.probabilities, strict=True))
    return replace(second, probabilities=shares, scores=())


def _with_stages(answer: Distribution, by: str, before: tuple[HandedOn, ...]) -> Distribution:
    """The same answer, which tells who gave it, and who was not sure enough."""
    return replace(answer, decoding=replace(answer.decoding or Decoding(), answered_by=by, handed_on=before))


# -- a threshold for a target error, from the messages that an engine was fitted on ----------------------------------

FEWEST = 40  # messages that a threshold is fitted on; with fewer, a probability is taken by its word


@dataclass(frozen=True, slots=True)
class ThresholdFit:
    """A threshold, and what it does to the messages that were left out.

    Attributes:
        error: share of wrong ones among the messages that reach it; 0 where none does. handed_on: share of messages below it.
        n: messages.
    """

    threshold: float
    error: float
    handed_on: float
    n: int


@lru_cache(maxsize=1_024)  # by the object: an engine gives the same one as long as its fit is the same
def fit_threshold(known: LeftOut, target_error: float, most_handed_on: float = 1.0) -> ThresholdFit:
    """The lowest threshold above which at most ``target_error`` are wrong, unless it would hand on more than ``most_handed_on``.

    The bound on what is handed on wins: the error is then above the target, and is told. With fewer messages than FEWEST the
    threshold is 1 - ``target_error``. All shares are by what the messages count.
    """
    n, sure = len(known.confidences), np.asarray(known.confidences, dtype=np.float64)
    wrong, counts = ~np.asarray(known.is_right, dtype=np.bool_), np.asarray(known.counts, dtype=np.float64)
    if n < FEWEST:
        return _done(1.0 - target_error, sure, wrong, counts)
    order = np.argsort(-sure, kind="stable")
    levels = sure[order]
    ends = np.flatnonzero(np.append(levels[1:] < levels[:-1], True))  # the last one of equals: a threshold keeps all of them
    kept, bad = np.cumsum(counts[order])[ends], np.cumsum((counts * wrong)[order])[ends]
    reach = ends[bad <= target_error * kept + 1e-12]
    beyond = float(np.nextafter(levels[0], 2.0))  # nothing reaches it: all are handed on
    found = float(levels[reach[-1]]) if len(reach) else beyond
    cheap = ends[counts.sum() - kept <= most_handed_on + 1e-12]
    return _done(min(found, beyond if most_handed_on >= 1.0 else float(levels[cheap[0]])), sure, wrong, counts)


def _done(threshold: float, sure: _Floats, wrong: NDArray[np.bool_], counts: _Floats) -> ThresholdFit:
    is_kept = sure >= threshold
    kept = float(counts[is_kept].sum())
    return ThresholdFit(threshold, float(counts[is_kept & wrong].sum()) / kept if kept else 0.0, 1.0 - kept, len(sure))


# -- thresholds for a target error at least cost, from what the stages said of known messages -----------------------

MAX_TRIED = 20_000  # combinations of thresholds; two stages are searched exactly


@dataclass(frozen=True, slots=True)
class CascadeFit:
    """What a cascade does to the messages that it is held against.

    Attributes:
        thresholds: one per stage; the last is 0, since the last stage answers whatever comes to it.
        error: share of wrong answers. cost: of a message, in the unit of the costs given, all stages it went through together.
        shares: of the messages, answered by each stage. n: messages.
    """

    thresholds: tuple[float, ...]
    error: float
    cost: float
    shares: tuple[float, ...]
    n: int


def fit_cascade(confidences: Any, rightness: Any, costs: Sequence[float], *, target_error: float) -> CascadeFit:
    """The thresholds that keep the error at ``target_error`` or below for the least cost; the fewest errors among equals.

    Every stage has to be asked about every message once. The same arrays give the same thresholds. The error is that of the
    messages given: hold the thresholds against others with ``judge_cascade``.

    Args:
        confidences: [stage, message] probability of the stage's best candidate.
        rightness: [stage, message] whether that candidate is the right one.
        costs: [stage] of asking it about one message.

    Raises CalibrationError when the arrays do not fit each other, or no thresholds reach the target.
    """
    sure, right, prices = _arrays(confidences, rightness, costs)
    best: tuple[float, float, tuple[float, ...]] | None = None
    least = 1.0
    for thresholds in itertools.product(*_threshold_grid(sure)):
        by, error = _outcome(sure, right, (*thresholds, 0.0))
        least = min(least, error)
        found = (_cost(by, prices), error, tuple(-one for one in thresholds))  # of equals the higher thresholds: they are safer elsewhere
        if error <= target_error and (best is None or found < best):
            best = found
    if best is None:
        raise CalibrationError(
            f"no thresholds reach an error of {target_error:g} on these {sure.shape[1]} messages; the least is {least:g}",
            hint="allow a higher error, add a better engine, or let the dialogue abstain",
        )
    return judge_cascade(sure, right, prices.tolist(), [*(-one for one in best[2]), 0.0])


def judge_cascade(confidences: Any, rightness: Any, costs: Sequence[float], thresholds: Sequence[float]) -> CascadeFit:
    """What these thresholds do to these messages. Raises CalibrationError as ``fit_cascade`` does."""
    sure, right, prices = _arrays(confidences, rightness, costs)
    if len(thresholds) != len(sure):
        raise CalibrationError(f"{len(sure)} stages have {len(thresholds)} thresholds", hint="give one per stage; the last is not used")
    by, error = _outcome(sure, right, thresholds)
    shares = tuple(float((by == stage).mean()) for stage in range(len(sure)))
    return CascadeFit((*map(float, thresholds[:-1]), 0.0), error, _cost(by, prices), shares, sure.shape[1])


def _arrays(confidences: Any, rightness: Any, costs: Sequence[float]) -> tuple[_Floats, NDArray[np.bool_], _Floats]:
    sure, right = np.asarray(confidences, dtype=np.float64), np.asarray(rightness, dtype=np.bool_)
    prices = np.asarray(costs, dtype=np.float64)
    if sure.ndim != 2 or sure.size == 0 or right.shape != sure.shape or prices.shape != sure.shape[:1]:
        raise CalibrationError(
            f"confidences of shape {sure.shape}, rightness {right.shape} and costs {prices.shape} do not fit each other",
            hint="give [stage, message], [stage, message] and [stage], with at least one message",
        )
    if not ((sure >= 0) & (sure <= 1)).all() or not (np.isfinite(prices) & (prices >= 0)).all():
        raise CalibrationError("a confidence is no probability, or a cost is negative", hint="probabilities from 0 to 1, costs from 0 on")
    return sure, right, prices


def _threshold_grid(sure: _Floats) -> list[list[float]]:
    """Per stage but the last: thresholds to try. All that differ, or evenly spaced ones among them; 0 and what nothing reaches too."""
    n_free = len(sure) - 1
    most = max(2, int(MAX_TRIED ** (1 / n_free))) if n_free else 0
    return [_evenly_spaced(np.unique(row), most - 2) for row in sure[:-1]]


def _evenly_spaced(values: _Floats, most: int) -> list[float]:
    kept = values if len(values) <= most else values[np.linspace(0, len(values) - 1, max(most, 0)).round().astype(np.int64)]
    ends = [0.0] if values[-1] >= 1.0 else [0.0, float(np.nextafter(values[-1], 2.0))]
    return sorted({*kept.tolist(), *ends})


def _outcome(sure: _Floats, right: NDArray[np.bool_], thresholds: Sequence[float]) -> tuple[NDArray[np.int64], float]:
    """[message] which stage answers, and the share of wrong answers."""
    is_sure = sure >= np.asarray(thresholds)[:, None]
    is_sure[-1] = True
    by = is_sure.argmax(0)
    return by, float(1.0 - right[by, np.arange(len(by))].mean())


def _cost(by: NDArray[np.int64], prices: _Floats) -> float:
    """Of a message: it passed every stage up to the one that answered."""
    return float(np.cumsum(prices)[by].mean())
