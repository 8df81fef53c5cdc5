"""The channel: log P(message | context) for many contexts at once, their keys and values computed once.

A noisy-channel classifier (Min et al., Noisy Channel Language Model Prompting for Few-Shot Text Classification,
ACL 2022, section 3): the candidate is the condition, the user's message is what is scored. Contexts hold a
response's ``when`` and examples, so they are static per catalog; a decision costs candidates x message tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from constrained.choice import Deadline
from constrained.decoding.contexts import Contexts, Ids
from constrained.decoding.model import LanguageModel

BATCH_TOKENS = 1024  # message tokens of all contexts together that go through the model in one pass


def score_message(
    model: LanguageModel, bank: Contexts, contexts: Sequence[Ids], message: Sequence[int], deadline: Deadline | None = None
) -> tuple[np.ndarray, int]:
    """[context] log P(message | context) in nats, float64, and the number of tokens that went through the model.

    The last context token predicts the message's first one, so it is fed again with the message: contexts need
    at least two tokens.
    """
    if not message:  # a tokenizer that drops white space: nothing was said, so nothing tells the contexts apart
        return np.zeros(len(contexts)), 0
    unique = list(dict.fromkeys(contexts))
    n_filled = bank.fill([context[:-1] for context in unique], deadline)
    scores: dict[Ids, float] = {}
    rows_per_pass = max(1, BATCH_TOKENS // len(message))
    for start in range(0, len(unique), rows_per_pass):
        rows = unique[start : start + rows_per_pass]
        scores.update(zip(rows, _score_batch(model, bank, rows, message, deadline), strict=True))
    return np.asarray([scores[context] for context in contexts]), n_filled + len(unique) * len(message)


def score_message_rows(
    model: LanguageModel, contexts: Sequence[Ids], message: Sequence[int], deadline: Deadline | None = None
) -> np.ndarray:
    """The same by its definition: one plain pass over context and message each. The reference, and the fallback."""
    if not message:
        return np.zeros(len(contexts))
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
