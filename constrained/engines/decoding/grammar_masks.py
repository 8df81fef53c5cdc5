"""From rows of tokens or a grammar to a compiled mask: xgrammar's, the trie's, or that of any other compiler.

Forced text is tokenised as the model would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from torch import Tensor

from constrained.engines.decoding.masks import Backend, MaskCompiler, MaskName, TokenMask, TrieMask, engine_failing, imported, the_only
from constrained.engines.decoding.tokens import Spelling, Tokens, spelling_of
from constrained.errors import EngineError

Rows = tuple[tuple[int, ...], ...]
PEERS = {"llguidance": "LlguidanceMask", "outlines_core": "OutlinesCoreMask"}
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


# -- the mask of rows of tokens ------------------------------------------------------------------------------------


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


def check_backend(backend: Backend) -> None:
    """Raises EngineError for a name that is none of the library's masks."""
    if isinstance(backend, str) and backend not in get_args(MaskName):
        hint = f"use one of {', '.join(get_args(MaskName))}, or pass what compiles a mask of texts"
        if backend in PEERS:
            hint += f": benchmarks/peers/masks.py has {PEERS[backend]}"
        raise EngineError(f"backend {backend!r} is not known", hint=hint)


def backend_name(backend: Backend) -> str:
    """As records and errors name it."""
    return backend if isinstance(backend, str) else str(getattr(backend, "name", backend))


@lru_cache(maxsize=8)
def mask_of(backend: Backend, rows: Rows, tokens: Tokens | None, n_vocabulary: int) -> RowsMask:
    """Compiles the mask of these rows.

    Args:
        backend: ``trie``, ``xgrammar``, or what compiles a mask of texts.
        tokens: the tokenizer; the trie needs none.

    Raises EngineError when the engine is not known or installed, refuses the rows, or cannot tell two of them apart.
    """
    check_backend(backend)
    if backend == "trie":
        mask = TrieMask.build(rows, n_vocabulary)
        return RowsMask(mask, {row: index for index, row in enumerate(rows)}, None)
    if tokens is None:
        raise EngineError(f"{backend_name(backend)} needs the tokenizer", hint="pass tokens=..., or walk with backend='trie'")
    spelling = spelling_of(tokens, n_vocabulary)
    keys: dict[tuple[int, ...] | bytes, int] = {}
    for index, row in enumerate(rows):
        if keys.setdefault(spelling.spell(row), index) != index:
            raise EngineError(f"rows {keys[spelling.spell(row)]} and {index} are spelt alike", hint="walk with backend='trie'")
    compiler: MaskCompiler = XgrammarMask.of_texts if isinstance(backend, str) else backend
    return RowsMask(compiler(spelling, _texts(keys)), keys, spelling)


def _texts(keys: dict[tuple[int, ...] | bytes, int]) -> list[str]:
    try:
        return [key.decode() for key in keys if isinstance(key, bytes)]
    except UnicodeDecodeError as error:
        raise EngineError("a row's tokens spell no text", hint="walk with backend='trie'") from error
