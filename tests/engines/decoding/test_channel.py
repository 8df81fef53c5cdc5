"""The channel with its cached contexts equals one plain pass over each context and message."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.engines.decoding import channel
from constrained.engines.decoding.channel import Contexts, score_message, score_message_rows, score_messages
from tests.engines.decoding import tiny

TOLERANCE_NATS = 1e-4
ids = st.integers(2, tiny.N_VOCABULARY - 1)
contexts_lists = st.lists(st.lists(ids, min_size=2, max_size=12).map(tuple), min_size=1, max_size=8)  # duplicates among them
messages = st.lists(ids, min_size=1, max_size=9)


def by_rows(llama, contexts, message):
    return score_message_rows(llama, [(context, tuple(message)) for context in contexts])[0]


@contextmanager
def batches_of(n_tokens):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel, "BATCH_TOKENS", n_tokens)
        yield


@settings(max_examples=40)
@given(contexts_lists, messages, st.sampled_from([1, 4, 10, 1024]))
def test_cached_contexts_score_like_plain_passes_and_the_sum_by_hand(llama, contexts, message, n_tokens):
    """Batches smaller than a context or a message included: then one goes through at a time."""
    with batches_of(n_tokens):
        found, n_fed = score_message(llama, Contexts(llama), contexts, message)
    assert found == pytest.approx([tiny.by_definition(llama, context, message) for context in contexts], abs=TOLERANCE_NATS)
    assert found == pytest.approx(by_rows(llama, contexts, message), abs=TOLERANCE_NATS)
    assert found.dtype == np.float64
    held = {context[:-1] for context in contexts}
    assert n_fed >= sum(map(len, held)) + len(set(contexts)) * len(message)


@settings(max_examples=20)
@given(st.lists(st.tuples(contexts_lists, messages), min_size=2, max_size=5), st.integers(1, 30))
def test_what_a_small_cache_forgets_changes_nothing(llama, asked, max_tokens):
    small, large = Contexts(llama, max_tokens), Contexts(llama, 10**6)
    for contexts, message in [*asked, *asked]:
        forgetful, _ = score_message(llama, small, contexts, message)
        mindful, _ = score_message(llama, large, contexts, message)
        assert forgetful == pytest.approx(mindful, abs=TOLERANCE_NATS)


def test_contexts_are_computed_once_and_forgotten_when_the_cache_is_full(llama):
    bank = Contexts(llama, max_tokens=20)
    first, second, third = [(7,) * 10, (8,) * 10, (9,) * 10]
    assert bank.fill([first, second]) == 20
    assert bank.fill([second, first, first]) == 0
    assert bank.fill([third]) == 10  # ``second`` was used least recently
    assert bank.fill([third, first]) == 0
    assert bank.fill([second]) == 10


def test_a_request_larger_than_the_cache_is_answered(llama):
    contexts = [(token,) * 9 for token in range(2, 12)]
    found, _ = score_message(llama, Contexts(llama, max_tokens=5), contexts, [3, 4])
    assert found == pytest.approx(by_rows(llama, contexts, [3, 4]), abs=TOLERANCE_NATS)


def test_duplicates_are_scored_once(llama):
    bank, context, other = Contexts(llama), (5, 6, 7), (5, 6, 8)
    found, n_fed = score_message(llama, bank, [context, other, context, context], [3, 4])
    assert found[0] == found[2] == found[3] != found[1]
    # Both contexts are the same but for their last token, which is fed with the message.
    assert n_fed == 2 + 2 * 2


def test_a_second_message_costs_only_its_own_tokens(llama):
    bank, contexts = Contexts(llama), [(5, 6, 7), (5, 7, 8, 9)]
    score_message(llama, bank, contexts, [3, 4])
    _, n_fed = score_message(llama, bank, contexts, [9, 9, 9])
    assert n_fed == 2 * 3


@pytest.mark.parametrize("n_tokens", [16, 64])
def test_contexts_and_messages_longer_than_a_batch_are_scored(llama, n_tokens):
    random = np.random.default_rng(1)
    contexts = [tuple(random.integers(2, 400, length).tolist()) for length in (100, 3, 70, 65, 2)]
    message = random.integers(2, 400, 90).tolist()
    with batches_of(n_tokens):
        found, _ = score_message(llama, Contexts(llama), contexts, message)
    assert found == pytest.approx(by_rows(llama, contexts, message), abs=1e-3)


def test_how_contexts_are_batched_does_not_change_what_the_model_sees(llama, network):
    """Padding is never attended to: a short context beside a long one scores as it does alone."""
    short, long = (5, 6), tuple(range(2, 60))
    together, _ = score_message(llama, Contexts(llama), [short, long], [3, 4, 5])
    alone = [score_message(llama, Contexts(llama), [one], [3, 4, 5])[0][0] for one in (short, long)]
    assert together == pytest.approx(alone, abs=TOLERANCE_NATS)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.lists(ids, min_size=2, max_size=9).map(tuple), st.lists(ids, max_size=7).map(tuple)), min_size=1, max_size=8),
    st.sampled_from([1, 9, 1024]),
)
def test_pairs_of_many_messages_are_scored_as_alone(llama, pairs, n_tokens):
    with batches_of(n_tokens):
        together, _, n_passes = score_messages(llama, Contexts(llama), pairs)
    assert together == pytest.approx(score_message_rows(llama, pairs)[0], abs=TOLERANCE_NATS)
    assert n_passes <= len(set(pairs))
