"""Public sets of messages with the response that each should get, read in place, split by fixed seeds.

>>> from benchmarks.sets import load
>>> banking = load("banking77", shots=10, seed=0)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import BenchmarkError
from benchmarks.sets import butler, intents, star
from benchmarks.sets.rows import Row, Set

Reader = Callable[[int | None, int, Path | None], Set]
READERS: dict[str, Reader] = {
    "banking77": intents.read_banking77,
    "clinc150": intents.read_clinc150,
    "nlupp": intents.read_nlupp,
    "butler": butler.read,
    **{f"star_{task}": partial(star.read, task) for task in star.TASKS},
}
NAMES = tuple(READERS)


def load(name: str, shots: int | None = 10, seed: int = 0, folder: Path | None = None) -> Set:
    """The set, read and split.

    Args:
        shots: examples a label; 0 for none (the labels' names alone), None for all that is not dev.
        seed: of the draw of examples. The dev part does not depend on it.
        folder: in place of what CONSTRAINED_DATA names.

    Raises BenchmarkError for a name that is not known, or data that is not there.
    """
    if name not in READERS:
        raise BenchmarkError(f"there is no set {name!r}; there are {', '.join(NAMES)}")
    return READERS[name](shots, seed, folder)


__all__ = ["NAMES", "Row", "Set", "load"]
