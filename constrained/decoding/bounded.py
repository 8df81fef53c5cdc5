"""Mode ``bounded``: the argmax of ``exact``, certified, from as few nodes as the bounds allow; or a certified gap.

A log-likelihood only falls along a path, so that a row's score is at most what is known of it, its prior taken off to
the end (best-first search: Hart, Nilsson and Raphael, A Formal Basis for the Heuristic Determination of Minimum Cost
Paths, 1968). When the best row that was read to its end beats every other row's bound, it is the best of all.
"""

from __future__ import annotations

from collections.abc import Sequence

from constrained.choice import Deadline
from constrained.decoding.model import LanguageModel, Prefix
from constrained.decoding.passes import TreePasses
from constrained.decoding.scored import Scored
from constrained.decoding.search import Objective, best_first
from constrained.decoding.trie import Trie


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
    return best_first(TreePasses(model, prefix, suffix, trie, deadline), trie, objective, budget)
