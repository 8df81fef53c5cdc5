"""When to answer: the lowest threshold at which errors among what is answered are rare, with a promise. Knows no model.

The promise: with probability at least 1 - delta over the sample, at most a share alpha of the *answered* messages is
answered wrongly, for further messages that come as the sample did (**exchangeability**: the same people, desk, catalog
and policy). A change of any of these voids it: fit again.

How: the thresholds are tested from a conservative one downwards, each by an exact binomial test of "more than alpha of
what is answered here is wrong"; the first that cannot be refuted ends it (fixed-sequence testing, so that no share of
delta is lost to the number of thresholds). Which threshold comes first is decided on a fifth of the sample that is not
tested on.

Sources: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, NeurIPS 2017 (section 3, the bound).
Angelopoulos et al., Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control, 2021 (fixed-sequence
testing, and its order learned on a split).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from constrained.calibration.bounds import at_most, check_enough, check_share, check_sizes, fewest, upper
from constrained.calibration.rows import Floats

ORDERING = 5  # every fifth message only orders the thresholds


@dataclass(frozen=True, slots=True)
class Selective:
    """A threshold and what is known of it.

    Attributes:
        threshold: what is at least this sure is answered; infinite when no threshold keeps the promise: answer nothing.
        n, n_answered, n_wrong: of the messages that were tested on, those of the ordering fifth not among them.
        bound: the share of errors among the answered that is exceeded with probability ``delta`` at most.
    """

    threshold: float
    alpha: float
    delta: float
    n: int
    n_answered: int
    n_wrong: int
    bound: float

    @property
    def coverage(self) -> float:
        """The share that is answered."""
        return self.n_answered / self.n

    @property
    def risk(self) -> float:
        """The share of errors among the answered."""
        return self.n_wrong / self.n_answered if self.n_answered else 0.0

    @property
    def is_met(self) -> bool:
        return math.isfinite(self.threshold)


def threshold(
    confidence: Sequence[float] | Floats, is_right: Sequence[bool] | NDArray[np.bool_], alpha: float = 0.05, delta: float = 0.1
) -> Selective:
    """The threshold for "error among answered at most alpha with probability 1 - delta".

    Args:
        confidence: probability of each message's best option; the order of the messages must not depend on it.
        is_right: whether that option was the right one.

    Raises SampleError when even a sample without one error could not show it; it says how many are needed.
    """
    check_share("alpha", alpha)
    check_share("delta", delta)
    check_sizes("confidence and is_right", len(confidence), len(is_right))
    check_enough(f"errors of at most {alpha:g} with probability {1 - delta:g}", len(confidence), needed(alpha, delta))
    sure, wrong = np.asarray(confidence, dtype=np.float64), ~np.asarray(is_right, dtype=np.bool_)
    is_ordering = np.arange(len(sure)) % ORDERING == ORDERING - 1
    sequence = _sequence(sure[is_ordering], wrong[is_ordering], alpha)
    sure, wrong = sure[~is_ordering], wrong[~is_ordering]
    met = math.inf
    for candidate in sequence:
        if p_value(sure, wrong, candidate, alpha) > delta:
            break
        met = candidate
    n_answered, n_wrong = counted(sure, wrong, met)
    return Selective(met, alpha, delta, len(sure), n_answered, n_wrong, upper(n_wrong, n_answered, delta) if n_answered else 0.0)


def needed(alpha: float, delta: float) -> int:
    """The smallest sample: what is left of it for the tests can show it if nothing was wrong."""
    tested = fewest(alpha, delta)
    return tested + (tested - 1) // (ORDERING - 1)


def counted(sure: Floats, wrong: NDArray[np.bool_], threshold: float) -> tuple[int, int]:
    """(answered, wrong among them)"""
    answered = sure >= threshold
    return int(answered.sum()), int((answered & wrong).sum())


def p_value(sure: Floats, wrong: NDArray[np.bool_], threshold: float, alpha: float) -> float:
    """How likely so few errors were, if more than ``alpha`` of what is answered at this threshold were wrong; exact."""
    n_answered, n_wrong = counted(sure, wrong, threshold)
    return at_most(n_wrong, n_answered, alpha) if n_answered else 1.0


def _sequence(sure: Floats, wrong: NDArray[np.bool_], alpha: float) -> list[float]:
    """Thresholds to test, downwards from the one that speaks most clearly here."""
    candidates = np.unique(sure)[::-1].tolist()
    values = [p_value(sure, wrong, candidate, alpha) for candidate in candidates]
    return [*candidates[int(np.argmin(values)) :], 0.0]
