"""Outcomes become figures: what was right, how sure, what was abstained from, what is mixed up."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from constrained.quality import metrics
from constrained.quality.calibration import Interval, clopper_pearson
from constrained.quality.evaluation import Outcome
from constrained.quality.metrics import Bin, Difference, Flags, Floats

COVERAGES = (0.5, 0.8, 0.9)
THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(11))
N_PAIRS = 20


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What an abstention threshold does: shares of messages in scope answered and rightly so, of others caught."""

    threshold: float
    answered: float
    right: float
    caught: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two responses that are taken for each other: how often each way, and a message of each way."""

    one: str
    other: str
    n: int
    n_back: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Protection:
    """One protected response or question: how often it was missed when it was due, and said or heard when it was not."""

    name: str
    n: int
    missed: Interval
    n_others: int
    false_alarms: Interval


@dataclass(frozen=True, slots=True)
class Summary:
    """All figures of one setting on one file.

    Attributes:
        figures: name -> value; NaN where the file holds nothing to measure it on.
        heard: question -> share heard as expected; groups: group -> share answered as expected.
        curve: (coverage, risk) points; reliability: bins of equal mass.
    """

    n: int
    figures: dict[str, float]
    at_thresholds: tuple[AtThreshold, ...]
    protected: tuple[Protection, ...]
    heard: dict[str, Interval]
    groups: dict[str, Interval]
    pairs: tuple[Pair, ...]
    curve: tuple[tuple[float, float], ...] = field(repr=False)
    reliability: tuple[Bin, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Outcomes as arrays, [message] each.

    Attributes:
        confidence, is_right: of the most probable option. is_said_right: of what was said, abstentions included.
        in_scope: something other than the fallback is right. answerable: probability of the best option but the fallback.
        is_answer_right: whether that option is right.
    """

    outcomes: tuple[Outcome, ...]
    confidence: Floats
    is_right: Flags
    is_said_right: Flags
    in_scope: Flags
    answerable: Floats
    is_answer_right: Flags
    brier: Floats
    nll: Floats


def judged(outcomes: Sequence[Outcome], fallback: str) -> Judged:
    """What is compared in all figures."""
    rights = [tuple(i for i, option in enumerate(one.options) if option in one.example.expects) for one in outcomes]
    answers = [one.answer(fallback) for one in outcomes]
    rows = [one.probabilities for one in outcomes]
    return Judged(
        outcomes=tuple(outcomes),
        confidence=np.asarray([one.confidence for one in outcomes]),
        is_right=np.asarray([one.options[one.best] in one.example.expects for one in outcomes]),
        is_said_right=np.asarray([one.said in one.example.expects for one in outcomes]),
        in_scope=np.asarray([fallback not in one.example.expects for one in outcomes]),
        answerable=np.asarray([probability for _, probability in answers]),
        is_answer_right=np.asarray([option in one.example.expects for one, (option, _) in zip(outcomes, answers, strict=True)]),
        brier=metrics.brier(rows, rights),
        nll=metrics.nll(rows, rights),
    )


def summarise(outcomes: Sequence[Outcome], fallback: str, protected: Iterable[str] = ()) -> Summary:
    """Every figure. ``protected``: ids of responses, or questions, whose misses are told one by one."""
    all_of = judged(outcomes, fallback)
    coverage, risk = metrics.risk_coverage(all_of.confidence, all_of.is_right)
    return Summary(
        n=len(outcomes),
        figures=_figures(all_of),
        at_thresholds=tuple(_at(all_of, threshold) for threshold in THRESHOLDS),
        protected=tuple(_protection(outcomes, one) for one in protected),
        heard=_shares((name, heard.is_right) for one in outcomes for name, heard in one.heard.items()),
        groups=_shares((one.example.group, one.said in one.example.expects) for one in outcomes if one.example.group),
        pairs=_pairs(outcomes),
        curve=tuple(zip(coverage.tolist(), risk.tolist(), strict=True)),
        reliability=tuple(metrics.bins(all_of.confidence, all_of.is_right, "mass")),
    )


def _figures(all_of: Judged) -> dict[str, float]:
    figures = _picked(all_of) | _sure(all_of) if any(one.is_asked for one in all_of.outcomes) else _picked(all_of)
    return {name: float(value) for name, value in figures.items()}


def _picked(all_of: Judged) -> dict[str, float]:
    """What was said, whoever chose it."""
    said = [one.said for one in all_of.outcomes]
    expected = [_expected(one) for one in all_of.outcomes]
    return {
        "accuracy": _mean(all_of.is_said_right),
        "accuracy in scope": _mean(all_of.is_said_right[all_of.in_scope]),
        "accuracy in scope, never abstaining": _mean(all_of.is_answer_right[all_of.in_scope]),
        "out of scope, recall": _mean(all_of.is_said_right[~all_of.in_scope]),
        "macro-F1": metrics.macro_f1(expected, said),
        "abstained": _mean(np.asarray([one.abstained for one in all_of.outcomes])),
        "expected response not allowed": _mean(np.asarray([not set(one.example.expects) & set(one.options) for one in all_of.outcomes])),
    }


def _sure(all_of: Judged) -> dict[str, float]:
    """How far the probabilities can be relied on; nothing where the rules alone chose."""
    sure, right = all_of.confidence, all_of.is_right
    return {
        "AURC": metrics.aurc(sure, right),
        **{f"risk at coverage {share:.0%}": metrics.risk_at(sure, right, share) for share in COVERAGES},
        "ECE, bins of equal mass": metrics.ece(sure, right, "mass"),
        "ECE, bins of equal width": metrics.ece(sure, right, "width"),
        "Brier": _mean(all_of.brier),
        "NLL": _mean(all_of.nll),
        "out of scope, AUROC": metrics.auroc(-all_of.answerable, ~all_of.in_scope),
    }


def _expected(outcome: Outcome) -> str:
    """The label that a confusion is told by: what was said where that is right, else the first that is."""
    return outcome.said if outcome.said in outcome.example.expects else outcome.example.expects[0]


def _at(all_of: Judged, threshold: float) -> AtThreshold:
    """An answer is given when it is at least as probable as the threshold and more probable than the fallback."""
    is_best = all_of.answerable >= all_of.confidence
    answered = is_best & (all_of.answerable >= threshold)
    right = answered & all_of.is_answer_right
    inside, outside = all_of.in_scope, ~all_of.in_scope
    return AtThreshold(threshold, _mean(answered[inside]), _mean(right[inside]), _mean(~answered[outside]))


def _protection(outcomes: Sequence[Outcome], name: str) -> Protection:
    pairs = [_due_and_done(one, name) for one in outcomes]
    n = sum(is_due for is_due, _ in pairs)
    missed, false, others = pairs.count((True, False)), pairs.count((False, True)), len(pairs) - n
    return Protection(name, n, clopper_pearson(missed, n), others, clopper_pearson(false, others))


def _due_and_done(outcome: Outcome, name: str) -> tuple[bool, bool]:
    """(whether it should have been said or heard, whether it was)"""
    if name in outcome.heard:
        return outcome.heard[name].is_due, outcome.heard[name].is_heard
    return name in (*outcome.example.expects, *outcome.example.obliged), name in outcome.spoken


def _shares(pairs: Iterable[tuple[str, bool]]) -> dict[str, Interval]:
    found: dict[str, list[bool]] = defaultdict(list)
    for name, is_so in pairs:
        found[name].append(is_so)
    return {name: clopper_pearson(sum(values), len(values)) for name, values in sorted(found.items())}


def _pairs(outcomes: Sequence[Outcome]) -> tuple[Pair, ...]:
    messages: dict[tuple[str, str], str] = {}
    picked = [_picked_pair(one) for one in outcomes]
    for pair, one in zip(picked, outcomes, strict=True):
        messages.setdefault(pair, one.example.message)
    return tuple(
        Pair(one, other, n, n_back, tuple(messages[key] for key in ((one, other), (other, one)) if key in messages))
        for one, other, n, n_back in metrics.confusions(picked)[:N_PAIRS]
    )


def _picked_pair(outcome: Outcome) -> tuple[str, str]:
    """(expected, most probable): an abstention hides what was taken for what."""
    best = outcome.options[outcome.best] if outcome.abstained else outcome.said
    return best if best in outcome.example.expects else outcome.example.expects[0], best


def _mean(values: Flags | Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


COMPARED: dict[str, Callable[[Judged], Floats | Flags]] = {
    "accuracy": lambda one: one.is_said_right,
    "most probable is right": lambda one: one.is_right,
    "Brier": lambda one: one.brier,
    "NLL": lambda one: one.nll,
}


def differences(ours: dict[str, Floats], theirs: dict[str, Floats]) -> dict[str, Difference]:
    """Ours less theirs, by paired bootstrap over the messages; see COMPARED for the names."""
    return {name: metrics.paired_bootstrap(ours[name], theirs[name]) for name in COMPARED}
