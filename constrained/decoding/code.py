"""Mode ``code``: the candidates are listed in the prompt, and one token is read: a letter a candidate, in several orders.

Small models prefer a letter, or a place in the list, over what stands there (Zheng et al., Large Language Models Are
Not Robust Multiple Choice Selectors, ICLR 2024): every candidate is scored under several letters, and how many of the
orders pick another one than their mean does is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

import numpy as np

from constrained.choice import Deadline
from constrained.decoding.forest import Asked, score_forest
from constrained.decoding.model import Prefix
from constrained.decoding.reader import Reader
from constrained.decoding.scored import Scored
from constrained.errors import EngineError

MOST = len(ascii_uppercase)


def score_letters(
    reader: Reader, prefix: Prefix, dynamic: str, surfaces: Sequence[str], n_orders: int = 2, deadline: Deadline | None = None
) -> Scored:
    """[candidate] mean over the orders of log P(its letter | one of the letters), in nats.

    Args:
        dynamic: the turn, as it stands before the list.
        n_orders: the order given, its reverse, and then rotations of both; at least 2 where there are two candidates.

    Raises EngineError for more than 26 candidates, or a tokenizer whose letters are not one token each.
    """
    n = len(surfaces)
    if n > MOST:
        raise EngineError(f"mode 'code' lists at most {MOST} candidates, and {n} are allowed", hint="use mode='auto'")
    letters = _letters(reader, n)
    orders = _orders(n, max(n_orders, 2))
    asked = [Asked(tuple(reader.tokens.chat("", f"{dynamic}\n{_listing(order, surfaces)}")[1]), tuple(letters)) for order in orders]
    answer = score_forest(reader.model, prefix, asked, deadline, has_tree=reader.has_tree)
    by_order = np.empty((len(orders), n))
    for place, (order, log_probs) in enumerate(zip(orders, answer.log_probs, strict=True)):
        by_order[place, order] = log_probs - np.logaddexp.reduce(log_probs)
    scores = by_order.mean(0)
    flips = int((by_order.argmax(1) != scores.argmax()).sum())
    return Scored(scores, answer.n_tokens, answer.n_passes, answer.n_nodes, answer.n_nodes, flips=flips)


def _letters(reader: Reader, n: int) -> list[tuple[int, ...]]:
    rows = [tuple(row) for row in reader.tokens.plain_batch(list(ascii_uppercase[:n]))]
    if any(len(row) != 1 for row in rows) or len(set(rows)) < n:
        raise EngineError("this tokenizer has no token of its own for each letter", hint="use mode='exact' on keys")
    return rows


def _orders(n: int, n_orders: int) -> list[list[int]]:
    """Distinct orders of n candidates, so that none stands at the same letter more often than must be."""
    found: dict[tuple[int, ...], None] = {}
    for turn in range(n):
        rotated = [*range(turn, n), *range(turn)]
        for order in (rotated, rotated[::-1]):
            found.setdefault(tuple(order))
    return [list(order) for order in list(found)[:n_orders]]


def _listing(order: Sequence[int], surfaces: Sequence[str]) -> str:
    lines = [f"{ascii_uppercase[place]}. {surfaces[candidate]}" for place, candidate in enumerate(order)]
    return "\n".join(["What fits? Answer with one letter.", *lines])
