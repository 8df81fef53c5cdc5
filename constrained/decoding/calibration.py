"""From scores to probabilities: a temperature, and the weight of "none of these". Knows no model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from constrained.choice import Choice


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure a difference in nats makes us, and how much "none of these" needs to win.

    The rest ("none", "no", the fallback) is scored as messages of every kind; the more a choice's candidates say
    about themselves, the more they win by chance, so each kind of choice has its own weight.

    Attributes:
        temperature_option, temperature_heard: scores are divided by it (Guo et al., On Calibration of Modern
            Neural Networks, ICML 2017, section 4.2).
        rest_option: nats added to the fallback among options.
        rest_shown: to the rest of a question whose candidates have example messages.
        rest_told: to the rest of a question whose candidates are only described (entities).
        rest_span: to "none" among the spans that a recogniser found.
    """

    temperature_option: float = 1.0
    temperature_heard: float = 1.0
    rest_option: float = 0.0
    rest_shown: float = 0.0
    rest_told: float = 0.0
    rest_span: float = 0.0

    @property
    def hash(self) -> str:
        return "sha256:" + hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def probabilities(self, scores: NDArray[np.float64], choice: Choice) -> NDArray[np.float64]:
        """[candidate], summing to 1."""
        rest = self._rest(choice)
        shifted = scores + np.asarray([rest if candidate.rest else 0.0 for candidate in choice.candidates])
        shifted = (shifted - shifted.max()) / (self.temperature_option if choice.kind == "option" else self.temperature_heard)
        weights = np.exp(shifted)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def _rest(self, choice: Choice) -> float:
        if choice.kind != "heard":
            return self.rest_option if choice.kind == "option" else self.rest_span
        return self.rest_shown if any(candidate.examples for candidate in choice.candidates) else self.rest_told


NONE = Calibration()
CHANNEL = Calibration(temperature_option=1.5, temperature_heard=1.0, rest_option=-3.0, rest_shown=4.0, rest_told=6.0, rest_span=0.0)
"""Chosen on the dev messages of the three packs with SmolLM2-135M-Instruct in bfloat16 (benchmarks/LOG.md)."""
