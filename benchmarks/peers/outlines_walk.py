"""outlines: its own generator over transformers, the lines as a Literal, with any of its three backends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import outlines
import torch
from outlines.inputs import Chat
from transformers import StoppingCriteria, StoppingCriteriaList

from benchmarks.peers import Answer, Entry, Recompiling
from benchmarks.peers.bed import Bed, Prompt
from benchmarks.peers.walks import walked

_BACKENDS = {"core": "outlines_core", "xgrammar": "xgrammar", "llguidance": "llguidance"}


class Peer(Recompiling):
    """Greedy generation as a user of outlines writes it.

    Args:
        is_cached: hand the static part's keys and values on to transformers, which its interface allows
            (``past_key_values``); without, each call reads the whole prompt, which is how it is mostly used.
    """

    def __init__(self, bed: Bed, backend: str, is_cached: bool = True) -> None:
        self._bed, self._backend, self._is_cached = bed, _BACKENDS[backend], is_cached
        self._model = outlines.from_transformers(bed.network, bed.tokenizer)

    def compile(self, entries: Sequence[Entry]) -> None:
        """Lines to a regular expression to whatever the backend makes of it."""
        self.entries = entries
        self._generate = outlines.Generator(self._model, Literal[tuple(entry.text for entry in entries)], backend=self._backend)

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        """The prompt is given as a chat, which renders to the same tokens as ours; a prompt that does not is refused."""
        seen = _Seen()
        cached: dict[str, Any] = {"past_key_values": self._bed.cache()} if self._is_cached else {}
        self._generate(
            Chat(prompt.messages), max_new_tokens=max_tokens, do_sample=False, stopping_criteria=StoppingCriteriaList([seen]), **cached
        )
        if seen.ids[: len(prompt.ids)] != prompt.ids:
            raise ValueError("the chat was rendered to other tokens than the prompt has")
        ids = seen.ids[len(prompt.ids) :]
        return walked(self._bed, prompt, ids, len(ids), max_tokens)


class _Seen(StoppingCriteria):
    """Stops nothing; keeps the token ids, of which the generator returns only the text."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self.ids = input_ids[0].tolist()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
