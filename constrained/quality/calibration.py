"""Calibration on labelled messages: exact intervals of counted shares, one temperature for all scores, priors taken off labels.

Scores and probabilities come in rows, one a message, each as long as its choice had options; arrays are padded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax
from scipy.stats import beta

from constrained.errors import SampleError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Rows = Sequence[Sequence[float]] | Sequence[Floats] | Floats

COLDEST, HOTTEST = 0.02, 50.0  # a sample without a single error would else ask for certainty
EVENING_STEPS = 50
EVENING_RATE = 0.5  # of a correction, at a time: whole ones swing between two labels


@dataclass(frozen=True, slots=True)
class Interval:
    """A counted share ``value`` and the exact bounds that hold it with probability ``level``."""

    value: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


def upper(k: int, n: int, delta: float) -> float:
    """The share that is at least the true one with probability 1 - delta, when ``k`` of ``n`` were counted; 1 for none."""
    return float(beta.ppf(1.0 - delta, k + 1, n - k)) if n and k < n else 1.0


def lower(k: int, n: int, delta: float) -> float:
    """The share that is at most the true one with probability 1 - delta; 0 for none."""
    return float(beta.ppf(delta, k, n - k + 1)) if n and k else 0.0


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


def padded(rows: Rows, missing: float) -> Floats:
    """[row, option]; ``missing`` where a row has no such option."""
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        return np.asarray(rows, dtype=np.float64)
    width = max((len(row) for row in rows), default=0)
    table = np.full((len(rows), width), missing)
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
    return table


def checked_labels(rows: Rows, labels: Sequence[int] | Ints, what: str, *, lowest: int = 0) -> Ints:
    """The labels as an array. Raises SampleError unless each is an option of its row, or as low as ``lowest``."""
    array = np.asarray(labels, dtype=np.int64)
    check_sizes(what, len(rows), len(array))
    sizes = np.asarray([len(row) for row in rows], dtype=np.int64)
    wrong = np.flatnonzero((array < lowest) | (array >= sizes))
    if len(wrong):
        first = int(wrong[0])
        raise SampleError(f"{what}: the label of row {first} is {array[first]}, the row has {sizes[first]} options")
    return array


def temperature(logits_rows: Rows, labels: Sequence[int] | Ints) -> float:
    """The temperature under which the labels are most likely, from 0.02 to 50. Deterministic; the likelihood has one maximum.

    Args:
        logits_rows: scores in nats, a row for each message, an entry for each of its options.
        labels: the index of the right option in each row.

    Raises SampleError without a message, or for a label that is no option.
    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    check_enough("a temperature", len(logits_rows), 1)
    right = checked_labels(logits_rows, labels, "temperature")
    scores = padded(logits_rows, -np.inf)
    if np.all(scores.max(axis=1) == np.where(np.isfinite(scores), scores, np.inf).min(axis=1)):
        return 1.0  # no row prefers anything

    is_option = np.isfinite(scores)

    def slope(log_sharpness: float) -> float:
        """By how much the negative log-likelihood rises with the sharpness: expected less actual score."""
        probabilities = softmax(scores * np.exp(log_sharpness), axis=1)
        expected = (probabilities * np.where(is_option, scores, 0.0)).sum(axis=1)
        return float((expected - scores[np.arange(len(right)), right]).sum())

    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    if slope(high) <= 0:
        return COLDEST
    return HOTTEST if slope(low) >= 0 else float(np.exp(-brentq(slope, low, high)))


def contextual_calibration(scores: Floats, free: Floats) -> Floats:
    """[row, label] scores less the log of what each label gets when the message says nothing.

    Args:
        scores: [row, label] in nats. free: [text, label] the same for texts without content ("N/A", nothing, "[MASK]").

    Source: Zhao et al., Calibrate Before Use: Improving Few-shot Performance of Language Models, ICML 2021, section 5.
    """
    return np.asarray(log_softmax(scores, axis=1) - _log_mean(free))


def batch_calibration(scores: Floats, seen: Floats | None = None) -> Floats:
    """[row, label] scores less the log of what each label gets on average over messages without labels.

    Args:
        scores: [row, label] in nats. seen: [message, label] the same for the messages; the rows themselves when None.

    Source: Zhou et al., Batch Calibration: Rethinking Calibration for In-Context Learning and Prompt Engineering, ICLR 2024, section 3.
    """
    return np.asarray(log_softmax(scores, axis=1) - _log_mean(scores if seen is None else seen))


def label_offsets(scores: Floats) -> Floats:
    """[label] nats that, taken off, let every label be as likely as the others on average: ``batch_calibration``, until it holds."""
    offsets = np.zeros(scores.shape[1])
    for _ in range(EVENING_STEPS):
        offsets += EVENING_RATE * (_log_mean(scores - offsets) + np.log(len(offsets)))
    return offsets


def _log_mean(scores: Floats) -> Floats:
    """[label] log of the mean probability; in nats throughout, so that nothing becomes zero."""
    return np.asarray(np.logaddexp.reduce(log_softmax(scores, axis=1), axis=0) - np.log(len(scores)))
