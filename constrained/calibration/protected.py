"""Thresholds of protected triggers (a dispute, a human, hardship, self-harm, an emergency): set by what they miss. Knows no model.

The promise: with probability at least 1 - delta over the sample, at most a share ``most_missed`` of further messages that
mean the trigger stays below its threshold, if they come as those of the sample did (**exchangeability**). The threshold is
an order statistic of the probabilities that the trigger's own messages got, so nothing is assumed of the model.

Source: Wilks, Determination of Sample Sizes for Setting Tolerance Limits, Annals of Mathematical Statistics 1941.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from constrained.calibration.bounds import Interval, at_most, check_enough, check_share, check_sizes, clopper_pearson, fewest
from constrained.calibration.rows import Floats


@dataclass(frozen=True, slots=True)
class Protected:
    """A trigger's threshold and what it costs.

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
    probability: Sequence[float] | Floats, is_meant: Sequence[bool] | NDArray[np.bool_], most_missed: float = 0.05, delta: float = 0.05
) -> Protected:
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
    return Protected(met, most_missed, delta, len(own), missed, len(others), false)


def rank(n: int, most_missed: float, delta: float) -> int:
    """Which of n sorted probabilities: the highest rank r with P(Binomial(n, most_missed) < r) at most delta; 0 for none."""
    found = 0
    while found < n and at_most(found, n, most_missed) <= delta:
        found += 1
    return found
