"""Texts over several kinds of tokenizers, and what holds of every mask of them: for tests of the library's and of the peers' masks."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import pytest

from constrained.engines.decoding import masks as bits
from constrained.engines.decoding.grammar_masks import backend_name, mask_of
from constrained.engines.decoding.language_model import LanguageModel
from constrained.engines.decoding.tokens import Tokens, spelling_of
from constrained.engines.decoding.walk import walk_rows
from constrained.errors import EngineError
from tests.engines.decoding import tiny, vocabularies

TEXTS = (
    "Fifty gold, and the key is yours.",
    "Fifty gold is too much.",
    "The cellar",
    "The cellar is warm",
    'He said: "No\\way".',
    "Two\nlines\tand a bell",
    "Café — ünïcode 你好 🗝",
    "Café: another one",
    "$5 (or [6] | {7})* + . ^ ?",
    " begins with a space",
    "no",
)
KINDS = {"bpe": tiny.bpe, "unigram": tiny.unigram, "fallback": vocabularies.fallback}
REAL = {"sentencepiece": vocabularies.sentencepiece, "tiktoken": vocabularies.tiktoken}
kinds = pytest.mark.parametrize("kind", [*KINDS, *(pytest.param(name, marks=pytest.mark.model) for name in REAL)])


@lru_cache
def made(kind: str) -> tuple[Tokens, Any, int]:
    """The tokenizer, and a vocabulary as wide as a model's head may be: not a multiple of a word, and wider than its own."""
    hf = (KINDS | REAL)[kind]()
    return Tokens(hf), hf, len(hf) + 5


def texts_of(kind: str) -> tuple[str, ...]:
    """Those that the vocabulary covers."""
    tokens, hf, _ = made(kind)
    return tuple(text for text in TEXTS if hf.unk_token_id not in tokens.plain(text) and tokens.text(tokens.plain(text)) == text)


def rows_of(kind: str, texts: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    tokens, *_ = made(kind)
    return tuple((*row, tokens.end) for row in tokens.plain_batch(texts))


def allowed(state) -> set[int]:
    return set(bits.members(state.allowed()))


def forced_walk(backend, kind, row) -> tuple[int, ...]:
    """The walk of a mask that holds this row alone: what is forced, and the row's own token where nothing is said to be."""
    tokens, _, n = made(kind)
    state = mask_of(backend, (row,), tokens, n).mask.start()
    walked: list[int] = []
    while not state.is_done():
        forced = state.forced() or [token for token in row[len(walked) :][:1] if backend_name(backend) == "outlines_core"]
        assert forced, "one text leaves no choice but in how it is cut"
        for token in forced:
            state.accept(token)
        walked += forced
    spelling = spelling_of(tokens, n)
    assert spelling.spell(walked) == spelling.spell(row)
    return tuple(walked)


def check_refusals(backend) -> None:
    """A token that the mask does not allow is refused, at the start and after the end."""
    tokens, _, n = made("bpe")
    rows = rows_of("bpe", ("The cellar", "The key"))
    for token in (tokens.end, 0, n - 1, tokens.plain("No")[0]):
        state = mask_of(backend, rows, tokens, n).mask.start()
        assert token not in allowed(state)
        with pytest.raises(EngineError, match="refuses token"):
            state.accept(token)
    state = mask_of(backend, rows, tokens, n).mask.start()
    for token in rows[0]:
        state.accept(token)
    with pytest.raises(EngineError, match="refuses token"):
        state.accept(rows[0][0])


def check_absence(backend, package, monkeypatch) -> None:
    """A package that is not installed is told with the command that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    tokens, _, n = made("bpe")
    with pytest.raises(EngineError, match=f"{package} is not installed") as caught:
        mask_of(backend, rows_of("bpe", ("Not kept from another test.", package)), tokens, n)
    assert caught.value.hint == f"pip install {package}"


def check_walks(backend, kind) -> None:
    """Of any model the walk ends at a row, and its likelihood is that of its tokens."""
    tokens, hf, _ = made(kind)
    texts = tuple(text for text in texts_of(kind) if text != "The cellar")  # outlines_core has no place for it
    for seed in range(4):
        model = LanguageModel(tiny.network("llama", seed=seed, vocab_size=len(hf) + 5))
        for among in (texts, texts[:2], texts[-3:]):
            rows = rows_of(kind, among)
            row, walked = walk_rows(model, None, tokens.plain("Good"), rows, among, backend=backend, tokens=tokens)
            assert tokens.text([token for token in walked.ids if token != tokens.end]) == among[row]
            assert walked.ids[-1] == tokens.end
            by_hand = tiny.by_definition(model, tokens.plain("Good"), walked.ids)
            assert walked.log_prob == pytest.approx(by_hand, abs=1e-3)
            if backend == "trie":
                assert walked.ids == rows[row]
