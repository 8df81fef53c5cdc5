"""Messages of a made-up desk whose probabilities are known: what a promise is checked against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

N_OPTIONS = 6


def desk(n: int, seed: int, sharpness: float = 2.0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """([message, option] scores in nats, right options drawn from their softmax): honest at temperature 1."""
    chance = np.random.default_rng(seed)
    scores = chance.normal(size=(n, N_OPTIONS)) * sharpness
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    sums = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    return scores, (chance.random(n)[:, None] > sums).sum(axis=1).clip(max=N_OPTIONS - 1)


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
