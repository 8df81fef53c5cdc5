"""The engines of a server, by name, each shared by all conversations, and the part of a deadline that is kept for the reply."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from constrained.engines.protocol import (
    BatchEngine,
    CatalogBound,
    Choice,
    ChoiceRequest,
    Deadline,
    Distribution,
    Engine,
    ExtractionField,
    Extractor,
    PromptContext,
)
from constrained.errors import BusyError, DeadlineError

LEAST_S = 0.03  # before anything is known: the rules, the record, two flushes of a disk
MOST_SHARE = 0.9  # of a deadline: what needs all of it is late anyhow, and the model is asked again when that is over
N_KEPT, N_BETWEEN = 256, 8  # turns that are remembered; turns after which they are looked at again
RULES = "rules"  # the name under which a request asks for no model
N_READERS = 2
GIVES_WAY = 5  # how much lower an engine's threads stand with the scheduler than those that answer


class DeadlineReserve:
    """Seconds of a deadline that are kept for all that comes after the model, learned from the last turns. Thread-safe."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=N_KEPT)
        self._n, self._slow_s = 0, 0.0
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """A turn was released that long after the model's time had ended."""
        with self._lock:
            self._last.append(seconds)
            self._n += 1
            if self._n % N_BETWEEN == 0:
                self._slow_s = _p99(sorted(self._last))

    def seconds(self, within_s: float) -> float:
        """What is kept back of ``within_s``: what 99 of 100 turns needed, and never all of it."""
        least = min(LEAST_S, within_s / 4)
        return min(max(least, self._slow_s), MOST_SHARE * within_s)


def _p99(times: list[float]) -> float:
    return times[math.ceil(0.99 * len(times)) - 1]


class SharedEngine:
    """An engine for many conversations: decisions go in shared batches, and no caller waits past its deadline.

    An engine that says ``is_concurrent`` is asked by all turns at once: it makes batches, and keeps deadlines, itself.

    That holds for an engine that hangs, too: it is left to itself, and the turns that ask it meanwhile go by the rules.
    """

    def __init__(self, engine: Engine, *, max_waiting: int = 1_024) -> None:
        from constrained.engines.batching import BatchingEngine

        self._single = _SingleCaller(engine)
        own = engine if getattr(engine, "is_concurrent", False) else None
        self._batched: Engine = own or BatchingEngine(self._single, max_waiting=max_waiting)
        self._readers = ThreadPoolExecutor(N_READERS, thread_name_prefix="constrained-reads")
        self._read_slots = threading.BoundedSemaphore(max_waiting)

    @property
    def identity(self) -> Mapping[str, str]:
        return self._batched.identity

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        return self._batched.choose(choices, scene, deadline)

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> Sequence[str | None]:
        """What the engine reads of the message; nothing where it only chooses."""
        if not self._single.can_read:
            return [None] * len(blanks)
        if not self._read_slots.acquire(blocking=False):
            raise BusyError("too many messages wait to be read already", hint="ask again later, or add an engine")
        reading = self._readers.submit(self._single.read, blanks, scene, deadline)
        reading.add_done_callback(lambda _: self._read_slots.release())
        return _wait_for(reading, deadline)

    def check_catalog(self, name: str, digest: str) -> None:
        """Raises AdapterError or CalibrationError where the engine learned on another catalog."""
        self._single.check_catalog(name, digest)

    def close(self, patience_s: float = 5.0) -> None:
        """Ends the threads; one that hangs in the engine is left behind."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        closing = threading.Thread(target=getattr(self._batched, "close", lambda: None), daemon=True)
        closing.start()
        closing.join(patience_s)


class _SingleCaller:
    """An engine that is asked by one thread at a time; one that decides for one conversation is asked for each."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._threads = threading.local()
        self.can_read = isinstance(engine, Extractor)
        self.is_shared = getattr(engine, "is_shared", True)

    @property
    def identity(self) -> Mapping[str, str]:
        return self._engine.identity

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        self._give_way()
        with self._lock:
            return self._engine.choose(choices, scene, deadline)

    def decide_many(self, asks: Sequence[ChoiceRequest], deadline: Deadline | None = None) -> list[list[Distribution]]:
        self._give_way()
        with self._lock:
            if isinstance(self._engine, BatchEngine):
                return self._engine.decide_many(asks, deadline)
            return [self._engine.choose(ask.choices, ask.scene, deadline) for ask in asks]

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> Sequence[str | None]:
        self._give_way()
        with self._lock:
            return self._engine.read(blanks, scene, deadline) if isinstance(self._engine, Extractor) else [None] * len(blanks)

    def check_catalog(self, name: str, digest: str) -> None:
        if isinstance(self._engine, CatalogBound):
            self._engine.check_catalog(name, digest)

    def _give_way(self) -> None:
        """Once for each thread, before it starts those of its own: who keeps a deadline need not wait for a core that computes."""
        if sys.platform == "linux" and not hasattr(self._threads, "has_given_way"):
            self._threads.has_given_way = True
            thread = threading.get_native_id()  # on Linux a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + GIVES_WAY))


class NoTimeEngine:
    """In place of an engine that failed: it has no time, so that the rules choose as after a deadline, without effects."""

    def __init__(self, reason: str) -> None:
        self.identity: Mapping[str, str] = {"engine": "none", "degraded": reason}

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        raise DeadlineError("the engine failed, the rules choose", within_s=0)


def _wait_for(reading: Future[Sequence[str | None]], deadline: Deadline | None) -> Sequence[str | None]:
    while not wait([reading], None if deadline is None else max(deadline.left_s, 0.0)).done:
        if deadline is not None and deadline.left_s <= 0:
            reading.cancel()
            deadline.check()
    return reading.result()
