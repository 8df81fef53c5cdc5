"""Turns that are taken beside the caller: a few threads for the whole process, a queue for each conversation, a handle for each turn.

What has not been committed when the program ends is given up, so that ``exit`` neither waits for a model nor leaves half a commit.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextvars
import os
import threading
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
MOST_THREADS = min(32, (os.cpu_count() or 1) + 4)  # as asyncio has for what blocks
EXIT_WAIT_S = 3.0  # for commits that have begun, and for native code that must not run on while the process goes
GIVEN_UP = "the reply was cancelled before the commit; nothing was recorded"


class Claim:
    """Says once whether a turn is committed or given up: whoever takes it first decides."""

    __slots__ = ("_lock", "taken_for")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken_for: Literal["", "commit", "giving up"] = ""

    def take(self, purpose: Literal["commit", "giving up"]) -> bool:
        """Whether the turn is, from now on, for this purpose."""
        with self._lock:
            self.taken_for = self.taken_for or purpose
            return self.taken_for == purpose

    def check(self) -> None:
        """Raises CancelledError where the turn was given up."""
        if self.taken_for == "giving up":
            raise concurrent.futures.CancelledError(GIVEN_UP)

    def commit(self) -> None:
        """To be called right before the commit. Raises CancelledError where the turn was given up."""
        if not self.take("commit"):
            raise concurrent.futures.CancelledError(GIVEN_UP)


class PendingReply(Generic[T]):
    """A reply that another thread works on; made by ``Dialogue.start_reply`` and ``Scene.start_reply``. Also awaitable.

    pending = npc.start_reply("Sixty gold for the key?", state)
    ...                       # in every frame:
    if (turn := pending.poll()) is not None:
        show(turn.text)
    """

    def __init__(self, work: Callable[[Claim], T]) -> None:
        self._work, self._claim, self._context = work, Claim(), contextvars.copy_context()
        self._future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._future.set_running_or_notify_cancel()  # from here on only the claim decides what becomes of it

    @property
    def done(self) -> bool:
        """Whether ``poll`` has something to tell: the reply, an error, or that it was cancelled. Never waits."""
        return self._future.done()

    def poll(self) -> T | None:
        """The reply, or None while there is none. Never waits.

        Raises what ``reply`` raises; ``concurrent.futures.CancelledError`` where it was cancelled.
        """
        return self._future.result() if self._future.done() else None

    def result(self, timeout: float | None = None) -> T:
        """Waits for the reply, at most ``timeout`` seconds. Raises as ``poll``, TimeoutError when it has not come by then."""
        return self._future.result(timeout)

    def cancel(self) -> bool:
        """Gives the turn up. Never waits; may be called more than once.

        Returns whether it came before the commit: then the turn leaves no trace, no record and no change of the memory. Where it
        did not, the turn counts and ``poll`` gives it. The engine is not interrupted: the conversation's next turn waits for it.
        """
        if not self._claim.take("giving up"):
            return False
        with _SETTLING:
            if not self._future.done():
                self._future.set_exception(concurrent.futures.CancelledError(GIVEN_UP))
        return True

    def __await__(self) -> Generator[Any, None, T]:
        """Waits in an event loop. A task that is cancelled meanwhile cancels the turn, as ``cancel``."""
        try:
            return (yield from asyncio.wrap_future(self._future).__await__())
        except (asyncio.CancelledError, GeneratorExit) as error:
            if not self.cancel():
                error.add_note("the commit of this turn had begun: the log and Dialogue.memory() tell whether it counts")
            raise

    def take(self) -> None:
        """Takes the turn, in the thread that calls; nothing where it was cancelled."""
        try:
            found = self._context.run(self._work, self._claim)
        except BaseException as error:
            if self._claim.take("commit"):  # else it was cancelled, and is told as that
                self._future.set_exception(error)
        else:
            if self._claim.take("commit"):
                self._future.set_result(found)


_SETTLING = threading.Lock()  # two threads that cancel one turn at once


class TurnQueue:
    """The turns of one conversation, one after the other in the order in which they came."""

    __slots__ = ("is_scheduled", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[PendingReply[Any]] = deque()
        self.is_scheduled = False  # in the workers' hands; both are theirs, under their lock

    @property
    def is_busy(self) -> bool:
        """Whether a turn runs or waits."""
        return self.is_scheduled

    def start(self, work: Callable[[Claim], T]) -> PendingReply[T]:
        """A handle of the turn that ``work`` takes. ``work`` gets the claim, and commits only after ``Claim.commit``."""
        pending = PendingReply(work)
        _WORKERS.add(self, pending)
        return pending

    def cancel(self) -> None:
        """Gives up every turn that has not been committed."""
        for pending in _WORKERS.pending_of(self):
            pending.cancel()


class _Workers:
    """Daemon threads, made when they are needed: ``ThreadPoolExecutor`` would make the end of the program wait for every turn."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready: deque[TurnQueue] = deque()
        self._running: dict[TurnQueue, PendingReply[Any]] = {}
        self._n_threads = self._n_idle = 0
        self._is_closed = False

    def add(self, turns: TurnQueue, pending: PendingReply[Any]) -> None:
        with self._changed:
            if self._is_closed:
                pending.cancel()
                return
            turns.waiting.append(pending)
            if turns.is_scheduled:
                return
            turns.is_scheduled = True
            self._ready.append(turns)
            if len(self._ready) > self._n_idle and self._n_threads < MOST_THREADS:
                self._n_threads += 1
                start_new_thread(self._work, ())  # Thread.start() would wait until it runs
            self._changed.notify()

    def pending_of(self, turns: TurnQueue) -> list[PendingReply[Any]]:
        with self._changed:
            running = self._running.get(turns)
            return [*([running] if running is not None else []), *turns.waiting]

    def _work(self) -> None:
        while True:
            with self._changed:
                self._n_idle += 1
                self._changed.wait_for(lambda: self._ready)
                self._n_idle -= 1
                turns = self._ready.popleft()
                pending = self._running[turns] = turns.waiting.popleft()
            pending.take()
            with self._changed:
                del self._running[turns], pending
                turns.is_scheduled = bool(turns.waiting)
                if turns.is_scheduled:
                    self._ready.append(turns)  # behind the others
                self._changed.notify_all()
            del turns  # an idle thread keeps no conversation alive

    def close(self) -> None:
        """Gives up what is not committed, and waits EXIT_WAIT_S at most for what runs."""
        with self._changed:
            self._is_closed = True
            every = [*self._running.values(), *(one for turns in self._ready for one in turns.waiting)]
            every += [one for turns in self._running for one in turns.waiting]
        for pending in every:
            pending.cancel()
        with self._changed:
            self._changed.wait_for(lambda: not (self._running or self._ready), EXIT_WAIT_S)


_WORKERS = _Workers()


def _begin_anew() -> None:
    """A child of ``fork`` has none of the threads."""
    global _WORKERS
    _WORKERS = _Workers()


atexit.register(lambda: _WORKERS.close())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
