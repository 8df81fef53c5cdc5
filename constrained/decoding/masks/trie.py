"""The mask of token sequences by their own trie: canonical tokens only, one walk on the CPU or many on a device.

Nodes are numbered in preorder from 1; 0 is the root, and one past the last is where a walk stands that left the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from constrained.decoding.masks.bits import WORD, n_words, packed
from constrained.decoding.trie import Ints, TokenIndex
from constrained.errors import EngineError

NARROW = 8  # words that a node's children may lie in before it gets a mask of its own


@dataclass(frozen=True, slots=True, eq=False)
class TrieMask:
    """The tokens that go on towards a row. No row may be the beginning of another: end them with the end token.

    Attributes:
        token: [edge] the token of each edge, edges sorted by (node that it leaves, token).
        child: [edge] the node that it leads to.
        first: [node + 1] the first edge that leaves each node; the root and the place off the rows are nodes, too.
    """

    n_vocabulary: int
    token: Ints
    child: Ints
    first: NDArray[np.int64]
    name: str = field(default="trie", init=False)

    @classmethod
    def build(cls, rows: Sequence[Sequence[int]], n_vocabulary: int) -> TrieMask:
        """Raises EngineError when two rows are equal, one is empty or begins another, or a token is out of the vocabulary."""
        try:
            trie = TokenIndex.build(rows).trie()
        except ValueError as error:
            raise EngineError(
                f"these rows cannot be walked: {error}", hint="every row needs tokens that tell it from the others"
            ) from error
        inner = np.flatnonzero(trie.has_child[trie.leaf])
        if inner.size:
            raise EngineError(f"row {inner[0]} begins another row, so its end cannot be told", hint="end the rows with the end token")
        if int(trie.token.max()) >= n_vocabulary:
            raise EngineError(f"token {trie.token.max()} is none of {n_vocabulary}", hint="do tokenizer and model belong together?")
        parent = trie.parent + 1
        order = np.argsort(parent, kind="stable")  # in preorder, the children of a node come by ascending token
        first = np.concatenate([[0], np.cumsum(np.bincount(parent, minlength=len(trie) + 2))])
        return cls(n_vocabulary, trie.token[order], (order + 1).astype(np.int32), first)

    @property
    def n_nodes(self) -> int:
        """All nodes: the root, those of the trie, and the place off the rows."""
        return len(self.first) - 1

    def start(self) -> TrieState:
        return TrieState(self)


class TrieState:
    """One walk from the root to a leaf."""

    def __init__(self, mask: TrieMask) -> None:
        self._mask = mask
        self._node = 0

    def allowed(self) -> Tensor:
        first, last = self._edges(self._node)
        return packed(self._mask.token[first:last], self._mask.n_vocabulary)

    def accept(self, token: int) -> None:
        first, last = self._edges(self._node)
        at = first + int(np.searchsorted(self._mask.token[first:last], token))
        if at == last or self._mask.token[at] != token:
            raise EngineError(f"token {token} leaves the rows", hint="accept only what the mask allows")
        self._node = int(self._mask.child[at])

    def forced(self) -> list[int]:
        """The tokens of a path without a branch, to its end."""
        tokens: list[int] = []
        node = self._node
        while True:
            first, last = self._edges(node)
            if last - first != 1:
                return tokens
            tokens.append(int(self._mask.token[first]))
            node = int(self._mask.child[first])

    def is_done(self) -> bool:
        first, last = self._edges(self._node)
        return first == last

    def _edges(self, node: int) -> tuple[int, int]:
        return int(self._mask.first[node]), int(self._mask.first[node + 1])


class DeviceTrie:
    """The same mask for a batch of walks, on a device: states are a tensor of nodes, nothing goes through the host.

    A node whose children lie in more than NARROW words of the mask has its whole mask ready; the few words of any other
    node are laid over an empty one. So a step is a gather of masks and a scatter of NARROW words a walk.

    Memory in bytes: 12 * NARROW + 12 a node, 12 an edge, n_vocabulary / 8 a wide node.
    """

    def __init__(self, mask: TrieMask, device: str | torch.device = "cpu") -> None:
        self.n_vocabulary, self.device = mask.n_vocabulary, torch.device(device)
        self.lost = mask.n_nodes - 1
        parent = np.repeat(np.arange(mask.n_nodes), np.diff(mask.first))
        self._keys = self._tensor(parent * np.int64(mask.n_vocabulary) + mask.token)  # ascending
        self._child = self._tensor(mask.child.astype(np.int64))
        self._is_end = self._tensor(np.diff(mask.first) == 0)
        self._build_masks(mask, parent)

    def start(self, n_walks: int) -> Tensor:
        """[walk] int64: all at the root."""
        return torch.zeros(n_walks, dtype=torch.long, device=self.device)

    def allowed(self, nodes: Tensor) -> Tensor:
        """[walk] nodes -> [walk, words] int32, packed as ``MaskState.allowed``; no token where a walk is done or lost."""
        masks = self._wide[self._wide_row[nodes]]
        masks.scatter_(1, self._word[nodes], self._bits[nodes])
        return masks[:, :-1]

    def accept(self, nodes: Tensor, tokens: Tensor) -> Tensor:
        """[walk] the next nodes; ``lost`` where a token may not come next."""
        keys = nodes * self.n_vocabulary + tokens
        at = torch.searchsorted(self._keys, keys).clamp_(max=len(self._keys) - 1)
        return torch.where(self._keys[at] == keys, self._child[at], self.lost)

    def is_done(self, nodes: Tensor) -> Tensor:
        """[walk] bool: the walk stands at the end of a row."""
        return self._is_end[nodes] & (nodes != self.lost)

    def _build_masks(self, mask: TrieMask, parent: NDArray[np.int64]) -> None:
        """Edges that leave one node and lie in one word become one entry; a node's entries are in a row or in a mask."""
        word = mask.token // WORD
        starts = np.flatnonzero(np.append(True, (np.diff(parent) != 0) | (np.diff(word) != 0)))
        bits = np.bitwise_or.reduceat(np.left_shift(np.uint32(1), (mask.token % WORD).astype(np.uint32)), starts).view(np.int32)
        node, word = parent[starts], word[starts]
        n_entries = np.bincount(node, minlength=mask.n_nodes)
        place = np.arange(len(node)) - (np.cumsum(n_entries) - n_entries)[node]
        is_wide = n_entries > NARROW
        row = np.where(is_wide, np.cumsum(is_wide), 0)
        width = n_words(mask.n_vocabulary) + 1  # the last column takes what fills the rows of narrow nodes
        masks = np.zeros((int(is_wide.sum()) + 1, width), dtype=np.int32)
        at_wide = is_wide[node]
        masks[row[node[at_wide]], word[at_wide]] = bits[at_wide]
        words = np.full((mask.n_nodes, NARROW), width - 1, dtype=np.int64)
        values = np.zeros((mask.n_nodes, NARROW), dtype=np.int32)
        narrow = ~at_wide
        words[node[narrow], place[narrow]], values[node[narrow], place[narrow]] = word[narrow], bits[narrow]
        self._wide, self._wide_row = self._tensor(masks), self._tensor(row)
        self._word, self._bits = self._tensor(words), self._tensor(values)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)
