"""What a mode found: scores of all rows, and what finding them cost. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from constrained.decoding.trie import Trie

Floats = NDArray[np.float64]


class Effort(Protocol):
    """What went through the model: TreePasses."""

    n_tokens: int
    n_passes: int


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of rows.

    Attributes:
        log_probs: [row] score in nats, float64, end token included where the rows hold one.
        n_tokens: tokens that went through the model, the suffix included. n_passes: forward passes.
        n_nodes: inner nodes of the trie, all of which ``exact`` feeds. n_expanded: those that were fed.
        is_exact: [row] whether the score is one, or an estimate or a bound; all True by default.
        gap: nats by which the best row is certain to beat every other one; negative when one could still be better by
            as much; None where the mode certifies nothing.
        mass: certain bounds of the best row's probability among the rows; None as above.
        flips: of a mode that asks in several orders, how many of them have another best row.
    """

    log_probs: Floats
    n_tokens: int
    n_passes: int = 1
    n_nodes: int = 0
    n_expanded: int = 0
    is_exact: NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, dtype=np.bool_))
    gap: float | None = None
    mass: tuple[float, float] | None = None
    flips: int | None = None

    def __post_init__(self) -> None:
        if len(self.is_exact) != len(self.log_probs):
            object.__setattr__(self, "is_exact", np.ones(len(self.log_probs), dtype=np.bool_))

    @classmethod
    def complete(cls, log_probs: Floats, effort: Effort, trie: Trie) -> Scored:
        """Of a mode that fed all inner nodes."""
        return cls(log_probs, effort.n_tokens, effort.n_passes, trie.n_inner, trie.n_inner)
