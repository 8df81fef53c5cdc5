"""What each token of a vocabulary spells, in bytes, and texts as their tokens spell them. Knows no mask engine.

Mask engines walk over bytes. They get them from here, so that all of them read a vocabulary alike: the bytes of a row
are those of its canonical tokens, a space that a tokenizer puts before a text included.
"""

from __future__ import annotations

import bisect
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from constrained.decoding.tokens import Tokens
from constrained.errors import EngineError

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Spelling:
    """The bytes of every token.

    Attributes:
        pieces: [token] its bytes; empty for special tokens, unused ids and what a text cannot hold.
        end: the token that ends a text.

    Raises EngineError when the tokenizer has no end token.
    """

    def __init__(self, tokens: Tokens, n_vocabulary: int) -> None:
        if tokens.end is None:
            raise EngineError("the tokenizer has no end token, which grammar engines need", hint="walk with backend='trie'")
        self.tokens, self.n_vocabulary, self.end = tokens, n_vocabulary, tokens.end
        tokenizer: Any = tokens._tokenizer  # the vocabulary itself; Tokens narrows it to texts
        self.pieces = _pieces(tokenizer, n_vocabulary)
        self._ordered = sorted(set(self.pieces))
        self._longest = max(map(len, self._ordered))
        probe = tokens.plain("a")
        self._lead = b"".join(self.pieces[token] for token in probe).partition(b"a")[0]

    def spell(self, ids: Sequence[int]) -> bytes:
        """The bytes of these tokens, without an end token at their end.

        Raises EngineError at a token that spells nothing: what it stands for is no text.
        """
        body = ids[:-1] if ids and ids[-1] == self.end else ids
        silent = next((token for token in body if not self.pieces[token]), None)
        if silent is not None:
            raise EngineError(f"token {silent} spells no text, so no grammar can hold it", hint="walk with backend='trie'")
        return b"".join(self.pieces[token] for token in body)

    def text(self, ids: Sequence[int]) -> str:
        """``spell`` as text, without what the tokenizer puts before a text. Raises EngineError when it is no UTF-8."""
        try:
            return self.spell(ids).removeprefix(self._lead).decode()
        except UnicodeDecodeError as error:
            raise EngineError("the walk ended inside a character", hint="the mask engine let through bytes that are no text") from error

    def canonical(self, spelled: bytes, so_far: Sequence[int]) -> list[int]:
        """The model's own tokens of ``spelled`` after ``so_far``; none where these are not its own."""
        try:
            row = self.tokens.plain(spelled.removeprefix(self._lead).decode())
        except UnicodeDecodeError:  # ends inside a character
            return []
        n = len(so_far)
        is_same = row[:n] == list(so_far) and b"".join(self.pieces[token] for token in row) == spelled
        return row[n:] if is_same else []

    def settled(self, spelled: bytes, so_far: Sequence[int]) -> list[int]:
        """``canonical``, without the tokens at the end that may grow into others when the text goes on."""
        tokens, n_settled = self.canonical(spelled, so_far), len(spelled) - self._n_open(spelled)
        ends = itertools.accumulate(len(self.pieces[token]) for token in (*so_far, *tokens))
        n_kept = sum(end <= n_settled for end in ends) - len(so_far)
        return tokens[: max(n_kept, 0)]

    def _n_open(self, spelled: bytes) -> int:
        """How many bytes at the end are the beginning of a longer token."""
        for n in range(min(len(spelled), self._longest), 0, -1):
            at = bisect.bisect_right(self._ordered, spelled[-n:])
            if at < len(self._ordered) and self._ordered[at].startswith(spelled[-n:]):
                return n
        return 0


def _pieces(tokenizer: Any, n_vocabulary: int) -> tuple[bytes, ...]:
    pieces = [b""] * n_vocabulary
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    spell = _speller(json.loads(tokenizer.backend_tokenizer.to_str()).get("decoder"))
    for token, index in tokenizer.get_vocab().items():
        if index < n_vocabulary and index not in special:
            pieces[index] = spell(token)
    return tuple(pieces)


def _speller(decoder: Any) -> Any:
    """Token text -> bytes, by the tokenizer's own decoder. What joins words (WordPiece) is not spelt: tokens are."""
    steps = list(_steps(decoder))
    kinds = {step["type"] for step in steps}
    if "ByteLevel" in kinds:
        alphabet = {character: byte for byte, character in _byte_level().items()}
        return lambda token: bytes(alphabet[one] for one in token) if all(one in alphabet for one in token) else token.encode()
    marks = [step["replacement"] for step in steps if step["type"] == "Metaspace"]
    marks += [step["pattern"]["String"] for step in steps if step["type"] == "Replace" and step["content"] == " "]

    def spell(token: str) -> bytes:
        found = _BYTE_PIECE.fullmatch(token) if "ByteFallback" in kinds else None
        if found:
            return bytes([int(found[1], 16)])
        for mark in marks:
            token = token.replace(mark, " ")
        return token.encode()

    return spell


def _steps(decoder: Any) -> Iterator[Any]:
    """The decoders of a sequence, one by one."""
    if decoder and decoder["type"] == "Sequence":
        for one in decoder["decoders"]:
            yield from _steps(one)
    elif decoder:
        yield decoder


def _byte_level() -> dict[int, str]:
    """Byte -> the character that stands for it in byte-level vocabularies: printable Latin-1 as it is, the rest from 256 on."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + index) for index, byte in enumerate(others)}
