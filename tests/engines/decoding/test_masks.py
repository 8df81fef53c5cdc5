"""Masks: the trie's against its definition, xgrammar's against the trie's, on several kinds of tokenizers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.engines.decoding import masks as bits
from constrained.engines.decoding.direct_rule import Direct
from constrained.engines.decoding.grammar_masks import XgrammarMask, mask_of
from constrained.engines.decoding.masks import DeviceTrie, TrieMask
from constrained.engines.decoding.tokens import Tokens, spelling_of
from constrained.errors import EngineError
from tests.engines.decoding import tiny
from tests.engines.decoding.mask_checks import allowed, check_absence, check_refusals, forced_walk, kinds, made, rows_of, texts_of

END = 1
N = 70
ids = st.integers(2, 5) | st.sampled_from([31, 32, 33, 63, 64, 69])  # both ends of a word of the mask
rows_lists = st.lists(st.lists(ids, max_size=5).map(lambda row: (*row, END)), min_size=1, max_size=12, unique=True)


def following(rows, walked) -> set[int]:
    """What may come after ``walked``, by definition."""
    return {row[len(walked)] for row in rows if row[: len(walked)] == walked and len(row) > len(walked)}


# -- packed sets -------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, N - 1)))
def test_a_packed_set_unpacks_to_its_members(chosen):
    packed = bits.packed(sorted(chosen), N)
    assert packed.dtype == torch.int32
    assert packed.shape == (3,)
    assert set(bits.members(packed)) == chosen
    for wide in (N, 96, 200):
        assert set(torch.nonzero(bits.unpacked(packed, wide))[:, 0].tolist()) == chosen
    assert bits.the_only(packed) == (next(iter(chosen)) if len(chosen) == 1 else None)


# -- the trie ----------------------------------------------------------------------------------------


@given(rows_lists)
def test_the_trie_allows_what_goes_on_towards_a_row(rows):
    mask = TrieMask.build(rows, N)
    for row in rows:
        state = mask.start()
        for depth, token in enumerate(row):
            assert allowed(state) == following(rows, row[:depth])
            assert not state.is_done()
            forced = tuple(state.forced())
            assert all(other[: depth + len(forced)] == row[:depth] + forced for other in rows if other[:depth] == row[:depth])
            assert len(following(rows, row[:depth] + forced)) != 1, "a token that is forced was left out"
            state.accept(token)
        assert state.is_done(), "a row is not reachable"
        assert not allowed(state)
        assert state.forced() == []


@given(rows_lists, st.data())
def test_a_token_that_leaves_the_rows_is_refused(rows, data):
    state = TrieMask.build(rows, N).start()
    token = data.draw(st.integers(0, N - 1).filter(lambda one: one not in following(rows, ())))
    with pytest.raises(EngineError, match=f"token {token} leaves the rows"):
        state.accept(token)


@settings(max_examples=40)
@given(rows_lists, st.integers(0, 3), st.data())
def test_a_batch_of_walks_on_a_device_is_each_walk_alone(rows, narrow, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bits, "NARROW", narrow)
        mask = TrieMask.build(rows, N)
        device = DeviceTrie(mask)
    walks = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=6))
    nodes, states = device.start(len(walks)), [mask.start() for _ in walks]
    for depth in range(max(map(len, walks)) + 1):
        masks = device.allowed(nodes)
        assert masks.shape == (len(walks), bits.n_words(N))
        for row, found, state, is_done in zip(walks, masks, states, device.is_done(nodes).tolist(), strict=True):
            assert set(bits.members(found.contiguous())) == following(rows, row[:depth]) == allowed(state)
            assert is_done == (depth >= len(row)) or depth > len(row)
        for row, state in zip(walks, states, strict=True):
            if depth < len(row):
                state.accept(row[depth])
        nodes = device.accept(nodes, torch.tensor([row[depth] if depth < len(row) else END for row in walks]))


def test_a_walk_that_left_the_rows_is_lost_for_good():
    device = DeviceTrie(TrieMask.build([(2, 3, END), (4, END)], N))
    nodes = device.accept(device.start(3), torch.tensor([3, 4, 0]))
    assert nodes.tolist() == [device.lost, nodes[1], device.lost]
    assert device.accept(nodes, torch.tensor([3, END, END])).tolist()[::2] == [device.lost] * 2
    assert not device.allowed(nodes)[0].any()
    assert not device.is_done(nodes).any()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(2, 3), (2, 3)], "same tokens"),
        ([(2,), ()], "at least one token"),
        ([(2,), (2, 3)], "row 0 begins another row"),
        ([(2, N)], f"token {N} is none of {N}"),
    ],
)
def test_rows_that_cannot_be_walked_are_refused(rows, told):
    with pytest.raises(EngineError, match=told):
        TrieMask.build(rows, N)


def test_ten_thousand_rows_have_their_masks():
    random = np.random.default_rng(0)
    rows = list({(*random.integers(2, 60, random.integers(1, 9)).tolist(), END) for _ in range(10_000)})
    device, nodes = DeviceTrie(TrieMask.build(rows, N)), None
    walks = rows[:: len(rows) // 64]
    nodes = device.start(len(walks))
    for depth in range(3):
        known = {}
        for row in rows:
            known.setdefault(row[:depth], set()).update(row[depth : depth + 1])
        for row, found in zip(walks, device.allowed(nodes), strict=True):
            assert set(bits.members(found.contiguous())) == (known[row[:depth]] if len(row) > depth else set())
        nodes = device.accept(nodes, torch.tensor([row[depth] if len(row) > depth else 0 for row in walks]))


# -- xgrammar ---------------------------------------------------------------------------------------


@kinds
def test_what_the_trie_allows_xgrammar_allows_and_a_row_is_reachable(kind):
    pytest.importorskip("xgrammar")
    tokens, _, n = made(kind)
    rows = rows_of(kind, texts_of(kind))
    masks = mask_of("trie", rows, None, n).mask, mask_of("xgrammar", rows, tokens, n).mask
    for row in rows:
        states = [mask.start() for mask in masks]
        for token in row:
            by_trie, by_xgrammar = map(allowed, states)
            assert by_trie <= by_xgrammar
            for state in states:
                assert not state.is_done()
                state.accept(token)
        assert all(state.is_done() and not state.forced() for state in states), "a row is not reachable"


@kinds
def test_one_text_is_forced_to_its_end_in_the_models_own_tokens(kind):
    pytest.importorskip("xgrammar")
    for row in rows_of(kind, texts_of(kind)):
        assert forced_walk("xgrammar", kind, row) == row


@kinds
def test_what_xgrammar_forces_leaves_every_text_its_own_tokens(kind):
    """What may grow with what comes next is not forced."""
    pytest.importorskip("xgrammar")
    tokens, _, n = made(kind)
    pairs = [("The inn", "The innkeeper"), ("For the play", "For the player"), ("Fifty gold is", "Fifty gold in")]
    n_forced = 0
    for rows in (rows_of(kind, pair) for pair in pairs):
        forced = tuple(mask_of("xgrammar", rows, tokens, n).mask.start().forced())
        n_forced += len(forced)
        assert all(row[: len(forced)] == forced for row in rows)
    assert n_forced


@kinds
def test_xgrammar_s_own_reading_of_the_vocabulary_gives_the_same_verdict(kind):
    xgrammar = pytest.importorskip("xgrammar")
    tokens, hf, n = made(kind)
    rows = rows_of(kind, texts_of(kind))
    if kind == "unigram":
        pytest.skip("xgrammar reads pieces without bytes as if their mark were a character")
    spelt = [spelling_of(tokens, n).spell(row).decode() for row in rows]
    info = xgrammar.TokenizerInfo.from_huggingface(hf, vocab_size=n, stop_token_ids=[tokens.end])
    rule = "root ::= " + " | ".join(
        '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"' for text in spelt
    )
    compiled = xgrammar.GrammarCompiler(info, cache_enabled=False).compile_grammar(xgrammar.Grammar.from_ebnf(rule))
    for row in rows:
        state, matcher = mask_of("trie", rows, None, n).mask.start(), xgrammar.GrammarMatcher(compiled)
        for token in row:
            found = xgrammar.allocate_token_bitmask(1, n)
            matcher.fill_next_token_bitmask(found)
            assert allowed(state) <= set(bits.members(found[0]))
            state.accept(token)
            assert matcher.accept_token(token)
        assert matcher.is_terminated()


def test_a_token_that_is_not_allowed_is_refused():
    pytest.importorskip("xgrammar")
    check_refusals("xgrammar")


def test_an_engine_that_is_not_installed_is_told_with_its_command(monkeypatch):
    check_absence("xgrammar", "xgrammar", monkeypatch)


@pytest.mark.parametrize(("name", "peer"), [("llguidance", "LlguidanceMask"), ("outlines_core", "OutlinesCoreMask")])
def test_masks_that_are_not_the_librarys_are_told_where_they_are(name, peer):
    tokens, _, n = made("bpe")
    with pytest.raises(EngineError, match=f"backend '{name}' is not known") as caught:
        mask_of(name, rows_of("bpe", ("The key",)), tokens, n)
    assert caught.value.hint.startswith("use one of trie, xgrammar")
    assert caught.value.hint.endswith(f"benchmarks/peers/masks.py has {peer}")
    with pytest.raises(EngineError, match="is not known"):
        Direct(mode="walk", backend=name)


def test_rows_that_a_grammar_cannot_hold_are_refused():
    pytest.importorskip("xgrammar")
    tokens, hf, n = made("unigram")
    with pytest.raises(EngineError, match="spells no text"):
        mask_of("xgrammar", ((hf.unk_token_id, tokens.end),), tokens, n)
    with pytest.raises(EngineError, match="needs the tokenizer"):
        mask_of("xgrammar", ((5, tokens.end),), None, n)
    with pytest.raises(EngineError, match="backend 'guess' is not known"):
        mask_of("guess", ((5, tokens.end),), tokens, n)
    bpe, _, n_bpe = made("bpe")
    row = bpe.plain("The")
    letters = [token for letter in "The" for token in bpe.plain(letter)]
    with pytest.raises(EngineError, match="rows 0 and 1 are spelt alike"):
        mask_of("xgrammar", ((*row, bpe.end), (*letters, bpe.end)), bpe, n_bpe)
    with pytest.raises(EngineError, match="no end token"):
        mask_of("xgrammar", ((5,),), Tokens(tiny.wordpiece()), n)


def test_a_grammar_that_is_too_much_for_an_engine_is_an_error_of_ours():
    pytest.importorskip("xgrammar")
    tokens, _, n = made("bpe")
    with pytest.raises(EngineError, match=r"xgrammar cannot use this grammar: .*Lookahead") as caught:
        XgrammarMask.of_regex(spelling_of(tokens, n), "(?=a)b")
    assert caught.value.hint
