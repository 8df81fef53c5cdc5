"""Text to token ids: user text never becomes a special token."""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, cast

from constrained.errors import EngineError

_MARK = "\ue000{}\ue001"  # private-use characters: no chat template prints them


class Tokens:
    """A tokenizer of transformers, narrowed to what decoding needs.

    Raises EngineError when it is not one of the fast ones: only these have a serialisation to be known by.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise EngineError(
                f"{type(tokenizer).__name__} is no tokenizer of the tokenizers library", hint="use the model's fast tokenizer"
            )
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder)
        self._unknown = _unknown(tokenizer)
        self.end = cast("int | None", tokenizer.eos_token_id)

    @property
    def hash(self) -> str:
        """Of the tokenizer's own serialisation: vocabulary, merges, normaliser; and of its chat template."""
        content = f"{self._tokenizer.backend_tokenizer.to_str()}{self._tokenizer.chat_template or ''}"
        return "sha256:" + hashlib.sha256(content.encode()).hexdigest()

    def plain(self, text: str) -> list[int]:
        """Token ids of ``text`` as ordinary text: ``<|im_end|>`` in it is ten characters, not a token."""
        return self.plain_batch([text])[0]

    def plain_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``plain`` of many texts at once; the tokenizer works on them in parallel."""
        if not texts:
            return []
        whole = [_encodable(text) for text in texts]
        rows = cast("list[list[int]]", self._tokenizer(whole, add_special_tokens=False, split_special_tokens=True)["input_ids"])
        return [row if self._is_plain(row, text) else self._by_character(text) for row, text in zip(rows, whole, strict=True)]

    def text(self, ids: Sequence[int]) -> str:
        return cast("str", self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def chat(self, static: str, dynamic: str) -> tuple[list[int], list[int]]:
        """Token ids of a chat prompt up to where the reply begins, as (static part, dynamic part).

        Only the template's own words may become special tokens; both texts are tokenised as plain text.
        A tokenizer without a chat template gets the two texts, a blank line apart.
        """
        if not self._tokenizer.chat_template:
            return self.plain(static + "\n\n"), self.plain(dynamic + "\n")
        head, middle, tail = self._scaffold()
        return self._trusted(head) + self.plain(static) + self._trusted(middle), self.plain(dynamic) + self._trusted(tail)

    def _scaffold(self) -> tuple[str, str, str]:
        """What the template puts before, between and after the two texts; as one message where it has no system role."""
        static, dynamic = _MARK.format("static"), _MARK.format("dynamic")
        apart = [{"role": "system", "content": static}, {"role": "user", "content": dynamic}]
        for messages in (apart, [{"role": "user", "content": f"{static}\n\n{dynamic}"}]):
            parts = re.split(f"({static}|{dynamic})", self._rendered(messages))
            if parts[1::2] == [static, dynamic]:
                return parts[0], parts[2], parts[4]
        raise EngineError("the model's chat template drops or changes messages", hint="use a model with a usual template")

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        try:
            return cast("str", self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except Exception:  # templates raise what they like (jinja's TemplateError) at a role that they do not know
            return ""

    def _trusted(self, text: str) -> list[int]:
        return cast("list[int]", self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _is_plain(self, ids: Sequence[int], text: str) -> bool:
        """No special token; the unknown one only where an unknown character is, not where its name is spelt out."""
        found = self._special.intersection(ids)
        return not found or (self._unknown is not None and found == {self._unknown[0]} and self._unknown[1] not in text)

    def _by_character(self, text: str) -> list[int]:
        """For tokenizers that match special tokens even when told not to: no match can span two calls."""
        ids = [token for character in text for token in self._trusted(character)]
        forbidden = self._special - ({self._unknown[0]} if self._unknown else set())
        return [token for token in ids if token not in forbidden]


def _unknown(tokenizer: Any) -> tuple[int, str] | None:
    """Id and text of the unknown token, unless it plays another part too: GPT-2's is the end of a text."""
    roles = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    name = roles.pop("unk_token", None)
    return None if name is None or name in roles.values() else (tokenizer.unk_token_id, name)


def _encodable(text: str) -> str:
    """Half of a surrogate pair is no character; tokenizers refuse it."""
    return text.encode("utf-8", "replace").decode("utf-8")


# -- what each token of a vocabulary spells, in bytes ---------------------------------------------------------------

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


@lru_cache(maxsize=4)
def spelling_of(tokens: Tokens, n_vocabulary: int) -> Spelling:
    """What the vocabulary spells; read once for a tokenizer (``Tokens`` are told apart by identity, which the cache keeps alive)."""
    return Spelling(tokens, n_vocabulary)


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
