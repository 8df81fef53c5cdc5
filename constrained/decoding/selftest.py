"""The self-test at load: does this model honour a tree mask? Knows no choices."""

from __future__ import annotations

import numpy as np

from constrained.decoding.channel import Contexts, score_message, score_message_rows
from constrained.decoding.exact import score_rows, score_tree
from constrained.decoding.model import LanguageModel
from constrained.decoding.tokens import Tokens

_PROMPT = "The innkeeper says:"
_ROWS = (" Fifty gold and it is yours.", " Fifty gold, not a copper less.", " Good evening.")
_MESSAGE = " a key\n"
TOLERANCE_NATS = {"torch.float32": 0.01, "torch.bfloat16": 1.0}  # bf16 rounds; a mask that is ignored is off by tens


def honours_tree_mask(model: LanguageModel, tokens: Tokens) -> bool:
    """Whether tree scoring and cached contexts equal row-by-row scoring on a few rows.

    False for models that ignore a 4D mask (hybrid and linear-attention models), apply one mask to sliding
    windows too, or add a boolean mask as numbers (eager attention). Any failure of the tree pass is a no.
    """
    tolerance = TOLERANCE_NATS.get(str(model.dtype), 1.0)
    prompt, rows = tokens.plain(_PROMPT), [tokens.plain(row) for row in _ROWS]
    suffix = prompt[-2:]
    try:
        prefix = model.prefill(prompt[:-2])
        tree = score_tree(model, prefix, suffix, rows).log_probs
        contexts = [tuple(prompt), tuple(prompt + rows[2])]
        channel, _ = score_message(model, Contexts(model), contexts, tokens.plain(_MESSAGE))
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return False
    by_row = score_rows(model, None, prompt, rows).log_probs
    by_context = score_message_rows(model, contexts, tokens.plain(_MESSAGE))
    return bool(np.abs(tree - by_row).max() <= tolerance and np.abs(channel - by_context).max() <= tolerance)
