"""The channel: log P(message | context) for many contexts at once, their keys and values computed once.

A noisy-channel classifier (Min et al., Noisy Channel Language Model Prompting for Few-Shot Text Classification,
ACL 2022, section 3): the candidate is the condition, the user's message is what is scored. Contexts hold a
response's ``when`` and examples, so they are static per catalog; a decision costs candidates x message tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from constrained.choice import Deadline
from constrained.decoding.model import LanguageModel, Prefix

Ids = tuple[int, ...]
BATCH_TOKENS = 1024  # context tokens that are prefilled in one pass


class Contexts:
    """Keys and values of contexts, by their token ids; the least recently used go when ``max_tokens`` are held."""

    def __init__(self, model: LanguageModel, max_tokens: int = 32_768) -> None:
        self._model, self._max_tokens = model, max_tokens
        self._held: OrderedDict[Ids, Tensor] = OrderedDict()  # [layer, 2, kv head, position, head size]

    def fill(self, contexts: Sequence[Ids], deadline: Deadline | None = None) -> int:
        """Computes what is missing; returns how many tokens went through the model."""
        missing = sorted({context for context in contexts if context not in self._held}, key=len)
        n_tokens = 0
        while missing:
            n_rows = max(1, min(len(missing), BATCH_TOKENS // len(missing[-1])))
            batch, missing = missing[-n_rows:], missing[:-n_rows]
            n_tokens += self._fill_batch(batch, deadline)
        for context in contexts:
            self._held.move_to_end(context)
        self._forget(keep=len(set(contexts)))
        return n_tokens

    def stacked(self, contexts: Sequence[Ids]) -> Prefix:
        """One batch row a context, padded on the left; ``fill`` came before."""
        held = [self._held[context] for context in contexts]
        longest = max(one.shape[3] for one in held)
        shape = (held[0].shape[0], 2, len(held), held[0].shape[2], longest, held[0].shape[4])
        stack = held[0].new_zeros(shape)
        for row, one in enumerate(held):
            stack[:, :, row, :, longest - one.shape[3] :] = one
        return Prefix(tuple(layer[0] for layer in stack), tuple(layer[1] for layer in stack))

    def _fill_batch(self, batch: Sequence[Ids], deadline: Deadline | None) -> int:
        longest = max(map(len, batch))
        ids = self._model.tensor([[*context, *[0] * (longest - len(context))] for context in batch])  # pads come after: unseen
        _, prefix = self._model.run(ids, deadline=deadline)
        states = torch.stack([torch.stack(pair) for pair in zip(prefix.keys, prefix.values, strict=True)])
        for row, context in enumerate(batch):
            self._held[context] = states[:, :, row, :, : len(context)].clone()
        return ids.numel()

    def _forget(self, keep: int) -> None:
        held = sum(map(len, self._held))
        while held > self._max_tokens and len(self._held) > keep:
            held -= len(self._held.popitem(last=False)[0])


def score_message(
    model: LanguageModel, bank: Contexts, contexts: Sequence[Ids], message: Sequence[int], deadline: Deadline | None = None
) -> tuple[np.ndarray, int]:
    """[context] log P(message | context) in nats, float64, and the number of tokens that went through the model.

    The last context token predicts the message's first one, so it is fed again with the message: contexts need
    at least two tokens.
    """
    unique = list(dict.fromkeys(contexts))
    n_filled = bank.fill([context[:-1] for context in unique], deadline)
    scores: dict[Ids, float] = {}
    rows_per_pass = max(1, BATCH_TOKENS // len(message))
    for start in range(0, len(unique), rows_per_pass):
        rows = unique[start : start + rows_per_pass]
        scores.update(zip(rows, _score_batch(model, bank, rows, message, deadline), strict=True))
    return np.asarray([scores[context] for context in contexts]), n_filled + len(unique) * len(message)


def score_message_rows(model: LanguageModel, contexts: Sequence[Ids], message: Sequence[int], deadline: Deadline | None = None) -> np.ndarray:
    """The same by its definition: one plain pass over context and message each. The reference, and the fallback."""
    sums = []
    for context in contexts:
        states, _ = model.run(model.tensor([*context, *message[:-1]])[None], deadline=deadline)
        sums.append(float(model.log_probs(states[0, len(context) - 1 :], model.tensor(message)).double().sum()))
    return np.asarray(sums)


def _score_batch(
    model: LanguageModel, bank: Contexts, contexts: Sequence[Ids], message: Sequence[int], deadline: Deadline | None
) -> list[float]:
    prefix = bank.stacked([context[:-1] for context in contexts])
    n_rows, n_new = len(contexts), len(message)
    ids = model.tensor([[context[-1], *message[:-1]] for context in contexts])
    n_context = model.tensor([len(context) - 1 for context in contexts])
    positions = n_context[:, None] + torch.arange(n_new, device=ids.device)
    seen = torch.arange(prefix.length, device=ids.device) >= prefix.length - n_context[:, None]  # False: padding
    mask = torch.ones(n_new, n_new, dtype=torch.bool, device=ids.device).tril().expand(n_rows, 1, n_new, n_new)
    mask = torch.cat([seen[:, None, None].expand(n_rows, 1, n_new, prefix.length), mask], dim=-1)
    states, _ = model.run(ids, positions=positions, allowed_mask=mask, prefix=prefix, deadline=deadline)
    targets = model.tensor(message).expand(n_rows, n_new).reshape(-1)
    found = model.log_probs(states.reshape(n_rows * n_new, -1), targets)
    return [float(value) for value in found.double().reshape(n_rows, n_new).sum(1)]
