"""Mode ``exact``: log P(row | prompt) of every row, all trie nodes in as few passes as memory likes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from constrained.choice import Deadline
from constrained.decoding.model import LanguageModel, Prefix
from constrained.decoding.passes import TreePasses
from constrained.decoding.scored import Scored
from constrained.decoding.trie import TokenIndex, Trie

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
