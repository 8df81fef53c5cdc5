"""Interleaved, repeated measurements: medians, quartiles, and ratios round by round. Knows nothing of what it times."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: seconds on the wall and seconds of processors, all threads together."""

    wall_s: float
    cpu_s: float


Measure = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises StatisticsError when there are no values."""
        values = list(values)
        low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        return cls(statistics.median(values), low, high)

    def __mul__(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Series:
    """The measurements of one thing, round by round."""

    samples: tuple[Sample, ...]

    @property
    def wall_s(self) -> Spread:
        return Spread.of(sample.wall_s for sample in self.samples)

    def over(self, other: Series) -> Spread:
        """How many times as long as ``other`` took in the same round."""
        return Spread.of(mine.wall_s / theirs.wall_s for mine, theirs in zip(self.samples, other.samples, strict=True))

    def cpu_over(self, other: Series) -> Spread:
        """The same in processor time, which a busy machine disturbs less."""
        return Spread.of(mine.cpu_s / theirs.cpu_s for mine, theirs in zip(self.samples, other.samples, strict=True))

    def above(self, other: Series) -> Spread:
        """Seconds longer than ``other`` in the same round."""
        return Spread.of(mine.wall_s - theirs.wall_s for mine, theirs in zip(self.samples, other.samples, strict=True))


def timed(function: Callable[[], object], *, repeat: int = 1) -> Measure:
    """Measures calls of ``function``: the mean of ``repeat`` calls, for what is too short for one reading of a clock."""

    def measure() -> Sample:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(repeat):
            function()
        return Sample((time.perf_counter() - wall) / repeat, (time.process_time() - cpu) / repeat)

    return measure


def interleaved(rounds: Iterable[Mapping[str, Measure]], *, seed: int = 0, warm_up: bool = True) -> dict[str, Series]:
    """Measures every case once a round, in another order each round, so that a drift of the machine meets all alike.

    Args:
        rounds: for each round, what to measure, by name; the names are the same in all rounds.
        warm_up: measure the first round once more, before it, and throw that away.
    """
    order = random.Random(seed)
    found: dict[str, list[Sample]] = {}
    for number, cases in enumerate(rounds):
        if number == 0:
            found = {name: [] for name in cases}
            for measure in cases.values() if warm_up else ():
                measure()
        for name in order.sample(list(cases), len(cases)):
            found[name].append(cases[name]())
    return {name: Series(tuple(samples)) for name, samples in found.items()}
