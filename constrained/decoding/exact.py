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


def score_trie(
    model: LanguageModel, prefix: Prefix | None, suffix: Sequence[int], trie: Trie, deadline: Deadline | None = None
) -> Scored:
    """``score_tree`` over a trie that is already built."""
    inner = np.flatnonzero(trie.has_child)  # leaves are predicted, never fed
    token_log_probs = np.zeros(len(trie))
    start = prefix.length if prefix else 0
    carried, kept = prefix, inner[:0]  # kept: nodes whose keys stand at the end of ``carried``, in order
    for chunk in _chunks(inner):
        first = chunk is not None and len(kept) == 0 and carried is prefix
        states, new = _pass(model, carried, suffix if first else (), trie, kept, chunk, start + len(suffix), deadline)
        if first:
            _fill_children(model, states[:1], trie, np.asarray([-1]), token_log_probs)
            states = states[1:]
        _fill_children(model, states, trie, chunk, token_log_probs)
        carried, kept = _carry(model, prefix, carried, new, trie, kept, chunk, inner, len(suffix), first)
    total = _path_sums(token_log_probs, trie)
    return Scored(total[trie.leaf], len(suffix) + len(inner))


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


def _chunks(inner: np.ndarray) -> list[np.ndarray]:
    """Inner nodes in preorder, cut into runs of CHUNK_NODES; one empty run when there is none."""
    return [inner[start : start + CHUNK_NODES] for start in range(0, max(len(inner), 1), CHUNK_NODES)]


def _pass(
    model: LanguageModel,
    carried: Prefix | None,
    suffix: Sequence[int],
    trie: Trie,
    kept: np.ndarray,
    chunk: np.ndarray,
    base: int,
    deadline: Deadline | None,
) -> tuple[Tensor, Prefix]:
    """States of the last suffix token (if any) and of the chunk's nodes; keys and values of all that was fed."""
    n_suffix = len(suffix)
    ids = model.tensor([*suffix, *trie.token[chunk].tolist()])
    positions = model.tensor([*range(base - n_suffix, base), *(base + trie.depth[chunk]).tolist()])
    n_carried = carried.length if carried else 0
    mask = torch.zeros(len(ids), n_carried + len(ids), dtype=torch.bool, device=model.device)
    mask[:, : n_carried - len(kept)] = True  # prompt
    mask[:n_suffix, n_carried : n_carried + n_suffix] = torch.ones(n_suffix, n_suffix, dtype=torch.bool, device=model.device).tril()
    mask[n_suffix:, n_carried : n_carried + n_suffix] = True
    mask[n_suffix:, n_carried - len(kept) : n_carried] = _ancestry(model, trie, chunk, kept)
    mask[n_suffix:, n_carried + n_suffix :] = _ancestry(model, trie, chunk, chunk)
    states, new = model.run(ids[None], positions=positions[None], allowed_mask=mask[None, None], prefix=carried, deadline=deadline)
    return states[0, max(n_suffix - 1, 0) :], new


def _ancestry(model: LanguageModel, trie: Trie, nodes: np.ndarray, above: np.ndarray) -> Tensor:
    """[node, above] bool: ``above`` is the node or an ancestor of it."""
    node, first, end = (model.tensor(values) for values in (nodes, above, trie.end[above]))
    return (node[:, None] >= first[None]) & (node[:, None] < end[None])


def _fill_children(model: LanguageModel, states: Tensor, trie: Trie, nodes: np.ndarray, out: np.ndarray) -> None:
    """Writes log P(child's token | node) into ``out`` for every child of ``nodes`` (-1 is the root)."""
    children = np.flatnonzero(np.isin(trie.parent, nodes))
    which = np.searchsorted(nodes, trie.parent[children])
    log_probs = model.log_probs(states[model.tensor(which)], model.tensor(trie.token[children]))
    out[children] = log_probs.double().cpu().numpy()


def _carry(
    model: LanguageModel,
    prefix: Prefix | None,
    carried: Prefix | None,
    new: Prefix,
    trie: Trie,
    kept: np.ndarray,
    chunk: np.ndarray,
    inner: np.ndarray,
    n_suffix: int,
    first: bool,
) -> tuple[Prefix | None, np.ndarray]:
    """Keys and values that the next chunk attends to: the prompt and the ancestors of the chunk's first node.

    In preorder, an ancestor of any later node that lies before the chunk is an ancestor of its first node.
    """
    following = np.searchsorted(inner, chunk[-1]) + 1 if len(chunk) else len(inner)
    if following >= len(inner):
        return carried, kept
    ancestors = np.asarray(trie.path(int(inner[following]))[:-1], dtype=np.int64)
    everything = carried.join(new) if carried else new
    n_prompt = (prefix.length if prefix else 0) + n_suffix
    fed = np.concatenate([kept, chunk])  # nodes whose keys stand after the prompt in ``everything``
    positions = [*range(n_prompt), *(n_prompt + np.searchsorted(fed, ancestors)).tolist()]
    return everything.take(model.tensor(positions)), ancestors


def _path_sums(values: np.ndarray, trie: Trie) -> np.ndarray:
    """[node] sum of ``values`` from the child of the root down; parents come before children."""
    total = values.copy()
    for node, parent in enumerate(trie.parent.tolist()):
        if parent >= 0:
            total[node] += total[parent]
    return total
