"""A head: scores of a few classes from how near a message is to their examples, fitted in closed form.

Kernel ridge regression on one column a class. Left-out scores come with the fit and cost nothing more, and so do the temperature and
how readily "none of these" is said.

Sources: Rifkin and Klautau, In Defense of One-Vs-All Classification, JMLR 2004, section 3 (regularised least squares as a
classifier, leave-one-out in closed form); Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (temperature).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from constrained.engines.small.words import DENIES, FORMS, NEUTRAL

Floats = NDArray[np.float64]
RIDGE = 0.1
TEMPERATURES = np.geomspace(0.03, 0.4, 24)
DENIAL_OF = np.asarray([form != NEUTRAL and bool(form & DENIES) for form in range(len(FORMS))])  # [form]
TEMPERATURE = 0.1  # where there are too few messages to choose one
FEWEST = 8
NOTHING_NEAR = {
    "option": 0.1,
    "heard": -5.0,
}  # the score that "none of these" has where nothing is near; chosen on CLINC150's training part (benchmarks/LOG.md)
OFFSETS = {"option": np.linspace(-0.3, 0.2, 21), "heard": np.zeros(1)}  # that "none of these" may be moved by, in scores
NONE_SHARE = {"option": 0.2, "heard": 0.5}  # of the messages a head is calibrated for, that none of its candidates answers


@dataclass(frozen=True, slots=True)
class Sample:
    """A text that a head is fitted on.

    Attributes:
        row: of the store. label: its class. weight: what it counts, against 1 for an example. is_message: whether it
            may be left out to calibrate; a description is no message. form: of the text, or the one that it is read in.
    """

    row: int
    label: int
    weight: float = 1.0
    is_message: bool = True
    form: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Scores of classes.

    Attributes:
        kind: of the choice. rows, forms: [sample] of the store. alpha: [sample, class].
        none: the class of "none of these"; None where there is none.
        temperature: divides scores. left_out: share of messages that were right while left out; NaN with too few.
        offset: is added to the score of "none of these".
    """

    kind: str
    rows: NDArray[np.int64]
    forms: NDArray[np.int64]
    alpha: Floats
    none: int | None
    temperature: float
    left_out: float
    offset: float = 0.0

    def scores(self, near: Floats, forms: NDArray[np.int64]) -> Floats:
        """[message, class] out of [message, row of the store] and the messages' forms."""
        found: Floats = (near[:, self.rows] * FORMS[forms[:, None], self.forms]) @ self.alpha
        return found

    def logits(self, scores: Floats, forms: NDArray[np.int64] | None = None) -> Floats:
        """[message, class] nats. By the messages' forms a denial is left to "none of these" no less readily than without the offset."""
        offset = np.full(len(scores), self.offset)
        return _logits(scores, self.none, self.temperature, NOTHING_NEAR[self.kind], _kept_for(forms, offset))

    @property
    def hash(self) -> str:
        return hashlib.sha256(np.round(self.alpha, 6).tobytes() + np.asarray([self.temperature, self.offset]).tobytes()).hexdigest()


def fit_head(kind: str, kernel: Floats, samples: Sequence[Sample], n: int, none: int | None) -> Head:
    """The head of ``n`` classes.

    Args:
        kernel: [sample, sample]. none: the class of "none of these".
    """
    labels = np.asarray([sample.label for sample in samples])
    weights = np.asarray([sample.weight for sample in samples], dtype=np.float64)
    targets = np.eye(n)[labels]
    inverse = np.linalg.inv(kernel + RIDGE * np.diag(1 / weights))
    alpha = inverse @ targets
    messages = np.asarray([sample.is_message for sample in samples])
    left_out = (targets - alpha / np.diag(inverse)[:, None])[messages]
    right, counts = labels[messages], weights[messages].copy()
    rows = np.asarray([sample.row for sample in samples], dtype=np.int64)
    forms = np.asarray([sample.form for sample in samples], dtype=np.int64)
    if len(right) < FEWEST:
        return Head(kind, rows, forms, alpha, none, TEMPERATURE, float("nan"))
    if none is not None and 0 < counts[right == none].sum() < counts.sum():
        outside = right == none
        counts[outside] *= NONE_SHARE[kind] / counts[outside].sum()
        counts[~outside] *= (1 - NONE_SHARE[kind]) / counts[~outside].sum()
    floor = NOTHING_NEAR[kind]
    settings = [(float(one), float(offset)) for offset in (OFFSETS[kind] if none is not None else (0.0,)) for one in TEMPERATURES]

    def logits(temperature: float, offset: float) -> Floats:
        return _logits(left_out, none, temperature, floor, _kept_for(forms[messages], np.full(len(right), offset)))

    temperature, offset = min(settings, key=lambda given: _loss(logits(*given), right, counts))
    hit = float(np.average(logits(temperature, offset).argmax(1) == right, weights=counts))
    return Head(kind, rows, forms, alpha, none, temperature, hit, offset)


def _kept_for(forms: NDArray[np.int64] | None, offset: Floats) -> Floats:
    """[message] the offset; never below zero for one that denies."""
    return offset if forms is None else np.where(DENIAL_OF[forms], np.maximum(offset, 0), offset)


def _logits(scores: Floats, none: int | None, temperature: float, nothing_near: float, offset: Floats) -> Floats:
    found = scores / temperature
    if none is not None:
        found[..., none] = np.logaddexp(found[..., none], nothing_near / temperature) + offset / temperature
    return found


def _loss(logits: Floats, right: NDArray[np.int64], counts: Floats) -> float:
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-np.average(logs[np.arange(len(right)), right], weights=counts))
