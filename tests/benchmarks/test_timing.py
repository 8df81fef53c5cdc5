"""Medians, quartiles and ratios; every round measures every case once; a child's memory is its own."""

from __future__ import annotations

import statistics
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.measure import BenchmarkError, Sample, Series, Spread, interleaved, python, run_child, timed

SECONDS = st.floats(1e-6, 1e3)


@given(st.lists(SECONDS, min_size=1))
def test_a_median_lies_between_its_quartiles_and_they_among_the_values(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.median == statistics.median(values)
    assert min(values) <= spread.low <= spread.median <= spread.high <= max(values)


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1), st.floats(0.1, 10))
def test_a_ratio_is_taken_round_by_round(rounds: list[tuple[float, float]], factor: float) -> None:
    base = Series(tuple(Sample(wall, cpu) for wall, cpu in rounds))
    other = Series(tuple(Sample(wall * factor, cpu * factor) for wall, cpu in rounds))
    for ratio in (other.over(base), other.cpu_over(base)):
        assert [ratio.low, ratio.median, ratio.high] == pytest.approx([factor] * 3)


@given(st.integers(1, 6), st.booleans(), st.integers(0, 9))
def test_every_round_measures_every_case_once(n_rounds: int, warm_up: bool, seed: int) -> None:
    calls: list[str] = []

    def measure(name: str) -> Sample:
        calls.append(name)
        return Sample(float(len(calls)), 1.0)

    cases = {name: lambda name=name: measure(name) for name in "abc"}
    found = interleaved([cases] * n_rounds, seed=seed, warm_up=warm_up)
    assert list(found) == ["a", "b", "c"]
    assert all(len(series.samples) == n_rounds for series in found.values())
    rounds = [calls[start : start + 3] for start in range(0, len(calls), 3)]
    assert len(rounds) == n_rounds + warm_up
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)


def test_a_short_function_is_called_several_times_a_measurement() -> None:
    calls: list[int] = []
    timed(lambda: calls.append(1), repeat=7)()
    assert len(calls) == 7


def test_the_peak_memory_of_a_child_is_its_own() -> None:
    ballast = bytearray(b"x") * 200_000_000  # ours: a child that was started from here would begin with it
    small = python("print('done')")
    large = python("kept = bytearray(b'x') * 100_000_000; print(len(kept))")
    assert small.stdout == "done\n"
    assert small.peak_bytes < 60_000_000 < len(ballast)
    assert 90_000_000 < large.peak_bytes - small.peak_bytes < 140_000_000


def test_a_child_that_fails_says_its_last_words() -> None:
    with pytest.raises(BenchmarkError, match="ended with 3: it is over"):
        run_child([sys.executable, "-c", "import sys; print('it is over', file=sys.stderr); sys.exit(3)"])
