"""guidance: ``select`` over the lines, in its own virtual environment; it caches the prompt by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import guidance
from guidance import select
from transformers.cache_utils import DynamicCache

from benchmarks.peers import Answer, Entry, PeerUnsupportedError, Recompiling
from benchmarks.peers.bed import Bed, Prompt


class Peer(Recompiling):
    """Greedy (its temperature is 0). It returns text, not tokens, and has no ``max_tokens`` for a selection."""

    def __init__(self, bed: Bed) -> None:
        _crop_as_before()
        self._bed = bed
        self._model: Any = guidance.models.Transformers(bed.network, bed.tokenizer, echo=False)

    def compile(self, entries: Sequence[Entry]) -> None:
        """Up to the serialised grammar: what it makes of that it makes in every call."""
        self.entries = entries
        self._select: Any = select([entry.text for entry in entries], name="reply")
        serialise = getattr(self._select, "ll_grammar", None)
        if serialise is not None:
            serialise()

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        found = self._model + self._bed.tokenizer.decode(prompt.ids) + self._select
        text = str(found["reply"])
        if not text:
            raise PeerUnsupportedError("nothing was selected")
        return Answer(text=text, has_ended=True)


def _crop_as_before() -> None:
    """``crop`` of a cache takes what is removed, as a negative number; guidance still gives it what is to be kept.

    Its own pin of transformers (4.53) would read the model's configuration wrongly.
    """
    crop: Any = DynamicCache.crop

    def kept(self: Any, n: int) -> None:
        crop(self, n if n < 0 else min(n - int(self.get_seq_length()), 0))

    cache: Any = DynamicCache
    cache.crop = kept
