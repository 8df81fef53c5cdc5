"""Mode ``exact``: log P(row | prompt) of every row of a trie by forward passes over its nodes, and of many questions at once.

``TreePasses`` feeds nodes of a trie to the model under an ancestors-only mask (tree attention: Miao et al., SpecInfer, ASPLOS
2024, section 4); every mode that reads a trie is made of it. ``score_rows`` is the same by its definition.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from constrained.engines.decoding.language_model import LanguageModel, Prefix
from constrained.engines.decoding.search import Floats, Scored
from constrained.engines.decoding.trie import Ids, TokenIndex, Trie
from constrained.engines.protocol import Deadline
from constrained.errors import EngineError

CHUNK_NODES = 256  # fixed, so that bf16 rounding does not depend on what else is scored
CHUNK_NODES_CUDA = 2_048  # a GPU is idle with fewer; the mask of a chunk stays under 100 MB

Nodes = NDArray[np.int64]


class TreePasses:
    """The passes over one trie: which nodes were fed, and what the model says of their children.

    Values stay on the device until ``log_probs`` is read: feeding alone never waits for it.

    Attributes:
        n_tokens, n_passes: tokens that went through the model, the suffix included; forward passes.
    """

    def __init__(
        self, model: LanguageModel, prefix: Prefix | None, suffix: Sequence[int], trie: Trie, deadline: Deadline | None = None
    ) -> None:
        """Raises ValueError for an empty suffix: its last state predicts the first token of every row."""
        if not suffix:
            raise ValueError("the suffix needs at least one token: its state predicts the first token of every row")
        self._model, self._prompt, self._suffix, self._trie, self._deadline = model, prefix, list(suffix), trie, deadline
        self._kept: list[tuple[Nodes, Prefix]] = []  # fed nodes whose keys and values are at hand, ascending in each part
        self._held: list[tuple[Nodes, Prefix]] = []  # the same, only until the end of a call
        self._found: list[tuple[Nodes, Tensor]] = []  # children, and log P(their token | parent); not yet read back
        self._log_probs = np.full(len(trie), np.nan)
        self.n_tokens = self.n_passes = 0

    @property
    def log_probs(self) -> Floats:
        """[node] log P(its token | its parent) in nats; NaN until its parent was fed. Waits for the device.

        Raises EngineError where the model gave no number: a search that waits for one would not end.
        """
        if self._found:
            values = torch.cat([value for _, value in self._found]).double().cpu().numpy()
            if np.isnan(values).any():
                raise EngineError("the model gave scores that are not finite", hint="try dtype='float32'")
            self._log_probs[np.concatenate([nodes for nodes, _ in self._found])] = values
            self._found = []
        return self._log_probs

    def feed(self, nodes: Nodes, *, will_return: bool = False) -> None:
        """Feeds inner nodes, ascending, whose parents were fed before or are among them; the suffix goes first.

        Args:
            will_return: later calls feed descendants of these nodes, so that their keys and values are kept.
        """
        size = CHUNK_NODES_CUDA if self._model.device.type == "cuda" else CHUNK_NODES
        for start in range(0, max(len(nodes), 1), size):
            if len(nodes) or self._suffix:
                self._pass(nodes[start : start + size])
            if not will_return:
                self._hold_ancestors_of(nodes[start + size :])
        if will_return:
            self._kept, self._held = [*self._kept, *self._held], []

    # -- one pass --------------------------------------------------------------------------------------------

    def _pass(self, chunk: Nodes) -> None:
        """The suffix, if it was not read yet, and the chunk. The suffix then belongs to the prompt, the chunk to the nodes at hand."""
        suffix, n_prompt = self._suffix, self._prompt.length if self._prompt else 0
        ancestors, held = self._ancestors(chunk, [*self._kept, *self._held])
        n_before = n_prompt + len(suffix)
        ids = [*suffix, *self._trie.token[chunk].tolist()]
        depths = (self._trie.depth[chunk] + (n_before if suffix else n_prompt)).tolist()
        states, new = self._model.run(
            self._model.tensor(ids)[None],
            positions=self._model.tensor([*range(n_prompt, n_before), *depths])[None],
            allowed_mask=self._allowed_mask(n_prompt, len(suffix), ancestors, chunk)[None, None],
            prefix=_joined(self._prompt, held),
            deadline=self._deadline,
        )
        if suffix:
            self._prompt = _joined(self._prompt, _part(new, 0, len(suffix)))
            self._predict(np.asarray([-1]), states[0, len(suffix) - 1 : len(suffix)])
        if len(chunk):
            self._held.append((chunk, _part(new, len(suffix), len(ids))))
            self._predict(chunk, states[0, len(suffix) :])
        self._suffix = []
        self.n_tokens, self.n_passes = self.n_tokens + len(ids), self.n_passes + 1

    def _allowed_mask(self, n_prompt: int, n_suffix: int, ancestors: Nodes, chunk: Nodes) -> Tensor:
        """[suffix and chunk, prompt and ancestors and suffix and chunk] bool, True = may attend.

        No node is at hand while the suffix is read, so the suffix stands right after the prompt in both cases.
        """
        rows = np.concatenate([np.full(n_suffix, -1), chunk])  # -1: sees no node
        before = torch.ones(len(rows), n_prompt + n_suffix, dtype=torch.bool, device=self._model.device).tril(n_prompt)
        columns = np.concatenate([ancestors, chunk])
        node, first, end = (self._model.tensor(values) for values in (rows, columns, self._trie.end[columns]))
        return torch.cat([before, (node[:, None] >= first) & (node[:, None] < end)], dim=1)

    def _predict(self, nodes: Nodes, states: Tensor) -> None:
        """Notes log P(child's token | node) for every child of ``nodes``, ascending; -1 is the root."""
        children, parents = self._trie.children(nodes)
        targets = self._model.tensor(self._trie.token[children])
        self._found.append((children, self._model.log_probs_of(states, parents, targets)))

    # -- keys and values at hand -----------------------------------------------------------------------------

    def _ancestors(self, nodes: Nodes, parts: Sequence[tuple[Nodes, Prefix]]) -> tuple[Nodes, Prefix | None]:
        """The nodes of ``parts`` that some of ``nodes`` descends from, with their keys and values."""
        found, prefix = [np.zeros(0, dtype=np.int64)], None
        for held, states in parts:
            at = np.flatnonzero(self._is_ancestor(held, nodes))
            if len(at):
                found.append(held[at])
                prefix = _joined(prefix, states if len(at) == len(held) else states.take(self._model.tensor(at)))
        return np.concatenate(found), prefix

    def _hold_ancestors_of(self, nodes: Nodes) -> None:
        """Forgets what only this call needs, but for the ancestors of ``nodes``."""
        held, states = self._ancestors(nodes, self._held)
        self._held = [(held, states)] if states is not None else []

    def _is_ancestor(self, held: Nodes, nodes: Nodes) -> NDArray[np.bool_]:
        """[held] whether it has a descendant among ``nodes``, ascending: the first node after it lies in its subtree."""
        after = np.searchsorted(nodes, held, side="right")
        following = np.append(nodes, len(self._trie))[after]
        return np.asarray(following < self._trie.end[held])


def _joined(first: Prefix | None, second: Prefix | None) -> Prefix | None:
    if first is None or second is None:
        return first if second is None else second
    return first.join(second)


def _part(states: Prefix, start: int, stop: int) -> Prefix:
    """Some positions as tensors of their own: a slice would keep the whole pass in memory."""
    return Prefix(
        tuple(key[..., start:stop, :].clone() for key in states.keys), tuple(value[..., start:stop, :].clone() for value in states.values)
    )


# -- one question: all rows after one suffix --------------------------------------------------------------------

BATCH_TOKENS = 1024  # of rows in one pass


def score_tree(
    model: LanguageModel, prefix: Prefix | None, suffix: Sequence[int], rows: Sequence[Sequence[int]], deadline: Deadline | None = None
) -> Scored:
    """Every row's log-likelihood after ``prefix`` and ``suffix`` (at least one token), by tree passes.

    Cost: len(suffix) + inner nodes of the trie, in forward tokens.
    """
    trie = TokenIndex.build(rows).trie()
    return score_trie(model, prefix, suffix, trie, deadline)


def score_trie(model: LanguageModel, prefix: Prefix | None, suffix: Sequence[int], trie: Trie, deadline: Deadline | None = None) -> Scored:
    """``score_tree`` over a trie that is already built."""
    passes = TreePasses(model, prefix, suffix, trie, deadline)
    passes.feed(np.flatnonzero(trie.has_child))  # leaves are predicted, never fed
    return Scored.complete(trie.path_sums(passes.log_probs)[trie.leaf], passes, trie)


def score_rows(
    model: LanguageModel, prefix: Prefix | None, suffix: Sequence[int], rows: Sequence[Sequence[int]], deadline: Deadline | None = None
) -> Scored:
    """The same by its definition: a plain causal pass over every row, several rows in a batch. Slow; the reference, and
    the fallback of models that do not honour a tree mask."""
    sums = np.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    n_passes = 0
    for batch in _batches(order, rows, len(suffix)):
        longest = max(len(rows[row]) for row in batch)
        targets = model.tensor([[*rows[row], *[rows[row][-1]] * (longest - len(rows[row]))] for row in batch])
        ids = torch.cat([model.tensor(suffix).expand(len(batch), -1), targets[:, :-1]], dim=1)
        states, _ = model.run(ids, prefix=prefix.expand(len(batch)) if prefix else None, deadline=deadline)
        states = states[:, len(suffix) - 1 :].reshape(targets.numel(), -1)
        found = model.log_probs(states, targets.reshape(-1)).double().reshape(targets.shape)
        lengths = model.tensor([len(rows[row]) for row in batch])
        sums[batch] = found.where(torch.arange(longest, device=found.device) < lengths[:, None], 0.0).sum(1).cpu().numpy()
        n_passes += 1
    n_tokens = sum(len(suffix) + len(row) - 1 for row in rows)
    return Scored(sums, n_tokens, n_passes, n_nodes=n_tokens, n_expanded=n_tokens)


def _batches(order: Sequence[int], rows: Sequence[Sequence[int]], n_suffix: int) -> Iterator[list[int]]:
    """Rows of about one length, as many as BATCH_TOKENS hold when they are padded at the end, where no token sees it."""
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) + 1) * (n_suffix + len(rows[row])) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


# -- many questions in one tree: different suffixes and rows over one cached prefix, scored in the same passes ----


@dataclass(frozen=True, slots=True)
class RowQuery:
    """One question: what comes before (at least one token), and the rows of which one is to be chosen."""

    suffix: Ids
    rows: tuple[Ids, ...]


@dataclass(frozen=True, slots=True)
class RowScores:
    """[row] log P(row | prefix and suffix) in nats of each question, in order; and what went through the model."""

    log_probs: tuple[Floats, ...]
    n_tokens: int
    n_passes: int
    n_nodes: int


def score_forest(
    model: LanguageModel, prefix: Prefix | None, queries: Sequence[RowQuery], deadline: Deadline | None = None, *, has_tree: bool = True
) -> RowScores:
    """All questions at once. Cost: their distinct tokens. ``has_tree``: as in Reader; without, row by row."""
    shared = n_shared([one.suffix for one in queries])
    suffix = queries[0].suffix[:shared]
    if not suffix or not has_tree:
        return _one_by_one(model, prefix, queries, deadline, has_tree)
    beginnings = [one.suffix[shared:] for one in queries]
    paths = {beginning for beginning in beginnings if beginning}
    paths |= {(*beginning, *row) for beginning, one in zip(beginnings, queries, strict=True) for row in one.rows}
    ordered = sorted(paths)
    scored = score_trie(model, prefix, suffix, TokenIndex.build(ordered).trie(), deadline)
    found = dict(zip(ordered, scored.log_probs, strict=True))
    log_probs = tuple(
        np.asarray([found[(*beginning, *row)] for row in one.rows]) - (found[beginning] if beginning else 0.0)
        for beginning, one in zip(beginnings, queries, strict=True)
    )
    return RowScores(log_probs, scored.n_tokens, scored.n_passes, scored.n_nodes)


def n_shared(sequences: Sequence[Ids]) -> int:
    """Leading tokens that all sequences share."""
    shortest = min(map(len, sequences))
    first = sequences[0]
    return next((index for index in range(shortest) if any(one[index] != first[index] for one in sequences)), shortest)


def _one_by_one(
    model: LanguageModel, prefix: Prefix | None, queries: Sequence[RowQuery], deadline: Deadline | None, has_tree: bool
) -> RowScores:
    """Suffixes that differ from their first token on, or a model without a tree."""
    parts = [
        score_trie(model, prefix, one.suffix, TokenIndex.build(one.rows).trie(), deadline)
        if has_tree
        else score_rows(model, prefix, one.suffix, one.rows, deadline)
        for one in queries
    ]
    return RowScores(
        tuple(part.log_probs for part in parts),
        sum(part.n_tokens for part in parts),
        sum(part.n_passes for part in parts),
        sum(part.n_nodes for part in parts),
    )
