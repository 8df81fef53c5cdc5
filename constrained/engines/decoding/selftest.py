"""The self-test at load: which faster ways give what this network's plain passes give?

The reference is the network's own forward pass, with neither cache nor mask. A way that equals it may be used, one
that does not gives room to a plainer one, and a network whose plain passes are not what scoring takes them for is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from constrained.engines.decoding.channel import Contexts, score_message
from constrained.engines.decoding.exact import score_rows, score_tree
from constrained.engines.decoding.language_model import LanguageModel, Prefix
from constrained.engines.decoding.tokens import Tokens
from constrained.errors import EngineError

Floats = NDArray[np.float64]
_TEXT = (
    "The innkeeper puts down his cup and says that fifty gold is a fair price for the key, not a copper less, "
    "and that the rooms upstairs are warm, dry and quiet at night."
)
N_PROMPT, N_ROW = 8, 8  # tokens
N_HALF = N_ROW // 2

# What a faster way may differ from the network. On the 135M model the tree is off by 2e-5 (float32) or 0.3 (bfloat16).
TOLERANCE_NATS = {torch.float32: 1e-3, torch.bfloat16: 1.0}
TOLERANCE_SHARE = 0.1  # of what another context changes: small random networks move little
# Of the error of a network that ignores the mask (9 nats there; 37 where it is added as numbers): rounding stays far below.
MASK_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class _Sample:
    """Token ids to score: a prompt and three rows, of which two begin alike; the last row after two contexts."""

    prompt: list[int]
    rows: list[list[int]]
    contexts: list[tuple[int, ...]]

    @property
    def message(self) -> list[int]:
        return self.rows[-1]


@dataclass(frozen=True, slots=True)
class _Reference:
    """What the network itself says, in nats: [row], [context], the first half of row 0; and what may differ."""

    rows: Floats
    contexts: Floats
    half: float
    tolerance: float


class _Unmasked:
    """The model as one that ignores every mask: what failing looks like."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def run(self, ids: torch.Tensor, *, allowed_mask: torch.Tensor | None = None, **rest: Any) -> tuple[torch.Tensor, Prefix]:
        return self._model.run(ids, **rest)


def self_test(model: LanguageModel, tokens: Tokens) -> bool:
    """Whether one pass may score many rows: whether tree and cached contexts equal plain passes on a few rows.

    False for networks that ignore a 4D mask (linear attention), add a boolean mask as numbers (eager attention) or
    bound attention to a window, where one mask does not fit all layers and short rows would not show it. Any failure
    of the tree pass is a no. Sets ``model.has_cache``: whether a cached prefix gives what reading it again gives.

    Raises:
        EngineError: it cannot read a text, likelihoods are not finite, tokens see later ones, or the logits are not the head's.
    """
    sample = _sample(tokens)
    reference = _reference(model, sample)
    model.has_cache = True
    if not _has_window(model.config) and _tree_agrees(model, sample, reference):
        return True
    model.has_cache = False
    _check_plain(model, sample, reference)
    model.has_cache = True
    model.has_cache = _cache_agrees(model, sample, reference)
    return False


def _sample(tokens: Tokens) -> _Sample:
    ids = tokens.plain(_TEXT)
    if not ids:
        raise EngineError("the tokenizer knows no character of a plain English text", hint="is it the model's own tokenizer?")
    ids *= -(-(N_PROMPT + 2 * N_ROW) // len(ids))
    prompt, row, other = ids[:N_PROMPT], ids[N_PROMPT:][:N_ROW], ids[N_PROMPT + N_ROW :][:N_ROW]
    rows = [row, row[:N_HALF] + other[:N_HALF], other]
    return _Sample(prompt, rows, [tuple(prompt), tuple(prompt + row[:N_HALF])])


def _reference(model: LanguageModel, sample: _Sample) -> _Reference:
    """One plain pass over all sequences, padded at the end, where a causal network does not see it."""
    pairs = [*((sample.prompt, row) for row in sample.rows), (list(sample.contexts[1]), sample.message)]
    longest = max(len(before) + len(scored) for before, scored in pairs)
    padded = [[*before, *scored, *[scored[-1]] * (longest - len(before) - len(scored))] for before, scored in pairs]
    try:
        with torch.inference_mode():
            logits = model.network(input_ids=model.tensor(padded), use_cache=False).logits
    except Exception as error:  # networks raise what they like
        raise EngineError(
            f"{type(model.network).__name__} cannot read a text: {error}", hint="does the tokenizer fit? try dtype='float32'"
        ) from error
    found = [_log_probs(one[len(before) - 1 :], scored) for one, (before, scored) in zip(logits, pairs, strict=True)]
    sums = np.asarray([one.sum() for one in found])
    if not np.isfinite(sums).all():
        raise EngineError("the model's likelihoods are not finite", hint="its weights are damaged, or try dtype='float32'")
    seen = float(np.abs(found[3] - found[2]).sum())  # one message after two contexts
    tolerance = min(TOLERANCE_NATS.get(model.dtype, 1.0), TOLERANCE_SHARE * seen)
    return _Reference(sums[:3], sums[2:], float(found[0][:N_HALF].sum()), tolerance)


def _log_probs(logits: torch.Tensor, targets: Sequence[int]) -> Floats:
    """[target] nats; each row of logits predicts the target of the same index."""
    log_probs = logits[: len(targets)].double().log_softmax(-1)
    found = log_probs.gather(1, torch.as_tensor(targets, device=logits.device)[:, None])[:, 0]
    return np.asarray(found.cpu(), dtype=np.float64)


def _check_plain(model: LanguageModel, sample: _Sample, reference: _Reference) -> None:
    """Row 0's first half, scored alone: what comes later changes nothing, and the head's logits are the network's."""
    half = score_rows(model, None, sample.prompt, [sample.rows[0][:N_HALF]]).log_probs[0]
    if abs(half - reference.half) > reference.tolerance:
        raise EngineError(
            f"{type(model.network).__name__} does not read from left to right, or changes the logits of its head in an unknown way",
            hint="use a causal language model; an encoder such as BERT cannot score",
        )


def _tree_agrees(model: LanguageModel, sample: _Sample, reference: _Reference) -> bool:
    try:
        tree = score_tree(model, None, sample.prompt, sample.rows).log_probs
        channel, _ = score_message(model, Contexts(model), sample.contexts, sample.message)
        unmasked = score_tree(cast("LanguageModel", _Unmasked(model)), None, sample.prompt, sample.rows).log_probs
    except Exception:  # whatever a network raises at a mask or a cache that it does not know: not this way
        return False
    error = max(_error(tree, reference.rows), _error(channel, reference.contexts))
    return error <= min(reference.tolerance, MASK_SHARE * _error(unmasked, reference.rows))


def _cache_agrees(model: LanguageModel, sample: _Sample, reference: _Reference) -> bool:
    try:
        rows = score_rows(model, model.prefill(sample.prompt[:-2]), sample.prompt[-2:], sample.rows).log_probs
    except Exception:  # as above
        return False
    return _error(rows, reference.rows) <= reference.tolerance


def _error(found: Floats, expected: Floats) -> float:
    return float(np.abs(found - expected).max())


def _has_window(config: object) -> bool:
    """Whether some layer sees only the nearest tokens of a text that the model may still read."""
    if set(getattr(config, "layer_types", None) or ("unknown",)) == {"full_attention"}:
        return False
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size", "window_size")]
    longest = getattr(config, "max_position_embeddings", None) or float("inf")
    return any(window and window < longest for window in windows)
