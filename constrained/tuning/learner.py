"""What is trained: the low-rank changes of a network and one vector for each response. Knows no file and no policy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from constrained.decoding import adapter
from constrained.decoding.head import Head
from constrained.decoding.states import Encoder, vectors
from constrained.tuning.rows import Row
from constrained.tuning.settings import Settings

REST_QUANTILE = 0.75


class Learner:
    """An encoder with an adapter that learns, and the responses' vectors, which begin as the mean of their rows.

    Args:
        encoder: its network gets the adapter. rows: every response that is to be scored has one at least.

    The encoder's network stays as it is but for what the adapter adds; turn the adapter off to have it back.
    """

    def __init__(self, encoder: Encoder, rows: Sequence[Row], settings: Settings) -> None:
        self.encoder, self.settings = encoder, settings
        self.ids = tuple(dict.fromkeys(row.id for row in rows))
        self._places = {name: index for index, name in enumerate(self.ids)}
        self.targets = torch.tensor([self._places[row.id] for row in rows], device=encoder.network.device)
        self._read = encoder.rows([row.message for row in rows])
        start = vectors(encoder, [row.message for row in rows])
        means = torch.zeros(len(self.ids), start.shape[1], device=start.device).index_add_(0, self.targets, start)
        adapter.add(encoder.network, rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout)
        self.vectors = torch.nn.Parameter(normalize(means, dim=-1))

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """Of the adapter."""
        return list(adapter.changes(self.encoder.network).values())

    def loss(self, indices: Sequence[int]) -> Tensor:
        """Cross-entropy of these rows over all responses, and of each row's companions over the batch."""
        states = self.encoder.states([self._read[index] for index in indices])
        targets = self.targets[list(indices)]
        found = cross_entropy(self.logits(states), targets)
        return found + self.settings.contrast * contrast(states, targets, self.settings.scale)

    def logits(self, states: Tensor) -> Tensor:
        """[message, id] nats: cosines with all responses' vectors, the whole admissible set, times a scale."""
        return self.settings.scale * states @ normalize(self.vectors, dim=-1).T

    def log_probs(self, message: str, ids: Sequence[str], rest: float) -> Tensor:
        """[candidate] log-probabilities among a turn's own admissible responses, with gradients.

        Args:
            rest: cosine of a response without rows: the fallback. It learns nothing.
        """
        with adapter.adapted(self.encoder.network):
            logits = self.logits(self.encoder.states(self.encoder.rows([message])))[0]
        unknown = torch.tensor(self.settings.scale * rest, device=logits.device)
        return torch.stack([logits[self._places[name]] if name in self._places else unknown for name in ids]).log_softmax(0).cpu()

    def head(self, fallback: str) -> Head:
        """What was learned of the responses, to decide with."""
        learned = normalize(self.vectors.detach(), dim=-1).clone()
        with adapter.adapted(self.encoder.network):
            rest = float("nan") if fallback in self.ids else self._rest(learned)
        return Head(self.ids, learned, self.settings.scale, rest)

    def _rest(self, learned: Tensor) -> float:
        """The cosine of "none of these" where no message shows what it is: as near as most messages come to the nearest
        response that is not their own.
        """
        with torch.inference_mode():
            parts = [self.encoder.states(self._read[at : at + 64]) for at in range(0, len(self._read), 64)]
            cosines = torch.cat(parts) @ learned.T
            others = cosines.scatter(1, self.targets[:, None], -1.0).max(1).values
        return float(np.quantile(others.cpu().numpy(), REST_QUANTILE))


def contrast(states: Tensor, targets: Tensor, scale: float) -> Tensor:
    """Of each row the mean cross-entropy of its companions (same response) over all other rows; 0 where none has one.

    Source: Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, equation 2.
    """
    is_self = torch.eye(len(targets), dtype=torch.bool, device=states.device)
    log_probs = (scale * states @ states.T).masked_fill(is_self, -torch.inf).log_softmax(1).masked_fill(is_self, 0.0)
    is_companion = (targets[:, None] == targets[None]) & ~is_self
    n_companions = is_companion.sum(1)
    if not bool((n_companions > 0).any()):
        return states.sum() * 0.0
    per_row = -(log_probs * is_companion).sum(1) / n_companions.clamp(min=1)
    return per_row[n_companions > 0].mean()
