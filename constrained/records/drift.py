"""Drift: whether the turns of the last weeks are still like those that an engine was measured on, by the population stability index.

PSI sums (p - q) ln(p / q) over bins, p the share now and q the share then; half a turn is added to each bin, so that an empty one counts.
The usual bands: below 0.1 stable, to 0.25 moved, above it another population (Siddiqi, Credit Risk Scorecards, 2006).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from constrained.records.record import Record

Band = Literal["stable", "moved", "another population", "not measured"]
MOVED, OTHER = 0.1, 0.25
N_LEAST = 100  # turns on either side; of fewer, chance alone moves the index
N_BINS = 10
RARE = 0.01  # a response that is said less often, then and now, is counted with others that are


@dataclass(frozen=True, slots=True)
class Population:
    """Turns to compare: the probability of the best option where a model was asked, and what was said. ``name``: for people."""

    name: str
    probabilities: tuple[float, ...]
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """How far one population is from another.

    Attributes:
        what: ``probability of the best option`` or ``mix of responses``. then, now: the populations' names.
        psi: None where either side has too few turns. by_chance: what it would be in the mean if nothing had changed.
    """

    what: str
    then: str
    now: str
    n_then: int
    n_now: int
    psi: float | None
    by_chance: float | None

    @property
    def band(self) -> Band:
        if self.psi is None:
            return "not measured"
        return "stable" if self.psi < MOVED else "moved" if self.psi <= OTHER else "another population"


def population(name: str, records: Iterable[Record]) -> Population:
    """The turns of a log, sealed or not: probabilities and ids are never sealed."""
    kept = list(records)
    best = [max(scored) for one in kept if (scored := [option.probability for option in one.options if option.probability is not None])]
    return Population(name, tuple(best), tuple(one.decision.chosen for one in kept))


def split_by_week(records: Sequence[Record], weeks: int) -> tuple[list[Record], list[list[Record]]]:
    """The turns before the last ``weeks`` weeks, and those of each of these weeks, oldest first; a week ends with the newest turn."""
    if not records:
        return [], []
    times = [datetime.fromisoformat(one.at) for one in records]
    end = max(times)
    earlier: list[Record] = []
    recent: list[list[Record]] = [[] for _ in range(weeks)]
    for at, one in zip(times, records, strict=True):
        age = (end - at) // timedelta(weeks=1)
        (earlier if age >= weeks else recent[weeks - 1 - age]).append(one)
    return earlier, recent


def drifts(then: Population, now: Population) -> tuple[Drift, Drift]:
    """Of the probabilities and of the mix of responses."""
    edges = quantile_edges(then.probabilities)
    bins = [[bisect_right(edges, value) for value in one.probabilities] for one in (then, now)]
    return (
        _drift("probability of the best option", then, now, bins[0], bins[1], range(len(edges) + 1)),
        _drift("mix of responses", then, now, *_without_rare(then.said, now.said)),
    )


def quantile_edges(values: Sequence[float], n_bins: int = N_BINS) -> list[float]:
    """Where bins of about the same size end; fewer bins where values repeat."""
    ordered = sorted(values)
    found = [ordered[len(ordered) * number // n_bins] for number in range(1, n_bins)] if ordered else []
    return sorted(set(found))


def psi(then: Counter[str], now: Counter[str], bins: Sequence[str]) -> float:
    """The index over these bins; the counts are of turns."""
    total_then, total_now = sum(then[one] for one in bins), sum(now[one] for one in bins)
    index = 0.0
    for one in bins:
        q = (then[one] + 0.5) / (total_then + 0.5 * len(bins))
        p = (now[one] + 0.5) / (total_now + 0.5 * len(bins))
        index += (p - q) * math.log(p / q)
    return index


def _drift(what: str, then: Population, now: Population, was: Sequence[object], are: Sequence[object], bins: Iterable[object]) -> Drift:
    names = [str(one) for one in bins]
    if min(len(was), len(are)) < N_LEAST or len(names) < 2:
        return Drift(what, then.name, now.name, len(was), len(are), None, None)
    index = psi(Counter(map(str, was)), Counter(map(str, are)), names)
    by_chance = (len(names) - 1) * (1 / len(was) + 1 / len(are))
    return Drift(what, then.name, now.name, len(was), len(are), index, by_chance)


def _without_rare(then: Sequence[str], now: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """What was said then and now, with rare responses under one name; and the names."""
    counts = [(Counter(one), max(1, len(one))) for one in (then, now)]
    common = {name for count, n in counts for name in count if count[name] >= RARE * n}
    named = [[name if name in common else "(rare)" for name in one] for one in (then, now)]
    return named[0], named[1], sorted({*named[0], *named[1]})
