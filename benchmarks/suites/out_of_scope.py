"""What a way to choose makes of messages that nothing answers: figures shared by suites."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Bench
from benchmarks.sets import Set
from constrained.quality.metrics import auroc

REST = "none of these"  # the label of messages out of scope, where they are one more response
RECALLS = (0.5, 0.8, 0.9)
ASKED = 0.8  # at this recall something is asked for


def told(bench: Bench, case: str, name: str, scores: NDArray[np.float64], found: Set, *, at_least: float | None) -> None:
    """Adds them, of [message, label] scores in nats of ``found.dev`` and then ``found.oos``; the last label is REST.

    A threshold on the most probable label of the set leaves a message to the fallback.
    """
    asked, outside = (*found.dev, *found.oos), len(found.labels)
    is_in = np.asarray([bool(row.label) for row in asked])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    sure = (weights / weights.sum(axis=1, keepdims=True))[:, :outside].max(axis=1)
    picked = scores[:, :outside].argmax(axis=1)
    right = np.asarray([found.labels[index] in row.rights for index, row in zip(picked, asked, strict=True)])
    bench.add(case, f"in scope, never abstaining, {name}", float(right[is_in].mean()), "share")
    bench.add(case, f"out of scope, AUROC, {name}", auroc(-sure, ~is_in), "share")
    for recall in RECALLS:
        answered = right & (sure > float(np.quantile(sure[~is_in], recall)))
        metric = f"in scope and answered, at an out-of-scope recall of {recall:g}, {name}"
        bench.add(case, metric, float(answered[is_in].mean()), "share", at_least=at_least if recall == ASKED else None)
