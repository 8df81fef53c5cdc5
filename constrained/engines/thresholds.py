"""Thresholds of a cascade for a target error at least cost, from what its stages said of known messages. Knows no engine."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from constrained.errors import CalibrationError

MAX_TRIED = 20_000  # combinations of thresholds; two stages are searched exactly
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CascadeFit:
    """What a cascade does to the messages that it is held against.

    Attributes:
        thresholds: one per stage; the last is 0, since the last stage answers whatever comes to it.
        error: share of wrong answers. cost: of a message, in the unit of the costs given, all stages it went through together.
        shares: of the messages, answered by each stage. n: messages.
    """

    thresholds: tuple[float, ...]
    error: float
    cost: float
    shares: tuple[float, ...]
    n: int


def fit_cascade(confidences: Any, rightness: Any, costs: Sequence[float], *, target_error: float) -> CascadeFit:
    """The thresholds that keep the error at ``target_error`` or below for the least cost; the fewest errors among equals.

    Every stage has to be asked about every message once. The same arrays give the same thresholds. The error is that of the
    messages given: hold the thresholds against others with ``judge_cascade``.

    Args:
        confidences: [stage, message] probability of the stage's best candidate.
        rightness: [stage, message] whether that candidate is the right one.
        costs: [stage] of asking it about one message.

    Raises CalibrationError when the arrays do not fit each other, or no thresholds reach the target.
    """
    sure, right, prices = _arrays(confidences, rightness, costs)
    best: tuple[float, float, tuple[float, ...]] | None = None
    least = 1.0
    for thresholds in itertools.product(*_tried(sure)):
        by, error = _outcome(sure, right, (*thresholds, 0.0))
        least = min(least, error)
        found = (_cost(by, prices), error, tuple(-one for one in thresholds))  # of equals the higher thresholds: they are safer elsewhere
        if error <= target_error and (best is None or found < best):
            best = found
    if best is None:
        raise CalibrationError(
            f"no thresholds reach an error of {target_error:g} on these {sure.shape[1]} messages; the least is {least:g}",
            hint="allow a higher error, add a better engine, or let the dialogue abstain",
        )
    return judge_cascade(sure, right, prices.tolist(), [*(-one for one in best[2]), 0.0])


def judge_cascade(confidences: Any, rightness: Any, costs: Sequence[float], thresholds: Sequence[float]) -> CascadeFit:
    """What these thresholds do to these messages. Raises CalibrationError as ``fit_cascade`` does."""
    sure, right, prices = _arrays(confidences, rightness, costs)
    if len(thresholds) != len(sure):
        raise CalibrationError(f"{len(sure)} stages have {len(thresholds)} thresholds", hint="give one per stage; the last is not used")
    by, error = _outcome(sure, right, thresholds)
    shares = tuple(float((by == stage).mean()) for stage in range(len(sure)))
    return CascadeFit((*map(float, thresholds[:-1]), 0.0), error, _cost(by, prices), shares, sure.shape[1])


def _arrays(confidences: Any, rightness: Any, costs: Sequence[float]) -> tuple[_Floats, NDArray[np.bool_], _Floats]:
    sure, right = np.asarray(confidences, dtype=np.float64), np.asarray(rightness, dtype=np.bool_)
    prices = np.asarray(costs, dtype=np.float64)
    if sure.ndim != 2 or sure.size == 0 or right.shape != sure.shape or prices.shape != sure.shape[:1]:
        raise CalibrationError(
            f"confidences of shape {sure.shape}, rightness {right.shape} and costs {prices.shape} do not fit each other",
            hint="give [stage, message], [stage, message] and [stage], with at least one message",
        )
    if not ((sure >= 0) & (sure <= 1)).all() or not (np.isfinite(prices) & (prices >= 0)).all():
        raise CalibrationError("a confidence is no probability, or a cost is negative", hint="probabilities from 0 to 1, costs from 0 on")
    return sure, right, prices


def _tried(sure: _Floats) -> list[list[float]]:
    """Per stage but the last: thresholds to try. All that differ, or evenly spaced ones among them; 0 and what nothing reaches too."""
    n_free = len(sure) - 1
    most = max(2, int(MAX_TRIED ** (1 / n_free))) if n_free else 0
    return [_spaced(np.unique(row), most - 2) for row in sure[:-1]]


def _spaced(values: _Floats, most: int) -> list[float]:
    kept = values if len(values) <= most else values[np.linspace(0, len(values) - 1, max(most, 0)).round().astype(np.int64)]
    ends = [0.0] if values[-1] >= 1.0 else [0.0, float(np.nextafter(values[-1], 2.0))]
    return sorted({*kept.tolist(), *ends})


def _outcome(sure: _Floats, right: NDArray[np.bool_], thresholds: Sequence[float]) -> tuple[NDArray[np.int64], float]:
    """[message] which stage answers, and the share of wrong answers."""
    is_sure = sure >= np.asarray(thresholds)[:, None]
    is_sure[-1] = True
    by = is_sure.argmax(0)
    return by, float(1.0 - right[by, np.arange(len(by))].mean())


def _cost(by: NDArray[np.int64], prices: _Floats) -> float:
    """Of a message: it passed every stage up to the one that answered."""
    return float(np.cumsum(prices)[by].mean())
