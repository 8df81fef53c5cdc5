"""What is kept back of a deadline for all that comes after the model, learned from the last turns. Knows no turn."""

from __future__ import annotations

import math
import threading
from collections import deque

LEAST_S = 0.03  # before anything is known: the rules, the record, two flushes of a disk
MOST_SHARE = 0.9  # of a deadline: what needs all of it is late anyhow, and the model is asked again when that is over
N_KEPT, N_BETWEEN = 256, 8  # turns that are remembered; turns after which they are looked at again


class Margin:
    """Seconds from the end of the model's time to the reply. Thread-safe."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=N_KEPT)
        self._n, self._slow_s = 0, 0.0
        self._lock = threading.Lock()

    def took(self, seconds: float) -> None:
        """A turn was released that long after the model's time had ended."""
        with self._lock:
            self._last.append(seconds)
            self._n += 1
            if self._n % N_BETWEEN == 0:
                self._slow_s = _p99(sorted(self._last))

    def of(self, within_s: float) -> float:
        """What is kept back of ``within_s``: what 99 of 100 turns needed, and never all of it."""
        least = min(LEAST_S, within_s / 4)
        return min(max(least, self._slow_s), MOST_SHARE * within_s)


def _p99(times: list[float]) -> float:
    return times[math.ceil(0.99 * len(times)) - 1]
