"""Records in a PostgreSQL table: one chain that many processes and machines write.

A writer takes an advisory lock for its transaction, reads where the log ends, and adds what its threads handed in
(``group_commit``). SQLAlchemy and psycopg are imported when a log of this kind is first opened.
"""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from constrained.errors import AuditError
from constrained.records.chain import START, EntryDraft, LogPosition, from_row, lines_in_place
from constrained.records.group_commit import GroupCommit, Placement, close_all, place_all
from constrained.records.record import Chained

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


T = TypeVar("T", bound=Chained)
_LOCK = 7_203_451_986  # of the one chain in a database: any number that nothing else there locks
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS constrained_entries (sequence bigint PRIMARY KEY, hash text NOT NULL, line bytea NOT NULL)",
    "CREATE TABLE IF NOT EXISTS constrained_checkpoints (number bigint PRIMARY KEY, line bytea NOT NULL)",
    "CREATE OR REPLACE FUNCTION constrained_stays() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'a log is append-only'; END $$",
    *(
        f"CREATE OR REPLACE TRIGGER constrained_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON constrained_{table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION constrained_stays()"
        for table in ("entries", "checkpoints")
    ),
)
_HEAD = "SELECT sequence, hash, line FROM constrained_entries ORDER BY sequence DESC LIMIT 1"


class PostgresTable:
    """A log in a PostgreSQL database that is only read: nothing is made in it."""

    def __init__(self, address: str) -> None:
        self._engine, self.name = _engine(address)

    def lines(self, first: int = 1) -> Iterator[bytes]:
        """Some thousand at a time, each time in a transaction of its own: writers are not held up."""
        question = "SELECT sequence, line FROM constrained_entries WHERE sequence >= :first ORDER BY sequence LIMIT 5000"
        while rows := self._asked(question, first=first):
            yield from (bytes(line) for _, line in rows)
            first = rows[-1][0] + 1

    def places(self) -> Generator[LogPosition, None, None]:
        """One statement, so one state of the table; read from the server piece by piece, writers are not held up."""
        from sqlalchemy import text

        question = text("SELECT sequence, hash FROM constrained_entries ORDER BY sequence")
        with self._told(), self._engine.connect().execution_options(yield_per=5000) as database, database.execute(question) as rows:
            yield from (LogPosition(sequence, digest) for sequence, digest in rows)

    def checkpoints(self) -> list[bytes]:
        """Raises AuditError where the number of a row is not its place."""
        return lines_in_place(self.name, self._asked("SELECT number, line FROM constrained_checkpoints ORDER BY number"))

    def keep_checkpoint(self, number: int, line: bytes) -> bool:
        from sqlalchemy import text

        question = "INSERT INTO constrained_checkpoints VALUES (:number, :line) ON CONFLICT DO NOTHING"
        with self._told(), self._engine.begin() as database:
            return database.execute(text(question), {"number": number, "line": line}).rowcount == 1

    def _asked(self, question: str, **values: object) -> list[tuple[int, bytes]]:
        from sqlalchemy import text

        with self._told(), self._engine.connect() as database:
            return [(row[0], row[1]) for row in database.execute(text(question), values)]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever goes wrong in the database is an AuditError."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise AuditError(
                f"{self.name}: the log could not be used: {reason}",
                file=self.name,
                hint="nothing was released; see that the database is up",
            ) from error


class PostgresLog(PostgresTable):
    """An append-only table of a PostgreSQL database.

    Args:
        address: ``postgresql://USER:PASSWORD@HOST:PORT/NAME``. The tables are made when they are missing.

    Raises AuditError when the database cannot be reached, or its last record does not verify.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._held: list[Connection] = []  # the one connection that writes, when there is one
        weakref.finalize(self, close_all, self._held)
        self._last = START
        self._commit = GroupCommit(self._write, partial(close_all, self._held))
        with self._told():
            self._make()

    def append(self, record: T) -> T:
        """Writes the record as the next entry; see ``Log.append``."""
        return self._commit.keep(record)

    def close(self) -> None:
        """Ends the connection; the next append opens another."""
        self._commit.close()

    def _make(self) -> None:
        from sqlalchemy import text

        with self._engine.begin() as database:
            _lock(database)
            if database.execute(text("SELECT to_regclass('constrained_checkpoints')")).scalar() is None:
                for statement in _SCHEMA:
                    database.execute(text(statement))
            row = database.execute(text(_HEAD)).fetchone()
        if row:
            from_row(LogPosition(row[0], row[1]), bytes(row[2]), self.name)

    # -- writing ---------------------------------------------------------------------------------------

    def _write(self, drafts: Sequence[EntryDraft]) -> list[Placement]:
        with self._told():
            database = self._begun()
            try:
                placed = self._insert(database, drafts)
                database.commit()
            except BaseException as error:
                self._give_up(error)
                raise
        self._last = placed[-1][0]
        return placed

    def _begun(self) -> Connection:
        """A connection with a transaction that holds the lock. One that was lost meanwhile is replaced, once: nothing is written yet."""
        from sqlalchemy.exc import DBAPIError

        if self._held:
            try:
                _lock(self._held[0])
                return self._held[0]
            except DBAPIError as error:
                self._give_up(error)
                if not error.connection_invalidated:
                    raise
        self._held.append(self._engine.connect())
        _lock(self._held[0])
        return self._held[0]

    def _insert(self, database: Connection, drafts: Sequence[EntryDraft]) -> list[Placement]:
        from sqlalchemy import text

        placed, rows = place_all(self._head(database), drafts)
        database.execute(text("INSERT INTO constrained_entries VALUES (:sequence, :hash, :line)"), rows)
        return placed

    def _head(self, database: Connection) -> LogPosition:
        """Where the log ends now: others may have written. Raises AuditError when our last record is gone."""
        from sqlalchemy import text

        question = "SELECT sequence, hash FROM constrained_entries WHERE sequence >= :ours ORDER BY sequence DESC LIMIT 1"
        found = database.execute(text(question), {"ours": self._last.sequence}).fetchone()
        head, ours = LogPosition(found[0], found[1]) if found else START, self._last
        if ours.sequence and head.sequence > ours.sequence:
            question = "SELECT sequence, hash FROM constrained_entries WHERE sequence = :ours"
            found = database.execute(text(question), {"ours": ours.sequence}).fetchone()
        if ours.sequence and (found is None or LogPosition(found[0], found[1]) != ours):
            hint = "rows were taken out or changed; keep the database and find out why"
            message = f"{self.name}:{ours.sequence}: the last record is not where it was written"
            raise AuditError(message, file=self.name, line=ours.sequence, hint=hint)
        return head

    def _give_up(self, error: BaseException) -> None:
        """Ends the connection, and its transaction with it."""
        try:
            for connection in self._held:
                connection.invalidate()
            close_all(self._held)
        except Exception as second:  # of a connection that is broken anyway
            error.add_note(f"the connection could not be closed: {second}")
            self._held.clear()


def _lock(database: Connection) -> None:
    """Until the end of the transaction no one else adds to the chain. A commit is on the disk when it returns."""
    from sqlalchemy import text

    database.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK}), set_config('synchronous_commit', 'on', true)"))


def _engine(address: str) -> tuple[Engine, str]:
    """An engine, and the address without its password."""
    try:
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError
        from sqlalchemy.pool import NullPool
    except ImportError as error:
        raise AuditError("a log in PostgreSQL needs SQLAlchemy and psycopg", hint="pip install 'constrained[evidence]'") from error
    try:
        url = make_url(address).set(drivername="postgresql+psycopg")
        return create_engine(url, poolclass=NullPool), url.set(drivername="postgresql").render_as_string(hide_password=True)
    except (ArgumentError, ImportError, ValueError) as error:
        raise AuditError(f"no address of a PostgreSQL database: {error}", hint="postgresql://USER@HOST/NAME") from error
