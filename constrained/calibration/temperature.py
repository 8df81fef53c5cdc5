"""One temperature for all scores: how sure a difference in nats makes us. Knows no model.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from constrained.calibration.bounds import check_enough
from constrained.calibration.rows import Floats, Ints, Rows, checked_labels, padded

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
