"""transformers: ``prefix_allowed_tokens_fn`` over a trie of the lines' own tokens, in dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.peers import Answer, Entry, Recompiling
from benchmarks.peers.bed import Bed, Prompt
from benchmarks.peers.walks import generated


class Peer(Recompiling):
    """The recipe of its documentation: a Python function is asked for the allowed tokens, once a row and step."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def compile(self, entries: Sequence[Entry]) -> None:
        """Tokenises, then a dictionary a node."""
        self.entries = entries
        self._root: dict[int, Any] = {}
        texts = [entry.text for entry in entries]
        for row in self._bed.tokenizer(texts, add_special_tokens=False)["input_ids"]:
            node = self._root
            for token in (*row, self._bed.end):
                node = node.setdefault(token, {})

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        n_prompt = len(prompt.ids)

        def allowed(_: int, ids: Any) -> list[int]:
            node = self._root
            for token in ids[n_prompt:].tolist():
                node = node[token]
            return list(node)

        return generated(self._bed, prompt, max_tokens, prefix_allowed_tokens_fn=allowed)
