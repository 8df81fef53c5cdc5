"""The language model: its own logits, unchanged prefixes, deadlines inside a pass, threads, and what its hash tells apart."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.engines.decoding.channel import Contexts, score_message
from constrained.engines.decoding.exact import score_rows, score_tree
from constrained.engines.decoding.language_model import LanguageModel, Prefix
from constrained.engines.protocol import Deadline
from constrained.errors import DeadlineError, EngineError
from tests.engines.decoding import tiny

PROMPT, ROWS = [5, 6, 7, 8], [(2, 3), (2, 4, 5), (9,)]
CONTEXTS, MESSAGE = [(5, 6, 7), (8, 9)], [3, 4, 5]
READERS = ["llama", "qwen2", "gpt2", "neox", "bloom", "mistral", "gemma2", "gemma3", "cohere", "granite"]


# -- what it computes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", READERS)
@pytest.mark.parametrize("has_cache", [True, False])
def test_its_log_probabilities_are_those_of_the_networks_own_logits(family, has_cache):
    """Scaled (Cohere, Granite) and soft-capped (Gemma 2) logits as well."""
    model = LanguageModel(tiny.network(family))
    model.has_cache = has_cache
    found = score_rows(model, model.prefill(PROMPT[:2]), PROMPT[2:], ROWS).log_probs
    assert found == pytest.approx([tiny.by_definition(model, PROMPT, row) for row in ROWS], abs=1e-4)


@pytest.mark.parametrize("family", ["mamba", "mamba2", "lfm2", "qwen3_next"])
def test_a_network_without_keys_and_values_reads_its_prefix_again(family):
    model = LanguageModel(tiny.network(family))
    model.has_cache = False
    found = score_rows(model, model.prefill(PROMPT[:2]), PROMPT[2:], ROWS).log_probs
    assert found == pytest.approx([tiny.by_definition(model, PROMPT, row) for row in ROWS], abs=1e-4)


def test_without_a_cache_a_prefix_is_its_tokens(llama):
    model = LanguageModel(llama.network)
    model.has_cache = False
    assert model.prefill([5, 6, 7]) == Prefix((), (), (5, 6, 7))
    assert model.prefill([5, 6, 7]).length == 3


def test_no_states_have_no_log_probabilities(llama):
    found = llama.log_probs(torch.zeros(0, 32), llama.tensor([]))
    assert found.shape == (0,)
    assert found.dtype == torch.float32


# -- the prefix -------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.lists(st.integers(2, 399), min_size=1, max_size=9), st.integers(0, 8), st.integers(0, 8))
def test_a_prefix_joined_of_two_parts_is_the_prefix(llama, ids, first, last):
    whole = llama.prefill(ids)
    first, last = sorted((min(first, len(ids)), min(last, len(ids))))
    parts = [whole.take(llama.tensor(range(*one))) for one in ((0, first), (first, last), (last, len(ids)))]
    joined = parts[0].join(parts[1]).join(parts[2])
    assert joined.length == whole.length == len(ids)
    assert all(torch.equal(one, other) for one, other in zip(tensors(joined), tensors(whole), strict=True))


def test_passes_leave_a_prefix_as_it_was_to_the_bit(llama):
    prefix = llama.prefill(PROMPT[:2])
    before = [one.clone() for one in tensors(prefix)]
    score_tree(llama, prefix, PROMPT[2:], ROWS)
    score_rows(llama, prefix, PROMPT[2:], ROWS)
    llama.run(llama.tensor([[3, 4]]), prefix=prefix)
    assert all(torch.equal(one, other) for one, other in zip(tensors(prefix), before, strict=True))


def test_messages_leave_cached_contexts_as_they_were_to_the_bit(llama):
    bank = Contexts(llama)
    score_message(llama, bank, CONTEXTS, MESSAGE)
    before = [one.clone() for one in tensors(bank.stacked([one[:-1] for one in CONTEXTS]))]
    score_message(llama, bank, CONTEXTS, [9, 9])
    after = tensors(bank.stacked([one[:-1] for one in CONTEXTS]))
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def tensors(prefix):
    return [*prefix.keys, *prefix.values]


# -- time and threads -------------------------------------------------------------------------------------

WAYS = {
    "tree": lambda model, deadline: score_tree(model, None, PROMPT, ROWS, deadline).log_probs,
    "rows": lambda model, deadline: score_rows(model, None, PROMPT, ROWS, deadline).log_probs,
    "channel": lambda model, deadline: score_message(model, Contexts(model), CONTEXTS, MESSAGE, deadline)[0],
}


@pytest.fixture
def ticks(monkeypatch):
    """A clock that goes on by a second whenever it is looked at, and tells how often it was."""
    clock = count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    return lambda: next(clock)


@pytest.mark.parametrize(("way", "has_cache"), [("tree", True), ("rows", True), ("rows", False), ("channel", True)])
def test_a_deadline_ends_a_pass_at_any_layer_and_the_model_works_again(llama, ticks, way, has_cache):
    model = LanguageModel(llama.network)
    model.has_cache = has_cache
    in_time = WAYS[way](model, None)
    n_looks = -ticks() - 1
    assert (WAYS[way](model, Deadline(1e9, 1e9)) == in_time).all()
    n_looks += ticks()
    assert n_looks >= 2, "a layer ran without a look at the clock"
    for late in range(n_looks):
        with pytest.raises(DeadlineError) as caught:
            WAYS[way](model, Deadline(0.25, ticks() + late + 1))
        assert caught.value.within_s == 0.25
        model.network(input_ids=model.tensor([PROMPT]))  # who calls the network itself is under no deadline
        assert (WAYS[way](model, None) == in_time).all()


@pytest.mark.parametrize("family", ["gpt2", "bloom", "neox"])
def test_blocks_look_at_the_clock_whatever_they_are_called(family, ticks):
    model = LanguageModel(tiny.network(family))
    before = ticks()
    model.run(model.tensor([[5, 6]]), deadline=Deadline(1e9, 1e9))
    assert ticks() - before - 1 == 2


def test_a_deadline_of_one_thread_does_not_stop_another(llama):
    late, right = [], []
    expected = WAYS["tree"](llama, None)

    def ask(deadline, out):
        for _ in range(20):
            try:
                out.append(WAYS["tree"](llama, deadline))
            except DeadlineError as error:
                out.append(error)

    threads = [threading.Thread(target=ask, args=args) for args in ((Deadline(0.0, 0.0), late), (None, right))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(one, DeadlineError) for one in late)
    assert len(right) == 20
    assert all((one == expected).all() for one in right)


def test_one_pass_runs_at_a_time(llama):
    done = threading.Event()
    other = threading.Thread(target=lambda: (llama.run(llama.tensor([PROMPT])), done.set()))
    with llama.lock:
        other.start()
        assert not done.wait(0.05)
    other.join()
    assert done.is_set()


def test_two_threads_get_what_each_would_get_alone(llama):
    bank = Contexts(llama)
    expected = {way: ask(llama, None) for way, ask in WAYS.items()}
    expected["shared"] = score_message(llama, bank, CONTEXTS, MESSAGE)[0]
    found: list[tuple[str, object]] = []

    def work():
        for _ in range(10):
            with llama.lock:  # as an engine does: a bank belongs to whoever holds the model
                found.append(("shared", score_message(llama, bank, CONTEXTS, MESSAGE)[0]))
            found.extend((way, ask(llama, None)) for way, ask in WAYS.items())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 * 10 * 4
    assert all((scores == expected[way]).all() for way, scores in found)


# -- what it is -------------------------------------------------------------------------------------------


def test_one_weight_that_differs_gives_another_hash():
    first, second = LanguageModel(tiny.network()), LanguageModel(tiny.network())
    assert first.weights_hash() == second.weights_hash()
    with torch.no_grad():
        second.network.model.layers[1].mlp.up_proj.weight[3, 5] += 1e-3
    assert first.weights_hash() != second.weights_hash()


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"dtype": torch.bfloat16},
        {"rms_norm_eps": 1e-3},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
        {"num_key_value_heads": 4},
        {"tie_word_embeddings": True},
    ],
    ids=str,
)
def test_weights_settings_and_ties_that_differ_give_another_hash(llama, other):
    assert LanguageModel(tiny.network(**other)).weights_hash() != llama.weights_hash()


def test_the_same_numbers_in_another_shape_give_another_hash():
    first, second = LanguageModel(tiny.network()), LanguageModel(tiny.network())
    second.network.model.norm.weight = torch.nn.Parameter(second.network.model.norm.weight.detach()[None])
    assert first.weights_hash() != second.weights_hash()


def test_two_tensors_that_change_places_give_another_hash():
    first, second = LanguageModel(tiny.network()), LanguageModel(tiny.network())
    layers = [layer.self_attn for layer in second.network.model.layers]
    layers[0].k_proj.weight, layers[0].v_proj.weight = layers[0].v_proj.weight, layers[0].k_proj.weight
    assert first.weights_hash() != second.weights_hash()


def test_where_a_model_lay_does_not_change_its_hash(tmp_path, llama):
    llama.network.save_pretrained(tmp_path / "elsewhere")
    from transformers import AutoModelForCausalLM

    again = AutoModelForCausalLM.from_pretrained(tmp_path / "elsewhere")
    assert LanguageModel(again).weights_hash() == llama.weights_hash()


@pytest.mark.parametrize("make", [lambda: tiny.network().model, lambda: tiny.network("bert").bert, object, lambda: torch.nn.Linear(2, 2)])
def test_what_predicts_no_token_is_refused(make):
    with pytest.raises(EngineError, match="predicts no next token") as caught:
        LanguageModel(make())
    assert "causal" in caught.value.hint
