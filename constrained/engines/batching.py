"""Concurrent callers share an engine's batches: who comes while a batch runs goes into the next one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Protocol

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
from constrained.errors import BusyError, EngineError


class BatchableEngine(Engine, BatchEngine, Protocol):
    """What can be shared: an engine that decides many conversations at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _PendingRequest:
    ask: ChoiceRequest
    deadline: Deadline | None
    answer: Future[list[Distribution]] = field(default_factory=Future)


class BatchingEngine:
    """An engine for many threads over one that decides many at once.

    No caller waits for others to come: a batch is whatever stands in the queue when the engine is free. A failing
    batch is asked again one by one, so that one conversation's error is not another one's.

        with BatchingEngine(TransformersEngine(model)) as engine:
            ...  # one Dialogue a conversation, each with engine=engine

    Args:
        max_batch: asks in one batch. max_waiting: asks in the queue; one more is refused with BusyError.
    """

    is_concurrent = True

    def __init__(self, engine: BatchableEngine, *, max_batch: int = 64, max_waiting: int = 256) -> None:
        self._engine = engine
        self._max_batch = max_batch if getattr(engine, "is_shared", True) else 1  # what is computed one by one is answered one by one
        self._queue: queue.Queue[_PendingRequest | None] = queue.Queue(max_waiting)
        self._closing = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="constrained-batches", daemon=True)
        self._thread.start()

    @property
    def identity(self) -> Mapping[str, str]:
        return self._engine.identity

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """As the engine behind it. Raises BusyError when the queue is full, DeadlineError when the turn does not come in time."""
        waiting = _PendingRequest(ChoiceRequest(choices, scene), deadline)
        with self._closing:
            if self._is_closed:
                raise EngineError("the engine was closed", hint="keep it open as long as its conversations go on")
            try:
                self._queue.put_nowait(waiting)
            except queue.Full:
                raise BusyError(f"{self._queue.maxsize} decisions are waiting already", hint="ask again later, or add an engine") from None
        while not wait([waiting.answer], None if deadline is None else max(deadline.left_s, 0.0)).done:
            if deadline is not None and deadline.left_s <= 0:
                waiting.answer.cancel()
                deadline.check()
        return waiting.answer.result()

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> Sequence[str | None]:
        """What the engine behind it reads of the message; nothing where it only chooses.

        Not batched: it goes to the engine beside a running batch, which must bear that as ``TransformersEngine`` does.
        """
        return self._engine.read(blanks, scene, deadline) if isinstance(self._engine, Extractor) else [None] * len(blanks)

    def check_catalog(self, name: str, digest: str) -> None:
        """As the engine behind it."""
        if isinstance(self._engine, CatalogBound):
            self._engine.check_catalog(name, digest)

    def close(self) -> None:
        """Answers what is waiting, then ends. Later calls of ``choose`` raise EngineError."""
        with self._closing:
            was_closed, self._is_closed = self._is_closed, True
        if not was_closed:
            self._queue.put(None)
        self._thread.join()

    def __enter__(self) -> BatchingEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the worker ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        is_open = True
        while is_open:
            batch = [self._queue.get()]
            while batch[-1] is not None and len(batch) < self._max_batch:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            is_open = batch[-1] is not None
            self._answer([one for one in batch if one is not None and one.answer.set_running_or_notify_cancel()])

    def _answer(self, batch: Sequence[_PendingRequest]) -> None:
        if not batch:
            return
        try:
            found = self._engine.decide_many([one.ask for one in batch], _latest(batch))
        except Exception as error:  # whatever the engine raises belongs to the callers
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            for one in batch:
                self._answer([one])
            return
        for one, answer in zip(batch, found, strict=True):
            one.answer.set_result(answer)


def _latest(batch: Sequence[_PendingRequest]) -> Deadline | None:
    """The deadline of the most patient caller; the others stop waiting at their own."""
    deadlines = [one.deadline for one in batch]
    known = [deadline for deadline in deadlines if deadline is not None]
    return max(known, key=lambda deadline: deadline.at_s) if len(known) == len(deadlines) else None
