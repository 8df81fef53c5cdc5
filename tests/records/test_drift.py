"""Drift: the index is what its definition says, tells a shift from chance, and says nothing of too few turns."""

from __future__ import annotations

import math
import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.records.drift import N_LEAST, Drift, Population, drifts, population, psi, quantile_edges, split_by_week
from tests.strategies import record

counts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 500), min_size=2)


@given(counts, counts)
@settings(max_examples=50)
def test_the_index_is_its_definition_and_symmetric(then, now):
    bins = sorted(then.keys() | now.keys())
    smoothed = [[counter.get(name, 0) + 0.5 for name in bins] for counter in (then, now)]
    shares = [[value / sum(row) for value in row] for row in smoothed]
    expected = sum((p - q) * math.log(p / q) for q, p in zip(*shares, strict=True))
    assert psi(Counter(then), Counter(now), bins) == pytest.approx(expected)
    assert psi(Counter(now), Counter(then), bins) == pytest.approx(expected)
    assert expected >= 0


def of(name, mean, n, seed, said="ab"):
    rng = random.Random(seed)
    values = tuple(min(1.0, max(0.0, rng.gauss(mean, 0.1))) for _ in range(n))
    return Population(name, values, tuple(rng.choice(said) for _ in range(n)))


def test_a_shift_is_told_and_chance_is_not():
    before = of("then", 0.7, 4_000, 1)
    same, mixed = drifts(before, of("now", 0.7, 4_000, 2))
    assert (same.band, mixed.band) == ("stable", "stable")
    assert same.psi < 5 * same.by_chance
    moved, other = drifts(before, of("now", 0.5, 4_000, 3, said="abbbbbbb"))
    assert (moved.band, other.band) == ("another population", "another population")
    assert [Drift("", "", "", 1, 1, value, 0.0).band for value in (0.099, 0.1, 0.25, 0.26)] == [
        "stable", "moved", "moved", "another population",
    ]  # fmt: skip


@given(st.integers(0, N_LEAST - 1), st.booleans())
@settings(max_examples=10)
def test_of_too_few_turns_nothing_is_said(n, is_now):
    few, many = of("few", 0.5, n, 1), of("many", 0.5, 500, 2)
    found = drifts(many, few) if is_now else drifts(few, many)
    assert [(one.psi, one.by_chance, one.band) for one in found] == [(None, None, "not measured")] * 2


def test_turns_that_are_all_alike_are_no_drift_and_no_error():
    alike = Population("then", (1.0,) * 500, ("a",) * 500)
    assert [one.band for one in drifts(alike, alike)] == ["stable", "not measured"], "one response alone has no mix"
    assert quantile_edges([]) == []


@given(st.lists(st.integers(0, 400), max_size=30), st.integers(1, 6))
@settings(max_examples=40)
def test_every_turn_is_in_one_week_or_before_them(days, weeks):
    start = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    turns = [record(number + 1, at=(start + timedelta(days=day)).isoformat()) for number, day in enumerate(days)]
    earlier, recent = split_by_week(turns, weeks)
    assert len(recent) == (weeks if turns else 0)
    kept = [*earlier, *(one for week in recent for one in week)]
    assert sorted(one.number for one in kept) == [one.number for one in turns]
    if turns:
        newest = max(one.at for one in turns)
        assert any(one.at == newest for one in recent[-1])
        assert all(one.at <= other.at for one in earlier for week in recent for other in week)


def test_a_turn_without_a_model_has_no_probability():
    found = population("now", [record(1)])
    assert (found.probabilities, found.said) == ((), ("greet",))
