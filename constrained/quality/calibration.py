"""Exact bounds for a share that was counted: binomial tails and the interval of Clopper and Pearson."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from constrained.errors import SampleError

BISECTION_STEPS = 60  # of a bisection: far beyond what a float of 53 bits tells apart


@dataclass(frozen=True, slots=True)
class Interval:
    """A counted share ``value`` and the exact bounds that hold it with probability ``level``."""

    value: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


def at_most(k: int, n: int, share: float) -> float:
    """P(X <= k) for X binomial with ``n`` trials of probability ``share``."""
    if k < 0 or k >= n:
        return float(k >= n)
    if share <= 0 or share >= 1:
        return float(share <= 0)
    inside, outside = math.log(share), math.log1p(-share)
    first = math.lgamma(n + 1)
    terms = (first - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * inside + (n - i) * outside for i in range(k + 1))
    return min(1.0, math.fsum(math.exp(term) for term in terms))


def upper(k: int, n: int, delta: float) -> float:
    """The share that is at least the true one with probability 1 - delta, when ``k`` of ``n`` were counted; 1 for none."""
    return _bisected(lambda share: at_most(k, n, share) > delta) if n and k < n else 1.0


def lower(k: int, n: int, delta: float) -> float:
    """The share that is at most the true one with probability 1 - delta; 0 for none."""
    return 1.0 - upper(n - k, n, delta) if n and k else 0.0


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """The exact two-sided interval of a share, ``k`` of ``n`` counted.

    Source: Clopper and Pearson, The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial, Biometrika 1934.
    """
    tail = (1.0 - level) / 2
    return Interval(k / n if n else math.nan, lower(k, n, tail), upper(k, n, tail), level)


def fewest(alpha: float, delta: float) -> int:
    """How many answers without one error show that the share of errors is at most ``alpha``, with probability 1 - delta."""
    return math.ceil(math.log(delta) / math.log1p(-alpha))


def check_sizes(what: str, *sizes: int) -> None:
    """Raises SampleError when arrays that belong together differ in length."""
    if len(set(sizes)) != 1:
        raise SampleError(f"{what}: {', '.join(map(str, sizes))} values were given", hint="one value a message in each")


def check_share(name: str, value: float) -> None:
    """Raises SampleError for anything but a share between 0 and 1, ends excluded."""
    if not 0.0 < value < 1.0:
        raise SampleError(f"{name} is {value:g}", hint=f"{name} lies between 0 and 1, such as 0.05")


def check_enough(what: str, given: int, needed: int) -> None:
    """Raises SampleError, which tells how many are needed."""
    if given < needed:
        raise SampleError(
            f"{what} needs at least {needed} of them, {given} were given",
            needed=needed,
            given=given,
            hint=f"label {needed - given} more, or ask for less",
        )


def _bisected(is_below: Callable[[float], bool]) -> float:
    """The share at which a falling property ends."""
    low, high = 0.0, 1.0
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


# -- Rows of scores or probabilities, each as long as its choice had options, as one array. --

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = Sequence[Sequence[float]] | Sequence[Floats] | Floats


def padded(rows: Rows, missing: float) -> Floats:
    """[row, option]; ``missing`` where a row has no such option."""
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        return np.asarray(rows, dtype=np.float64)
    width = max((len(row) for row in rows), default=0)
    found = np.full((len(rows), width), missing)
    for index, row in enumerate(rows):
        found[index, : len(row)] = row
    return found


def checked_labels(rows: Rows, labels: Sequence[int] | Ints, what: str, *, lowest: int = 0) -> Ints:
    """The labels as an array. Raises SampleError unless each is an option of its row, or as low as ``lowest``."""
    found = np.asarray(labels, dtype=np.int64)
    check_sizes(what, len(rows), len(found))
    sizes = np.asarray([len(row) for row in rows], dtype=np.int64)
    wrong = np.flatnonzero((found < lowest) | (found >= sizes))
    if len(wrong):
        first = int(wrong[0])
        raise SampleError(f"{what}: the label of row {first} is {found[first]}, the row has {sizes[first]} options")
    return found


# -- One temperature for all scores: how sure a difference in nats makes us. --

COLDEST, HOTTEST = 0.02, 50.0  # a sample without a single error would else ask for certainty
STEPS = 60


def temperature(logits_rows: Rows, labels: Sequence[int] | Ints) -> float:
    """The temperature under which the labels are most likely. Deterministic; the likelihood has one maximum.

    Args:
        logits_rows: scores in nats, a row for each message, an entry for each of its options.
        labels: the index of the right option in each row.

    Raises SampleError without a message, or for a label that is no option.
    """
    check_enough("a temperature", len(logits_rows), 1)
    known = checked_labels(logits_rows, labels, "temperature")
    scores = padded(logits_rows, -np.inf)
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    if np.all(scores.max(axis=1) == np.where(np.isfinite(scores), scores, np.inf).min(axis=1)):
        return 1.0  # no row prefers anything
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(scores, known, float(np.exp(middle))) <= 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def softmax(scores: Floats) -> Floats:
    """[row, option], each row summing to 1; -inf is no option."""
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def log_softmax(scores: Floats) -> Floats:
    """[row, option] in nats, so that nothing becomes zero."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _slope(scores: Floats, labels: Ints, sharpness: float) -> float:
    """By how much the negative log-likelihood rises with the sharpness: expected less actual score."""
    probabilities = softmax(scores * sharpness)
    expected = np.where(probabilities > 0, probabilities * np.where(np.isfinite(scores), scores, 0.0), 0.0).sum(axis=1)
    return float((expected - scores[np.arange(len(labels)), labels]).sum())


# -- What a label gets before anything was asked, taken off its scores, so that likely wordings do not win by themselves. --

EVENING_STEPS = 50
STEP = 0.5  # of a correction, at a time: whole ones swing between two labels


def contextual_calibration(scores: Floats, free: Floats) -> Floats:
    """[row, label] scores less the log of what each label gets when the message says nothing.

    Args:
        scores: [row, label] in nats. free: [text, label] the same for texts without content ("N/A", nothing, "[MASK]").

    Source: Zhao et al., Calibrate Before Use: Improving Few-shot Performance of Language Models, ICML 2021, section 5.
    """
    return np.asarray(log_softmax(scores) - _log_mean(free))


def batch_calibration(scores: Floats, seen: Floats | None = None) -> Floats:
    """[row, label] scores less the log of what each label gets on average over messages without labels.

    Args:
        scores: [row, label] in nats. seen: [message, label] the same for the messages; the rows themselves when None.

    Source: Zhou et al., Batch Calibration: Rethinking Calibration for In-Context Learning and Prompt Engineering, ICLR 2024, section 3.
    """
    return np.asarray(log_softmax(scores) - _log_mean(scores if seen is None else seen))


def evened(scores: Floats) -> Floats:
    """[label] nats that, taken off, let every label be as likely as the others on average: ``batch_calibration``, until it holds."""
    offsets = np.zeros(scores.shape[1])
    for _ in range(EVENING_STEPS):
        offsets += STEP * (_log_mean(scores - offsets) + np.log(len(offsets)))
    return offsets


def _log_mean(scores: Floats) -> Floats:
    """[label] log of the mean probability; in nats throughout, so that nothing becomes zero."""
    return np.asarray(np.logaddexp.reduce(log_softmax(scores), axis=0) - np.log(len(scores)))
