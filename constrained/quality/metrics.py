"""Figures of how well probabilities and picks fit what is right: arrays in, numbers out.

Throughout, ``confidence`` is the probability of the best option, ``is_right`` whether that option is a right one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Binning = Literal["mass", "width"]
N_BINS = 15
LEAST = 1e-12  # a probability below this is as good as none; its logarithm stays finite


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
    hits = Counter(one for one, other in zip(expected, said, strict=True) if one == other)
    wanted, given = Counter(expected), Counter(said)
    return sum(2 * hits[label] / (wanted[label] + given[label]) for label in wanted) / len(wanted)


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
    n_positive, n_negative = int(is_positive.sum()), int((~is_positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2  # rank of each value, equals sharing theirs
    return float((middle[place][is_positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much a mean differs between two settings on the same messages, and its 95 % interval; ``p`` is two-sided."""

    value: float
    low: float
    high: float
    p: float


def paired_bootstrap(ours: Floats, theirs: Floats, *, n_samples: int = 10_000, seed: int = 0) -> Difference:
    """The mean of ours less that of theirs, resampled by message (Koehn, EMNLP 2004; Efron and Tibshirani, 1993)."""
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    means = _resampled(difference, n_samples, np.random.default_rng(seed))
    low, high = np.quantile(means, [0.025, 0.975])
    beyond = min(float((means <= 0).mean()), float((means >= 0).mean()))
    return Difference(float(difference.mean()), float(low), float(high), min(1.0, 2 * max(beyond, 1 / n_samples)))


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
