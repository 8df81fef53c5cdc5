"""What the adapters of walking peers share: an answer made of generated tokens, and transformers' own generate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.peers import Answer
from benchmarks.peers.bed import Bed, Prompt


def walked(bed: Bed, prompt: Prompt, ids: Sequence[int], n_passes: int | None, max_tokens: int, *, is_whole: bool = False) -> Answer:
    """The answer of a walk of these tokens, of which the last was not fed; what goes beyond ``max_tokens`` is cut off.

    Args:
        is_whole: the text cannot go on, so that a walk that was not cut has ended, without an end token too.
    """
    kept = list(ids[:max_tokens])
    is_end = bool(kept) and kept[-1] == bed.end
    text = bed.tokenizer.decode(kept[:-1] if is_end else kept, clean_up_tokenization_spaces=False)
    has_ended = is_end or (is_whole and len(kept) == len(ids))
    n_tokens = len(prompt.suffix) + max(len(ids) - 1, 0)
    return Answer(text=text, ids=tuple(kept), has_ended=has_ended, n_tokens=n_tokens, n_passes=n_passes)


def generated(bed: Bed, prompt: Prompt, max_tokens: int, **options: Any) -> Answer:
    """``generate`` of transformers, greedy, from the cached static part on."""
    given = bed.tensor(prompt.ids)
    with torch.inference_mode():
        found = bed.network.generate(
            given,
            attention_mask=torch.ones_like(given),
            past_key_values=bed.cache(),
            max_new_tokens=max_tokens,
            do_sample=False,
            pad_token_id=bed.end,
            **options,
        )
    ids = found[0, given.shape[1] :].tolist()
    return walked(bed, prompt, ids, len(ids), max_tokens)
