"""From scores to probabilities: a temperature, and the weight of "none of these". Knows no model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from constrained.choice import Choice


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure a difference in nats makes us.

    Attributes:
        temperature: scores are divided by it (Guo et al., On Calibration of Modern Neural Networks, ICML 2017,
            section 4.2).
        rest_option: nats added to the fallback among options; rest_heard: to "none" and "no" in Heard.
    """

    temperature: float = 1.0
    rest_option: float = 0.0
    rest_heard: float = 0.0

    @property
    def hash(self) -> str:
        return "sha256:" + hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def probabilities(self, scores: NDArray[np.float64], choice: Choice) -> np.ndarray[Any, np.dtype[np.float64]]:
        """[candidate], summing to 1."""
        rest = self.rest_option if choice.kind == "option" else self.rest_heard
        shifted = (scores + np.asarray([rest * candidate.rest for candidate in choice.candidates])) / self.temperature
        weights = np.exp(shifted - shifted.max())
        return np.asarray(weights / weights.sum())
