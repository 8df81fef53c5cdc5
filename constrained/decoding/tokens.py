"""Text to token ids: user text never becomes a special token. Knows a tokenizer, no model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast

from constrained.errors import EngineError

_MARK = "\ue000{}\ue001"  # private-use characters: no chat template prints them


class Tokens:
    """A tokenizer of transformers, narrowed to what decoding needs."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder)
        self.end = cast("int | None", tokenizer.eos_token_id)

    @property
    def hash(self) -> str:
        """Of the tokenizer's own serialisation: vocabulary, merges, normaliser; and of its chat template."""
        content = self._tokenizer.backend_tokenizer.to_str() + (self._tokenizer.chat_template or "")
        return "sha256:" + hashlib.sha256(content.encode()).hexdigest()

    def plain(self, text: str) -> list[int]:
        """Token ids of ``text`` as ordinary text: ``<|im_end|>`` in it is eight characters, not a token."""
        ids = cast("list[int]", self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
        return ids if self._special.isdisjoint(ids) else self._by_character(text)

    def plain_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``plain`` of many texts at once; the tokenizer works on them in parallel."""
        if not texts:
            return []
        rows = cast(
            "list[list[int]]", self._tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        )
        return [row if self._special.isdisjoint(row) else self._by_character(text) for row, text in zip(rows, texts, strict=True)]

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
        marks = _MARK.format("static"), _MARK.format("dynamic")
        messages = [{"role": "system", "content": marks[0]}, {"role": "user", "content": marks[1]}]
        try:
            rendered = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception:  # templates raise what they like (jinja's TemplateError) for a role they do not know
            merged = [{"role": "user", "content": f"{marks[0]}\n\n{marks[1]}"}]
            rendered = self._tokenizer.apply_chat_template(merged, tokenize=False, add_generation_prompt=True)
        head, found, rest = rendered.partition(marks[0])
        middle, also_found, tail = rest.partition(marks[1])
        if not (found and also_found):
            raise EngineError("the model's chat template drops or changes the messages given to it", hint="use a model with a usual template")
        return head, middle, tail

    def _trusted(self, text: str) -> list[int]:
        return cast("list[int]", self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _by_character(self, text: str) -> list[int]:
        """For tokenizers that match special tokens even when told not to: no match can span two calls."""
        ids = [token for character in text for token in self._trusted(character)]
        return [token for token in ids if token not in self._special]
