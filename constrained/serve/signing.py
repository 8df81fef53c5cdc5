"""Signs the log of a server while it runs, beside the turns: none of them waits for a signature."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from constrained.approval.keys import Signer, load_signer
from constrained.errors import AuditError, KeyFileError
from constrained.records.checkpoints import checkpoint
from constrained.records.log import Readable, existing
from constrained.records.sinks import Sink, sink_at
from constrained.serve.journal import Journal
from constrained.serve.settings import Signing

log = logging.getLogger("constrained.serve")


class LogSigner:
    """A thread that signs what is durable, every so many records and every so many seconds, and puts it into sinks.

    A signature that fails is logged, counted in ``n_failures`` and tried again; turns go on, and ``audit verify`` says what is
    not signed yet.

    Args:
        store: the log, opened for reading. every: records. seconds: at most between two signatures while records come.

    Raises AuditError when the log cannot follow its last checkpoint, or that is of another key.
    """

    def __init__(
        self, journal: Journal, store: Readable, key: Signer, sinks: Sequence[Sink] = (), *, every: int = 1_000, seconds: float = 60.0
    ) -> None:
        self._journal, self._store, self._key, self._sinks = journal, store, key, tuple(sinks)
        self._every, self._seconds = every, seconds
        self._is_due, self._is_over = threading.Event(), False
        self.signed, self.n_failures = 0, 0
        checkpoint(store, key, self._sinks, puts_all=True)  # what an earlier process left; a wrong key is told at the start
        journal.signed_by(self.notice)
        self._thread = threading.Thread(target=self._run, name="log-signer", daemon=True)

    @classmethod
    def of(cls, signing: Signing, journal: Journal, place: str) -> LogSigner | None:
        """As the settings say; None where the log is not signed. Raises AuditError and KeyFileError."""
        if not signing.key:
            return None
        if not place:
            raise AuditError("a log in memory cannot be signed", hint="name a place for it: --log")
        sinks = [sink_at(sink) for sink in signing.sinks]
        key = load_signer(signing.key, signing.command)
        return cls(journal, existing(place), key, sinks, every=signing.every, seconds=signing.seconds)

    def start(self) -> None:
        self._thread.start()

    def notice(self, last: int) -> None:
        """Told of each durable record; wakes the thread when a segment is full."""
        if last - self.signed >= self._every:
            self._is_due.set()

    def close(self) -> None:
        """Signs the rest, and ends. Called once, after the last turn."""
        self._is_over = True
        self._is_due.set()
        if self._thread.is_alive():
            self._thread.join()
        self._sign()

    def _run(self) -> None:
        while not self._is_over:
            self._is_due.wait(self._seconds)
            self._is_due.clear()
            self._sign()  # what was appended after the last look is signed by close

    def _sign(self) -> None:
        last = self._journal.last  # a later record may be in the file, and not yet on the disk
        if last <= self.signed:
            return
        try:
            checkpoint(self._store, self._key, self._sinks, last=last)
            self.signed = last
        except (AuditError, KeyFileError) as error:
            self.n_failures += 1
            log.error("the log could not be signed up to record %d: %s", last, error)
        except Exception:  # the thread must live: whatever a sink or a signer of the host's raises
            self.n_failures += 1
            log.exception("the log could not be signed up to record %d", last)
