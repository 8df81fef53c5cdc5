"""The exact conditional over a list by its definition, and how far other distributions are from it. Knows no mode.

Every row is scored in a plain causal pass of transformers, in float32; nothing of the library's own passes is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.bed import Bed, Prompt

Floats = NDArray[np.float64]
BATCH_TOKENS = 2048  # that go through the model at a time


@dataclass(frozen=True, slots=True)
class Conditional:
    """What a prompt makes of a list of rows.

    Attributes:
        exact: [row] log P(row | prompt, one of the rows), in nats.
        masked: [row] the log-probability with which sampling under a mask of allowed tokens draws the row: at each
            step the model's distribution, renormalised over the tokens that may follow. Canonical tokens only.
        walked: the row that greedy decoding under that mask comes to.
    """

    exact: Floats
    masked: Floats
    walked: int

    @property
    def best(self) -> int:
        return int(self.exact.argmax())


def conditional(bed: Bed, prompt: Prompt, rows: Sequence[Sequence[int]]) -> Conditional:
    """By one plain pass a row, some rows in a batch."""
    tokens = _token_log_probs(bed, prompt, rows)
    sums = np.asarray([float(one.sum()) for one in tokens])
    return Conditional(log_softmax(sums), *_masked(rows, tokens))


def divergence(exact: Floats, other: Floats) -> float:
    """KL(exact || other) in nats, of two arrays of log-probabilities; the second is normalised first."""
    return float((np.exp(exact) * (exact - log_softmax(other))).sum())


def log_softmax(scores: Floats) -> Floats:
    top = scores.max()
    return np.asarray(scores - top - np.log(np.exp(scores - top).sum()), dtype=np.float64)


def _token_log_probs(bed: Bed, prompt: Prompt, rows: Sequence[Sequence[int]]) -> list[Floats]:
    """[row] of [token] log P(token | prompt, the row so far)."""
    cache = bed.cache()
    first = bed.logits(prompt.suffix, cache)[-1].float().log_softmax(-1)
    held = [(layer.keys, layer.values) for layer in cache.layers]
    found: dict[int, Floats] = {}
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))  # batches of like lengths: little padding
    while order:
        n_batch = max(1, BATCH_TOKENS // max(len(rows[order[0]]), 1))
        batch, order = order[:n_batch], order[n_batch:]
        for row, values in zip(batch, _batch(bed, held, first, [rows[row] for row in batch]), strict=True):
            found[row] = values
    return [found[row] for row in range(len(rows))]


def _batch(bed: Bed, held: Sequence[tuple[torch.Tensor, torch.Tensor]], first: torch.Tensor, rows: Sequence[Sequence[int]]) -> list[Floats]:
    """Padding stands on the right, where a causal mask keeps it from being seen."""
    from transformers.cache_utils import DynamicCache

    longest = max(len(row) for row in rows)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=bed.network.device)
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(held):
        cache.update(keys.expand(len(rows), -1, -1, -1), values.expand(len(rows), -1, -1, -1), layer)
    start = first[ids[:, :1]]  # [row, 1]
    if longest == 1:
        gathered = start
    else:
        with torch.inference_mode():
            logits = bed.network(ids[:, :-1], past_key_values=cache).logits.float()
        rest = logits.gather(2, ids[:, 1:, None])[..., 0] - logits.logsumexp(-1)
        gathered = torch.cat([start, rest], dim=1)
    found: Floats = gathered.double().cpu().numpy()
    return [found[index, : len(row)] for index, row in enumerate(rows)]


def _masked(rows: Sequence[Sequence[int]], tokens: Sequence[Floats]) -> tuple[Floats, int]:
    """Renormalises every step over the tokens that may follow in some row; and walks greedily."""
    following: dict[tuple[int, ...], dict[int, float]] = {}
    for row, values in zip(rows, tokens, strict=True):
        for depth, (token, value) in enumerate(zip(row, values, strict=True)):
            following.setdefault(tuple(row[:depth]), {})[token] = float(value)
    total = {node: float(np.logaddexp.reduce(list(after.values()))) for node, after in following.items()}
    masked = [
        sum(float(value) - total[tuple(row[:depth])] for depth, value in enumerate(values))
        for row, values in zip(rows, tokens, strict=True)
    ]
    node: tuple[int, ...] = ()
    while node in following:
        after = following[node]
        node = (*node, max(after, key=after.__getitem__))
    return np.asarray(masked), [tuple(row) for row in rows].index(node)
