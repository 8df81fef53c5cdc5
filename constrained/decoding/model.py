"""A causal language model, narrowed to what scoring needs: forward passes over a cached prefix. Knows no choices."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from constrained.choice import Deadline

Device: TypeAlias = "str | torch.device"
LOGIT_ROWS = 256  # rows of vocabulary logits that exist at one time


@dataclass(frozen=True, slots=True)
class Prefix:
    """Keys and values of tokens that later tokens attend to, computed once and never changed.

    Attributes:
        keys, values: [layer] tensors of shape [batch, kv head, position, head size].
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        return int(self.keys[0].shape[-2]) if self.keys else 0

    def take(self, positions: Tensor) -> Prefix:
        """Only these positions, in this order."""
        return Prefix(tuple(key[..., positions, :] for key in self.keys), tuple(value[..., positions, :] for value in self.values))

    def join(self, other: Prefix) -> Prefix:
        """This prefix and, after it, another one."""
        return Prefix(_joined(self.keys, other.keys), _joined(self.values, other.values))


class _Layer(DynamicLayer):  # type: ignore[misc]  # transformers ships no types for it
    """Attends to a shared prefix without copying new states into it; keeps the new states apart.

    ``keys`` and ``values`` stay the prefix's, so the mask sizes and positions that a model reads from its
    cache are those of a cache that was filled once.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
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
    """

    def __init__(self, network: Any) -> None:
        self.network = network.eval()
        self.lock = threading.RLock()
        self._body = network.get_decoder() if hasattr(network, "get_decoder") else network.model
        self._head = network.get_output_embeddings()
        self._deadline: Deadline | None = None
        for layer in self._body.layers:
            layer.register_forward_pre_hook(self._check_deadline)

    @property
    def device(self) -> torch.device:
        return cast("torch.device", self._head.weight.device)

    @property
    def dtype(self) -> torch.dtype:
        return cast("torch.dtype", self._head.weight.dtype)

    def weights_hash(self) -> str:
        """Of all parameters' names, shapes and bytes; tells any two checkpoints apart."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().contiguous().cpu().flatten().view(torch.uint8).numpy())
        return "sha256:" + digest.hexdigest()

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
        with self.lock, torch.inference_mode():
            self._deadline = deadline
            cache = DynamicCache()
            if prefix is not None:
                cache.layers = [_Layer(key, value) for key, value in zip(prefix.keys, prefix.values, strict=True)]
            try:
                states = self._body(
                    input_ids=ids, position_ids=positions, attention_mask=allowed_mask, past_key_values=cache, use_cache=True
                ).last_hidden_state
            finally:
                self._deadline = None
        return states, _new_states(cache, prefix is not None)

    def prefill(self, ids: Sequence[int], deadline: Deadline | None = None) -> Prefix:
        """Keys and values of one sequence."""
        return self.run(self.tensor(ids)[None], deadline=deadline)[1]

    def log_probs(self, states: Tensor, targets: Tensor) -> Tensor:
        """log P(target | state) in nats, float32.

        Args:
            states: [n, hidden]. targets: [n] token ids.

        The full vocabulary's logits exist for LOGIT_ROWS rows at a time, never for all.
        """
        with torch.inference_mode():
            parts = [
                _log_softmax_at(self._head(rows).float(), wanted)
                for rows, wanted in zip(states.split(LOGIT_ROWS), targets.split(LOGIT_ROWS), strict=True)
            ]
        return torch.cat(parts) if parts else states.new_zeros(0, dtype=torch.float32)

    def tensor(self, values: Any, dtype: torch.dtype = torch.long) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=self.device)

    def _check_deadline(self, *_: Any) -> None:
        if self._deadline is not None:
            self._deadline.check()


def _log_softmax_at(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(1)


def _new_states(cache: DynamicCache, has_prefix: bool) -> Prefix:
    if has_prefix:
        return Prefix(tuple(layer.new_keys for layer in cache.layers), tuple(layer.new_values for layer in cache.layers))
    return Prefix(tuple(layer.keys for layer in cache.layers), tuple(layer.values for layer in cache.layers))


def _joined(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.cat([one, other], dim=-2) for one, other in zip(first, second, strict=True))
