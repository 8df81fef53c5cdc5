"""The log as a server uses it: records written once a turn is kept elsewhere, and looked up after a crash."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeVar

from constrained.errors import AuditError, ConstrainedError
from constrained.records.chain import from_line
from constrained.records.group_commit import SharedFlush
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import Log, MemoryLog, existing, open_log
from constrained.records.record import Chained, Record
from constrained.records.sealing import SealedLog, SubjectKeys

T = TypeVar("T", bound=Chained)


class Journal:
    """The log of a server.

    Args:
        log: where records go. place: where it lies, as ``Dialogue`` takes it; empty for one in memory.

    Attributes:
        last: a sequence that the log has reached, as far as this process knows: what is written later stands after it.
    """

    def __init__(self, log: Log, place: str = "") -> None:
        self._log, self._place, self.last = log, place, 0
        self._flush: SharedFlush | None = None
        self._store = log.log if isinstance(log, SealedLog) else log
        if isinstance(self._store, JsonLinesLog) and self._store.durable:
            self._store.durable, self._flush = False, SharedFlush(self._store.path)  # one flush for all turns recorded at the time

    @classmethod
    def at(cls, place: str, keys: str = "") -> Journal:
        """The log at ``place``, sealed under the keys of a folder where one is given. Raises AuditError."""
        log: Log = open_log(place) if place else MemoryLog()
        return cls(SealedLog(log, SubjectKeys(Path(keys))) if keys else log, place)

    def write(self, entry: T) -> T:
        """The entry, sealed and durable. Raises AuditError."""
        try:
            sealed = self._log.append(entry)
            if self._flush is not None:
                self._flush.wait()
        except ConstrainedError:
            raise
        except Exception as error:  # a host's own Log
            raise AuditError(f"the log failed: {type(error).__name__}: {error}", hint="nothing was released; see to the log") from error
        self.last = max(self.last, sealed.sequence)
        return sealed

    def find(self, turn_ids: Collection[str], after: int = 0) -> dict[str, Record]:
        """Those of the turns that are in the log, looked for behind ``after``. Only their lines are read as records."""
        if not turn_ids:
            return {}
        wanted = [turn_id.encode() for turn_id in turn_ids]
        name, lines = self._lines(after + 1)
        found = (from_line(line, name, after + number) for number, line in enumerate(lines, 1) if any(one in line for one in wanted))
        return {one.turn_id: one for one in found if isinstance(one, Record) and one.turn_id in turn_ids}

    def _lines(self, first: int) -> tuple[str, Iterator[bytes]]:
        if isinstance(self._store, MemoryLog):
            return self._store.name, self._store.lines(first)
        if not self._place:
            return "", iter(())
        store = existing(self._place)
        return store.name, store.lines(first)


class Draft:
    """What a Dialogue of one turn writes to. It keeps the record back until ``Journal.write``; nothing is released before that.

    What became of the effects is told after that, and goes straight into the log.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def append(self, entry: T) -> T:
        return entry if isinstance(entry, Record) else self._journal.write(entry)
