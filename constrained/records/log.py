"""Where records are kept: the protocol of a log, one in memory, and how any log is read.

``append`` returns only when the record would survive the process (and, with ``durable``, the machine): a
turn appends before it releases its reply, so a reply that anybody saw is in the log.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol, TypeVar, runtime_checkable

from constrained.records.chain import seal
from constrained.records.record import Chained, Record

T = TypeVar("T", bound=Chained)


@runtime_checkable
class Log(Protocol):
    """Where a dialogue puts its records, and what became of their effects."""

    def append(self, record: T) -> T:
        """The record with ``sequence``, ``previous`` and ``hash`` filled in; durable on return.

        Raises AuditError when it could not be kept; the reply is then not released.
        """
        ...


@runtime_checkable
class Readable(Protocol):
    """A log that can be read again, with the signed checkpoints kept beside its entries."""

    @property
    def name(self) -> str:
        """What errors call it: a path, or an address without its password."""
        ...

    def lines(self, first: int = 1) -> Iterator[bytes]:
        """The lines of the entries from that sequence on, as they were written; nothing is verified here."""
        ...

    def checkpoints(self) -> list[bytes]:
        """The lines of its checkpoints, oldest first."""
        ...

    def keep_checkpoint(self, number: int, line: bytes) -> bool:
        """Keeps the checkpoint of that number, from 1, durably. False when there is one of that number already."""
        ...


@runtime_checkable
class Store(Log, Readable, Protocol):
    """A log that is written and read."""


class MemoryLog:
    """A log that ends with the process: for tests, and for hosts that keep no record."""

    name = "memory"

    def __init__(self) -> None:
        self._entries: list[Chained] = []
        self._lines: list[bytes] = []
        self._checkpoints: list[bytes] = []
        self._lock = threading.Lock()

    @property
    def entries(self) -> tuple[Chained, ...]:
        return tuple(self._entries)

    @property
    def records(self) -> tuple[Record, ...]:
        """The turns among the entries."""
        return tuple(entry for entry in self._entries if isinstance(entry, Record))

    def append(self, record: T) -> T:
        with self._lock:
            sealed, line = seal(record, self._entries[-1] if self._entries else None)
            self._entries.append(sealed)
            self._lines.append(line)
            return sealed

    def lines(self, first: int = 1) -> Iterator[bytes]:
        return iter(self._lines[first - 1 :])

    def checkpoints(self) -> list[bytes]:
        return list(self._checkpoints)

    def keep_checkpoint(self, number: int, line: bytes) -> bool:
        with self._lock:
            if number != len(self._checkpoints) + 1:
                return False
            self._checkpoints.append(line)
            return True
