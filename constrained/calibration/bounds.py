"""Exact bounds for a share that was counted: binomial tails and the interval of Clopper and Pearson. Knows no model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from constrained.errors import SampleError

STEPS = 60  # of a bisection: far beyond what a float of 53 bits tells apart


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
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high
