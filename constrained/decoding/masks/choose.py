"""From rows of tokens to a compiled mask, by whichever engine is asked for; the last few are kept. Knows no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import get_args

from constrained.decoding.masks import Backend, TokenMask
from constrained.decoding.masks.llguidance import LlguidanceMask
from constrained.decoding.masks.outlines_core import OutlinesCoreMask
from constrained.decoding.masks.spelling import Spelling
from constrained.decoding.masks.trie import TrieMask
from constrained.decoding.masks.xgrammar import XgrammarMask
from constrained.decoding.tokens import Tokens
from constrained.errors import EngineError

Rows = tuple[tuple[int, ...], ...]

_OF_TEXTS: dict[str, Callable[[Spelling, Sequence[str]], TokenMask]] = {
    "xgrammar": XgrammarMask.of_texts,
    "llguidance": LlguidanceMask,
    "outlines_core": OutlinesCoreMask,
}


@dataclass(frozen=True, slots=True, eq=False)
class RowsMask:
    """The mask of some rows, and which of them a finished walk is.

    Attributes:
        keys: [row] what tells it from the others: its tokens for the trie, what they spell for a grammar.
    """

    mask: TokenMask
    keys: dict[tuple[int, ...] | bytes, int]
    spelling: Spelling | None

    def row(self, ids: Sequence[int]) -> int | None:
        """The row that was walked; None for a walk that is none of them."""
        return self.keys.get(tuple(ids) if self.spelling is None else self.spelling.spell(ids))


@lru_cache(maxsize=8)
def mask_of(backend: Backend, rows: Rows, tokens: Tokens | None, n_vocabulary: int) -> RowsMask:
    """Compiles the mask of these rows.

    Args:
        tokens: the tokenizer; the trie needs none.

    Raises EngineError when the engine is not installed, refuses the rows, or cannot tell two of them apart.
    """
    if backend == "trie":
        mask = TrieMask.build(rows, n_vocabulary)
        return RowsMask(mask, {row: index for index, row in enumerate(rows)}, None)
    if backend not in _OF_TEXTS:
        raise EngineError(f"no mask engine is called {backend!r}", hint=f"one of {', '.join(get_args(Backend))}")
    if tokens is None:
        raise EngineError(f"{backend} needs the tokenizer", hint="pass tokens=..., or walk with backend='trie'")
    spelling = spelling_of(tokens, n_vocabulary)
    keys: dict[tuple[int, ...] | bytes, int] = {}
    for index, row in enumerate(rows):
        if keys.setdefault(spelling.spell(row), index) != index:
            raise EngineError(f"rows {keys[spelling.spell(row)]} and {index} are spelt alike", hint="walk with backend='trie'")
    return RowsMask(_OF_TEXTS[backend](spelling, _texts(keys)), keys, spelling)


@lru_cache(maxsize=4)
def spelling_of(tokens: Tokens, n_vocabulary: int) -> Spelling:
    """What the vocabulary spells; read once for a tokenizer."""
    return Spelling(tokens, n_vocabulary)


def _texts(keys: dict[tuple[int, ...] | bytes, int]) -> list[str]:
    try:
        return [key.decode() for key in keys if isinstance(key, bytes)]
    except UnicodeDecodeError as error:
        raise EngineError("a row's tokens spell no text", hint="walk with backend='trie'") from error
