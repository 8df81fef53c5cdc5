"""The log as a server uses it: records written once a turn is kept elsewhere, and looked up after a crash. Knows no request."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from constrained.audit.log import JsonLinesLog, Log, MemoryLog, read_log
from constrained.audit.record import Record
from constrained.errors import AuditError, ConstrainedError
from constrained.serve.durable import SharedFlush


class Draft:
    """What a Dialogue of one turn writes to. It keeps the record back until ``Journal.write``; nothing is released before that."""

    def __init__(self) -> None:
        self.entries: list[Any] = []

    def append(self, record: Any) -> Any:
        self.entries.append(record)
        return record


class Journal:
    """The log of a server.

    Args:
        log: where records go. place: where it lies, as ``Dialogue`` takes it; empty for one in memory.
    """

    def __init__(self, log: Log, place: str = "") -> None:
        self._log, self._place = log, place
        self._flush: SharedFlush | None = None
        if isinstance(log, JsonLinesLog) and log.durable:
            log.durable, self._flush = False, SharedFlush(log.path)  # one flush for all turns that are recorded at the time

    def write(self, entry: Any) -> Any:
        """The entry, sealed and durable. Raises AuditError."""
        try:
            sealed = self._log.append(entry)
            if self._flush is not None:
                self._flush.wait()
        except ConstrainedError:
            raise
        except Exception as error:  # a host's own Log
            raise AuditError(f"the log failed: {type(error).__name__}: {error}", hint="nothing was released; see to the log") from error
        return sealed

    def find(self, turn_ids: Collection[str]) -> dict[str, Record]:
        """Those of the turns that are in the log. Reads all of it: for the few turns that a crash interrupted."""
        if not turn_ids:
            return {}
        if isinstance(self._log, MemoryLog):
            return {one.turn_id: one for one in self._log.records if one.turn_id in turn_ids}
        return {one.turn_id: one for one in read_log(self._place) if one.turn_id in turn_ids} if self._place else {}
