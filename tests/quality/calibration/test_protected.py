"""Thresholds of protected triggers: what they miss, over many samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.errors import SampleError
from constrained.quality.calibration import fewest
from constrained.quality.risk_control import protected, rank


@given(st.integers(1, 300), st.sampled_from([0.02, 0.05, 0.1]), st.sampled_from([0.05, 0.1]))
def test_the_rank_is_the_highest_that_keeps_the_promise(n: int, most_missed: float, delta: float) -> None:
    def is_kept(r: int) -> bool:
        return math.fsum(math.comb(n, i) * most_missed**i * (1 - most_missed) ** (n - i) for i in range(r)) <= delta

    found = rank(n, most_missed, delta)
    assert (found > 0) == (n >= fewest(most_missed, delta))
    assert found == 0 or is_kept(found)
    assert not is_kept(found + 1)


def test_the_promise_over_many_samples() -> None:
    """Messages that mean the trigger get a uniform probability, so that a threshold misses a share equal to itself."""
    thresholds = [
        protected(np.random.default_rng(seed).random(150), np.ones(150, dtype=bool), most_missed=0.1, delta=0.1).threshold
        for seed in range(400)
    ]
    broken = np.mean([one > 0.1 for one in thresholds])
    assert broken <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 400)
    assert np.mean(thresholds) > 0.05, "far below what it may miss"


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_counts_are_those_of_the_sample(seed: int) -> None:
    chance = np.random.default_rng(seed)
    meant = chance.random(300) < 0.4
    sure = np.where(meant, chance.beta(4, 1, 300), chance.beta(1, 4, 300))
    found = protected(sure, meant)
    assert found.missed.value == np.mean(sure[meant] < found.threshold)
    assert (sure[meant] < found.threshold).sum() == rank(int(meant.sum()), 0.05, 0.05) - 1
    assert found.false_alarms.value == np.mean(sure[~meant] >= found.threshold)
    assert found.missed.low <= found.missed.value <= found.missed.high
    assert (found.n_meant, found.n_others) == (int(meant.sum()), int((~meant).sum()))


def test_too_few_messages_that_mean_it() -> None:
    with pytest.raises(SampleError, match=r"a miss rate of at most 0\.05 .* needs at least 59 of them, 58 were given"):
        protected([0.9] * 100, [True] * 58 + [False] * 42)
    assert protected([0.9] * 100, [True] * 59 + [False] * 41).missed.value == 0
