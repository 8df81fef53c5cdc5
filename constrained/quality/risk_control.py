"""Promises from a labelled sample: sets of options that hold the right one, and thresholds under which errors or misses are rare.

Each promise rests on one assumption, **exchangeability**: the further messages come as the sample did, from the same people
at the same desk, under the same catalog and policy. It holds on average over messages and samples, not for each message.

Sources: sets: Vovk et al., Algorithmic Learning in a Random World, 2005. ``lac``: Sadinle et al., Least Ambiguous Set-Valued
Classifiers, JASA 2019. ``aps``: Romano et al., Classification with Valid and Adaptive Coverage, NeurIPS 2020, here without
its random part and counting only what is likelier: the likeliest option is in every set, so that the sets hold the right
one more often than promised where that option is wrong less often than alpha. Thresholds of answers: exact binomial tests in a
fixed sequence (Geifman and El-Yaniv, NeurIPS 2017; Angelopoulos et al., Learn then Test, 2021). Thresholds of triggers: Wilks, 1941.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import binom

from constrained.quality.calibration import (
    Flags,
    Floats,
    Interval,
    Ints,
    Rows,
    check_enough,
    check_share,
    check_sizes,
    checked_labels,
    clopper_pearson,
    fewest,
    padded,
    upper,
)

Method = Literal["lac", "aps"]
SLACK = 1e-12  # sums of probabilities round
ORDERING = 5  # every fifth message only orders the thresholds


@dataclass(frozen=True, slots=True)
class ConformalPredictor:
    """Which options belong into a set: for a further message it holds the right one with probability 1 - alpha at least.

    Attributes:
        quantile: an option is in the set when its nonconformity is at most this; infinite when every option must be.
        method: ``lac``: nonconformity is 1 - probability; the sets are smallest on average, and can be empty.
            ``aps``: the probability of all options that are likelier; the sets are never empty.
        n: messages that it was fitted on.
    """

    quantile: float
    alpha: float
    method: Method
    n: int

    def sets(self, prob_rows: Rows) -> list[tuple[int, ...]]:
        """For each row the indices of the options in its set, in order."""
        inside = self.inside(prob_rows)
        return [tuple(np.flatnonzero(row[: len(given)]).tolist()) for row, given in zip(inside, prob_rows, strict=True)]

    def inside(self, prob_rows: Rows) -> Flags:
        """[row, option] whether the option is in the set; False where a row has no such option."""
        probabilities = padded(prob_rows, np.nan)
        found = _nonconformity(probabilities, self.method) <= self.quantile + SLACK
        return np.asarray(found & ~np.isnan(probabilities))


def conformal(prob_rows: Rows, labels: Sequence[int] | Ints, alpha: float = 0.1, method: Method = "lac") -> ConformalPredictor:
    """Fits the quantile on messages that nothing else was fitted on.

    Args:
        prob_rows: probabilities, a row for each message, an entry for each of its options.
        labels: the index of the right option; -1 where it is none of the options (no set can hold it).

    Raises SampleError when the sample is too small for ``alpha`` (it says how many are needed), or a label is no option.
    """
    check_share("alpha", alpha)
    known = checked_labels(prob_rows, labels, "conformal", lowest=-1)
    check_enough(f"a set that misses at most {alpha:g}", len(known), n_needed_for_sets(alpha))
    every = _nonconformity(padded(prob_rows, np.nan), method)
    scores = np.where(known >= 0, every[np.arange(len(known)), known], np.inf)
    return ConformalPredictor(quantile(scores, alpha), alpha, method, len(known))


def n_needed_for_sets(alpha: float) -> int:
    """The smallest sample that can tell such a set from the set of all options."""
    return math.ceil((1 - alpha) / alpha - SLACK)


def quantile(scores: Floats, alpha: float) -> float:
    """The ceil((n + 1)(1 - alpha))-th smallest of n scores: the quantile with the correction for a finite sample."""
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - SLACK)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else math.inf


def _nonconformity(probabilities: Floats, method: Method) -> Floats:
    if method == "lac":
        return 1.0 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")  # NaN last
    ranked = np.take_along_axis(probabilities, order, axis=1)
    likelier = np.cumsum(ranked, axis=1) - ranked
    found = np.empty_like(likelier)
    np.put_along_axis(found, order, likelier, axis=1)
    return found


@dataclass(frozen=True, slots=True)
class AnswerThreshold:
    """When to answer: the lowest threshold at which errors among what is answered are rare, and what is known of it.

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
    confidence: Sequence[float] | Floats, is_right: Sequence[bool] | Flags, alpha: float = 0.05, delta: float = 0.1
) -> AnswerThreshold:
    """The threshold for "error among answered at most alpha with probability 1 - delta".

    Args:
        confidence: probability of each message's best option; the order of the messages must not depend on it.
        is_right: whether that option was the right one.

    Raises SampleError when even a sample without one error could not show it; it says how many are needed.
    """
    check_share("alpha", alpha)
    check_share("delta", delta)
    check_sizes("confidence and is_right", len(confidence), len(is_right))
    check_enough(f"errors of at most {alpha:g} with probability {1 - delta:g}", len(confidence), n_needed_for_threshold(alpha, delta))
    sure, wrong = np.asarray(confidence, dtype=np.float64), ~np.asarray(is_right, dtype=np.bool_)
    is_ordering = np.arange(len(sure)) % ORDERING == ORDERING - 1
    sequence = _sequence(sure[is_ordering], wrong[is_ordering], alpha)
    sure, wrong = sure[~is_ordering], wrong[~is_ordering]
    is_shown = p_values(sure, wrong, sequence, alpha) <= delta
    n_shown = len(sequence) if is_shown.all() else int(np.argmin(is_shown))  # the sequence ends at the first that fails
    met = float(sequence[n_shown - 1]) if n_shown else math.inf
    answered = sure >= met
    n_answered, n_wrong = int(answered.sum()), int((answered & wrong).sum())
    return AnswerThreshold(met, alpha, delta, len(sure), n_answered, n_wrong, upper(n_wrong, n_answered, delta) if n_answered else 0.0)


def n_needed_for_threshold(alpha: float, delta: float) -> int:
    """The smallest sample: what is left of it for the tests can show it if nothing was wrong."""
    tested = fewest(alpha, delta)
    return tested + (tested - 1) // (ORDERING - 1)


def p_values(sure: Floats, wrong: Flags, thresholds: Floats, alpha: float) -> Floats:
    """[threshold] how likely so few errors were, if more than ``alpha`` of what is answered there were wrong; exact."""
    order = np.argsort(-sure, kind="stable")
    n_answered = np.searchsorted(-sure[order], -thresholds, side="right")
    n_wrong = np.concatenate([[0], np.cumsum(wrong[order])])[n_answered]
    return np.asarray(binom.cdf(n_wrong, n_answered, alpha))  # 1 where nothing is answered


def _sequence(sure: Floats, wrong: Flags, alpha: float) -> Floats:
    """Thresholds to test, downwards from the one that speaks most clearly here, and 0 at the end."""
    candidates = np.unique(sure)[::-1]
    clearest = int(np.argmin(p_values(sure, wrong, candidates, alpha)))
    return np.append(candidates[clearest:], 0.0)


@dataclass(frozen=True, slots=True)
class TriggerThreshold:
    """The threshold of a protected trigger (a dispute, hardship, an emergency), set by what it misses, and what it costs.

    Attributes:
        threshold: the trigger is taken as meant when its probability is at least this.
        missed: the share of its own messages below, with the interval of Clopper and Pearson; false_alarms: of all others.
    """

    threshold: float
    most_missed: float
    delta: float
    n_meant: int
    missed: Interval
    n_others: int
    false_alarms: Interval


def protected(
    probability: Sequence[float] | Floats, is_meant: Sequence[bool] | Flags, most_missed: float = 0.05, delta: float = 0.05
) -> TriggerThreshold:
    """The highest threshold of one trigger that keeps the promise.

    Args:
        probability: that each message means the trigger. is_meant: whether it does.

    Raises SampleError when too few messages mean it; it says how many are needed.
    """
    check_share("most_missed", most_missed)
    check_share("delta", delta)
    check_sizes("probability and is_meant", len(probability), len(is_meant))
    given, meant = np.asarray(probability, dtype=np.float64), np.asarray(is_meant, dtype=np.bool_)
    own, others = np.sort(given[meant]), given[~meant]
    check_enough(f"a miss rate of at most {most_missed:g} with probability {1 - delta:g}", len(own), fewest(most_missed, delta))
    met = float(own[rank(len(own), most_missed, delta) - 1])
    n_missed, n_false = int((own < met).sum()), int((others >= met).sum())
    missed, false = clopper_pearson(n_missed, len(own)), clopper_pearson(n_false, len(others))
    return TriggerThreshold(met, most_missed, delta, len(own), missed, len(others), false)


def rank(n: int, most_missed: float, delta: float) -> int:
    """Which of n sorted probabilities: the highest rank r with P(Binomial(n, most_missed) < r) at most delta; 0 for none."""
    return int((binom.cdf(np.arange(n), n, most_missed) <= delta).sum())
