"""How much of a trie is read: modes ``bounded``, ``refine`` and ``prefix``, over whatever tells log-probabilities of nodes.

A search sees a model only through ``Passes``, so that it is the same for a model in this process (``exact.TreePasses``) and for
one in a server (``vllm.RemotePasses``). ``TrieRows`` tells of a partly read trie what is known of every row, and which nodes to feed
next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from constrained.engines.decoding.trie import Trie

BATCH_NODES, STEP = 128, 8  # fed in one pass of a search, and how far along each row

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Passes(Protocol):
    """Log-probabilities of a trie's nodes after one prompt, read as they are asked for.

    Attributes:
        n_tokens, n_passes: tokens that went through the model so far, the suffix included; forward passes or requests.
    """

    n_tokens: int
    n_passes: int

    @property
    def log_probs(self) -> Floats:
        """[node] log P(its token | its parent) in nats; NaN until its parent was fed."""
        ...

    def feed(self, nodes: Ints, *, will_return: bool = False) -> None:
        """Feeds inner nodes, ascending, whose parents were fed before or are among them; the root with the first ones."""
        ...


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of rows.

    Attributes:
        log_probs: [row] score in nats, float64, end token included where the rows hold one.
        n_tokens: tokens that went through the model, the suffix included. n_passes: forward passes.
        n_nodes: inner nodes of the trie, all of which ``exact`` feeds. n_expanded: those that were fed.
        is_exact: [row] whether the score is one, or an estimate or a bound; all True by default.
        gap: nats by which the best row is certain to beat every other one; negative when one could still be better by
            as much; None where the mode certifies nothing.
        mass: certain bounds of the best row's probability among the rows; None as above.
        flips: of a mode that asks in several orders, how many of them have another best row.
    """

    log_probs: Floats
    n_tokens: int
    n_passes: int = 1
    n_nodes: int = 0
    n_expanded: int = 0
    is_exact: NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, dtype=np.bool_))
    gap: float | None = None
    mass: tuple[float, float] | None = None
    flips: int | None = None

    def __post_init__(self) -> None:
        if len(self.is_exact) != len(self.log_probs):
            object.__setattr__(self, "is_exact", np.ones(len(self.log_probs), dtype=np.bool_))

    @classmethod
    def complete(cls, log_probs: Floats, passes: Passes, trie: Trie) -> Scored:
        """Of a mode that fed all inner nodes."""
        return cls(log_probs, passes.n_tokens, passes.n_passes, trie.n_inner, trie.n_inner)


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """What a search maximises: (sum of log P(token | path, prompt) - weight x sum of ``prior``) / tokens ** is_mean.

    Attributes:
        prior: [node] log P(token | path) in nats under the neutral prompt; zeros where there is none.
        weight: 1.0 takes the prior off (PMI), 0.0 leaves the plain likelihood; the prior then only predicts.
        is_mean: per token instead of summed.
    """

    prior: Floats
    weight: float = 0.0
    is_mean: bool = False

    @classmethod
    def plain(cls, trie: Trie) -> Objective:
        """The sum of the likelihoods, with nothing known about them beforehand."""
        return cls(np.zeros(len(trie)))


@dataclass(frozen=True, slots=True, eq=False)
class RowKnowledge:
    """What is known of each row so far.

    Attributes:
        n_known: [row] tokens whose likelihood is known. n_open: [row] the others, the row's tail.
        scores: [row] the objective of the known part; of the tail only the prior is taken off.
        expected: [row] the tail under the prior: what the score gains if the prompt changes nothing there.
        scale: [row] what a sum of nats is multiplied with: 1, or 1 / tokens for a mean.
    """

    n_known: Ints
    n_open: Ints
    scores: Floats
    expected: Floats
    scale: Floats

    @property
    def is_complete(self) -> NDArray[np.bool_]:
        return np.asarray(self.n_open == 0)


class TrieRows:
    """The rows of a trie as paths, with what does not change during a search."""

    def __init__(self, trie: Trie, objective: Objective) -> None:
        self.trie, self.objective = trie, objective
        self.n_tokens = (trie.depth[trie.leaf] + 1).astype(np.int64)
        self._scale = 1.0 / self.n_tokens if objective.is_mean else np.ones(len(trie.leaf))
        self._prior = trie.path_sums(objective.prior)[trie.leaf]

    def knowledge(self, log_probs: Floats) -> RowKnowledge:
        """Args: log_probs: [node] nats, NaN where unknown; a node is only known where its ancestors are."""
        is_known = ~np.isnan(log_probs)
        values = np.stack(
            [is_known.astype(np.float64), np.where(is_known, log_probs, 0.0), np.where(is_known, self.objective.prior, 0.0)], 1
        )
        n_known, sums, prior = self.trie.path_sums(values)[self.trie.leaf].T
        scores = (sums - self.objective.weight * self._prior) * self._scale
        counts = n_known.astype(np.int64)
        return RowKnowledge(counts, self.n_tokens - counts, scores, (self._prior - prior) * self._scale, self._scale)

    def next_nodes(self, rows: Iterable[int], knowledge: RowKnowledge, step: int, at_most: int) -> Ints:
        """The nodes to feed so that ``step`` more tokens of each row become known, in the order of the rows.

        The first row's nodes always fit; a row that does not, and all rows after it, are left for later.
        """
        found: set[int] = set()
        for row in rows:
            first = max(int(knowledge.n_known[row]) - 1, 0)
            wanted = self.path(row)[first : min(first + step, int(self.n_tokens[row]) - 1)]
            if found and len(found.union(wanted)) > at_most:
                break
            found.update(wanted)
        return np.asarray(sorted(found), dtype=np.int64)

    def path(self, row: int) -> list[int]:
        return self.trie.path(int(self.trie.leaf[row]))


# -- mode ``bounded``: the argmax of ``exact``, certified, from as few nodes as the bounds allow; or a certified gap ----


def bounded(passes: Passes, trie: Trie, objective: Objective, budget: int | None = None) -> Scored:
    """Best-first. Scores of all rows: exact for those read to their end, upper bounds for the others.

    Args:
        budget: nodes that may be fed before the search ends without a certificate; the most promising row is then
            read to its end, so that there is always a row to choose.
    """
    rows = TrieRows(trie, objective)
    knowledge, n_expanded = rows.knowledge(passes.log_probs), 0
    while not passes.n_passes or gap(knowledge) < 0.0:
        left = BATCH_NODES if budget is None else min(BATCH_NODES, budget - n_expanded)
        is_over = left <= 0 and passes.n_passes > 0
        if is_over and knowledge.is_complete.any():
            break
        order = np.flatnonzero(~knowledge.is_complete)
        order = order[np.argsort(-knowledge.scores[order], kind="stable")]
        step = max(map(int, rows.n_tokens)) if is_over else STEP
        nodes = rows.next_nodes(order[:1] if is_over else order, knowledge, step, max(left, 1))
        passes.feed(nodes, will_return=True)
        n_expanded += len(nodes)
        knowledge = rows.knowledge(passes.log_probs)
    cost = (passes.n_tokens, passes.n_passes, trie.n_inner, n_expanded)
    return Scored(knowledge.scores, *cost, knowledge.is_complete, gap(knowledge), _mass(knowledge.scores, knowledge.is_complete))


def gap(knowledge: RowKnowledge) -> float:
    """Nats from the best complete row down to the best other row's score or bound; minus infinity when none is complete."""
    if not knowledge.is_complete.any():
        return -np.inf
    best = int(np.where(knowledge.is_complete, knowledge.scores, -np.inf).argmax())
    others = np.delete(knowledge.scores, best)
    return float(knowledge.scores[best] - others.max()) if len(others) else np.inf


def _mass(scores: Floats, complete: NDArray[np.bool_]) -> tuple[float, float]:
    """Bounds of the best complete row's share: every other unread row could have all that its bound allows, or nothing."""
    best = scores[complete].max()
    certain = float(np.exp(scores[complete] - best).sum())
    possible = float(np.exp(scores - best).sum())
    return 1.0 / possible, 1.0 / certain


# -- mode ``refine``: the best row by reading few of them to the end, as surely as the prior's errors allow ------------

# Standard deviations. The errors' tails are heavier than a normal distribution's: a line that repeats the message's words
# gains far more than most. On 40 questions to 100 lines 4 of them missed nothing; 7 leave room for larger catalogs.
CONFIDENCE = 7.0
OPEN_CONFIDENCE = 5.0
PRIOR_SIGMA, PRIOR_COUNT = 0.6, 20  # nats a token, and how many tokens' worth of evidence that is
# Where the plain likelihood is asked for, the prior says which few rows can win: these are read whole. With the prior
# taken off every row can, so all are read a little further, and those that fall behind are dropped (benchmarks/LOG.md).
LIKELY_NODES, LIKELY_STEP = 256, 1_000_000
OPEN_NODES, OPEN_STEP = 256, 8


def refine(passes: Passes, trie: Trie, objective: Objective) -> Scored:
    """Scores of all rows: exact for the rows read to their end (the best one among them), expected ones for the others."""
    rows = TrieRows(trie, objective)
    at_most, step = (OPEN_NODES, OPEN_STEP) if objective.weight else (LIKELY_NODES, LIKELY_STEP)
    knowledge = rows.knowledge(passes.log_probs)
    n_expanded = 0
    while True:
        scores, bounds = _bounds(passes.log_probs, rows, knowledge)
        open_rows = _open_rows(knowledge, scores, bounds)
        if not len(open_rows) and passes.n_passes:
            return Scored(scores, passes.n_tokens, passes.n_passes, trie.n_inner, n_expanded, knowledge.is_complete)
        says_nothing = not passes.n_passes and np.ptp(bounds) == 0.0  # then the suffix alone goes first
        nodes = rows.next_nodes([] if says_nothing else open_rows, knowledge, step, at_most)
        passes.feed(nodes, will_return=True)
        n_expanded += len(nodes)
        knowledge = rows.knowledge(passes.log_probs)


def _bounds(log_probs: Floats, rows: TrieRows, knowledge: RowKnowledge) -> tuple[Floats, Floats]:
    """[row] expected scores, and their upper confidence bounds."""
    is_inside = ~np.isnan(log_probs) & (rows.trie.depth > 0)  # a first token's error is another one than a tail's
    errors = (log_probs - rows.objective.prior)[is_inside]
    variance = (float((errors**2).sum()) + PRIOR_SIGMA**2 * PRIOR_COUNT) / (len(errors) + PRIOR_COUNT)
    expected = knowledge.scores + knowledge.expected
    confidence = OPEN_CONFIDENCE if rows.objective.weight else CONFIDENCE
    return expected, expected + confidence * np.sqrt(variance * knowledge.n_open) * knowledge.scale


def _open_rows(knowledge: RowKnowledge, scores: Floats, bounds: Floats) -> np.ndarray:
    """Rows that are not read to their end and might still be the best, the most promising first."""
    complete = knowledge.is_complete
    best = scores[complete].max() if complete.any() else -np.inf
    candidates = np.flatnonzero(~complete & (bounds >= best))
    return candidates[np.argsort(-bounds[candidates], kind="stable")]


# -- mode ``prefix``: how likely a text begins as each row begins, read no further than where it is told from all others ----


def score_prefixes(passes: Passes, trie: Trie, objective: Objective) -> Scored:
    """The objective of each row's identifying prefix; exact only for the rows that are no longer than it."""
    ends = trie.identifying_nodes()
    nodes = trie.ancestors(ends)
    passes.feed(nodes)
    values = np.stack([passes.log_probs, objective.prior], 1)
    sums, prior = trie.path_sums(values)[ends].T
    scores = sums - objective.weight * prior
    if objective.is_mean:
        scores = scores / (trie.depth[ends] + 1)
    return Scored(scores, passes.n_tokens, passes.n_passes, trie.n_inner, len(nodes), np.asarray(ends == trie.leaf))
