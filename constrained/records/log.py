"""Where records are kept: what a log is, one in memory, and the log at a place that is named.

``append`` returns only when the record would survive the process (and, with ``durable``, the machine): a
turn appends before it releases its reply, so a reply that anybody saw is in the log.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit

from constrained.errors import AuditError
from constrained.records.chain import LogPosition, chain_entry, check_follows, from_line
from constrained.records.record import Chained, Record

T = TypeVar("T", bound=Chained)
SQLITE = (".db", ".sqlite", ".sqlite3")  # how the name of an SQLite file ends


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
class Tabular(Protocol):
    """A log whose entries lie in rows, with columns beside the line: they are verified too."""

    def places(self) -> Generator[LogPosition, None, None]:
        """What the columns of every row say, in the order of their sequence, as the table is when the first one is read."""
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
            sealed, line = chain_entry(record, self._entries[-1] if self._entries else None)
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


# -- the log at a place -------------------------------------------------------------------------------------


def open_log(place: str | Path) -> Store:
    """The log at a place, made when it is missing.

    Args:
        place: ``sqlite:PATH`` or a path that ends in ``.db``, ``.sqlite`` or ``.sqlite3``; ``postgresql://USER@HOST/NAME``;
            any other path is a file of JSON lines.

    Raises AuditError when it is no log, or cannot be written.
    """
    path = sqlite_path(place)
    if path is not None:
        from constrained.records.sqlite import SqliteLog

        return SqliteLog(path)
    if is_postgres(place):
        from constrained.records.postgres import PostgresLog

        return PostgresLog(str(place))
    if isinstance(place, str) and urlsplit(place).netloc:
        hint = "a path, sqlite:PATH or postgresql://USER@HOST/NAME"
        raise AuditError(f"{place.split('://')[0]}:// is no place for a log", file=place.split("://")[0], hint=hint)
    from constrained.records.jsonl import JsonLinesLog

    return JsonLinesLog(place)


def existing(place: str | Path) -> Readable:
    """A log that is only read: it is not made when it is missing, nor its end mended."""
    path = sqlite_path(place)
    if path is not None:
        from constrained.records.sqlite import SqliteFile

        return SqliteFile(path)
    if is_postgres(place):
        from constrained.records.postgres import PostgresTable

        return PostgresTable(str(place))
    from constrained.records.jsonl import JsonLinesFile

    return JsonLinesFile(place)


def sqlite_path(place: str | Path) -> Path | None:
    if isinstance(place, str) and place.startswith("sqlite:"):
        return Path(place.removeprefix("sqlite:").removeprefix("//"))
    return Path(place) if str(place).endswith(SQLITE) and "://" not in str(place) else None


def is_postgres(place: str | Path) -> bool:
    return isinstance(place, str) and place.startswith(("postgresql://", "postgresql+psycopg://", "postgres://"))


def read_log(place: str | Path) -> Iterator[Record]:
    """The turns of a log, oldest first; see ``read_entries``."""
    for entry in read_entries(place):
        if isinstance(entry, Record):
            yield entry


def read_entries(place: str | Path) -> Iterator[Chained]:
    """All entries of a log, oldest first, sequence and hashes verified. Others may be writing to it.

    Args:
        place: a file of JSON lines, an SQLite file, or the address of a PostgreSQL database; see ``open_log``.

    Raises AuditError naming the log and the line at the first entry that does not fit, after the ones that do.
    """
    store = existing(place)
    return verified(store.lines(), store.name)


def verified(lines: Iterable[bytes], name: str) -> Iterator[Chained]:
    """The entries of a log's lines, each checked by its own hash and against the one before it."""
    before: Chained | None = None
    for number, line in enumerate(lines, 1):
        entry = from_line(line, name, number)
        check_follows(entry, before, name, number)
        before = entry
        yield entry
