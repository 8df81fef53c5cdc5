"""Public sets of messages with the response that each should get, read in place, split by fixed seeds. Knows no model.

>>> from benchmarks.sets import load
>>> banking = load("banking77", shots=10, seed=0)  # doctest: +SKIP
"""

from benchmarks.sets.loading import NAMES, load
from benchmarks.sets.values import Row, Set

__all__ = ["NAMES", "Row", "Set", "load"]
