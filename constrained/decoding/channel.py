"""The channel: log P(message | context) for many pairs at once, the contexts' keys and values computed once.

A noisy-channel classifier (Min et al., Noisy Channel Language Model Prompting for Few-Shot Text Classification,
ACL 2022, section 3): the candidate is the condition, the user's message is what is scored. Contexts hold a
response's ``when`` and examples, so they are static per catalog; a decision costs candidates x message tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from constrained.choice import Deadline
from constrained.decoding.contexts import Contexts, Ids
from constrained.decoding.model import LanguageModel

BATCH_TOKENS = 1024  # message tokens of all pairs together that go through the model in one pass
BATCH_TOKENS_CUDA = 16_384
Pair = tuple[Ids, Ids]


def score_message(
    model: LanguageModel, bank: Contexts, contexts: Sequence[Ids], message: Sequence[int], deadline: Deadline | None = None
) -> tuple[np.ndarray, int]:
    """``score_messages`` of one message after many contexts: [context] nats, and the tokens that went through the model."""
    found, n_tokens, _ = score_messages(model, bank, [(context, tuple(message)) for context in contexts], deadline)
    return found, n_tokens


def score_messages(
    model: LanguageModel, bank: Contexts, pairs: Sequence[Pair], deadline: Deadline | None = None
) -> tuple[np.ndarray, int, int]:
    """[pair] log P(message | context) in nats, float64; the tokens that went through the model; forward passes.

    The last context token predicts the message's first one, so it is fed again with the message: contexts need
    at least two tokens. A message of no tokens (a tokenizer that drops white space) scores 0 everywhere: nothing was
    said, so nothing tells the contexts apart.
    """
    unique = [pair for pair in dict.fromkeys(pairs) if pair[1]]
    scores: dict[Pair, float] = {pair: 0.0 for pair in pairs if not pair[1]}
    n_tokens = bank.fill([context[:-1] for context, _ in unique], deadline)
    n_passes = 0
    for batch in _batches(unique, BATCH_TOKENS_CUDA if model.device.type == "cuda" else BATCH_TOKENS):
        scores.update(zip(batch, _score_batch(model, bank, batch, deadline), strict=True))
        n_tokens, n_passes = n_tokens + sum(len(message) for _, message in batch), n_passes + 1
    return np.asarray([scores[pair] for pair in pairs], dtype=np.float64), n_tokens, n_passes


def score_message_rows(model: LanguageModel, pairs: Sequence[Pair], deadline: Deadline | None = None) -> tuple[np.ndarray, int, int]:
    """The same by its definition: one plain pass over context and message each. The reference, and the fallback."""
    sums = []
    for context, message in pairs:
        if not message:
            sums.append(0.0)
            continue
        states, _ = model.run(model.tensor([*context, *message[:-1]])[None], deadline=deadline)
        sums.append(float(model.log_probs(states[0, len(context) - 1 :], model.tensor(message)).double().sum()))
    return np.asarray(sums), sum(len(context) + len(message) for context, message in pairs), len(pairs)


def _batches(pairs: Sequence[Pair], most_tokens: int) -> Iterator[list[Pair]]:
    """Pairs in their order, as many as fit with all messages padded to the longest one."""
    batch: list[Pair] = []
    longest = 0
    for pair in pairs:
        longest = max(longest, len(pair[1]))
        if batch and (len(batch) + 1) * longest > most_tokens:
            yield batch
            batch, longest = [], len(pair[1])
        batch.append(pair)
    if batch:
        yield batch


def _score_batch(model: LanguageModel, bank: Contexts, pairs: Sequence[Pair], deadline: Deadline | None) -> list[float]:
    prefix = bank.stacked([context[:-1] for context, _ in pairs])
    n_rows, n_new = len(pairs), max(len(message) for _, message in pairs)
    n_message = model.tensor([len(message) for _, message in pairs])
    padded = model.tensor(
        [[*message, *[message[-1]] * (n_new - len(message))] for _, message in pairs]
    )  # what is padded sees, and is not seen
    ids = torch.cat([model.tensor([[context[-1]] for context, _ in pairs]), padded[:, :-1]], dim=1)
    n_context = model.tensor([len(context) - 1 for context, _ in pairs])
    places = torch.arange(n_new, device=ids.device)
    seen = torch.arange(prefix.length, device=ids.device) >= prefix.length - n_context[:, None]  # False: padding
    mask = torch.ones(n_new, n_new, dtype=torch.bool, device=ids.device).tril().expand(n_rows, 1, n_new, n_new)
    mask = torch.cat([seen[:, None, None].expand(n_rows, 1, n_new, prefix.length), mask], dim=-1)
    states, _ = model.run(ids, positions=n_context[:, None] + places, allowed_mask=mask, prefix=prefix, deadline=deadline)
    found = model.log_probs(states.reshape(n_rows * n_new, -1), padded.reshape(-1)).double().reshape(n_rows, n_new)
    return [float(value) for value in found.where(places < n_message[:, None], 0.0).sum(1)]
