"""Mode ``refine``: the best row by reading few of them to the end, as surely as the prior's errors allow.

What a row gains or loses against its prior is known for the part that was read, and is about as much per unread
token as it was per read one: an unread tail of n tokens is off by sigma * sqrt(n), sigma measured on the tokens read
in this very decision. Rows are read in the order of their upper confidence bounds until no unread row's bound
reaches the best one that was read to its end (Auer, Using Confidence Bounds for Exploitation-Exploration Trade-offs,
JMLR 2002, section 2, for the principle). Nothing is certified: how often it agrees with ``exact`` is measured.
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

# Standard deviations. The errors' tails are heavier than a normal distribution's: a line that repeats the message's words
# gains far more than most. On 40 questions to 100 lines 4 of them missed nothing; 7 leave room for larger catalogs.
CONFIDENCE = 7.0
OPEN_CONFIDENCE = 5.0
PRIOR_SIGMA, PRIOR_COUNT = 0.6, 20  # nats a token, and how many tokens' worth of evidence that is
# Where the plain likelihood is asked for, the prior says which few rows can win: these are read whole. With the prior
# taken off every row can, so all are read a little further, and those that fall behind are dropped (benchmarks/LOG.md).
LIKELY_NODES, LIKELY_STEP = 256, 1_000_000
OPEN_NODES, OPEN_STEP = 256, 8


def refine(
    model: LanguageModel,
    prefix: Prefix | None,
    suffix: Sequence[int],
    trie: Trie,
    objective: Objective,
    deadline: Deadline | None = None,
) -> Scored:
    """Scores of all rows: exact for the rows read to their end (the best one among them), expected ones for the others."""
    rows, passes = Rows(trie, objective), TreePasses(model, prefix, suffix, trie, deadline)
    at_most, step = (OPEN_NODES, OPEN_STEP) if objective.weight else (LIKELY_NODES, LIKELY_STEP)
    known = rows.known(passes.log_probs)
    n_expanded = 0
    while True:
        scores, bounds = _bounds(passes.log_probs, rows, known)
        open_rows = _open(known, scores, bounds)
        if not len(open_rows) and passes.n_passes:
            return Scored(scores, passes.n_tokens, passes.n_passes, trie.n_inner, n_expanded, known.is_complete)
        says_nothing = not passes.n_passes and np.ptp(bounds) == 0.0  # then the suffix alone goes first
        nodes = rows.next_nodes([] if says_nothing else open_rows, known, step, at_most)
        passes.feed(nodes, will_return=True)
        n_expanded += len(nodes)
        known = rows.known(passes.log_probs)


def _bounds(log_probs: Floats, rows: Rows, known: Known) -> tuple[Floats, Floats]:
    """[row] expected scores, and their upper confidence bounds."""
    is_inside = ~np.isnan(log_probs) & (rows.trie.depth > 0)  # a first token's error is another one than a tail's
    errors = (log_probs - rows.objective.prior)[is_inside]
    variance = (float((errors**2).sum()) + PRIOR_SIGMA**2 * PRIOR_COUNT) / (len(errors) + PRIOR_COUNT)
    expected = known.scores + known.expected
    confidence = OPEN_CONFIDENCE if rows.objective.weight else CONFIDENCE
    return expected, expected + confidence * np.sqrt(variance * known.n_open) * known.scale


def _open(known: Known, scores: Floats, bounds: Floats) -> np.ndarray:
    """Rows that are not read to their end and might still be the best, the most promising first."""
    complete = known.is_complete
    best = scores[complete].max() if complete.any() else -np.inf
    candidates = np.flatnonzero(~complete & (bounds >= best))
    return candidates[np.argsort(-bounds[candidates], kind="stable")]
