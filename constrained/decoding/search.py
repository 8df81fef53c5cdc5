"""What a partly read trie tells of every row, and which nodes to feed next: what ``refine`` and ``bounded`` share. Knows no model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from constrained.decoding.trie import Trie

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """What a search maximises: (sum of log P(token | path, prompt) - weight x sum of ``prior``) / tokens ** is_mean.

    Attributes:
        prior: [node] log P(token | path) in nats under the neutral prompt; zeros where there is none.
        weight: 1.0 takes the prior off (PMI), 0.0 leaves the plain likelihood; the prior then only predicts.
        is_mean: per token instead of summed.
    """

    prior: Floats
    weight: float = 0.0
    is_mean: bool = False

    @classmethod
    def plain(cls, trie: Trie) -> Objective:
        """The sum of the likelihoods, with nothing known about them beforehand."""
        return cls(np.zeros(len(trie)))


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of each row so far.

    Attributes:
        n_known: [row] tokens whose likelihood is known. n_open: [row] the others, the row's tail.
        scores: [row] the objective of the known part; of the tail only the prior is taken off.
        expected: [row] the tail under the prior: what the score gains if the prompt changes nothing there.
        scale: [row] what a sum of nats is multiplied with: 1, or 1 / tokens for a mean.
    """

    n_known: Ints
    n_open: Ints
    scores: Floats
    expected: Floats
    scale: Floats

    @property
    def is_complete(self) -> NDArray[np.bool_]:
        return np.asarray(self.n_open == 0)


class Rows:
    """The rows of a trie as paths, with what does not change during a search."""

    def __init__(self, trie: Trie, objective: Objective) -> None:
        self.trie, self.objective = trie, objective
        self.n_tokens = (trie.depth[trie.leaf] + 1).astype(np.int64)
        self._scale = 1.0 / self.n_tokens if objective.is_mean else np.ones(len(trie.leaf))
        self._prior = trie.path_sums(objective.prior)[trie.leaf]

    def known(self, log_probs: Floats) -> Known:
        """Args: log_probs: [node] nats, NaN where unknown; a node is only known where its ancestors are."""
        is_known = ~np.isnan(log_probs)
        values = np.stack(
            [is_known.astype(np.float64), np.where(is_known, log_probs, 0.0), np.where(is_known, self.objective.prior, 0.0)], 1
        )
        n_known, sums, prior = self.trie.path_sums(values)[self.trie.leaf].T
        scores = (sums - self.objective.weight * self._prior) * self._scale
        counts = n_known.astype(np.int64)
        return Known(counts, self.n_tokens - counts, scores, (self._prior - prior) * self._scale, self._scale)

    def next_nodes(self, rows: Iterable[int], known: Known, step: int, at_most: int) -> Ints:
        """The nodes to feed so that ``step`` more tokens of each row become known, in the order of the rows.

        The first row's nodes always fit; a row that does not, and all rows after it, are left for later.
        """
        found: set[int] = set()
        for row in rows:
            first = max(int(known.n_known[row]) - 1, 0)
            wanted = self.path(row)[first : min(first + step, int(self.n_tokens[row]) - 1)]
            if found and len(found.union(wanted)) > at_most:
                break
            found.update(wanted)
        return np.asarray(sorted(found), dtype=np.int64)

    def path(self, row: int) -> list[int]:
        return self.trie.path(int(self.trie.leaf[row]))
