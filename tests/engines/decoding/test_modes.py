"""Every mode against its definition: what it scores, which row it finds, and what it claims to be certain of."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.engines.decoding import exact
from constrained.engines.decoding import search as refine_mode
from constrained.engines.decoding import search as search_mode
from constrained.engines.decoding.exact import RowQuery, TreePasses, score_forest, score_trie
from constrained.engines.decoding.search import Objective, TrieRows, bounded, refine, score_prefixes
from constrained.engines.decoding.trie import TokenIndex
from constrained.errors import EngineError
from tests.engines.decoding import tiny

TOLERANCE_NATS = 1e-4
few = st.integers(2, 5)
rows_lists = st.lists(st.lists(few, min_size=1, max_size=9).map(tuple), min_size=1, max_size=12, unique=True)
prompts = st.lists(st.integers(2, tiny.N_VOCABULARY - 1), min_size=1, max_size=6)
weights = st.sampled_from([0.0, 1.0])
NEUTRAL = [9, 9, 9]


@contextmanager
def small_steps(n_nodes, step):
    """Searches that feed few nodes at a time, so that small tries need several passes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "CHUNK_NODES", max(n_nodes, 2))
        patch.setattr(search_mode, "BATCH_NODES", n_nodes)
        patch.setattr(search_mode, "STEP", step)
        for name, value in {"LIKELY_NODES": n_nodes, "OPEN_NODES": n_nodes, "OPEN_STEP": step}.items():
            patch.setattr(refine_mode, name, value)
        yield


def objective_of(llama, trie, weight, is_mean=False):
    found = TreePasses(llama, None, NEUTRAL, trie)
    found.feed(np.flatnonzero(trie.has_child))
    return Objective(found.log_probs, weight, is_mean)


def by_definition(llama, prompt, rows, weight, is_mean=False):
    scores = [tiny.by_definition(llama, prompt, row) - weight * tiny.by_definition(llama, NEUTRAL, row) for row in rows]
    return np.asarray(scores) / (np.asarray([len(row) for row in rows]) if is_mean else 1)


@settings(max_examples=30)
@given(rows_lists, prompts, st.randoms())
def test_nodes_may_be_fed_in_any_order_that_goes_down(llama, rows, prompt, chance):
    trie = TokenIndex.build(rows).trie()
    found = TreePasses(llama, None, prompt, trie)
    left = set(np.flatnonzero(trie.has_child).tolist())
    while left or found.n_passes == 0:
        ready = [node for node in sorted(left) if trie.parent[node] not in left]
        chosen = sorted(chance.sample(ready, chance.randint(0, len(ready))))
        found.feed(np.asarray(chosen, dtype=np.int64), will_return=True)
        left -= set(chosen)
    expected = score_trie(llama, None, prompt, trie).log_probs
    assert trie.path_sums(found.log_probs)[trie.leaf] == pytest.approx(expected, abs=TOLERANCE_NATS)
    assert found.n_tokens == len(prompt) + trie.n_inner


@settings(max_examples=30)
@given(rows_lists, prompts, weights, st.booleans(), st.sampled_from([(1, 1), (3, 2), (256, 8)]))
def test_bounded_has_the_argmax_of_exact_and_its_bounds_hold(llama, rows, prompt, weight, is_mean, steps):
    trie = TokenIndex.build(rows).trie()
    expected = by_definition(llama, prompt, rows, weight, is_mean)
    with small_steps(*steps):
        found = bounded(TreePasses(llama, None, prompt, trie), trie, objective_of(llama, trie, weight, is_mean))
    best = int(np.where(found.is_exact, found.log_probs, -np.inf).argmax())
    assert expected[best] == pytest.approx(expected.max(), abs=TOLERANCE_NATS)
    assert found.log_probs[found.is_exact] == pytest.approx(expected[found.is_exact], abs=TOLERANCE_NATS)
    assert (found.log_probs >= expected - TOLERANCE_NATS).all()
    assert found.gap >= 0
    share = np.exp(expected - np.logaddexp.reduce(expected))[best]
    assert found.mass[0] - 1e-3 <= share <= found.mass[1] + 1e-3
    assert found.n_expanded <= found.n_nodes == trie.n_inner


@settings(max_examples=30)
@given(rows_lists, prompts, weights, st.integers(0, 6))
def test_bounded_without_time_tells_how_far_it_may_be_off(llama, rows, prompt, weight, budget):
    trie = TokenIndex.build(rows).trie()
    expected = by_definition(llama, prompt, rows, weight)
    with small_steps(2, 1):
        found = bounded(TreePasses(llama, None, prompt, trie), trie, objective_of(llama, trie, weight), budget=budget)
    best = int(np.where(found.is_exact, found.log_probs, -np.inf).argmax())
    assert found.is_exact.any()
    others = np.delete(expected, best)
    if len(others):
        assert expected[best] - others.max() >= found.gap - TOLERANCE_NATS
    assert found.n_expanded <= budget + max(map(len, rows))


@settings(max_examples=30)
@given(rows_lists, prompts, weights, st.booleans(), st.sampled_from([(1, 1), (3, 2), (256, 8)]))
def test_refine_reads_its_winner_to_the_end(llama, rows, prompt, weight, is_mean, steps):
    trie = TokenIndex.build(rows).trie()
    expected = by_definition(llama, prompt, rows, weight, is_mean)
    with small_steps(*steps):
        found = refine(TreePasses(llama, None, prompt, trie), trie, objective_of(llama, trie, weight, is_mean))
    assert found.is_exact.any()
    assert found.log_probs[found.is_exact] == pytest.approx(expected[found.is_exact], abs=TOLERANCE_NATS)


@settings(max_examples=25)
@given(rows_lists, prompts, weights)
def test_refine_with_endless_doubt_is_exact(llama, rows, prompt, weight):
    trie = TokenIndex.build(rows).trie()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refine_mode, "CONFIDENCE", 1e6)
        patch.setattr(refine_mode, "OPEN_CONFIDENCE", 1e6)
        found = refine(TreePasses(llama, None, prompt, trie), trie, objective_of(llama, trie, weight))
    assert found.is_exact.all()
    assert found.log_probs == pytest.approx(by_definition(llama, prompt, rows, weight), abs=TOLERANCE_NATS)


def test_refine_reads_few_rows_where_the_prior_tells_which(llama):
    """A prior that is the truth: one row is read to its end, the others are not touched."""
    rows = [(first, *[second] * 12) for first in (2, 3, 4, 5) for second in (6, 7, 8)]
    trie = TokenIndex.build(rows).trie()
    truth = TreePasses(llama, None, [5, 6], trie)
    truth.feed(np.flatnonzero(trie.has_child))
    with small_steps(12, 100), pytest.MonkeyPatch.context() as patch:
        patch.setattr(refine_mode, "CONFIDENCE", 0.1)
        found = refine(TreePasses(llama, None, [5, 6], trie), trie, Objective(truth.log_probs, 0.0))
    assert found.is_exact.sum() <= 2
    assert found.is_exact[score_trie(llama, None, [5, 6], trie).log_probs.argmax()]


@pytest.mark.parametrize("mode", [refine, bounded, score_prefixes])
def test_a_model_that_gives_no_numbers_is_told_of_and_waited_for_by_no_search(llama, mode, monkeypatch):
    trie = TokenIndex.build([(2, 3, 4), (2, 3, 5), (6, 7)]).trie()
    monkeypatch.setattr(type(llama), "log_probs_of", lambda _, __, rows, ___: torch.full((len(rows),), torch.nan))
    with pytest.raises(EngineError, match="not finite"):
        mode(TreePasses(llama, None, [5, 6], trie), trie, Objective.plain(trie))


@settings(max_examples=30)
@given(rows_lists, prompts, weights)
def test_prefix_scores_what_tells_a_row_from_all_others(llama, rows, prompt, weight):
    index = TokenIndex.build(rows)
    needed = [row[:n] for row, n in zip(rows, index.distinguishing().tolist(), strict=True)]
    trie = index.trie()
    found = score_prefixes(TreePasses(llama, None, prompt, trie), trie, objective_of(llama, trie, weight))
    assert found.log_probs == pytest.approx(by_definition(llama, prompt, needed, weight), abs=TOLERANCE_NATS)
    assert found.is_exact.tolist() == [len(row) == len(part) for row, part in zip(rows, needed, strict=True)]
    assert found.n_expanded == len({part[:n] for part in needed for n in range(1, len(part))})


@settings(max_examples=25)
@given(st.lists(st.tuples(prompts, rows_lists), min_size=1, max_size=4))
def test_questions_of_many_conversations_are_scored_as_alone(llama, questions):
    asked = [RowQuery(tuple(prompt), tuple(rows)) for prompt, rows in questions]
    found = score_forest(llama, None, asked)
    for one, log_probs in zip(asked, found.log_probs, strict=True):
        alone = score_trie(llama, None, one.suffix, TokenIndex.build(one.rows).trie()).log_probs
        assert log_probs == pytest.approx(alone, abs=TOLERANCE_NATS)


def test_questions_that_begin_alike_share_their_beginning(llama):
    asked = [RowQuery((5, 6, 7, last), ((2, 3), (2, 4))) for last in (8, 9)]
    assert score_forest(llama, None, asked).n_tokens == 3 + 2 + 2


def test_what_is_known_of_a_row_follows_from_the_nodes_read():
    trie = TokenIndex.build([(2, 3, 4), (2, 3, 5), (6,)]).trie()
    prior = np.full(len(trie), -1.0)
    log_probs = np.where(trie.depth < 2, -0.5, np.nan)
    known = TrieRows(trie, Objective(prior, 1.0)).knowledge(log_probs)
    assert known.n_open.tolist() == [1, 1, 0]
    assert known.scores.tolist() == [2.0, 2.0, 0.5]
    assert known.expected.tolist() == [-1.0, -1.0, 0.0]
