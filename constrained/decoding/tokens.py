"""Text to token ids: user text never becomes a special token. Knows a tokenizer, no model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
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
