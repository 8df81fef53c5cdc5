"""Which store a place means: a file of JSON lines, an SQLite file, a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from constrained.errors import AuditError
from constrained.records.chain import follows, from_line
from constrained.records.record import Chained, Record

if TYPE_CHECKING:
    from constrained.records.log import Readable, Store


SQLITE = (".db", ".sqlite", ".sqlite3")


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
        place: a file of JSON lines, an SQLite file, or the address of a PostgreSQL database; see ``stores.open_log``.

    Raises AuditError naming the log and the line at the first entry that does not fit, after the ones that do.
    """
    store = existing(place)
    return verified(store.lines(), store.name)


def verified(lines: Iterable[bytes], name: str) -> Iterator[Chained]:
    """The entries of a log's lines, each checked by its own hash and against the one before it."""
    before: Chained | None = None
    for number, line in enumerate(lines, 1):
        entry = from_line(line, name, number)
        follows(entry, before, name, number)
        before = entry
        yield entry
