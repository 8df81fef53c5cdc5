"""Group commit: of many threads that wait for the disk, one writes for all.

``GroupCommit`` is for a database. The first to come leads: it writes its own entry and all that others have handed in, in one
transaction, and wakes them. Whoever came while it wrote is led by the first of them. So a lone conversation pays no change of
threads, and many share one flush to the disk.

``SharedFlush`` is for a file that each thread writes to by itself: a flush takes milliseconds and covers all that was written before
it began, so threads that wrote at about the same time share one.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from constrained._durable_files import flush_file
from constrained.errors import AuditError
from constrained.records.chain import EntryDraft, LogPosition, refuse_unsealed, with_position
from constrained.records.record import Chained

T = TypeVar("T", bound=Chained)
Placement = tuple[LogPosition, LogPosition]  # where an entry stands, and the place before it
Write = Callable[[Sequence[EntryDraft]], list[Placement]]
MOST = 512  # entries of one transaction


def place_all(before: LogPosition, drafts: Sequence[EntryDraft]) -> tuple[list[Placement], list[dict[str, Any]]]:
    """Where each draft comes to stand, and the rows that hold them: ``sequence``, ``hash``, ``line``."""
    placed: list[Placement] = []
    rows: list[dict[str, Any]] = []
    for draft in drafts:
        place, line = draft.place_after(before)
        rows.append({"sequence": place.sequence, "hash": place.hash, "line": line})
        placed.append((place, before))
        before = place
    return placed, rows


def close_all(held: list[Any]) -> None:
    """Closes the connections that are held, and forgets them."""
    while held:
        held.pop().close()


class _Waiting:
    """One entry that was handed in; ``wake`` is held until it is written, has failed, or its thread must lead."""

    __slots__ = ("draft", "error", "leads", "placed", "wake")

    def __init__(self, draft: EntryDraft) -> None:
        self.draft, self.leads = draft, False
        self.placed: Placement | None = None
        self.error: BaseException | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


_ALL: weakref.WeakSet[GroupCommit] = weakref.WeakSet()


class GroupCommit:
    """Hands drafts to ``write`` in groups, in one thread at a time.

    Args:
        write: makes all of them durable, in order, or none; returns their places. What it raises, every one of the
            group raises.
        close: ends the connection that ``write`` uses; the next ``write`` opens another. No connection may be carried
            over a fork, so it is called before each.

    Attributes:
        busy: held while a group is written.
    """

    def __init__(self, write: Write, close: Callable[[], None]) -> None:
        self._write, self._close = write, close
        self.busy = threading.Lock()
        _ALL.add(self)
        self._forget()

    def _forget(self) -> None:
        """Nothing waits: at the start, and in the child of a fork, where the other threads are gone."""
        self._lock = threading.Lock()
        self._queue: list[_Waiting] = []
        self._is_led = False

    def keep(self, record: T) -> T:
        """The record with its place filled in, once it is durable; see ``Log.append``."""
        refuse_unsealed(record)
        place, before = self.append(EntryDraft.of(record))
        return with_position(record, place, before)

    def close(self) -> None:
        """Ends the connection; the next append opens another."""
        with self.busy:
            self._close()

    def append(self, draft: EntryDraft) -> Placement:
        """Returns when the draft is durable."""
        mine = _Waiting(draft)
        with self._lock:
            self._queue.append(mine)
            mine.leads = not self._is_led
            self._is_led = True
        if not mine.leads:
            try:
                mine.wake.acquire()
            except BaseException:  # an interrupt
                self._leave(mine)
                raise
        if mine.leads:
            self._lead()
        if mine.placed is None:
            raise mine.error or RuntimeError("a group was given up")  # the second: its leader was interrupted
        return mine.placed

    def _lead(self) -> None:
        with self._lock:
            group, self._queue = self._queue[:MOST], self._queue[MOST:]
        try:
            with self.busy:
                written = self._write([one.draft for one in group])
            for one, placed in zip(group, written, strict=True):
                one.placed = placed
        except BaseException as error:  # an interrupt too: those who wait must not wait for ever
            for one in group:
                one.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._hand_over(group)

    def _hand_over(self, group: Sequence[_Waiting]) -> None:
        """Wakes the group, and the one who leads next."""
        with self._lock:
            self._lead_on()
        for one in group:
            one.wake.release()

    def _lead_on(self) -> None:
        """The first who waits leads next."""
        following = self._queue[0] if self._queue else None
        self._is_led = following is not None
        if following is not None:
            following.leads = True
            following.wake.release()

    def _leave(self, mine: _Waiting) -> None:
        """Takes back what is not being written yet, and leads no more: who waits behind must not wait for ever."""
        with self._lock:
            if mine in self._queue:
                self._queue.remove(mine)
            if mine.leads:
                self._lead_on()

    # -- forks -----------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        self.busy.acquire()
        self._close()

    def after_fork(self, *, is_child: bool) -> None:
        self.busy.release()
        if is_child:
            self._forget()


_HELD: list[GroupCommit] = []  # by the fork that is under way: other threads may make more of them meanwhile
_FORK_LOCK = threading.Lock()  # two threads that fork at once would wait for each other


def _before_fork() -> None:
    _FORK_LOCK.acquire()
    for commit in list(_ALL):
        commit.before_fork()
        _HELD.append(commit)


def _after_fork(*, is_child: bool) -> None:
    while _HELD:
        _HELD.pop().after_fork(is_child=is_child)
    _FORK_LOCK.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=lambda: _after_fork(is_child=False), after_in_child=lambda: _after_fork(is_child=True)
    )


class _Flush:
    """One flush, which is to come, runs, or is over."""

    __slots__ = ("error", "is_over")

    def __init__(self) -> None:
        self.is_over = False
        self.error: BaseException | None = None

    def end(self, error: BaseException | None) -> None:
        self.is_over, self.error = True, error


class SharedFlush:
    """Flushes of one file, shared. ``wait`` returns when a flush that began after the call is over.

    The system tells of a failed flush once, and may take what was written before it for clean from then on. So a failure is one for
    all who wait at that moment: a second flush that succeeds says nothing of their bytes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Condition()
        self._next = _Flush()
        self._is_running = False

    def wait(self) -> None:
        """Raises AuditError when the file cannot be flushed."""
        with self._turn:
            mine = self._next
            while not mine.is_over:
                if self._is_running:
                    self._turn.wait()
                else:
                    self._lead()
        if mine.error is not None:
            reason = getattr(mine.error, "strerror", None) or type(mine.error).__name__
            hint = "nothing was released; see to the disk"
            raise AuditError(f"{self._path} cannot be flushed: {reason}", file=str(self._path), hint=hint) from mine.error

    def _lead(self) -> None:
        """Flushes for all who wait; called with the lock held, which is let go meanwhile."""
        running, self._next, self._is_running = self._next, _Flush(), True
        error: BaseException | None = None
        self._turn.release()
        try:
            flush_file(self._path)
        except BaseException as failure:  # an interrupt too: those who wait must not wait for ever
            error = failure
            if not isinstance(failure, OSError):
                raise
        finally:
            self._turn.acquire()
            self._is_running = False
            running.end(error)
            if error is not None:
                self._next.end(error)  # of those who came meanwhile
                self._next = _Flush()
            self._turn.notify_all()
