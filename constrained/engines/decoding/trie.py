"""Token sequences as a sorted matrix, and the trie of any subset of them.

Sorted rows make a trie implicit: the nodes that row ``i`` adds are its tokens from the length of the prefix it
shares with row ``i - 1`` on. In this order (preorder) a node's subtree is one run of nodes, so ancestry is two
comparisons, and an admissible subset is a bit per row, its prefix sums telling in O(1) whether a run is live.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = "tuple[int, ...]"
Ints: TypeAlias = "NDArray[np.int32]"
PAD = -1


@dataclass(frozen=True, slots=True, eq=False)
class Trie:
    """The trie of some rows, nodes in preorder; the root (the empty prefix) is not a node.

    Attributes:
        token: [node] the token that leads to the node.
        parent: [node] index of the parent; -1 for children of the root.
        depth: [node] 0 for children of the root.
        end: [node] one past the last node of the subtree: ``j`` is an ancestor of ``i`` iff j < i < end[j].
        leaf: [row] the node at which each row ends, in the order in which the rows were given.
        has_child: [node] whether any row goes on after the node; only such nodes need a forward pass.
    """

    token: Ints
    parent: Ints
    depth: Ints
    end: Ints
    leaf: Ints
    has_child: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.token)

    @property
    def n_inner(self) -> int:
        """Nodes that some row goes on after: those that a pass over the whole trie feeds."""
        return int(self.has_child.sum())

    def path(self, node: int) -> list[int]:
        """Nodes from the child of the root down to ``node``."""
        nodes = []
        while node >= 0:
            nodes.append(node)
            node = int(self.parent[node])
        return nodes[::-1]

    def children(self, nodes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The children of ``nodes`` (ascending; -1 is the root), ascending, and the place of each one's parent in ``nodes``."""
        is_parent = np.zeros(len(self) + 1, dtype=np.bool_)
        is_parent[nodes] = True  # the root has the last place, which -1 means
        children = np.flatnonzero(is_parent[self.parent])
        return children, np.searchsorted(nodes, self.parent[children]).astype(np.int64)

    def ancestors(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """All proper ancestors of ``nodes``, ascending: what is fed so that these nodes are predicted."""
        counts = np.append(0, np.cumsum(np.bincount(nodes, minlength=len(self))))
        return np.flatnonzero(counts[self.end] > counts[1:]).astype(np.int64)

    def identifying_nodes(self) -> NDArray[np.int64]:
        """[row] the node at which a row is told from all others: the first one that no other row goes through, or its end."""
        ends = np.bincount(self.leaf, minlength=len(self))
        counts = np.append(0, np.cumsum(ends))
        n_rows = counts[self.end] - counts[:-1]
        above = np.where(self.parent >= 0, n_rows[self.parent], 2)
        is_identifying = (n_rows == 1) & (above > 1)
        nodes = np.flatnonzero(is_identifying)
        before = nodes[np.maximum(np.searchsorted(nodes, self.leaf, side="right") - 1, 0)] if len(nodes) else self.leaf
        inside = (before <= self.leaf) & (self.leaf < self.end[before])
        return np.where(inside, before, self.leaf).astype(np.int64)

    def path_sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """[node, ...] sum of ``values`` from the child of the root down, one depth after the other."""
        total = values.copy()
        by_depth = np.split(np.argsort(self.depth, kind="stable"), np.cumsum(np.bincount(self.depth))[:-1])
        for level in by_depth[1:]:
            total[level] += total[self.parent[level]]
        return total


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """An admissible subset of an index: ``live[i]`` counts admissible sorted rows before row ``i``."""

    live: Ints

    def is_live(self, first: int, last: int) -> bool:
        """Whether any sorted row in ``[first, last)`` is admissible: whether a node of that run may be walked."""
        return bool(self.live[last] > self.live[first])


@dataclass(frozen=True, slots=True, eq=False)
class TokenIndex:
    """All token sequences of a catalog, sorted. Built once per catalog and tokenizer.

    Attributes:
        matrix: [row, position] int32, sorted, PAD after the end.
        lengths: [row] tokens in each sorted row.
        order: [row] index, in the order given, of each sorted row; ``rank`` is its inverse.
    """

    matrix: Ints
    lengths: Ints
    order: NDArray[np.int64]
    rank: NDArray[np.int64]

    @classmethod
    def build(cls, rows: Sequence[Sequence[int]]) -> TokenIndex:
        """Sorts ``rows`` (token ids, none empty); O(n log n) comparisons of bytes.

        Raises ValueError when a row is empty or two rows are equal: such options could not be told apart.
        """
        lengths = np.fromiter(map(len, rows), dtype=np.int32, count=len(rows))
        if not len(rows) or lengths.min() == 0:
            raise ValueError("every row needs at least one token")
        matrix = np.full((len(rows), int(lengths.max())), PAD, dtype=np.int32)
        filled = np.arange(matrix.shape[1]) < lengths[:, None]
        matrix[filled] = np.fromiter((token for row in rows for token in row), dtype=np.int32, count=int(lengths.sum()))
        order = _sort_order(matrix)
        matrix, lengths = matrix[order], lengths[order]
        shared = _shared_prefix(matrix, lengths)
        if len(rows) > 1 and (same := np.flatnonzero((shared[1:] == lengths[1:]) & (lengths[1:] == lengths[:-1]))).size:
            first, second = sorted((int(order[same[0]]), int(order[same[0] + 1])))
            raise ValueError(f"rows {first} and {second} have the same tokens")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return cls(matrix, lengths, order, rank)

    def __len__(self) -> int:
        return len(self.order)

    @property
    def n_nodes(self) -> int:
        """Nodes of the trie of all rows."""
        return int((self.lengths - _shared_prefix(self.matrix, self.lengths)).sum())

    def subset(self, rows: Sequence[int] | NDArray[np.int64]) -> Subset:
        """The admissible subset of these rows (numbered as given to ``build``); one prefix sum over all rows."""
        bits = np.zeros(len(self) + 1, dtype=np.int32)
        bits[self.rank[np.asarray(rows, dtype=np.int64)] + 1] = 1
        return Subset(np.cumsum(bits, dtype=np.int32))

    def trie(self, rows: Sequence[int] | None = None) -> Trie:
        """The trie of these rows (all when None). ``Trie.leaf`` follows the order of ``rows``."""
        chosen = np.arange(len(self)) if rows is None else np.asarray(rows, dtype=np.int64)
        ranks = np.sort(self.rank[chosen])
        trie = _trie(self.matrix[ranks], self.lengths[ranks])
        leaf = trie.leaf[np.searchsorted(ranks, self.rank[chosen])]
        return Trie(trie.token, trie.parent, trie.depth, trie.end, leaf.astype(np.int32), trie.has_child)

    def distinguishing(self) -> Ints:
        """[row as given] tokens needed to tell each row from all others (its whole length if it is a prefix of one)."""
        shared = np.append(_shared_prefix(self.matrix, self.lengths), 0)
        needed = np.minimum(np.maximum(shared[:-1], shared[1:]) + 1, self.lengths)
        return np.asarray(needed[self.rank], dtype=np.int32)


def _sort_order(matrix: Ints) -> NDArray[np.int64]:
    """Order of rows by their tokens, PAD first: rows as big-endian bytes sort as the numbers do."""
    keys = np.ascontiguousarray((matrix + 1).astype(">u4")).view(f"S{4 * matrix.shape[1]}").ravel()
    return np.argsort(keys, kind="stable").astype(np.int64)


def _shared_prefix(matrix: Ints, lengths: Ints) -> Ints:
    """[row] number of leading tokens that a sorted row shares with the row before it; 0 for the first."""
    shared = np.zeros(len(matrix), dtype=np.int32)
    if len(matrix) > 1:
        differ = matrix[1:] != matrix[:-1]
        first = np.where(differ.any(axis=1), differ.argmax(axis=1), matrix.shape[1])
        shared[1:] = np.minimum(first, np.minimum(lengths[1:], lengths[:-1]))
    return shared


def _trie(matrix: Ints, lengths: Ints) -> Trie:
    """The trie of sorted, distinct rows; ``leaf`` in their order. A row never is a prefix of an earlier one."""
    shared = _shared_prefix(matrix, lengths)
    added = lengths - shared
    stop = np.cumsum(added)
    row = np.repeat(np.arange(len(matrix)), added)
    depth = (np.arange(len(row)) - (stop - added)[row] + shared[row]).astype(np.int32)
    parent = np.arange(len(row), dtype=np.int32) - 1
    end = np.full(len(row), len(row), dtype=np.int32)
    path: list[int] = []  # nodes of the row before, by depth
    for first, last, kept in zip((stop - added).tolist(), stop.tolist(), shared.tolist(), strict=True):
        parent[first] = path[kept - 1] if kept else -1
        end[path[kept:]] = first
        path[kept:] = range(first, last)
    has_child = np.zeros(len(row), dtype=np.bool_)
    has_child[parent[parent >= 0]] = True
    return Trie(matrix[row, depth], parent, depth, end, (stop - 1).astype(np.int32), has_child)
