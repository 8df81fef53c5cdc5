"""Attention under a mask for models whose query heads share keys and values, without copying these. Knows tensors only.

transformers repeats keys and values for every query head when there is a mask. Query heads of one group attend to the same
keys under the same mask, so here they stand as further rows of one head instead (Ainslie et al., GQA, EMNLP 2023, section
2.2, for the groups): the same sums, less memory traffic.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "constrained_grouped"


def grouped_attention(
    module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, *args: Any, **kwargs: Any
) -> tuple[Tensor, Any]:
    """As ``sdpa`` of transformers; what it is not made for goes there.

    Args:
        query: [batch, head, new, head size]. key, value: [batch, kv head, all, head size].
        attention_mask: [batch, 1, new, all], or None.

    Returns:
        [batch, new, head, head size], and None for the weights.
    """
    n_groups = query.shape[1] // key.shape[1]
    is_plain = attention_mask is None or attention_mask.shape[1] != 1 or kwargs.get("position_bias") is not None
    if n_groups == 1 or is_plain or attention_mask is None or args or kwargs.get("dropout") or kwargs.get("softcap") is not None:
        found: tuple[Tensor, Any] = sdpa_attention_forward(module, query, key, value, attention_mask, *args, **kwargs)
        return found
    batch, n_heads, n_new, size = query.shape
    rows = query.reshape(batch, key.shape[1], n_groups * n_new, size)
    mask = attention_mask.repeat(1, 1, n_groups, 1)
    attended = scaled_dot_product_attention(rows, key, value, attn_mask=mask, scale=kwargs.get("scaling"))
    return attended.reshape(batch, n_heads, n_new, value.shape[-1]).transpose(1, 2).contiguous(), None


def is_grouped(config: Any) -> bool:
    """Whether a model's configuration asks for ``sdpa`` and has fewer key than query heads."""
    n_heads = getattr(config, "num_attention_heads", None)
    n_kv_heads = getattr(config, "num_key_value_heads", None)
    return bool(config._attn_implementation == "sdpa" and n_heads and n_kv_heads and n_kv_heads < n_heads)


@contextmanager
def grouped(config: Any) -> Iterator[None]:
    """Attention of this kind within the block; the caller holds the model's lock."""
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before


AttentionInterface.register(NAME, grouped_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
