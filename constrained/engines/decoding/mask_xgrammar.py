"""The mask of a grammar or of a list of texts by xgrammar; forced text is tokenised as the model would."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor

from constrained.engines.decoding.masks import engine_failing, imported, the_only
from constrained.engines.decoding.tokens import Spelling
from constrained.errors import EngineError

_ESCAPES = {ord("\\"): "\\\\", ord('"'): '\\"'} | {code: f"\\u{code:04x}" for code in (*range(32), 127)}


class XgrammarMask:
    """A compiled grammar. ``of_texts``, ``of_regex`` and ``of_lark`` make one."""

    name = "xgrammar"

    def __init__(self, spelling: Spelling, grammar: Any) -> None:
        self.engine = imported("xgrammar")
        self.spelling = spelling
        with engine_failing("xgrammar"):
            self.compiled = _compiler(spelling).compile_grammar(grammar)

    @classmethod
    def of_texts(cls, spelling: Spelling, texts: Sequence[str]) -> XgrammarMask:
        """Any of these texts, spelt as their tokens spell them."""
        rule = "root ::= " + " | ".join(f'"{text.translate(_ESCAPES)}"' for text in texts)
        with engine_failing("xgrammar"):
            grammar = imported("xgrammar").Grammar.from_ebnf(rule)
        return cls(spelling, grammar)

    @classmethod
    def of_regex(cls, spelling: Spelling, regex: str) -> XgrammarMask:
        """Any text that the whole expression matches."""
        with engine_failing("xgrammar"):
            grammar = imported("xgrammar").Grammar.from_regex(regex)
        return cls(spelling, grammar)

    @classmethod
    def of_lark(cls, spelling: Spelling, lark: str) -> XgrammarMask:
        """Any text of the Lark grammar's ``start``. Priorities, templates and lookarounds are refused."""
        with engine_failing("xgrammar"):
            grammar = imported("xgrammar").Grammar.from_lark(lark)
        return cls(spelling, grammar)

    def start(self) -> XgrammarState:
        return XgrammarState(self)


class XgrammarState:
    """One walk through the grammar."""

    def __init__(self, mask: XgrammarMask) -> None:
        self._mask = mask
        self._matcher = mask.engine.GrammarMatcher(mask.compiled)
        self._ids: list[int] = []

    def allowed(self) -> Tensor:
        return self._filled(self._matcher)

    def accept(self, token: int) -> None:
        if not self._matcher.accept_token(token):
            raise EngineError(f"xgrammar refuses token {token}", hint="accept only what the mask allows")
        self._ids.append(token)

    def forced(self) -> list[int]:
        if self.is_done():
            return []
        only = the_only(self.allowed())
        if only is not None:
            return [only]
        jump = self._matcher.find_jump_forward_string()
        if not jump:
            return []
        spelling = self._mask.spelling
        spelled = b"".join(spelling.pieces[token] for token in self._ids) + jump.encode()
        return spelling.canonical(spelled, self._ids) if self._ends_after(jump) else spelling.settled(spelled, self._ids)

    def is_done(self) -> bool:
        return bool(self._matcher.is_terminated())

    def _ends_after(self, text: str) -> bool:
        ahead = self._matcher.fork()
        return bool(ahead.accept_string(text)) and the_only(self._filled(ahead)) == self._mask.spelling.end

    def _filled(self, matcher: Any) -> Tensor:
        bits: Tensor = self._mask.engine.allocate_token_bitmask(1, self._mask.spelling.n_vocabulary)
        matcher.fill_next_token_bitmask(bits)
        return bits[0]


@lru_cache(maxsize=4)
def _compiler(spelling: Spelling) -> Any:
    """Sorts the vocabulary: 0.1 s at 49,000 tokens, once for a spelling."""
    engine = imported("xgrammar")
    info = engine.TokenizerInfo(
        list(spelling.pieces), engine.VocabType.RAW, vocab_size=spelling.n_vocabulary, stop_token_ids=[spelling.end]
    )
    # Its cache writes grammars out and reads them in again: "éa" becomes "\\xe9a", and that one other character.
    return engine.GrammarCompiler(info, max_threads=2, cache_enabled=False)
