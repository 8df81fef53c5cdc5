"""Walks: greedy by definition, forced tokens together, every failure an error; each engine's walk ends at a row."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.engines.decoding import masks
from constrained.engines.decoding import walk as walking
from constrained.engines.decoding.grammar_masks import RowsMask, mask_of
from constrained.engines.decoding.language_model import LanguageModel
from constrained.engines.decoding.masks import TrieMask
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.decoding.walk import walk, walk_rows
from constrained.engines.protocol import Deadline
from constrained.errors import DeadlineError, EngineError
from tests.engines.decoding import tiny
from tests.engines.decoding.mask_checks import KINDS, REAL, check_walks, made, rows_of, texts_of

TOLERANCE_NATS = 1e-4
END = 1
few = st.integers(2, 5)
rows_lists = st.lists(st.lists(few, max_size=7).map(lambda row: (*row, END)), min_size=1, max_size=10, unique=True)
prompts = st.lists(st.integers(2, tiny.N_VOCABULARY - 1), min_size=1, max_size=6)
BACKENDS = ["trie", pytest.param("xgrammar", marks=pytest.mark.skipif(find_spec("xgrammar") is None, reason="xgrammar is not installed"))]
LINES = ("The key is yours.", "The cellar is warm.", "Fifty gold for the key.", "Fifty gold is too much.", "No.", "Good evening!")


def log_probs(model, prompt):
    """[token] log P(token | prompt) by the network's own logits."""
    with torch.inference_mode():
        logits = model.network(input_ids=torch.tensor([list(prompt)]), use_cache=False).logits[0, -1].double()
    return logits.log_softmax(-1).numpy()


def by_definition(model, prompt, rows):
    """The greedy walk, one token and one plain pass at a time: (ids, log_prob, log_prob_masked, choices)."""
    walked, total, masked, asked = (), 0.0, 0.0, 0
    while walked not in rows:
        allowed = sorted({row[len(walked)] for row in rows if row[: len(walked)] == walked})
        found = log_probs(model, [*prompt, *walked])
        best = max(allowed, key=found.__getitem__)
        total += found[best]
        masked += found[best] - np.logaddexp.reduce(found[allowed])
        asked += len(allowed) > 1
        walked += (best,)
    return walked, total, masked, asked


def as_mask(**methods):
    """A mask whose one state has these methods."""
    defaults = {"forced": list, "accept": lambda token: None, "is_done": lambda: False, "allowed": lambda: masks.packed([5], 400)}
    return SimpleNamespace(name="made up", start=lambda: SimpleNamespace(**defaults | methods))


@settings(max_examples=40)
@given(rows_lists, prompts, st.data())
def test_a_walk_is_greedy_decoding_under_the_mask(llama, rows, prompt, data):
    n_prefix = data.draw(st.integers(0, len(prompt) - 1))
    prefix = llama.prefill(prompt[:n_prefix]) if n_prefix else None
    expected, log_prob, log_prob_masked, n_asked = by_definition(llama, prompt, rows)
    row, found = walk_rows(llama, prefix, prompt[n_prefix:], rows, [str(one) for one in rows])
    assert found.ids == rows[row] == expected
    assert found.log_prob == pytest.approx(log_prob, abs=TOLERANCE_NATS)
    assert found.log_prob_masked == pytest.approx(log_prob_masked, abs=TOLERANCE_NATS)
    assert found.n_asked == n_asked


@settings(max_examples=20)
@given(rows_lists, prompts)
def test_forced_tokens_cost_no_pass_of_their_own(llama, rows, prompt):
    fed = []
    hook = llama.network.get_input_embeddings().register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0].shape[-1]))
    try:
        _, scored = walk_rows(llama, None, prompt, rows, [str(one) for one in rows])
        n_fed, n_passes = sum(fed), len(fed)
        fed.clear()
        _, plain = walk_rows(llama, None, prompt, rows, [str(one) for one in rows], is_scored=False)
    finally:
        hook.remove()
    assert (scored.n_tokens, scored.n_passes) == (n_fed, n_passes)
    assert (plain.n_tokens, plain.n_passes) == (sum(fed), len(fed))
    assert plain.n_passes == plain.n_asked == scored.n_asked
    assert plain.ids == scored.ids
    assert plain.log_prob is None
    assert scored.n_passes <= scored.n_asked + 1
    assert scored.n_tokens <= len(prompt) + len(scored.ids) - 1, "a token went through the model twice"


def test_one_row_needs_no_model_unless_its_likelihood_is_asked_for(llama):
    _, plain = walk_rows(llama, None, [5, 6], [(2, 3, 4)], ["only"], is_scored=False)
    assert (plain.ids, plain.n_passes, plain.log_prob_masked) == ((2, 3, 4), 0, 0.0)
    _, scored = walk_rows(llama, None, [5, 6], [(2, 3, 4)], ["only"])
    assert (scored.n_passes, scored.n_tokens) == (1, 4)
    assert scored.log_prob == pytest.approx(tiny.by_definition(llama, [5, 6], [2, 3, 4]), abs=TOLERANCE_NATS)


def test_a_model_without_a_cache_walks_alike(network):
    plain, cached = LanguageModel(network), LanguageModel(network)
    plain.has_cache = False
    rows = [(2, 3, 2, END), (2, 3, 4, 4, END), (4, 2, END)]
    found = [walk_rows(model, model.prefill([9, 8]), [7], rows, ["a", "b", "c"]) for model in (plain, cached)]
    assert found[0][0] == found[1][0]
    assert found[0][1].log_prob == pytest.approx(found[1][1].log_prob, abs=TOLERANCE_NATS)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_mask_s_walk_ends_at_a_row_for_any_model(kind, backend):
    check_walks(backend, kind)


def test_an_engine_s_walk_takes_the_likeliest_allowed_token(llama, tokens):
    """Compared with a walk by hand under xgrammar's mask, one token a pass, nothing forced."""
    pytest.importorskip("xgrammar")
    rows = tuple((*row, tokens.end) for row in tokens.plain_batch(LINES))
    state, walked = mask_of("xgrammar", rows, tokens, tiny.N_VOCABULARY).mask.start(), []
    while not state.is_done():
        found = log_probs(llama, [9, *walked])
        walked.append(max(masks.members(state.allowed()), key=found.__getitem__))
        state.accept(walked[-1])
    _, ours = walk_rows(llama, None, [9], rows, LINES, backend="xgrammar", tokens=tokens)
    assert Tokens.text(tokens, ours.ids) == Tokens.text(tokens, walked)


def test_forced_text_of_xgrammar_is_walked_in_the_model_s_own_tokens(llama, tokens):
    pytest.importorskip("xgrammar")
    rows = tuple((*row, tokens.end) for row in tokens.plain_batch(["Yes, the key is yours for fifty gold.", "No."]))
    row, walked = walk_rows(llama, None, [9], rows, ["yes", "no"], backend="xgrammar", tokens=tokens)
    assert walked.n_asked < len(walked.ids)
    assert Tokens.text(tokens, walked.ids[:-1]) == Tokens.text(tokens, rows[row][:-1])


# -- failures ----------------------------------------------------------------------------------------


def test_a_mask_that_allows_nothing_is_an_error(llama):
    with pytest.raises(EngineError, match="the mask of made up allows no token"):
        walk(llama, None, [5], as_mask(allowed=lambda: masks.packed([], 400)), end=END)


def test_a_walk_that_does_not_end_is_an_error(llama, monkeypatch):
    monkeypatch.setattr(walking, "MOST_TOKENS", 5)
    with pytest.raises(EngineError, match="did not end within 5 tokens"):
        walk(llama, None, [5], as_mask(), end=END)
    with pytest.raises(EngineError, match="did not end within 5 tokens"):
        walk(llama, None, [5], as_mask(forced=lambda: [4, 4]), end=END)


def test_nothing_follows_the_end(llama):
    with pytest.raises(EngineError, match="goes on after the end"):
        walk(llama, None, [5], as_mask(allowed=lambda: masks.packed([END], 400)), end=END)


def test_a_walk_that_leaves_the_rows_is_an_error(llama, tokens, monkeypatch):
    pytest.importorskip("xgrammar")
    rows = tuple((*row, tokens.end) for row in tokens.plain_batch(LINES[:2]))
    compiled = mask_of("xgrammar", rows, tokens, tiny.N_VOCABULARY)
    other = mask_of("xgrammar", tuple((*row, tokens.end) for row in tokens.plain_batch(LINES[2:])), tokens, tiny.N_VOCABULARY)
    monkeypatch.setattr(walking, "mask_of", lambda *_: RowsMask(other.mask, compiled.keys, compiled.spelling))
    with pytest.raises(EngineError, match=r"the walk of xgrammar left the rows \('The key is yours.' and 1 more\)"):
        walk_rows(llama, None, [5], rows, LINES[:2], backend="xgrammar", tokens=tokens)


def test_scores_that_are_no_numbers_are_an_error():
    network = tiny.network("llama", seed=3)
    with torch.no_grad():
        network.get_output_embeddings().weight.fill_(float("nan"))
    with pytest.raises(EngineError, match="not finite"):
        walk_rows(LanguageModel(network), None, [5], [(2, END), (3, END)], ["a", "b"])


def test_a_deadline_is_kept_between_passes(llama):
    with pytest.raises(DeadlineError):
        walk_rows(llama, None, [5], [(2, END), (3, END)], ["a", "b"], deadline=Deadline.after(-1))


def test_a_suffix_is_needed(llama):
    with pytest.raises(ValueError, match="at least one token"):
        walk(llama, None, [], TrieMask.build([(2, 3)], 400), end=None)


# -- real vocabularies and the real model -----------------------------------------------------------


@pytest.mark.model
@pytest.mark.parametrize("kind", list(REAL))
@pytest.mark.parametrize("backend", BACKENDS)
def test_walks_over_real_vocabularies_end_at_a_row(kind, backend):
    tokens, hf, _ = made(kind)
    texts = tuple(text for text in texts_of(kind) if text != "The cellar")
    model = LanguageModel(tiny.network("llama", vocab_size=len(hf)))
    row, walked = walk_rows(model, None, tokens.plain("Good"), rows_of(kind, texts), texts, backend=backend, tokens=tokens)
    assert tokens.text([token for token in walked.ids if token != tokens.end]) == texts[row]


@pytest.mark.model
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_real_model_walks_to_what_was_said(real_engine, backend):
    reader = real_engine.reader
    tokens = reader.tokens
    prompt = tokens.plain("Repeat after me. Fifty gold for the key. Again: Fifty gold for the key. Again:")
    texts = tuple(f" {line}" for line in LINES)
    rows = [(*row, tokens.end) for row in tokens.plain_batch(texts)]
    row, walked = walk_rows(reader.model, None, prompt, rows, texts, backend=backend, tokens=tokens)
    assert texts[row] == " Fifty gold for the key."
    assert walked.n_passes < len(walked.ids)
