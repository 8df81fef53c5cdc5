"""Split conformal prediction: sets of options that hold the right one with a probability that is promised. Knows no model.

The promise: for a further message, the set holds the right option with probability at least 1 - alpha, on average over
messages and samples. It rests on one assumption, **exchangeability**: the further messages come as the sample did, from
the same people at the same desk, under the same catalog and policy. It is no promise for each single message or topic.

Sources: Vovk et al., Algorithmic Learning in a Random World, 2005. ``lac``: Sadinle et al., Least Ambiguous Set-Valued
Classifiers, JASA 2019. ``aps``: Romano et al., Classification with Valid and Adaptive Coverage, NeurIPS 2020, here without
its random part: the likeliest option is always in the set, so it is right somewhat more often than promised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from constrained.calibration.bounds import check_enough, check_share
from constrained.calibration.rows import Floats, Ints, Rows, checked_labels, padded

Method = Literal["lac", "aps"]
SLACK = 1e-12  # sums of probabilities round


@dataclass(frozen=True, slots=True)
class Conformal:
    """Which options belong into a set.

    Attributes:
        quantile: an option is in the set when its nonconformity is at most this; infinite when every option must be.
        method: ``lac``: nonconformity is 1 - probability; the sets are smallest on average, and can be empty.
            ``aps``: the probability of all options at least as likely; the likeliest option is in every set.
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

    def inside(self, prob_rows: Rows) -> NDArray[np.bool_]:
        """[row, option] whether the option is in the set; False where a row has no such option."""
        probabilities = padded(prob_rows, np.nan)
        found = _nonconformity(probabilities, self.method) <= self.quantile + SLACK
        if self.method == "aps":
            found[np.arange(len(found)), np.nanargmax(probabilities, axis=1)] = True
        return np.asarray(found & ~np.isnan(probabilities))


def conformal(prob_rows: Rows, labels: Sequence[int] | Ints, alpha: float = 0.1, method: Method = "lac") -> Conformal:
    """Fits the quantile on messages that nothing else was fitted on.

    Args:
        prob_rows: probabilities, a row for each message, an entry for each of its options.
        labels: the index of the right option; -1 where it is none of the options (no set can hold it).

    Raises SampleError when the sample is too small for ``alpha`` (it says how many are needed), or a label is no option.
    """
    check_share("alpha", alpha)
    known = checked_labels(prob_rows, labels, "conformal", lowest=-1)
    check_enough(f"a set that misses at most {alpha:g}", len(known), needed(alpha))
    every = _nonconformity(padded(prob_rows, np.nan), method)
    scores = np.where(known >= 0, every[np.arange(len(known)), known], np.inf)
    return Conformal(quantile(scores, alpha), alpha, method, len(known))


def needed(alpha: float) -> int:
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
    sums = np.cumsum(ranked, axis=1)
    found = np.empty_like(sums)
    np.put_along_axis(found, order, sums, axis=1)
    return found
