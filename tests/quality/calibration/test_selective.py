"""The threshold of "error among answered": its promise over many samples, and its numbers computed anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.errors import SampleError
from constrained.quality.risk_control import n_needed_for_threshold, threshold


def sample(n: int, seed: int, skill: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and whether each was right: with probability confidence ** skill."""
    chance = np.random.default_rng(seed)
    sure = chance.beta(3, 1, size=n).round(3)  # equal ones, too
    return sure, chance.random(n) < sure**skill


def true_risk(threshold: float, skill: float) -> float:
    """The share of errors above a threshold, on a large sample."""
    sure, right = sample(200_000, 99, skill)
    answered = sure >= threshold
    return float(1 - right[answered].mean()) if answered.any() else 0.0


def refuted(sure: list[float], right: list[bool], at: float, alpha: float, delta: float) -> bool:
    """Of the tested messages, by the definition of the binomial test."""
    tested = [one for i, one in enumerate(zip(sure, right, strict=True)) if i % 5 != 4 and one[0] >= at]
    n, k = len(tested), sum(not is_right for _, is_right in tested)
    return n > 0 and math.fsum(math.comb(n, i) * alpha**i * (1 - alpha) ** (n - i) for i in range(k + 1)) <= delta


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.05, 0.1, 0.2]), st.sampled_from([0.05, 0.1]))
def test_every_number_is_that_of_an_independent_count(seed: int, alpha: float, delta: float) -> None:
    sure, right = sample(400, seed)
    found = threshold(sure, right, alpha, delta)
    tested = [one for i, one in enumerate(zip(sure, right, strict=True)) if i % 5 != 4]
    answered = [is_right for one, is_right in tested if one >= found.threshold]
    assert (found.n, found.n_answered, found.n_wrong) == (len(tested), len(answered), answered.count(False))
    assert found.coverage == len(answered) / len(tested)
    if found.is_met:
        assert refuted(sure.tolist(), right.tolist(), found.threshold, alpha, delta)
        assert found.risk <= found.bound <= alpha
    else:
        assert (found.threshold, found.n_answered, found.bound) == (math.inf, 0, 0.0)


@pytest.mark.parametrize("skill", [0.3, 1.0], ids=["good", "poor"])
def test_the_promise_over_many_samples(skill: float) -> None:
    """Of 300 samples at most a share delta may break it; three standard errors of that share are allowed on top."""
    alpha, delta, n = 0.1, 0.1, 300
    risks = {met: true_risk(met, skill) for met in {threshold(*sample(500, seed, skill), alpha, delta).threshold for seed in range(n)}}
    broken = sum(risks[threshold(*sample(500, seed, skill), alpha, delta).threshold] > alpha for seed in range(n))
    assert broken / n <= delta + 3 * math.sqrt(delta * (1 - delta) / n)
    assert len(risks) > 20, "the thresholds are all the same: nothing was tried"


def test_it_answers_as_much_as_it_can() -> None:
    sure, right = sample(4_000, 5, skill=0.3)
    found = threshold(sure, right, alpha=0.1, delta=0.1)
    assert found.coverage > 0.8


def test_everything_is_answered_where_nothing_is_wrong_and_nothing_where_all_is() -> None:
    sure, _ = sample(300, 6)
    everything = threshold(sure, np.ones(300, dtype=bool))
    assert (everything.threshold, everything.coverage, everything.risk) == (0.0, 1.0, 0.0)
    assert not threshold(sure, np.zeros(300, dtype=bool)).is_met


def test_a_small_sample_is_refused() -> None:
    n = n_needed_for_threshold(0.05, 0.1)
    assert n == 56, "45 to test, and a fifth more to order"
    assert threshold([0.9] * n, [True] * n).is_met
    with pytest.raises(SampleError, match="needs at least 56 of them, 55 were given"):
        threshold([0.9] * (n - 1), [True] * (n - 1))
    with pytest.raises(SampleError, match="60, 59 values"):
        threshold([0.9] * 60, [True] * 59)
