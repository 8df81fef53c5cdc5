"""The self-test: what a network cannot do right is not used, and what it can do is."""

from __future__ import annotations

import pytest
import torch

from constrained.engines.decoding import selftest
from constrained.engines.decoding.exact import score_rows, score_tree
from constrained.engines.decoding.language_model import LanguageModel
from constrained.engines.decoding.selftest import self_test
from constrained.engines.decoding.tokens import Tokens
from constrained.errors import EngineError
from tests.engines.decoding import tiny

# family, attention, whether one pass may score many rows, whether a cached prefix may be used
CAN = [
    ("llama", "sdpa", True, True),
    ("llama", "eager", False, True),  # adds a boolean mask as 0 and 1
    ("qwen2", "sdpa", True, True),
    ("gpt2", "sdpa", True, True),
    ("neox", "sdpa", True, True),
    ("cohere", "sdpa", True, True),
    ("granite", "sdpa", True, True),
    ("bloom", None, False, True),  # reads positions out of a 2D mask
    ("mistral", "sdpa", False, True),
    ("phi3", "sdpa", False, True),
    ("gemma2", None, False, True),
    ("gemma3", "sdpa", False, True),
    ("mamba", None, False, False),
    ("mamba2", None, False, False),
    ("lfm2", "sdpa", False, False),
    ("qwen3_next", "sdpa", False, False),
]
PROMPT, ROWS = [5, 6, 7, 8, 9, 10], [(2, 3, 4), (2, 3, 5), (9,), (2, 8, 8, 8)]


@pytest.mark.parametrize(("family", "attention", "has_tree", "has_cache"), CAN, ids=str)
def test_a_family_does_what_it_was_seen_to_do_right(tokens, family, attention, has_tree, has_cache):
    model = LanguageModel(tiny.network(family, attention=attention))
    assert (self_test(model, tokens), model.has_cache) == (has_tree, has_cache)
    score = score_tree if has_tree else score_rows
    found = score(model, model.prefill(PROMPT[:3]), PROMPT[3:], ROWS).log_probs
    assert found == pytest.approx([tiny.by_definition(model, PROMPT, row) for row in ROWS], abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("spread", [0.3, 0.05, 0.02])
def test_an_ignored_mask_is_never_taken_for_an_honoured_one(tokens, dtype, spread):
    """Whatever the size of the weights: small ones make all scores alike, and bfloat16 rounds."""
    for seed in range(3):
        built = tiny.network(seed=seed, dtype=dtype, initializer_range=spread)
        assert self_test(LanguageModel(built), tokens)
        deaf = LanguageModel(tiny.ignoring_masks(built))
        assert not self_test(deaf, tokens)
        assert deaf.has_cache


@pytest.mark.parametrize("layer", [0, 1])
def test_one_layer_that_ignores_the_mask_is_enough(tokens, layer):
    built = tiny.network()
    attention = built.model.layers[layer].self_attn
    forward = attention.forward
    attention.forward = lambda *args, attention_mask=None, **options: forward(*args, attention_mask=None, **options)
    assert not self_test(LanguageModel(built), tokens)


def shown_a_prefix(mask):
    """What came before, padding included, is shown to every token."""
    n_before = mask.shape[-1] - mask.shape[-2]
    return torch.cat([torch.ones_like(mask[..., :n_before]), mask[..., n_before:]], dim=-1)


@pytest.mark.parametrize(
    "change",
    [lambda mask: mask.roll(1, -1), lambda mask: mask | mask.roll(1, -2), lambda mask: mask.flip(-2), shown_a_prefix],
    ids=["hidden", "shown", "mixed", "padding"],
)
def test_a_mask_that_is_read_wrongly_is_found(tokens, change):
    built = tiny.network()
    forward = built.model.forward

    def changed(*args, attention_mask=None, **options):
        return forward(*args, attention_mask=attention_mask if attention_mask is None else change(attention_mask), **options)

    built.model.forward = changed
    assert not self_test(LanguageModel(built), tokens)


def test_positions_that_are_ignored_are_found(tokens):
    built = tiny.network()
    forward = built.model.forward
    built.model.forward = lambda *args, position_ids=None, **options: forward(*args, **options)
    assert not self_test(LanguageModel(built), tokens)


def test_a_cache_that_gives_other_keys_is_found(tokens):
    model = LanguageModel(tiny.network("mistral"))
    prefill = model.prefill
    model.prefill = lambda ids, deadline=None: prefill(ids[::-1], deadline)
    assert not self_test(model, tokens)
    assert not model.has_cache


@pytest.mark.parametrize("window", [4, 1000])
def test_a_window_bars_the_tree_even_where_the_sample_is_too_short_to_show_it(tokens, window):
    model = LanguageModel(tiny.network("mistral", sliding_window=window))
    assert not self_test(model, tokens)
    assert model.has_cache


@pytest.mark.parametrize(
    ("family", "changes"), [("mistral", {"sliding_window": None}), ("mistral", {"sliding_window": 2048}), ("qwen2", {})]
)
def test_a_window_that_shows_all_a_model_may_read_is_none(tokens, family, changes):
    assert self_test(LanguageModel(tiny.network(family, **changes)), tokens)


@pytest.mark.parametrize("scaled", [lambda logits: logits * 2, lambda logits: logits.tanh()], ids=["factor", "cap"])
def test_logits_changed_in_an_unknown_way_are_refused(tokens, scaled):
    built = tiny.network()
    forward = built.forward

    def changed(**options):
        output = forward(**options)
        output.logits = scaled(output.logits)
        return output

    built.forward = changed
    with pytest.raises(EngineError, match="changes the logits"):
        self_test(LanguageModel(built), tokens)


def test_a_network_that_reads_both_ways_is_refused(tokens):
    with pytest.raises(EngineError, match="does not read from left to right") as caught:
        self_test(LanguageModel(tiny.network("bert")), tokens)
    assert "causal" in caught.value.hint


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["lm_head.weight", "model.layers.1.mlp.down_proj.weight"])
def test_weights_that_are_no_numbers_are_refused(tokens, value, where):
    built = tiny.network()
    with torch.no_grad():
        built.get_parameter(where)[3, 5] = value
    with pytest.raises(EngineError, match="not finite") as caught:
        self_test(LanguageModel(built), tokens)
    assert "float32" in caught.value.hint


def test_a_tokenizer_with_more_tokens_than_the_network_is_refused(tokens):
    with pytest.raises(EngineError, match="cannot read a text") as caught:
        self_test(LanguageModel(tiny.network(vocab_size=50)), tokens)
    assert "tokenizer" in caught.value.hint


def test_each_kind_of_tokenizer_gives_a_sample(any_tokens, llama):
    sample = selftest._sample(any_tokens)
    assert len({tuple(row) for row in sample.rows}) == 3
    assert sample.rows[0][:4] == sample.rows[1][:4]
    assert len(sample.message) == selftest.N_ROW
    assert self_test(llama, any_tokens)


def test_a_tokenizer_that_reads_nothing_is_refused(llama, monkeypatch):
    silent = Tokens(tiny.bpe())
    monkeypatch.setattr(silent, "plain", lambda text: [])
    with pytest.raises(EngineError, match="knows no character"):
        self_test(llama, silent)
