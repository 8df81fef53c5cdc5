"""Conformal sets: the coverage that is promised, by sets computed anew from the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.errors import SampleError
from constrained.quality.risk_control import Method, conformal, n_needed_for_sets
from tests.quality.calibration.synthetic import N_OPTIONS, desk, probabilities


def by_definition(fit: np.ndarray, labels: np.ndarray, rows: np.ndarray, alpha: float) -> list[set[int]]:
    """LAC in five lines: an option is in the set unless more than enough fitted messages conform better than it."""
    own = [1 - fit[i, label] for i, label in enumerate(labels)]
    return [
        {k for k in range(len(row)) if sum(one < 1 - row[k] - 1e-12 for one in own) < math.ceil((len(own) + 1) * (1 - alpha) - 1e-12)}
        for row in rows
    ]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(19, 60), st.sampled_from([0.05, 0.1, 0.2]))
def test_the_sets_are_those_of_the_definition(seed: int, n: int, alpha: float) -> None:
    scores, labels = desk(n + 20, seed)
    rows = probabilities(scores)
    found = conformal(rows[:n], labels[:n], alpha).sets(rows[n:])
    assert [set(one) for one in found] == by_definition(rows[:n], labels[:n], rows[n:], alpha)


@pytest.mark.parametrize("method", ["lac", "aps"])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize("sharpness", [0.5, 3.0], ids=["unsure", "sure"])
def test_coverage_on_average_over_samples(method: Method, alpha: float, sharpness: float) -> None:
    """400 samples of 100 messages: the mean is known to about half a point; a model whose scores are off is covered as well."""
    covered = []
    for seed in range(400):
        scores, labels = desk(200, seed, sharpness)
        rows = probabilities(scores * 2.5)  # far too sure
        inside = conformal(rows[:100], labels[:100], alpha, method).inside(rows[100:])
        covered.append(inside[np.arange(100), labels[100:]].mean())
    assert np.mean(covered) >= 1 - alpha - 0.006
    assert np.mean(covered) <= 1 - alpha + 1 / 101 + 0.006


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_a_smaller_alpha_and_a_surer_row(seed: int) -> None:
    scores, labels = desk(100, seed)
    rows = probabilities(scores)
    wide, narrow = (conformal(rows, labels, alpha, "aps").inside(rows) for alpha in (0.05, 0.3))
    assert (narrow <= wide).all()
    assert (wide.sum(axis=1) >= 1).all()
    assert wide[np.arange(100), rows.argmax(axis=1)].all()


def test_a_message_that_nothing_answers_is_covered_by_no_set() -> None:
    scores, labels = desk(100, 3)
    rows = probabilities(scores)
    labels[:20] = -1
    found = conformal(rows, labels, 0.1)
    assert found.quantile == math.inf
    assert found.sets(rows[:1]) == [tuple(range(N_OPTIONS))]


def test_rows_of_several_lengths() -> None:
    rows = [[0.9, 0.1], [0.2, 0.3, 0.5], [1.0]] * 5
    found = conformal(rows, [0, 2, 0] * 5, 0.3)
    assert found.quantile == pytest.approx(0.5)
    assert found.sets([[0.6, 0.4], [1.0], [0.1] * 10]) == [(0,), (0,), ()]


def test_a_small_sample_is_refused() -> None:
    assert [n_needed_for_sets(alpha) for alpha in (0.05, 0.1, 0.25)] == [19, 9, 3]
    scores, labels = desk(18, 4)
    with pytest.raises(SampleError, match="needs at least 19 of them, 18 were given"):
        conformal(probabilities(scores), labels, 0.05)
    with pytest.raises(SampleError, match="alpha is 0"):
        conformal(probabilities(scores), labels, 0.0)
