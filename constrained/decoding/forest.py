"""Many questions in one tree: different suffixes and different rows over one cached prefix, scored in the same passes.

A question's suffix is the beginning of its rows' paths, so that questions which begin alike (the turn, the history)
share that beginning, and no question sees another one's tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from constrained.choice import Deadline
from constrained.decoding.exact import score_rows, score_trie
from constrained.decoding.model import LanguageModel, Prefix
from constrained.decoding.trie import TokenIndex

Ids = tuple[int, ...]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: what comes before (at least one token), and the rows of which one is to be chosen."""

    suffix: Ids
    rows: tuple[Ids, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """[row] log P(row | prefix and suffix) in nats of each question, in order; and what went through the model."""

    log_probs: tuple[Floats, ...]
    n_tokens: int
    n_passes: int
    n_nodes: int


def score_forest(
    model: LanguageModel, prefix: Prefix | None, asked: Sequence[Asked], deadline: Deadline | None = None, *, has_tree: bool = True
) -> Answered:
    """All questions at once. Cost: their distinct tokens. ``has_tree``: as in Reader; without, row by row."""
    shared = n_shared([one.suffix for one in asked])
    suffix = asked[0].suffix[:shared]
    if not suffix or not has_tree:
        return _one_by_one(model, prefix, asked, deadline, has_tree)
    beginnings = [one.suffix[shared:] for one in asked]
    paths = {beginning for beginning in beginnings if beginning}
    paths |= {(*beginning, *row) for beginning, one in zip(beginnings, asked, strict=True) for row in one.rows}
    ordered = sorted(paths)
    scored = score_trie(model, prefix, suffix, TokenIndex.build(ordered).trie(), deadline)
    found = dict(zip(ordered, scored.log_probs, strict=True))
    log_probs = tuple(
        np.asarray([found[(*beginning, *row)] for row in one.rows]) - (found[beginning] if beginning else 0.0)
        for beginning, one in zip(beginnings, asked, strict=True)
    )
    return Answered(log_probs, scored.n_tokens, scored.n_passes, scored.n_nodes)


def n_shared(sequences: Sequence[Ids]) -> int:
    """Leading tokens that all sequences share."""
    shortest = min(map(len, sequences))
    first = sequences[0]
    return next((index for index in range(shortest) if any(one[index] != first[index] for one in sequences)), shortest)


def _one_by_one(model: LanguageModel, prefix: Prefix | None, asked: Sequence[Asked], deadline: Deadline | None, has_tree: bool) -> Answered:
    """Suffixes that differ from their first token on, or a model without a tree."""
    parts = [
        score_trie(model, prefix, one.suffix, TokenIndex.build(one.rows).trie(), deadline)
        if has_tree
        else score_rows(model, prefix, one.suffix, one.rows, deadline)
        for one in asked
    ]
    return Answered(
        tuple(part.log_probs for part in parts),
        sum(part.n_tokens for part in parts),
        sum(part.n_passes for part in parts),
        sum(part.n_nodes for part in parts),
    )
