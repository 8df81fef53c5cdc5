"""Mode ``bounded``: the argmax of ``exact``, certified, from as few nodes as the bounds allow; or a certified gap.

A log-likelihood only falls along a path, so that a row's score is at most what is known of it, its prior taken off to
the end (best-first search: Hart, Nilsson and Raphael, A Formal Basis for the Heuristic Determination of Minimum Cost
Paths, 1968). When the best row that was read to its end beats every other row's bound, it is the best of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from constrained.choice import Deadline
from constrained.decoding.model import LanguageModel, Prefix
from constrained.decoding.passes import TreePasses
from constrained.decoding.scored import Scored
from constrained.decoding.search import Floats, Known, Objective, Rows
from constrained.decoding.trie import Trie

BATCH_NODES, STEP = 128, 8  # fed in one pass, and how far along each row


def bounded(
    model: LanguageModel,
    prefix: Prefix | None,
    suffix: Sequence[int],
    trie: Trie,
    objective: Objective,
    deadline: Deadline | None = None,
    budget: int | None = None,
) -> Scored:
    """Scores of all rows: exact for those read to their end, upper bounds for the others.

    Args:
        budget: nodes that may be fed before the search ends without a certificate; the most promising row is then
            read to its end, so that there is always a row to choose.
    """
    rows, passes = Rows(trie, objective), TreePasses(model, prefix, suffix, trie, deadline)
    known, n_expanded = rows.known(passes.log_probs), 0
    while not passes.n_passes or _gap(known) < 0.0:
        left = BATCH_NODES if budget is None else min(BATCH_NODES, budget - n_expanded)
        is_over = left <= 0 and passes.n_passes > 0
        if is_over and known.is_complete.any():
            break
        order = np.flatnonzero(~known.is_complete)
        order = order[np.argsort(-known.scores[order], kind="stable")]
        step = max(map(int, rows.n_tokens)) if is_over else STEP
        nodes = rows.next_nodes(order[:1] if is_over else order, known, step, max(left, 1))
        passes.feed(nodes, will_return=True)
        n_expanded += len(nodes)
        known = rows.known(passes.log_probs)
    cost = (passes.n_tokens, passes.n_passes, trie.n_inner, n_expanded)
    return Scored(known.scores, *cost, known.is_complete, _gap(known), _mass(known.scores, known.is_complete))


def _gap(known: Known) -> float:
    """Nats from the best complete row down to the best other row's score or bound; minus infinity when none is complete."""
    if not known.is_complete.any():
        return -np.inf
    best = int(np.where(known.is_complete, known.scores, -np.inf).argmax())
    others = np.delete(known.scores, best)
    return float(known.scores[best] - others.max()) if len(others) else np.inf


def _mass(scores: Floats, complete: np.ndarray) -> tuple[float, float]:
    """Bounds of the best complete row's share: every other unread row could have all that its bound allows, or nothing."""
    best = scores[complete].max()
    certain = float(np.exp(scores[complete] - best).sum())
    possible = float(np.exp(scores - best).sum())
    return 1.0 / possible, 1.0 / certain
