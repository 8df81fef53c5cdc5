"""Mode ``exact``: log P(row | prompt) of every row, all trie nodes in as few passes as memory likes.

Nodes attend to the prompt and to their ancestors only (tree attention: Miao et al., SpecInfer, 2024, section 4.1;
here every path is a candidate and every path is scored). The prompt's dynamic suffix travels in the first pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from constrained.choice import Deadline
from constrained.decoding.model import LanguageModel, Prefix
from constrained.decoding.trie import TokenIndex, Trie

CHUNK_NODES = 256  # fixed, so that bf16 rounding does not depend on what else is scored


@dataclass(frozen=True, slots=True)
class Scored:
    """What a pass found.

    Attributes:
        log_probs: [row] log-likelihood in nats, float64, end token included where the rows hold one.
        n_tokens: tokens that went through the model, the suffix included.
    """

    log_probs: np.ndarray[tuple[int], np.dtype[np.float64]]
    n_tokens: int


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
    if not suffix:
        raise ValueError("the suffix needs at least one token: its state predicts the first token of every row")
    return _TreePasses(model, prefix, trie, deadline).scored(suffix)


def score_rows(
    model: LanguageModel, prefix: Prefix | None, suffix: Sequence[int], rows: Sequence[Sequence[int]], deadline: Deadline | None = None
) -> Scored:
    """The same by its definition: one plain causal pass a row. Slow; the reference, and the fallback of models
    that do not honour a tree mask."""
    sums = []
    for row in rows:
        ids = [*suffix, *row[:-1]]
        states, _ = model.run(model.tensor(ids)[None], prefix=prefix, deadline=deadline)
        sums.append(float(model.log_probs(states[0, len(suffix) - 1 :], model.tensor(row)).double().sum()))
    return Scored(np.asarray(sums), sum(len(suffix) + len(row) - 1 for row in rows))


class _TreePasses:
    """The passes over one trie, chunk by chunk in preorder: what was read so far, what the next chunk attends to.

    Attributes:
        prompt: keys and values of the prefix; once it was read, of the suffix too.
        nodes: the fed nodes whose keys and values are at hand, ascending. held: those keys and values.
        log_probs: [node] log P(its token | its parent); 0 until its parent was fed.
    """

    def __init__(self, model: LanguageModel, prefix: Prefix | None, trie: Trie, deadline: Deadline | None) -> None:
        self.model, self.trie, self.deadline = model, trie, deadline
        self.prompt = prefix
        self.nodes = np.zeros(0, dtype=np.int64)
        self.held: Prefix | None = None
        self.log_probs = np.zeros(len(trie))

    def scored(self, suffix: Sequence[int]) -> Scored:
        """Reads the suffix with the first chunk, then the other chunks."""
        inner = np.flatnonzero(self.trie.has_child)  # leaves are predicted, never fed
        first, *others = [inner[start : start + CHUNK_NODES] for start in range(0, max(len(inner), 1), CHUNK_NODES)]
        states = self._feed(suffix, first)
        self._predict(np.append(-1, first), states[len(suffix) - 1 :])  # the last token of the suffix is the root
        for chunk in others:
            self._keep(np.asarray(self.trie.path(int(chunk[0]))[:-1], dtype=np.int64))
            self._predict(chunk, self._feed((), chunk))
        return Scored(_path_sums(self.log_probs, self.trie)[self.trie.leaf], len(suffix) + len(inner))

    def _feed(self, suffix: Sequence[int], chunk: np.ndarray) -> Tensor:
        """One pass over both: [token, hidden] states. The suffix then belongs to the prompt, the chunk to the nodes at hand."""
        n_suffix, n_prompt = len(suffix), self.prompt.length if self.prompt else 0
        ids = [*suffix, *self.trie.token[chunk].tolist()]
        positions = [*range(n_prompt, n_prompt + n_suffix), *(n_prompt + n_suffix + self.trie.depth[chunk]).tolist()]
        states, new = self.model.run(
            self.model.tensor(ids)[None],
            positions=self.model.tensor(positions)[None],
            allowed_mask=self._allowed_mask(n_prompt, n_suffix, chunk)[None, None],
            prefix=_joined(self.prompt, self.held),
            deadline=self.deadline,
        )
        at = torch.arange(len(ids), device=self.model.device)
        self.prompt = _joined(self.prompt, new.take(at[:n_suffix])) if n_suffix else self.prompt
        self.held = _joined(self.held, new.take(at[n_suffix:]))
        self.nodes = np.concatenate([self.nodes, chunk])
        return states[0]

    def _allowed_mask(self, n_prompt: int, n_suffix: int, chunk: np.ndarray) -> Tensor:
        """[suffix and chunk, prompt and nodes at hand and suffix and chunk] bool, True = may attend.

        No node is at hand while the suffix is read, so the suffix stands right after the prompt in both cases.
        """
        rows = np.concatenate([np.full(n_suffix, -1), chunk])  # -1: sees no node
        before = torch.ones(len(rows), n_prompt + n_suffix, dtype=torch.bool, device=self.model.device).tril(n_prompt)
        columns = np.concatenate([self.nodes, chunk])
        node, first, end = (self.model.tensor(values) for values in (rows, columns, self.trie.end[columns]))
        return torch.cat([before, (node[:, None] >= first) & (node[:, None] < end)], dim=1)

    def _predict(self, nodes: np.ndarray, states: Tensor) -> None:
        """Fills in log P(child's token | node) for every child of ``nodes``, a run of inner nodes; -1 is the root."""
        children = np.flatnonzero((self.trie.parent >= nodes[0]) & (self.trie.parent <= nodes[-1]))
        parents = np.searchsorted(nodes, self.trie.parent[children])
        found = self.model.log_probs(states[self.model.tensor(parents)], self.model.tensor(self.trie.token[children]))
        self.log_probs[children] = found.double().cpu().numpy()

    def _keep(self, nodes: np.ndarray) -> None:
        """Forgets the keys of all but these nodes: the ancestors of the next chunk's first node.

        In preorder, an ancestor of any later node that lies before the chunk is an ancestor of its first node.
        """
        if self.held is not None:
            self.held = self.held.take(self.model.tensor(np.searchsorted(self.nodes, nodes)))
        self.nodes = nodes


def _joined(first: Prefix | None, second: Prefix | None) -> Prefix | None:
    if first is None or second is None:
        return first if second is None else second
    return first.join(second)


def _path_sums(values: np.ndarray, trie: Trie) -> np.ndarray:
    """[node] sum of ``values`` from the child of the root down, one depth after the other."""
    total = values.copy()
    by_depth = np.split(np.argsort(trie.depth, kind="stable"), np.cumsum(np.bincount(trie.depth))[:-1])
    for level in by_depth[1:]:
        total[level] += total[trie.parent[level]]
    return total
