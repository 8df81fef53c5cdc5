"""A causal language model, narrowed to what scoring needs: forward passes over a cached prefix, under any attention mask.

``LanguageModel`` is the class to read. Attention under a mask is our own for models whose query heads share keys and values:
transformers repeats these for every query head when there is a mask. Query heads of one group attend to the same keys under the
same mask, so here they stand as further rows of one head instead (Ainslie et al., GQA, EMNLP 2023, section 2.2, for the groups):
the same sums, less memory traffic.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from constrained.engines.protocol import Deadline
from constrained.errors import EngineError

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


# -- the model and its prefixes -------------------------------------------------------------------------------------

Device: TypeAlias = "str | torch.device"
LOGIT_ROWS = 256  # rows of vocabulary logits that exist at one time


@dataclass(frozen=True, slots=True)
class Prefix:
    """Keys and values of tokens that later tokens attend to, computed once and never changed.

    Attributes:
        keys, values: [layer] tensors of shape [batch, kv head, position, head size].
        ids: the tokens themselves, and no keys, where the model keeps none that can be used again (``has_cache``).
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    ids: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        return int(self.keys[0].shape[-2]) if self.keys else len(self.ids)

    def take(self, positions: Tensor) -> Prefix:
        """Only these positions, in this order."""
        return Prefix(tuple(key[..., positions, :] for key in self.keys), tuple(value[..., positions, :] for value in self.values))

    def expand(self, n_rows: int) -> Prefix:
        """The same for every row of a batch; nothing is copied here."""
        return Prefix(
            tuple(key.expand(n_rows, -1, -1, -1) for key in self.keys),
            tuple(value.expand(n_rows, -1, -1, -1) for value in self.values),
            self.ids,
        )

    def join(self, other: Prefix) -> Prefix:
        """This prefix and, after it, another one."""
        return Prefix(_joined(self.keys, other.keys), _joined(self.values, other.values))


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]  # transformers types only a part of it
    """Attends to a shared prefix without copying new states into it; keeps the new states apart.

    ``keys`` and ``values`` stay the prefix's, so the mask sizes and positions that a model reads from its
    cache are those of a cache that was filled once.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.keys: Tensor = keys
        self.values: Tensor = values
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self.new_keys: Tensor = keys[..., :0, :]
        self.new_values: Tensor = values[..., :0, :]

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        self.new_keys, self.new_values = key_states, value_states
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


class LanguageModel:
    """A causal LM of transformers with its lock and its deadline.

    One forward pass runs at a time; a deadline is checked before every layer, so a late pass ends within
    the time of one layer.

    Attributes:
        has_cache: keys and values of a prefix serve later passes. The self-test turns it off for models whose
            state is another one (linear attention); their prefixes are then read again in every pass.

    Raises EngineError when ``network`` is not a language model.
    """

    def __init__(self, network: Any) -> None:
        if not hasattr(network, "get_output_embeddings") or network.get_output_embeddings() is None:
            raise EngineError(f"{type(network).__name__} predicts no next token", hint="use a causal language model")
        self.network = network.eval()
        self.lock = threading.RLock()
        self.has_cache = True
        self._body = network.get_decoder()
        self._head = network.get_output_embeddings()
        self._scale, self._cap = _logit_changes(self.config)
        self._is_grouped = is_grouped(self.config)
        self._deadline: Deadline | None = None
        for layer in _layers(self._body):
            layer.register_forward_pre_hook(self._check_deadline)

    @property
    def config(self) -> Any:
        """The configuration of the part that reads text."""
        return self.network.config.get_text_config()

    @property
    def device(self) -> torch.device:
        return cast("torch.device", self._head.weight.device)

    @property
    def dtype(self) -> torch.dtype:
        return cast("torch.dtype", self._head.weight.dtype)

    def weights_hash(self) -> str:
        return network_hash(self.network)

    def run(
        self,
        ids: Tensor,
        *,
        positions: Tensor | None = None,
        allowed_mask: Tensor | None = None,
        prefix: Prefix | None = None,
        deadline: Deadline | None = None,
    ) -> tuple[Tensor, Prefix]:
        """One forward pass.

        Args:
            ids: [batch, new] token ids.
            positions: [batch, new]; they go on after the prefix when None.
            allowed_mask: [batch, 1, new, prefix + new] bool, True = may attend; causal when None.

        Returns:
            [batch, new, hidden] states after the last norm, and the new tokens' own keys and values.
        """
        if not self.has_cache:
            return self._run_all(ids, prefix, deadline)
        with self.lock, torch.inference_mode():
            self._deadline = deadline
            cache: Any = DynamicCache()
            if prefix is not None:
                cache.layers = [_Layer(key, value) for key, value in zip(prefix.keys, prefix.values, strict=True)]
            try:
                with grouped(self.config) if self._is_grouped and allowed_mask is not None else nullcontext():
                    states = self._body(
                        input_ids=ids, position_ids=positions, attention_mask=allowed_mask, past_key_values=cache, use_cache=True
                    ).last_hidden_state
            finally:
                self._deadline = None
        return states, _new_states(cache.layers, prefix is not None)

    def prefill(self, ids: Sequence[int], deadline: Deadline | None = None) -> Prefix:
        """Keys and values of one sequence."""
        if not self.has_cache:
            return Prefix((), (), tuple(ids))
        return self.run(self.tensor(ids)[None], deadline=deadline)[1]

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """log P(target | state) in nats, float32.

        Args:
            states: [n, hidden]. targets: [n] token ids.

        The full vocabulary's logits exist for LOGIT_ROWS rows at a time, never for all.
        """
        with torch.inference_mode():
            parts = [
                _log_softmax_at(self.logits(rows), wanted)
                for rows, wanted in zip(torch.split(states, LOGIT_ROWS), torch.split(targets, LOGIT_ROWS), strict=True)
            ]
        return torch.cat(parts) if parts else states.new_zeros(0, dtype=torch.float32)

    def log_probs_of(self, states: Tensor, rows: NDArray[np.int64], targets: Tensor) -> Tensor:
        """``log_probs`` where one state predicts several targets: its logits are computed once.

        Args:
            states: [n, hidden]. rows: [m] which state predicts each target. targets: [m] token ids.
        """
        with torch.inference_mode():
            found = torch.empty(len(rows), dtype=torch.float32, device=states.device)
            for start in range(0, len(states), LOGIT_ROWS):
                logits = self.logits(states[start : start + LOGIT_ROWS])
                at = np.flatnonzero((rows >= start) & (rows < start + LOGIT_ROWS))
                row, place = self.tensor(rows[at] - start), self.tensor(at)
                found[place] = logits[row, targets[place]] - logits.logsumexp(1)[row]
        return found

    def tensor(self, values: Any, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=self.device)

    def _run_all(self, ids: Tensor, prefix: Prefix | None, deadline: Deadline | None) -> tuple[Tensor, Prefix]:
        """``run`` without a cache: the prefix's tokens go through the model again. There is no mask but the causal one."""
        before = self.tensor(prefix.ids if prefix else ()).expand(len(ids), -1)
        with self.lock, torch.inference_mode():
            self._deadline = deadline
            try:
                states = self._body(input_ids=torch.cat([before, ids], dim=1), use_cache=False).last_hidden_state
            finally:
                self._deadline = None
        return states[:, before.shape[1] :], Prefix((), ())

    def logits(self, states: Tensor) -> Tensor:
        """[n, vocabulary] float32: what the head gives, changed as the network changes it."""
        logits = self._head(states).float() * self._scale
        return logits if self._cap is None else self._cap * torch.tanh(logits / self._cap)

    def _check_deadline(self, *_: Any) -> None:
        if self._deadline is not None:
            self._deadline.check()


def network_hash(network: Any) -> str:
    """Of the configuration and all parameters' names, shapes and bytes; tells any two checkpoints apart.

    In parallel: about 0.7 s of one core a gigabyte, where the CPU has SHA instructions.
    """
    config = network.config.get_text_config()
    settings = {name: value for name, value in config.to_dict().items() if name not in ("transformers_version", "_name_or_path")}
    tensors = _distinct(sorted(network.state_dict().items()))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(_tensor_hash, (tensor for _, tensor in tensors)))
    named = [(name, part) for (name, _), part in zip(tensors, parts, strict=True)]
    return "sha256:" + hashlib.sha256(json.dumps([settings, named], sort_keys=True, default=str).encode()).hexdigest()


def _log_softmax_at(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(1)


def _new_states(layers: Sequence[Any], has_prefix: bool) -> Prefix:
    if has_prefix:
        return Prefix(tuple(layer.new_keys for layer in layers), tuple(layer.new_values for layer in layers))
    return Prefix(tuple(layer.keys for layer in layers), tuple(layer.values for layer in layers))


def _joined(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.cat([one, other], dim=-2) for one, other in zip(first, second, strict=True))


def _layers(body: Any) -> Iterable[Any]:
    """The blocks of a decoder, whatever their attribute is called (``layers``, ``h``)."""
    return next((child for child in body.children() if isinstance(child, torch.nn.ModuleList)), ())


def _logit_changes(config: Any) -> tuple[float, float | None]:
    """What is done to the logits after the head: a factor (Cohere, Granite) and a soft cap (Gemma). The self-test compares."""
    factor = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    return factor, getattr(config, "final_logit_softcapping", None)


def _distinct(tensors: Iterable[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    """One name for each tensor; tied weights have several."""
    found: dict[tuple[Any, ...], tuple[str, Tensor]] = {}
    for name, tensor in tensors:
        found.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), (name, tensor))
    return list(found.values())


def _tensor_hash(tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
    content: Any = tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    digest.update(content)
    return digest.hexdigest()
