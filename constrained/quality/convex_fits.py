"""Convex problems that a mixture is fitted by: a linear map from vectors to classes, and the weights of a pool of judges.

Source of the map: softmax regression with a ridge penalty (Hastie et al., The Elements of Statistical Learning, 2009, section 4.4.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from constrained.quality.calibration import Floats

LBFGS_STEPS = 100
LBFGS_TOLERANCE = 1e-7
MOST_WEIGHT = 50.0  # of a judge


def softmax_regression(states: Tensor, targets: Tensor, strength: float, counts: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """([class, hidden], [class]) float32 that make ``targets`` likeliest, less a ridge penalty.

    Args:
        states: [row, hidden]. targets: [row, class] shares that sum to 1. counts: [row] how much each row counts; 1 if left out.
        strength: of the data against the penalty, as ``C`` of scikit-learn.
    """
    x, y = states.double(), targets.double()
    count = torch.ones(len(x), dtype=torch.float64) if counts is None else counts.double()
    weights = torch.zeros(y.shape[1], x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(y.shape[1], dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        log_probs = (x @ weights.T + bias).log_softmax(1)
        return -(count * (y * log_probs).sum(1)).sum() + (weights**2).sum() / (2 * strength)

    _minimise([weights, bias], loss)
    return weights.detach().float(), bias.detach().float()


def pool_weights(judges: Sequence[Sequence[Floats]], labels: Sequence[int]) -> list[float]:
    """One weight a judge, none below 0, under which the labels are likeliest.

    Args:
        judges: [judge][row] scores of that row's candidates, in nats. labels: [row] place of the right candidate.
    """
    n, width = len(labels), max(len(row) for row in judges[0])
    scores = torch.full((len(judges), n, width), -torch.inf, dtype=torch.float64)
    for judge, rows in enumerate(judges):
        for row, values in enumerate(rows):
            scores[judge, row, : len(values)] = torch.from_numpy(np.asarray(values) - np.max(values))
    is_there = torch.isfinite(scores[0])
    scores = scores.masked_fill(~is_there[None], 0.0)
    right = torch.tensor(labels)
    logs = torch.zeros(len(judges), dtype=torch.float64)
    logs[1:] = -2.0  # the first judge is the one that knows most
    logs.requires_grad_(True)

    def loss() -> Tensor:
        total = (logs.exp()[:, None, None] * scores).sum(0).masked_fill(~is_there, -torch.inf)
        return -total.log_softmax(1)[torch.arange(n), right].mean() + 1e-4 * (logs**2).sum()

    _minimise([logs], loss)
    return [min(float(value), MOST_WEIGHT) for value in logs.detach().exp()]


def _minimise(parameters: list[Tensor], loss: Callable[[], Tensor]) -> None:
    optimiser = torch.optim.LBFGS(parameters, max_iter=LBFGS_STEPS, tolerance_grad=LBFGS_TOLERANCE, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]  # of torch
        return value

    with torch.enable_grad():
        optimiser.step(closure)  # type: ignore[no-untyped-call]  # likewise
