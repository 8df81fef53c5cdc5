"""The mask of a list of texts by outlines-core: one regular expression, one index over the vocabulary."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor

from constrained.engines.decoding.masks import engine_failing, imported, packed, the_only
from constrained.engines.decoding.tokens import Spelling
from constrained.errors import EngineError


class OutlinesCoreMask:
    """The index of the texts. Its compile time grows with all their characters: 27 s at 1,000 lines.

    Raises EngineError when a text begins another: of two alternatives its automaton keeps the first, or loses tokens.
    """

    name = "outlines_core"

    def __init__(self, spelling: Spelling, texts: Sequence[str]) -> None:
        self.spelling = spelling
        ordered = sorted(texts)
        begun = next((longer for text, longer in itertools.pairwise(ordered) if longer.startswith(text)), None)
        if begun is not None:
            raise EngineError(f"another text begins {begun[:60]!r}, which outlines_core loses", hint="walk with another engine")
        with engine_failing("outlines_core"):
            self.index = imported("outlines_core").Index("|".join(map(re.escape, texts)), _vocabulary(spelling))

    def start(self) -> OutlinesCoreState:
        return OutlinesCoreState(self)


class OutlinesCoreState:
    """One walk through the index."""

    def __init__(self, mask: OutlinesCoreMask) -> None:
        self._mask = mask
        self._place: int = mask.index.get_initial_state()
        self._ended = False

    def allowed(self) -> Tensor:
        tokens = [] if self._ended else self._mask.index.get_allowed_tokens(self._place) or []
        return packed(tokens, self._mask.spelling.n_vocabulary)

    def accept(self, token: int) -> None:
        place = None if self._ended else self._mask.index.get_next_state(self._place, token)
        ends = token == self._mask.spelling.end and not self._ended and self._mask.index.is_final_state(self._place)
        if place is None and not ends:
            raise EngineError(f"outlines_core refuses token {token}", hint="accept only what the mask allows")
        self._place, self._ended = self._place if place is None else place, ends

    def forced(self) -> list[int]:
        only = None if self._ended else the_only(self.allowed())
        return [] if only is None else [only]

    def is_done(self) -> bool:
        return self._ended


@lru_cache(maxsize=4)
def _vocabulary(spelling: Spelling) -> Any:
    """Bytes -> the tokens that spell them."""
    found: dict[bytes, list[int]] = {}
    for token, piece in enumerate(spelling.pieces):
        if piece and token != spelling.end:
            found.setdefault(piece, []).append(token)
    return imported("outlines_core").Vocabulary(spelling.end, found)
