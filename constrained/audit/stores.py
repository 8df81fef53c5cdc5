"""Which store a place means: a file of JSON lines, an SQLite file, a PostgreSQL database. Knows no record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from constrained.errors import AuditError

if TYPE_CHECKING:
    from constrained.audit.log import Readable, Store

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
        from constrained.audit.sqlite import SqliteLog

        return SqliteLog(path)
    if is_postgres(place):
        from constrained.audit.postgres import PostgresLog

        return PostgresLog(str(place))
    if isinstance(place, str) and urlsplit(place).netloc:
        hint = "a path, sqlite:PATH or postgresql://USER@HOST/NAME"
        raise AuditError(f"{place.split('://')[0]}:// is no place for a log", file=place.split("://")[0], hint=hint)
    from constrained.audit.jsonl import JsonLinesLog

    return JsonLinesLog(place)


def existing(place: str | Path) -> Readable:
    """A log that is only read: it is not made when it is missing, nor its end mended."""
    path = sqlite_path(place)
    if path is not None:
        from constrained.audit.sqlite import SqliteFile

        return SqliteFile(path)
    if is_postgres(place):
        from constrained.audit.postgres import PostgresTable

        return PostgresTable(str(place))
    from constrained.audit.jsonl import JsonLinesFile

    return JsonLinesFile(place)


def sqlite_path(place: str | Path) -> Path | None:
    if isinstance(place, str) and place.startswith("sqlite:"):
        return Path(place.removeprefix("sqlite:").removeprefix("//"))
    return Path(place) if str(place).endswith(SQLITE) and "://" not in str(place) else None


def is_postgres(place: str | Path) -> bool:
    return isinstance(place, str) and place.startswith(("postgresql://", "postgresql+psycopg://", "postgres://"))
