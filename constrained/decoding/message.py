"""What the channel reads of a message, and which candidates come near it: all that is settled before a model is asked. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from constrained.choice import Choice
from constrained.decoding.shortlist import overlap

HEAD_TOKENS, TAIL_TOKENS = 64, 32  # of a long message, what the channel reads
N_NEAREST = 32  # candidates that ``refine`` reads; on BANKING77 the best one is among them in 99 % (benchmarks/LOG.md)
WORDS = 0.2  # nats for a unit of BM25; chosen on the dev messages of the packs (benchmarks/LOG.md)


def bounded(message: Sequence[int]) -> list[int]:
    """The head and the tail of a long message."""
    if len(message) <= HEAD_TOKENS + TAIL_TOKENS:
        return list(message)
    return [*message[:HEAD_TOKENS], *message[-TAIL_TOKENS:]]


def shared(message: str, choice: Choice) -> NDArray[np.float64]:
    """[candidate] what its description shares with the message; "none of these" describes nothing."""
    return np.asarray(
        overlap(message, [() if candidate.rest else (candidate.when, *candidate.examples) for candidate in choice.candidates])
    )


def nearest(found: NDArray[np.float64], choice: Choice) -> list[int]:
    """The candidates to read by what they share, in their order; "none of these" is always among them."""
    rest = [index for index, candidate in enumerate(choice.candidates) if candidate.rest]
    return sorted({*np.argsort(-found, kind="stable")[:N_NEAREST].tolist(), *rest})
