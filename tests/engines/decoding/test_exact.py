"""Tree scoring equals row scoring equals a log-softmax by hand, wherever its chunks end."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.engines.decoding import exact, language_model
from constrained.engines.decoding.exact import score_rows, score_tree, score_trie
from constrained.engines.decoding.trie import TokenIndex
from tests.engines.decoding import tiny

TOLERANCE_NATS = 1e-4
ids = st.integers(2, tiny.N_VOCABULARY - 1)
few = st.integers(2, 4)
rows_lists = st.lists(st.lists(few, min_size=1, max_size=8).map(tuple), min_size=1, max_size=10, unique=True)
prompts = st.lists(ids, min_size=1, max_size=8)
CHUNKS = (1, 2, 3, 7, 256)
DEEP = [(2,) * 25, (2,) * 12 + (3,) * 13, (2,) * 12 + (3,) * 5, (4,), (4, 2, 2, 2)]


@contextmanager
def chunks_of(n_nodes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "CHUNK_NODES", n_nodes)
        yield


def n_inner(rows):
    prefixes = {row[:n] for row in rows for n in range(1, len(row) + 1)}
    return len({path[:-1] for path in prefixes} - {()})


def check(llama, rows, prompt, n_prefix, n_nodes):
    prefix = llama.prefill(prompt[:n_prefix]) if n_prefix else None
    by_hand = np.asarray([tiny.by_definition(llama, prompt, row) for row in rows])
    by_row = score_rows(llama, prefix, prompt[n_prefix:], rows)
    with chunks_of(n_nodes):
        by_tree = score_tree(llama, prefix, prompt[n_prefix:], rows)
    for found in (by_row, by_tree):
        assert found.log_probs == pytest.approx(by_hand, abs=TOLERANCE_NATS)
        assert found.log_probs.dtype == np.float64
    assert by_row.n_tokens == sum(len(prompt) - n_prefix + len(row) - 1 for row in rows)
    assert by_tree.n_tokens == len(prompt) - n_prefix + n_inner(rows)


@settings(max_examples=30)
@given(rows_lists, prompts, st.sampled_from(CHUNKS), st.data())
def test_tree_scores_equal_row_scores_and_the_sum_by_hand(llama, rows, prompt, n_nodes, data):
    check(llama, rows, prompt, data.draw(st.integers(0, len(prompt) - 1)), n_nodes)


@pytest.mark.parametrize("n_nodes", CHUNKS)
@pytest.mark.parametrize("n_prefix", [0, 2])
def test_chunks_may_end_inside_a_deep_path(llama, n_nodes, n_prefix):
    check(llama, DEEP, [9, 8, 7], n_prefix, n_nodes)


@settings(max_examples=20)
@given(rows_lists, prompts, st.sampled_from(CHUNKS), st.data())
def test_a_subset_is_scored_like_the_rows_that_it_holds(llama, rows, prompt, n_nodes, data):
    chosen = data.draw(st.permutations(range(len(rows))))[: data.draw(st.integers(1, len(rows)))]
    with chunks_of(n_nodes):
        found = score_trie(llama, None, prompt, TokenIndex.build(rows).trie(chosen))
    alone = score_rows(llama, None, prompt, [rows[index] for index in chosen])
    assert found.log_probs == pytest.approx(alone.log_probs, abs=TOLERANCE_NATS)


@pytest.mark.parametrize("n_nodes", CHUNKS)
def test_likelihoods_of_all_continuations_sum_to_one(llama, n_nodes):
    """Over one token the whole vocabulary is scored; over two, what follows token 2 sums to its share."""
    rows = [(token,) for token in range(tiny.N_VOCABULARY) if token != 2] + [(2, token) for token in range(tiny.N_VOCABULARY)]
    with chunks_of(n_nodes):
        found = score_tree(llama, None, [5, 6], rows).log_probs
    assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-5)


def test_every_node_that_is_fed_costs_one_row_of_logits_and_few_rows_exist_at_a_time(llama, network, monkeypatch):
    monkeypatch.setattr(language_model, "LOGIT_ROWS", 4)
    sizes = []
    hook = network.get_output_embeddings().register_forward_hook(lambda _, inputs, logits: sizes.append(logits.shape))
    try:
        for n_nodes in (3, 256):
            sizes.clear()
            with chunks_of(n_nodes):
                score_tree(llama, None, [5, 6], DEEP)
            assert all(len(shape) == 2 and shape[0] <= 4 for shape in sizes)
            assert sum(shape[0] for shape in sizes) == TokenIndex.build(DEEP).trie().n_inner + 1  # and the end of the suffix
    finally:
        hook.remove()


def test_chunks_bound_what_one_pass_is_fed(llama, network):
    fed = []
    hook = network.get_input_embeddings().register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0].shape))
    try:
        with chunks_of(7):
            score_tree(llama, None, [5, 6], DEEP)
    finally:
        hook.remove()
    assert max(shape[-1] for shape in fed) <= 2 + 7
    assert sum(shape[-1] for shape in fed) == 2 + n_inner(DEEP), "a token went through the model twice"


def test_a_row_of_one_token_needs_no_pass_of_its_own(llama):
    found = score_tree(llama, None, [5, 6, 7], [(3,), (4,)])
    assert found.n_tokens == 3
    assert found.log_probs == pytest.approx([tiny.by_definition(llama, [5, 6, 7], [one]) for one in (3, 4)], abs=TOLERANCE_NATS)


def test_rows_that_could_not_be_told_apart_are_refused(llama):
    with pytest.raises(ValueError, match="same tokens"):
        score_tree(llama, None, [5], [(2, 3), (2, 3)])


def test_the_same_call_gives_the_same_bits(llama):
    first, second = (score_tree(llama, llama.prefill([5, 6]), [7, 8], DEEP).log_probs for _ in range(2))
    assert (first == second).all()
