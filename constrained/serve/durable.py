"""One flush of a file to the disk for all threads that wait for one.

A flush takes milliseconds and covers all that was written before it began: so threads that wrote at about the same
time share one, and a server keeps its word at the rate of many turns a flush.
"""

from __future__ import annotations

import threading
from pathlib import Path

from constrained._durable_files import flush_file
from constrained.errors import AuditError


class SharedFlush:
    """Flushes of one file, shared. ``wait`` returns when a flush that began after the call is over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Condition()
        self._n_begun = self._n_ended = 0
        self._is_running = False

    def wait(self) -> None:
        """Raises AuditError when the file cannot be flushed."""
        with self._turn:
            wanted = self._n_begun + 1
            while self._n_ended < wanted:
                if self._is_running:
                    self._turn.wait()
                else:
                    self._lead()

    def _lead(self) -> None:
        """Flushes for all who wait; called with the lock held, which is let go meanwhile."""
        self._n_begun, self._is_running = self._n_begun + 1, True
        number, is_flushed = self._n_begun, False
        self._turn.release()
        try:
            self._flush()
            is_flushed = True
        finally:
            self._turn.acquire()
            self._is_running = False
            if is_flushed:
                self._n_ended = number
            self._turn.notify_all()

    def _flush(self) -> None:
        try:
            flush_file(self._path)
        except OSError as error:
            hint = "nothing was released; see to the disk"
            raise AuditError(f"{self._path} cannot be flushed: {error.strerror}", file=str(self._path), hint=hint) from error
