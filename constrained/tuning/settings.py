"""How a model is tuned. Values alone; the defaults are those that did best in benchmarks/LOG.md."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from constrained.errors import TuningError


@dataclass(frozen=True, slots=True)
class Settings:
    """Attributes:
    epochs: times that every message is read. batch: messages a step.
    rate, vector_rate: learning rates of the adapter and of the responses' vectors.
    rank, alpha, dropout: of the low-rank changes.
    scale: nats that a cosine of 1 is worth. contrast: weight of the loss within the batch.
    seed: of everything that is drawn: the same seed on the same machine gives the same adapter.
    """

    epochs: int = 8
    batch: int = 32
    rate: float = 5e-4
    vector_rate: float = 1e-2
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.1
    scale: float = 20.0
    contrast: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises TuningError for numbers that nothing can be tuned with."""
        counts = {"epochs": self.epochs, "batch": self.batch, "rank": self.rank, "alpha": self.alpha}
        wrong = next((name for name, value in counts.items() if value < 1), "")
        wrong = wrong or next((name for name in ("rate", "vector_rate", "scale") if not getattr(self, name) > 0), "")
        if wrong or not 0 <= self.dropout < 1 or not self.contrast >= 0:
            told = wrong or "this dropout or contrast"
            raise TuningError(f"nothing can be tuned with {told}", hint="use numbers above 0; dropout below 1")

    @classmethod
    def for_encoder(cls) -> Settings:
        """For a sentence encoder: smaller, and near to what is wanted before it learns."""
        return cls(rate=1e-3)

    def changed(self, **values: Any) -> Settings:
        return replace(self, **values)

    def told(self) -> dict[str, Any]:
        return asdict(self)
