"""Mode ``prefix``: how likely a reply begins as each row begins, read no further than where the row is told from all others.

Its score is log P(the text begins with the identifying prefix), not log P(the text): cheaper by the tails, and
another question. With a prior, the same prefix's prior is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from constrained.choice import Deadline
from constrained.decoding.model import LanguageModel, Prefix
from constrained.decoding.passes import TreePasses
from constrained.decoding.scored import Scored
from constrained.decoding.search import Objective
from constrained.decoding.trie import Trie


def score_prefixes(
    model: LanguageModel,
    prefix: Prefix | None,
    suffix: Sequence[int],
    trie: Trie,
    objective: Objective,
    deadline: Deadline | None = None,
) -> Scored:
    """The objective of each row's identifying prefix; exact only for the rows that are no longer than it."""
    ends = trie.telling_nodes()
    passes = TreePasses(model, prefix, suffix, trie, deadline)
    nodes = trie.ancestors(ends)
    passes.feed(nodes)
    values = np.stack([passes.log_probs, objective.prior], 1)
    sums, prior = trie.path_sums(values)[ends].T
    scores = sums - objective.weight * prior
    if objective.is_mean:
        scores = scores / (trie.depth[ends] + 1)
    return Scored(scores, passes.n_tokens, passes.n_passes, trie.n_inner, len(nodes), np.asarray(ends == trie.leaf))
