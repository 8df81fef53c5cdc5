"""Token masks: which tokens may come next so that a text stays one of those that are allowed.

``TokenMask`` and ``MaskState`` are what a walk asks. ``TrieMask`` is the library's own mask of token rows, for one walk on the CPU;
``DeviceTrie`` the same for many on a device. xgrammar's mask is in ``grammar_masks``; any other is a ``MaskCompiler``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from constrained.engines.decoding.tokens import Spelling
from constrained.engines.decoding.trie import Ints, TokenIndex
from constrained.errors import ConstrainedError, EngineError

MaskName = Literal["trie", "xgrammar"]


class MaskState(Protocol):
    """Where one walk stands."""

    def allowed(self) -> Tensor:
        """[words] int32 on the CPU: bit ``j`` of word ``i`` is set iff token ``32 i + j`` may come next."""
        ...

    def accept(self, token: int) -> None:
        """Takes one step. Raises EngineError when ``token`` may not come next."""
        ...

    def forced(self) -> list[int]:
        """Tokens that come next whatever the model says, as many as are known; they are not accepted yet.

        Empty does not mean that the model has a choice: a mask of one token is forced, too, where no engine says so.
        """
        ...

    def is_done(self) -> bool:
        """The text is complete and nothing can follow, the end token included where there is one."""
        ...


class TokenMask(Protocol):
    """What may be walked, compiled once; any number of walks start from it."""

    @property
    def name(self) -> str: ...

    def start(self) -> MaskState: ...


MaskCompiler: TypeAlias = Callable[[Spelling, Sequence[str]], TokenMask]
"""Makes the mask of some texts over a vocabulary. Raises EngineError when it cannot."""
Backend: TypeAlias = MaskName | MaskCompiler


# -- packed sets of tokens: one bit a token, 32 a word -------------------------------------------------------------

WORD = 32  # tokens in a word


def n_words(n_vocabulary: int) -> int:
    return -(-n_vocabulary // WORD)


def packed(ids: Sequence[int] | NDArray[np.int32], n_vocabulary: int) -> Tensor:
    """[words] int32: the bits of these tokens."""
    member = np.zeros(n_words(n_vocabulary) * WORD, dtype=np.bool_)
    member[np.asarray(ids, dtype=np.int64)] = True
    return torch.from_numpy(np.packbits(member, bitorder="little").view(np.int32))


def unpacked(bits: Tensor, n_vocabulary: int) -> Tensor:
    """[..., words] int32 -> [..., token] bool, True = in the set; on the device of ``bits``. Tokens past the last word are out."""
    shifts = torch.arange(WORD, device=bits.device, dtype=torch.int32)
    member = ((bits[..., None] >> shifts) & 1).bool().flatten(-2)[..., :n_vocabulary]
    missing = n_vocabulary - member.shape[-1]
    return torch.nn.functional.pad(member, (0, missing)) if missing > 0 else member


def members(bits: Tensor) -> list[int]:
    """The tokens of one packed set, ascending."""
    words = bits.numpy()
    at = np.flatnonzero(words)  # most words are empty
    member = np.unpackbits(np.ascontiguousarray(words[at]).view(np.uint8), bitorder="little").reshape(-1, WORD)
    word, bit = np.nonzero(member)
    return [int(one) for one in at[word] * WORD + bit]


def the_only(bits: Tensor) -> int | None:
    """The one token of a packed set; None when it holds another number of them."""
    words = bits.numpy()
    at = np.flatnonzero(words)
    if at.size != 1:
        return None
    word = int(words[at[0]]) & 0xFFFFFFFF
    return None if word & (word - 1) else int(at[0]) * WORD + word.bit_length() - 1


# -- packages that compute masks: imported when they are asked for, their failures as our errors -------------------


def imported(package: str) -> Any:
    """The package's module. Raises EngineError with the command that installs it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise EngineError(f"{package} is not installed", hint=f"pip install {package}") from error


@contextmanager
def engine_failing(package: str) -> Iterator[None]:
    """Turns whatever a mask engine raises at a grammar into an EngineError."""
    try:
        yield
    except ConstrainedError:
        raise
    except Exception as error:  # RuntimeError, ValueError, TypeError, OverflowError: each engine its own
        said = " ".join(str(error).split())
        raise EngineError(
            f"{package} cannot use this grammar: {said:.300}", hint="write it with fewer means, or use another engine"
        ) from error


# -- the mask of token rows by their trie: canonical tokens only ----------------------------------------------------

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
