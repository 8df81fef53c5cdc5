"""What a score rule is asked and what it answers: the one interface between an engine and its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from constrained.choice import Ask, Deadline, Decoding, Mode
from constrained.decoding.calibration import Calibration
from constrained.decoding.reader import Reader
from constrained.errors import EngineError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a rule found of one choice.

    Attributes:
        scores: [candidate] nats, comparable within the choice: their softmax, at the calibration's temperature, is
            the decision. None for a mode that only picks.
        picked: the candidate that such a mode came to.
    """

    scores: Floats | None
    mode: Mode
    decoding: Decoding
    picked: int | None = None


def check_one_of(what: str, given: str, known: Sequence[str]) -> None:
    """Raises EngineError when a setting has a value that nothing answers to: no rule falls back to another one's way."""
    if given not in known:
        raise EngineError(f"{what} {given!r} is not known", hint=f"use one of {', '.join(known)}")


class ScoreRule(Protocol):
    """How candidates are scored; ``name`` stands in every record."""

    @property
    def name(self) -> str: ...
    @property
    def calibration(self) -> Calibration:
        """What its scores are read with unless the engine was given another one."""
        ...

    def scores(self, reader: Reader, asks: Sequence[Ask], deadline: Deadline | None) -> list[list[Found]]:
        """For each ask one entry per choice, in order. All asks in the same passes where the rule can."""
        ...
