"""Rows of scores or probabilities, each as long as its choice had options, as one array. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from constrained.calibration.bounds import check_sizes
from constrained.errors import SampleError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = Sequence[Sequence[float]] | Sequence[Floats] | Floats


def padded(rows: Rows, missing: float) -> Floats:
    """[row, option]; ``missing`` where a row has no such option."""
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        return np.asarray(rows, dtype=np.float64)
    width = max((len(row) for row in rows), default=0)
    found = np.full((len(rows), width), missing)
    for index, row in enumerate(rows):
        found[index, : len(row)] = row
    return found


def checked_labels(rows: Rows, labels: Sequence[int] | Ints, what: str, *, lowest: int = 0) -> Ints:
    """The labels as an array. Raises SampleError unless each is an option of its row, or as low as ``lowest``."""
    found = np.asarray(labels, dtype=np.int64)
    check_sizes(what, len(rows), len(found))
    sizes = np.asarray([len(row) for row in rows], dtype=np.int64)
    wrong = np.flatnonzero((found < lowest) | (found >= sizes))
    if len(wrong):
        first = int(wrong[0])
        raise SampleError(f"{what}: the label of row {first} is {found[first]}, the row has {sizes[first]} options")
    return found
