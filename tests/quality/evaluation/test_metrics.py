"""Figures beside their definitions, computed the slow way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.quality import metrics

SURE = st.lists(st.tuples(st.sampled_from([0.1, 0.25, 0.5, 0.5, 0.8, 0.99, 1.0]), st.booleans()), min_size=1, max_size=60)


def arrays(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray([sure for sure, _ in pairs]), np.asarray([right for _, right in pairs])


@given(SURE)
def test_risk_and_coverage_by_their_definition(pairs: list[tuple[float, bool]]) -> None:
    sure, right = arrays(pairs)
    coverage, risk = metrics.risk_coverage(sure, right)
    points = []
    for threshold in sorted({one for one, _ in pairs}, reverse=True):
        answered = [is_right for one, is_right in pairs if one >= threshold]
        points.append((len(answered) / len(pairs), answered.count(False) / len(answered)))
    assert np.column_stack([coverage, risk]) == pytest.approx(np.asarray(points))
    assert metrics.risk_at(sure, right, 1.0) == pytest.approx(1 - right.mean())
    assert 0 <= metrics.aurc(sure, right) <= 1
    assert metrics.aurc(sure, np.ones(len(sure), dtype=bool)) == 0


@given(SURE)
def test_auroc_counts_pairs(pairs: list[tuple[float, bool]]) -> None:
    score, positive = arrays(pairs)
    wins = [(a > b) + (a == b) / 2 for a, p in pairs if p for b, q in pairs if not q]
    found = metrics.auroc(score, positive)
    assert math.isnan(found) if not wins else found == pytest.approx(sum(wins) / len(wins))


@given(SURE, st.sampled_from(["mass", "width"]), st.integers(1, 20))
def test_bins_hold_every_message_once_and_ece_is_their_mean_gap(pairs: list[tuple[float, bool]], binning: metrics.Binning, n: int) -> None:
    sure, right = arrays(pairs)
    found = metrics.bins(sure, right, binning, n)
    assert sum(one.n for one in found) == len(pairs)
    assert sum(one.n * one.accuracy for one in found) == pytest.approx(right.sum())
    assert sum(one.n * one.confidence for one in found) == pytest.approx(sure.sum())
    assert max(one.n for one in found) - min(one.n for one in found) <= 1 or binning == "width"
    assert all(one.high - one.low <= 1 / n + 1e-9 for one in found) or binning == "mass"
    gap = sum(abs(one.n * one.confidence - one.n * one.accuracy) for one in found) / len(pairs)
    assert metrics.ece(sure, right, binning, n) == pytest.approx(gap)


def test_ece_of_honest_and_of_boastful_confidence() -> None:
    chance = np.random.default_rng(0)
    sure = chance.random(20_000)
    right = chance.random(20_000) < sure
    for binning in ("mass", "width"):
        assert metrics.ece(sure, right, binning) < 0.02
        assert metrics.ece(np.ones(20_000), right, binning) == pytest.approx(1 - right.mean())


def test_brier_and_nll() -> None:
    rows, rights = [(0.7, 0.2, 0.1), (0.5, 0.5), (1.0,)], [(0,), (0, 1), ()]
    assert metrics.brier(rows, rights).tolist() == pytest.approx([0.09 + 0.04 + 0.01, 0.25 + 0.25, 2.0])
    assert metrics.nll(rows, rights).tolist() == pytest.approx([-math.log(0.7), 0.0, -math.log(1e-12)])


def test_macro_f1_and_confusions() -> None:
    expected, said = ["a", "a", "b", "c"], ["a", "b", "b", "a"]
    assert metrics.macro_f1(expected, said) == pytest.approx((0.5 + 2 / 3 + 0.0) / 3)
    pairs = [("a", "b"), ("b", "a"), ("a", "b"), ("a", "a"), ("c", "a")]
    assert metrics.confusions(pairs) == [("a", "b", 2, 1), ("a", "c", 0, 1)]


@pytest.mark.parametrize("kind", ["right or wrong", "many values"])
def test_the_bootstrap_interval_holds_the_true_difference(kind: str) -> None:
    """Of 100 pairs of settings that differ by a tenth, about 95 intervals hold it; the p of equal settings is not small."""
    held = 0
    for seed in range(100):
        chance = np.random.default_rng(seed)
        if kind == "right or wrong":
            ours, theirs = chance.random(200) < 0.7, chance.random(200) < 0.6
        else:
            ours, theirs = chance.normal(0.7, 1, 200), chance.normal(0.6, 1, 200)
        found = metrics.paired_bootstrap(ours, theirs, n_samples=400, seed=seed)
        held += found.low <= 0.1 <= found.high
        assert found.low <= found.value <= found.high
    assert 85 <= held <= 100


def test_the_bootstrap_is_the_same_each_time_and_sees_what_is_plain() -> None:
    ours, theirs = np.ones(100), np.zeros(100)
    found = metrics.paired_bootstrap(ours, theirs)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.p <= 0.001
    assert metrics.paired_bootstrap(ours, ours).p == 1.0
    mixed = np.arange(100) % 2
    assert metrics.paired_bootstrap(mixed, theirs) == metrics.paired_bootstrap(mixed, theirs)
