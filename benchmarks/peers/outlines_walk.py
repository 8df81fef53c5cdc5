"""outlines: its own generator over transformers, the lines as a Literal; the whole prompt is read anew in every call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import outlines
import torch
from outlines.inputs import Chat
from transformers import StoppingCriteria, StoppingCriteriaList

from benchmarks.peers import MOST_TOKENS, Walk
from benchmarks.setting import Prompt, Setting


class OutlinesWalk:
    """Greedy generation as a user of outlines writes it."""

    name = "outlines"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._model = outlines.from_transformers(setting.network, setting.tokenizer)

    def compile(self, lines: Sequence[str]) -> None:
        """Lines to a regular expression to an index over the vocabulary."""
        self._generate = outlines.Generator(self._model, Literal[tuple(lines)])

    def walk(self, prompt: Prompt) -> Walk:
        """The prompt is given as a chat, which renders to the same tokens as ours."""
        seen = _Seen()
        self._generate(Chat(prompt.messages), max_new_tokens=MOST_TOKENS, do_sample=False, stopping_criteria=StoppingCriteriaList([seen]))
        n_prompt = len(prompt.prefix_ids) + len(prompt.suffix)
        return Walk(tuple(seen.ids[n_prompt:]))


class _Seen(StoppingCriteria):
    """Stops nothing; keeps the token ids, of which the generator returns only the text."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        self.ids = input_ids[0].tolist()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
