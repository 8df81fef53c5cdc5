"""Honest confidence: temperatures, thresholds and sets that keep a promise, from labelled messages. Knows no model."""

from constrained.calibration.bounds import Interval, clopper_pearson
from constrained.calibration.conformal import Conformal, conformal
from constrained.calibration.priors import batch_calibration, contextual_calibration, evened
from constrained.calibration.protected import Protected, protected
from constrained.calibration.selective import Selective, threshold
from constrained.calibration.temperature import temperature

__all__ = [
    "Conformal",
    "Interval",
    "Protected",
    "Selective",
    "batch_calibration",
    "clopper_pearson",
    "conformal",
    "contextual_calibration",
    "evened",
    "protected",
    "temperature",
    "threshold",
]
