"""One request per choice, as SGLang's ``choices`` scores: the prompt is cached, then a pass for each line."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks.peers import Answer, Entry, Recompiling
from benchmarks.peers.bed import Bed, Prompt


class Peer(Recompiling):
    """Scores are sums of log-probabilities; the line that is chosen has the best mean a token, its default.

    Source: Zheng et al., SGLang, NeurIPS 2024; sglang.lang.choices, ``token_length_normalized``.
    """

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def compile(self, entries: Sequence[Entry]) -> None:
        """Only tokenises."""
        self.entries = entries
        rows = self._bed.tokenizer([entry.text for entry in entries], add_special_tokens=False)["input_ids"]
        end = [] if self._bed.end is None else [self._bed.end]
        self._rows = [[*row, *end] for row in rows]

    def narrow(self, rows: Sequence[int]) -> None:
        self._rows = [self._rows[row] for row in rows]

    def decide(self, prompt: Prompt, max_tokens: int) -> Answer:
        cache = self._bed.cache()
        first = self._bed.logits(prompt.suffix, cache)
        sums = [self._score(row, first, cache, len(prompt.ids)) for row in self._rows]
        means = [total / len(row) for total, row in zip(sums, self._rows, strict=True)]
        n_tokens = len(prompt.suffix) + sum(len(row) - 1 for row in self._rows)
        return Answer(
            row=max(range(len(means)), key=means.__getitem__), scores=tuple(sums), n_tokens=n_tokens, n_passes=1 + len(self._rows)
        )

    def _score(self, row: Sequence[int], first: torch.Tensor, cache: object, n_prompt: int) -> float:
        """One pass over a line's tokens, whose keys are then taken off the cache again."""
        logits = first
        if len(row) > 1:
            logits = torch.cat([first, self._bed.logits(row[:-1], cache, 0)])
            for layer in cache.layers:  # type: ignore[attr-defined]  # transformers' crop counts differently from one version to the next
                layer.keys, layer.values = layer.keys[..., :n_prompt, :], layer.values[..., :n_prompt, :]
        wanted = torch.as_tensor(row, device=logits.device)[:, None]
        return float(logits.float().log_softmax(-1).gather(1, wanted).double().sum())
