"""What a label gets before anything was asked, taken off its scores, so that likely wordings do not win by themselves. Knows no model."""

from __future__ import annotations

import numpy as np

from constrained.calibration.rows import Floats
from constrained.calibration.temperature import log_softmax

STEPS = 50
STEP = 0.5  # of a correction, at a time: whole ones swing between two labels


def contextual_calibration(scores: Floats, free: Floats) -> Floats:
    """[row, label] scores less the log of what each label gets when the message says nothing.

    Args:
        scores: [row, label] in nats. free: [text, label] the same for texts without content ("N/A", nothing, "[MASK]").

    Source: Zhao et al., Calibrate Before Use: Improving Few-shot Performance of Language Models, ICML 2021, section 5.
    """
    return np.asarray(log_softmax(scores) - _log_mean(free))


def batch_calibration(scores: Floats, seen: Floats | None = None) -> Floats:
    """[row, label] scores less the log of what each label gets on average over messages without labels.

    Args:
        scores: [row, label] in nats. seen: [message, label] the same for the messages; the rows themselves when None.

    Source: Zhou et al., Batch Calibration: Rethinking Calibration for In-Context Learning and Prompt Engineering, ICLR 2024, section 3.
    """
    return np.asarray(log_softmax(scores) - _log_mean(scores if seen is None else seen))


def evened(scores: Floats) -> Floats:
    """[label] nats that, taken off, let every label be as likely as the others on average: ``batch_calibration``, until it holds."""
    offsets = np.zeros(scores.shape[1])
    for _ in range(STEPS):
        offsets += STEP * (_log_mean(scores - offsets) + np.log(len(offsets)))
    return offsets


def _log_mean(scores: Floats) -> Floats:
    """[label] log of the mean probability; in nats throughout, so that nothing becomes zero."""
    return np.asarray(np.logaddexp.reduce(log_softmax(scores), axis=0) - np.log(len(scores)))
