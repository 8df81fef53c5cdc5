"""Packed sets of tokens: one bit a token, 32 a word. Knows no tokenizer and no mask engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WORD = 32  # tokens in a word


def n_words(n_vocabulary: int) -> int:
    return -(-n_vocabulary // WORD)


def packed(ids: Sequence[int] | NDArray[np.int32], n_vocabulary: int) -> Tensor:
    """[words] int32: the bits of these tokens."""
    member = np.zeros(n_words(n_vocabulary) * WORD, dtype=np.bool_)
    member[np.asarray(ids, dtype=np.int64)] = True
    return torch.from_numpy(np.packbits(member, bitorder="little").view(np.int32))


def unpacked(bits: Tensor, n_vocabulary: int) -> Tensor:
    """[..., words] int32 -> [..., token] bool, True = in the set; on the device of ``bits``. Tokens past the last word are out."""
    shifts = torch.arange(WORD, device=bits.device, dtype=torch.int32)
    member = ((bits[..., None] >> shifts) & 1).bool().flatten(-2)[..., :n_vocabulary]
    missing = n_vocabulary - member.shape[-1]
    return torch.nn.functional.pad(member, (0, missing)) if missing > 0 else member


def members(bits: Tensor) -> list[int]:
    """The tokens of one packed set, ascending."""
    words = bits.numpy()
    at = np.flatnonzero(words)  # most words are empty
    member = np.unpackbits(np.ascontiguousarray(words[at]).view(np.uint8), bitorder="little").reshape(-1, WORD)
    word, bit = np.nonzero(member)
    return [int(one) for one in at[word] * WORD + bit]


def the_only(bits: Tensor) -> int | None:
    """The one token of a packed set; None when it holds another number of them."""
    words = bits.numpy()
    at = np.flatnonzero(words)
    if at.size != 1:
        return None
    word = int(words[at[0]]) & 0xFFFFFFFF
    return None if word & (word - 1) else int(at[0]) * WORD + word.bit_length() - 1
