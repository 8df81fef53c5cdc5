"""SQLite by its own driver: the statements that SQLAlchemy writes, without what it does around each of them. Knows no table.

A turn asks and writes six times; on SQLite, where a statement takes some ten microseconds, what stands around it would be
most of the time that a turn without a model takes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.elements import ClauseElement

_DIALECT = sqlite.dialect(paramstyle="named")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Rows:
    """What a statement found or changed."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor, self.rowcount = cursor, cursor.rowcount

    def first(self) -> Any:
        """The first row; None when there is none. Nothing can be read after it."""
        found = self._cursor.fetchone()
        self._cursor.close()
        return found

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor.fetchall())


class Lite:
    """One connection to SQLite, with as much of SQLAlchemy's as ``Sessions`` uses. Who calls keeps threads apart."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError(f"{type(driver).__name__} is no connection to SQLite")
        self._driver = driver
        self._driver.isolation_level = None  # transactions are begun and ended here
        self._texts: dict[int, tuple[ClauseElement, str, Mapping[str, Any]]] = {}

    @contextmanager
    def begin(self) -> Iterator[None]:
        """One transaction; it begins to write with its first statement that does."""
        self._driver.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._driver.execute("ROLLBACK")
            raise
        self._driver.execute("COMMIT")

    def execute(self, statement: ClauseElement, parameters: Parameters | None = None) -> Rows:
        _, text, own = self._texts.get(id(statement)) or self._compiled(statement)
        if isinstance(parameters, Sequence):
            return Rows(self._driver.executemany(text, parameters))
        return Rows(self._driver.execute(text, {**own, **(parameters or {})}))

    def close(self) -> None:
        self._connection.close()

    def _compiled(self, statement: ClauseElement) -> tuple[ClauseElement, str, Mapping[str, Any]]:
        """SQL of a statement, and the values that it brings; each is one of a few that live as long as the module."""
        compiled = statement.compile(dialect=_DIALECT)
        own = {name: value for name, value in compiled.params.items() if value is not None}
        self._texts[id(statement)] = statement, str(compiled), own
        return self._texts[id(statement)]
