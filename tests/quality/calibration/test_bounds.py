"""Binomial bounds beside the same computed in whole numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.errors import SampleError
from constrained.quality import calibration
from constrained.quality.risk_control import p_values


def tail(k: int, n: int, share: Fraction) -> Fraction:
    """P(X <= k) in exact fractions: the definition."""
    return sum((math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k + 1)), Fraction(0))


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.5, 0.9]), st.booleans()), min_size=1, max_size=60), st.integers(1, 99))
def test_a_p_value_is_the_exact_sum(pairs: list[tuple[float, bool]], percent: int) -> None:
    sure, wrong = np.asarray([one for one, _ in pairs]), np.asarray([is_wrong for _, is_wrong in pairs])
    thresholds = np.asarray([1.0, 0.9, 0.5, 0.2, 0.0])
    for threshold, found in zip(thresholds, p_values(sure, wrong, thresholds, percent / 100), strict=True):
        answered = [is_wrong for one, is_wrong in pairs if one >= threshold]
        assert found == pytest.approx(float(tail(sum(answered), len(answered), Fraction(percent, 100))), abs=1e-10)


@given(st.data(), st.integers(1, 80), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_bounds_are_where_the_exact_tails_are_delta(data: st.DataObject, n: int, delta: float) -> None:
    k = data.draw(st.integers(0, n))
    high, low = calibration.upper(k, n, delta), calibration.lower(k, n, delta)
    assert low <= k / n <= high
    if k < n:
        assert float(tail(k, n, Fraction(high))) == pytest.approx(delta, abs=1e-6)
    if k:
        assert 1 - float(tail(k - 1, n, Fraction(low))) == pytest.approx(delta, abs=1e-6)


def test_known_intervals() -> None:
    found = calibration.clopper_pearson(0, 10)
    assert (found.low, found.high) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert calibration.clopper_pearson(10, 10).high == 1.0
    assert str(calibration.clopper_pearson(1, 2)) == "50.0% (1.3% to 98.7%)"
    assert (calibration.clopper_pearson(0, 0).low, calibration.clopper_pearson(0, 0).high) == (0.0, 1.0)


@given(st.sampled_from([0.01, 0.05, 0.1, 0.2]), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_fewest_that_can_show_it(alpha: float, delta: float) -> None:
    n = calibration.fewest(alpha, delta)
    assert (1 - alpha) ** n <= delta < (1 - alpha) ** (n - 1)


def test_what_a_small_sample_is_told() -> None:
    with pytest.raises(SampleError, match="needs at least 59 of them, 20 were given") as caught:
        calibration.check_enough("a promise", 20, 59)
    assert (caught.value.needed, caught.value.given) == (59, 20)
    assert "label 39 more" in caught.value.hint
    with pytest.raises(SampleError, match="alpha is 1"):
        calibration.check_share("alpha", 1.0)
    with pytest.raises(SampleError, match="2, 3 values"):
        calibration.check_sizes("pairs", 2, 3)
