"""A temperature: the likeliest one, the one that the data was made with, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.errors import SampleError
from constrained.quality.calibration import temperature
from tests.quality.calibration.synthetic import desk, probabilities


def loss(scores: np.ndarray, labels: np.ndarray, heat: float) -> float:
    return float(-np.log(probabilities(scores / heat)[np.arange(len(labels)), labels]).mean())


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.sampled_from([0.3, 1.0, 4.0]))
def test_no_other_temperature_is_likelier(seed: int, factor: float) -> None:
    scores, labels = desk(300, seed)
    scores = scores * factor
    found = temperature(scores, labels)
    assert all(loss(scores, labels, found) <= loss(scores, labels, found * other) + 1e-9 for other in (0.8, 0.97, 1.03, 1.25))


def test_it_finds_what_the_scores_were_multiplied_with() -> None:
    scores, labels = desk(20_000, 1)
    assert temperature(scores, labels) == pytest.approx(1.0, abs=0.05)
    assert temperature(scores * 3, labels) == pytest.approx(3 * temperature(scores, labels), rel=1e-6)
    assert temperature(scores * 3, labels) == temperature(scores * 3, labels)


def test_rows_of_several_lengths_are_read_as_they_are() -> None:
    scores, labels = desk(200, 2)
    whole = [row.tolist() for row in scores[:100]]
    ragged = whole + [row[: label + 1].tolist() for row, label in zip(scores[100:], labels[100:], strict=True)]
    padded = scores.copy()
    for row, label in zip(padded[100:], labels[100:], strict=True):
        row[label + 1 :] = -np.inf
    assert temperature(ragged, labels) == temperature(padded, labels)


def test_a_sample_without_errors_asks_for_no_certainty() -> None:
    assert temperature([[1.0, 0.0]] * 5, [0] * 5) == pytest.approx(0.02)
    assert temperature([[1.0, 0.0]] * 4, [0, 1, 1, 1]) == pytest.approx(50.0)
    assert temperature([[2.0], [1.0, 1.0]], [0, 1]) == 1.0, "nothing is preferred"


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(SampleError, match="at least 1"):
        temperature([], [])
    with pytest.raises(SampleError, match="the label of row 1 is 2, the row has 2 options"):
        temperature([[0.0, 1.0], [1.0, 2.0]], [0, 2])
