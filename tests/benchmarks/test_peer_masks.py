"""The masks of llguidance and outlines-core: they agree with xgrammar's and the trie's, and the library's walk takes them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")

from benchmarks.peers.masks import LlguidanceMask, OutlinesCoreMask  # they import torch
from constrained.engines.decoding.direct_rule import Direct
from constrained.engines.decoding.grammar_masks import mask_of
from constrained.engines.decoding.tokens import spelling_of
from constrained.engines.transformers import TransformersEngine
from constrained.errors import EngineError
from tests.engines.asked import CHOICES, SCENE
from tests.engines.decoding import tiny
from tests.engines.decoding.mask_checks import (
    KINDS,
    allowed,
    check_absence,
    check_refusals,
    check_walks,
    forced_walk,
    kinds,
    made,
    rows_of,
    texts_of,
)


def peer(mask: Any) -> Any:
    return pytest.param(mask, id=mask.name, marks=pytest.mark.skipif(find_spec(mask.name) is None, reason=f"{mask.name} is not installed"))


PEERS = [peer(LlguidanceMask), peer(OutlinesCoreMask)]


@kinds
def test_what_the_trie_allows_the_engines_allow_and_they_agree(kind):
    pytest.importorskip("xgrammar")
    pytest.importorskip("outlines_core")
    texts = tuple(text for text in texts_of(kind) if text != "The cellar")  # outlines_core has no place for it
    assert len(texts) >= 3
    tokens, _, n = made(kind)
    rows = rows_of(kind, texts)
    ours, others = mask_of("trie", rows, None, n).mask, [mask_of(mask, rows, tokens, n).mask for mask in ("xgrammar", OutlinesCoreMask)]
    for row in rows:
        states = [mask.start() for mask in (ours, *others)]
        for token in row:
            by_trie, by_xgrammar, by_outlines = map(allowed, states)
            assert by_trie <= by_xgrammar == by_outlines
            for state in states:
                assert not state.is_done()
                state.accept(token)
        assert all(state.is_done() and not state.forced() for state in states), "a row is not reachable"


@kinds
def test_llguidance_reaches_every_text_by_tokens_that_xgrammar_allows(kind):
    """Of text that is forced it allows one cut only, which need not be that of the whole text: so other tokens than ours."""
    pytest.importorskip("llguidance")
    pytest.importorskip("xgrammar")
    tokens, _, n = made(kind)
    rows, spelling = rows_of(kind, texts_of(kind)), spelling_of(tokens, n)
    masks = [mask_of(mask, rows, tokens, n).mask for mask in (LlguidanceMask, "xgrammar")]
    for row in rows:
        left, (state, second) = spelling.spell(row), [mask.start() for mask in masks]
        while left:
            found = allowed(state)
            assert found <= allowed(second)
            token = max((one for one in found if left.startswith(spelling.pieces[one] or b"\0")), key=lambda one: len(spelling.pieces[one]))
            left = left.removeprefix(spelling.pieces[token])
            state.accept(token)
            second.accept(token)
        state.accept(tokens.end)
        assert state.is_done()


def test_outlines_core_refuses_a_text_that_begins_another():
    pytest.importorskip("outlines_core")
    tokens, _, n = made("bpe")
    with pytest.raises(EngineError, match="another text begins 'The cellar is warm'"):
        mask_of(OutlinesCoreMask, rows_of("bpe", ("The cellar", "The cellar is warm")), tokens, n)


@kinds
@pytest.mark.parametrize("mask", PEERS)
def test_one_text_is_forced_to_its_end(kind: str, mask: Any) -> None:
    for row in rows_of(kind, texts_of(kind)):
        forced_walk(mask, kind, row)


@pytest.mark.parametrize("mask", PEERS)
def test_a_token_that_is_not_allowed_is_refused(mask: Any) -> None:
    check_refusals(mask)


@pytest.mark.parametrize("mask", [LlguidanceMask, OutlinesCoreMask])
def test_a_package_that_is_not_installed_is_told_with_its_command(mask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    check_absence(mask, mask.name, monkeypatch)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("mask", PEERS)
def test_its_walk_ends_at_a_row_for_any_model(kind: str, mask: Any) -> None:
    check_walks(mask, kind)


@pytest.mark.parametrize("mask", PEERS)
def test_the_direct_rule_walks_under_it_and_its_record_names_it(mask: Any) -> None:
    engine = TransformersEngine.around(tiny.network(), tiny.bpe(), rule=Direct("text", mode="walk", backend=mask))
    for answer in engine.choose(CHOICES, SCENE):
        assert answer.mode in ("walk", "exact"), "one candidate needs no walk"
        assert answer.mode == "exact" or answer.decoding.reason.endswith(f"masked by {mask.name}")
