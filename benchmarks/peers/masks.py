"""Token masks of other engines, llguidance and outlines-core, for the library's walk: ``Direct(mode="walk", backend=LlguidanceMask)``.

Each is a ``MaskCompiler`` of constrained.engines.decoding.masks. llguidance tokenises what it forces with the model's own tokenizer;
outlines-core makes one regular expression of the texts, and one index over the vocabulary.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from constrained.engines.decoding.masks import engine_failing, imported, n_words, packed, the_only
from constrained.engines.decoding.tokens import Spelling
from constrained.errors import EngineError


class LlguidanceMask:
    """The texts as one terminal of a grammar; as rules, llguidance refuses 10,000 of them."""

    name = "llguidance"

    def __init__(self, spelling: Spelling, texts: Sequence[str]) -> None:
        self.spelling = spelling
        terminal = " | ".join(json.dumps(text, ensure_ascii=False) for text in texts)
        engine = imported("llguidance")
        with engine_failing("llguidance"):
            self._first = engine.LLMatcher(
                _llguidance_tokenizer(spelling), engine.LLMatcher.grammar_from_lark(f"start: TEXT\nTEXT: {terminal}"), log_level=0
            )
        _check_state(self._first)

    def start(self) -> LlguidanceState:
        return LlguidanceState(self._first.deep_copy(), self.spelling)


class LlguidanceState:
    """One walk through the terminal."""

    def __init__(self, matcher: Any, spelling: Spelling) -> None:
        self._matcher, self._spelling = matcher, spelling
        self._ended = False

    def allowed(self) -> Tensor:
        words = n_words(self._spelling.n_vocabulary)
        bits = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.int32)
        _check_state(self._matcher)
        return torch.nn.functional.pad(bits, (0, words - len(bits)))

    def accept(self, token: int) -> None:
        if self._ended or not self._matcher.consume_token(token):
            raise EngineError(f"llguidance refuses token {token}", hint="accept only what the mask allows")
        self._ended = token == self._spelling.end

    def forced(self) -> list[int]:
        if self._ended:
            return []
        forced = [int(token) for token in self._matcher.compute_ff_tokens()]
        only = None if forced else the_only(self.allowed())
        return forced if only is None else [only]

    def is_done(self) -> bool:
        return self._ended


def _check_state(matcher: Any) -> None:
    """llguidance raises nothing; it stays in an error state."""
    if matcher.is_error():
        said = " ".join(matcher.get_error().split())
        raise EngineError(f"llguidance cannot use these texts: {said:.300}", hint="walk with backend='trie'")


class _LlguidanceVocabulary:
    """What llguidance reads of a tokenizer."""

    def __init__(self, spelling: Spelling) -> None:
        self.eos_token_id, self.bos_token_id = spelling.end, None
        # A special token needs a name of its own, which no text can spell.
        self.tokens = [piece or b"\xff<%d>" % index for index, piece in enumerate(spelling.pieces)]
        self.special_token_ids = [index for index, piece in enumerate(spelling.pieces) if not piece]
        self._spelling = spelling
        self._by_piece = {piece: index for index, piece in enumerate(spelling.pieces) if piece}
        self._longest = max(map(len, self._by_piece), default=1)

    def __call__(self, text: bytes) -> list[int]:
        """The model's own tokens; the longest ones that fit where it has none of its own for a piece of a text.

        llguidance takes text that comes back without tokens as said before the walk, and drops it.
        """
        return self._spelling.canonical(text, ()) or list(self._greedy(text))

    def _greedy(self, text: bytes) -> Iterator[int]:
        at = 0
        while at < len(text):
            size = next((size for size in range(self._longest, 0, -1) if text[at : at + size] in self._by_piece), 0)
            if not size:
                raise EngineError(f"no token spells {text[at : at + 1]!r}", hint="walk with backend='trie'")
            yield self._by_piece[text[at : at + size]]
            at += len(text[at : at + size])


@lru_cache(maxsize=4)
def _llguidance_tokenizer(spelling: Spelling) -> Any:
    """Builds the vocabulary's trie: 0.2 s at 49,000 tokens, once for a spelling."""
    engine = imported("llguidance")
    from llguidance._tokenizer import TokenizerWrapper  # the one way in for a vocabulary that is no file

    with engine_failing("llguidance"):
        return engine.LLTokenizer(TokenizerWrapper(_LlguidanceVocabulary(spelling)), n_vocab=spelling.n_vocabulary)


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
            self.index = imported("outlines_core").Index("|".join(map(re.escape, texts)), _byte_vocabulary(spelling))

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
def _byte_vocabulary(spelling: Spelling) -> Any:
    """Bytes -> the tokens that spell them."""
    found: dict[bytes, list[int]] = {}
    for token, piece in enumerate(spelling.pieces):
        if piece and token != spelling.end:
            found.setdefault(piece, []).append(token)
    return imported("outlines_core").Vocabulary(spelling.end, found)
