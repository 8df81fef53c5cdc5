"""Figures of an evaluation: scores of probabilities and picks as arrays, and the summary of all outcomes.

Throughout, ``confidence`` is the probability of the best option, ``is_right`` whether that option is a right one.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

from constrained.quality.calibration import Flags, Floats, Interval, clopper_pearson
from constrained.quality.evaluation import MessageOutcome

Binning = Literal["mass", "width"]
N_BINS = 15
LEAST = 1e-12  # a probability below this is as good as none; its logarithm stays finite
COVERAGES = (0.5, 0.8, 0.9)
THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(11))
N_PAIRS = 20


@dataclass(frozen=True, slots=True)
class Bin:
    """Messages of like confidence: how many, how sure on average, how often right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def bins(confidence: Floats, is_right: Flags, binning: Binning, n_bins: int = N_BINS) -> list[Bin]:
    """``mass``: bins of equally many messages, in order of confidence. ``width``: equal steps from 0 to 1. Empty ones are left out."""
    order = np.argsort(confidence, kind="stable")
    if binning == "mass":
        parts = [part for part in np.array_split(order, min(n_bins, len(order))) if len(part)]
    else:
        place = np.minimum((confidence * n_bins).astype(np.int64), n_bins - 1)
        parts = [np.flatnonzero(place == number) for number in range(n_bins)]
    return [_bin(confidence[part], is_right[part]) for part in parts if len(part)]


def _bin(confidence: Floats, is_right: Flags) -> Bin:
    return Bin(float(confidence.min()), float(confidence.max()), len(confidence), float(confidence.mean()), float(is_right.mean()))


def ece(confidence: Floats, is_right: Flags, binning: Binning = "mass", n_bins: int = N_BINS) -> float:
    """Expected calibration error: by how much confidence and accuracy differ, averaged over messages.

    Source: Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015; bins of equal mass by
    Nguyen and O'Connor, Posterior Calibration and Exploratory Analysis for NLP Models, EMNLP 2015.
    """
    found = bins(confidence, is_right, binning, n_bins)
    return sum(one.n * abs(one.confidence - one.accuracy) for one in found) / len(confidence)


def brier(rows: Sequence[Sequence[float]], rights: Sequence[Sequence[int]]) -> Floats:
    """[row] squared distance between probabilities and the right option, 0 to 2 (Brier, Monthly Weather Review 1950).

    Of several right options the most probable one counts; where none is there, 1 is added for the option that is missing.
    """
    return np.asarray([_brier(row, right) for row, right in zip(rows, rights, strict=True)])


def _brier(row: Sequence[float], right: Sequence[int]) -> float:
    squares = sum(value * value for value in row)
    return squares + 1.0 - 2.0 * max((row[index] for index in right), default=0.0)


def nll(rows: Sequence[Sequence[float]], rights: Sequence[Sequence[int]]) -> Floats:
    """[row] negative log-probability, in nats, of any right option."""
    return np.asarray([-np.log(max(LEAST, sum(row[index] for index in right))) for row, right in zip(rows, rights, strict=True)])


def macro_f1(expected: Sequence[str], said: Sequence[str]) -> float:
    """The mean over all expected labels of the harmonic mean of precision and recall."""
    return float(f1_score(expected, said, labels=sorted(set(expected)), average="macro", zero_division=0.0))


def risk_coverage(confidence: Floats, is_right: Flags) -> tuple[Floats, Floats]:
    """(coverage, risk) when the surest 1, 2, ... n are answered; equals are answered together (El-Yaniv and Wiener, JMLR 2010)."""
    order = np.argsort(-confidence, kind="stable")
    sure, wrong = confidence[order], np.cumsum(~is_right[order])
    counts = np.arange(1, len(sure) + 1)
    last = np.append(sure[1:] != sure[:-1], True)
    return counts[last] / len(sure), wrong[last] / counts[last]


def aurc(confidence: Floats, is_right: Flags) -> float:
    """Area under the risk-coverage curve: the risk, averaged over the coverages; 0 is best (Geifman et al., ICLR 2019)."""
    coverage, risk = risk_coverage(confidence, is_right)
    return float((np.diff(coverage, prepend=0.0) * risk).sum())


def risk_at(confidence: Floats, is_right: Flags, coverage: float) -> float:
    """The share of errors when the surest share ``coverage`` of the messages is answered, equals together."""
    reached, risk = risk_coverage(confidence, is_right)
    return float(risk[int(np.searchsorted(reached, coverage - 1e-9))])


def auroc(score: Floats, is_positive: Flags) -> float:
    """P(a positive's score is higher than a negative's), equals half; NaN without both kinds."""
    return float(roc_auc_score(is_positive, score)) if is_positive.any() and not is_positive.all() else math.nan


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """How much a mean differs between two settings on the same messages, and its 95 % interval; ``p`` is two-sided."""

    value: float
    low: float
    high: float
    p: float


def paired_bootstrap(ours: Floats, theirs: Floats, *, n_samples: int = 10_000, seed: int = 0) -> MeanDifference:
    """The mean of ours less that of theirs, resampled by message (Koehn, EMNLP 2004; Efron and Tibshirani, 1993)."""
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    means = _resampled(difference, n_samples, np.random.default_rng(seed))
    low, high = np.quantile(means, [0.025, 0.975])
    beyond = min(float((means <= 0).mean()), float((means >= 0).mean()))
    return MeanDifference(float(difference.mean()), float(low), float(high), min(1.0, 2 * max(beyond, 1 / n_samples)))


def _resampled(values: Floats, n_samples: int, chance: np.random.Generator) -> Floats:
    """[sample] means of as many values as there are, drawn with replacement; few distinct ones are drawn by their counts."""
    known, counts = np.unique(values, return_counts=True)
    n = len(values)
    if len(known) <= 100:
        return np.asarray(chance.multinomial(n, counts / n, size=n_samples) @ known / n)
    return np.asarray([values[chance.integers(0, n, n)].mean() for _ in range(n_samples)])


def confusions(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str, int, int]]:
    """(one, other, expected one said other, expected other said one) of unlike ids, the most frequent first."""
    counts = Counter((expected, said) for expected, said in pairs if expected != said)
    keys = {(min(pair), max(pair)) for pair in counts}
    found = [(one, other, counts[one, other], counts[other, one]) for one, other in keys]
    return sorted(found, key=lambda one: (-one[2] - one[3], one[:2]))


@dataclass(frozen=True, slots=True)
class ThresholdFigures:
    """What an abstention threshold does: shares of messages in scope answered and rightly so, of others caught."""

    threshold: float
    answered: float
    right: float
    caught: float


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Two responses that are taken for each other: how often each way, and a message of each way."""

    one: str
    other: str
    n: int
    n_back: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProtectedFigures:
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
    at_thresholds: tuple[ThresholdFigures, ...]
    protected: tuple[ProtectedFigures, ...]
    heard: dict[str, Interval]
    groups: dict[str, Interval]
    pairs: tuple[ConfusedPair, ...]
    curve: tuple[tuple[float, float], ...] = field(repr=False)
    reliability: tuple[Bin, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeArrays:
    """Outcomes as arrays, [message] each.

    Attributes:
        confidence, is_right: of the most probable option. is_said_right: of what was said, abstentions included.
        in_scope: something other than the fallback is right. answerable: probability of the best option but the fallback.
        is_answer_right: whether that option is right.
    """

    outcomes: tuple[MessageOutcome, ...]
    confidence: Floats
    is_right: Flags
    is_said_right: Flags
    in_scope: Flags
    answerable: Floats
    is_answer_right: Flags
    brier: Floats
    nll: Floats


def to_arrays(outcomes: Sequence[MessageOutcome], fallback: str) -> OutcomeArrays:
    """What all figures are computed from."""
    rights = [tuple(i for i, option in enumerate(one.options) if option in one.example.expects) for one in outcomes]
    answers = [one.answer(fallback) for one in outcomes]
    rows = [one.probabilities for one in outcomes]
    return OutcomeArrays(
        outcomes=tuple(outcomes),
        confidence=np.asarray([one.confidence for one in outcomes]),
        is_right=np.asarray([one.options[one.best] in one.example.expects for one in outcomes]),
        is_said_right=np.asarray([one.said in one.example.expects for one in outcomes]),
        in_scope=np.asarray([fallback not in one.example.expects for one in outcomes]),
        answerable=np.asarray([probability for _, probability in answers]),
        is_answer_right=np.asarray([option in one.example.expects for one, (option, _) in zip(outcomes, answers, strict=True)]),
        brier=brier(rows, rights),
        nll=nll(rows, rights),
    )


def summarise(outcomes: Sequence[MessageOutcome], fallback: str, protected: Iterable[str] = ()) -> Summary:
    """Every figure. ``protected``: ids of responses, or questions, whose misses are counted one by one."""
    arrays = to_arrays(outcomes, fallback)
    coverage, risk = risk_coverage(arrays.confidence, arrays.is_right)
    return Summary(
        n=len(outcomes),
        figures=_figures(arrays),
        at_thresholds=tuple(_threshold_figures(arrays, threshold) for threshold in THRESHOLDS),
        protected=tuple(_protected_figures(outcomes, one) for one in protected),
        heard=_shares((name, heard.is_right) for one in outcomes for name, heard in one.heard.items()),
        groups=_shares((one.example.group, one.said in one.example.expects) for one in outcomes if one.example.group),
        pairs=_confused_pairs(outcomes),
        curve=tuple(zip(coverage.tolist(), risk.tolist(), strict=True)),
        reliability=tuple(bins(arrays.confidence, arrays.is_right, "mass")),
    )


def _figures(arrays: OutcomeArrays) -> dict[str, float]:
    figures = (
        _choice_figures(arrays) | _probability_figures(arrays) if any(one.is_asked for one in arrays.outcomes) else _choice_figures(arrays)
    )
    return {name: float(value) for name, value in figures.items()}


def _choice_figures(arrays: OutcomeArrays) -> dict[str, float]:
    """What was said, whoever chose it."""
    said = [one.said for one in arrays.outcomes]
    expected = [_expected_label(one) for one in arrays.outcomes]
    return {
        "accuracy": _mean(arrays.is_said_right),
        "accuracy in scope": _mean(arrays.is_said_right[arrays.in_scope]),
        "accuracy in scope, never abstaining": _mean(arrays.is_answer_right[arrays.in_scope]),
        "out of scope, recall": _mean(arrays.is_said_right[~arrays.in_scope]),
        "macro-F1": macro_f1(expected, said),
        "abstained": _mean(np.asarray([one.abstained for one in arrays.outcomes])),
        "expected response not allowed": _mean(np.asarray([not set(one.example.expects) & set(one.options) for one in arrays.outcomes])),
    }


def _probability_figures(arrays: OutcomeArrays) -> dict[str, float]:
    """How far the probabilities can be relied on; nothing where the rules alone chose."""
    sure, right = arrays.confidence, arrays.is_right
    return {
        "AURC": aurc(sure, right),
        **{f"risk at coverage {share:.0%}": risk_at(sure, right, share) for share in COVERAGES},
        "ECE, bins of equal mass": ece(sure, right, "mass"),
        "ECE, bins of equal width": ece(sure, right, "width"),
        "Brier": _mean(arrays.brier),
        "NLL": _mean(arrays.nll),
        "out of scope, AUROC": auroc(-arrays.answerable, ~arrays.in_scope),
    }


def _expected_label(outcome: MessageOutcome) -> str:
    """The label that counts as expected in a confusion: what was said where that is right, else the first that is."""
    return outcome.said if outcome.said in outcome.example.expects else outcome.example.expects[0]


def _threshold_figures(arrays: OutcomeArrays, threshold: float) -> ThresholdFigures:
    """An answer is given when it is at least as probable as the threshold and more probable than the fallback."""
    is_best = arrays.answerable >= arrays.confidence
    answered = is_best & (arrays.answerable >= threshold)
    right = answered & arrays.is_answer_right
    inside, outside = arrays.in_scope, ~arrays.in_scope
    return ThresholdFigures(threshold, _mean(answered[inside]), _mean(right[inside]), _mean(~answered[outside]))


def _protected_figures(outcomes: Sequence[MessageOutcome], name: str) -> ProtectedFigures:
    pairs = [_due_and_done(one, name) for one in outcomes]
    n = sum(is_due for is_due, _ in pairs)
    missed, false, others = pairs.count((True, False)), pairs.count((False, True)), len(pairs) - n
    return ProtectedFigures(name, n, clopper_pearson(missed, n), others, clopper_pearson(false, others))


def _due_and_done(outcome: MessageOutcome, name: str) -> tuple[bool, bool]:
    """(whether it should have been said or heard, whether it was)"""
    if name in outcome.heard:
        return outcome.heard[name].is_due, outcome.heard[name].is_heard
    return name in (*outcome.example.expects, *outcome.example.obliged), name in outcome.spoken


def _shares(pairs: Iterable[tuple[str, bool]]) -> dict[str, Interval]:
    flags: dict[str, list[bool]] = defaultdict(list)
    for name, is_so in pairs:
        flags[name].append(is_so)
    return {name: clopper_pearson(sum(values), len(values)) for name, values in sorted(flags.items())}


def _confused_pairs(outcomes: Sequence[MessageOutcome]) -> tuple[ConfusedPair, ...]:
    messages: dict[tuple[str, str], str] = {}
    pairs = [_expected_and_picked(one) for one in outcomes]
    for pair, one in zip(pairs, outcomes, strict=True):
        messages.setdefault(pair, one.example.message)
    return tuple(
        ConfusedPair(one, other, n, n_back, tuple(messages[key] for key in ((one, other), (other, one)) if key in messages))
        for one, other, n, n_back in confusions(pairs)[:N_PAIRS]
    )


def _expected_and_picked(outcome: MessageOutcome) -> tuple[str, str]:
    """(expected, most probable): an abstention hides what was taken for what."""
    best = outcome.options[outcome.best] if outcome.abstained else outcome.said
    return best if best in outcome.example.expects else outcome.example.expects[0], best


def _mean(values: Flags | Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


COMPARED: dict[str, Callable[[OutcomeArrays], Floats | Flags]] = {
    "accuracy": lambda one: one.is_said_right,
    "most probable is right": lambda one: one.is_right,
    "Brier": lambda one: one.brier,
    "NLL": lambda one: one.nll,
}


def differences(ours: dict[str, Floats], theirs: dict[str, Floats]) -> dict[str, MeanDifference]:
    """Ours less theirs, by paired bootstrap over the messages; see COMPARED for the names."""
    return {name: paired_bootstrap(ours[name], theirs[name]) for name in COMPARED}


def replace_nan(value: Any) -> Any:
    """The same JSON values, with null where a number is NaN or infinite."""
    if isinstance(value, Mapping):
        return {name: replace_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [replace_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
