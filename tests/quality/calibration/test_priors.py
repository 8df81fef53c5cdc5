"""What a label gets before anything was asked: taken off, it changes nothing any more."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from constrained.quality.calibration import batch_calibration, contextual_calibration, label_offsets

nats = st.floats(-20, 20)
SOME = st.integers(1, 6)


@st.composite
def tables(draw, n_rows=SOME):
    """[row, label] scores."""
    shape = draw(n_rows), draw(st.integers(2, 5))
    return np.asarray(draw(st.lists(st.lists(nats, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])))


def shares(scores):
    """Softmax as its definition has it."""
    return [[math.exp(one) / sum(math.exp(other) for other in row) for one in row] for row in scores]


@given(tables(), st.data())
def test_both_are_what_their_papers_say(scores, data):
    free = np.asarray(data.draw(st.lists(st.lists(nats, min_size=scores.shape[1], max_size=scores.shape[1]), min_size=1, max_size=3)))
    pairs = (
        (contextual_calibration(scores, free), free),
        (batch_calibration(scores), scores),
        (batch_calibration(scores, free), free),
    )
    for found, seen in pairs:
        told = shares(seen)
        for row, share in zip(found, shares(scores), strict=True):
            for at, one in enumerate(share):
                usual = sum(other[at] for other in told) / len(told)
                assert math.isclose(row[at], math.log(one) - math.log(usual), abs_tol=1e-6)


@given(tables(n_rows=st.just(1)), st.data())
def test_a_label_that_is_likely_anyway_gains_nothing_by_it(scores, data):
    usual = np.asarray([data.draw(st.lists(nats, min_size=scores.shape[1], max_size=scores.shape[1]))])
    shifted = contextual_calibration(scores + usual, np.zeros_like(scores) + usual)
    plain = contextual_calibration(scores, np.zeros_like(scores))
    assert np.allclose(shifted - shifted.mean(), plain - plain.mean(), atol=1e-6)


@given(tables(n_rows=st.integers(3, 12)))
def test_evened_labels_are_as_likely_as_each_other(scores):
    scores = scores / 10
    mean = np.mean(shares(scores - label_offsets(scores)), axis=0)
    assert np.allclose(mean, 1 / scores.shape[1], atol=0.02)
