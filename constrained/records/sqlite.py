"""Records in an SQLite file: durable, shared by threads and by processes of one machine.

Write-ahead log, ``synchronous=FULL``: a transaction is on the disk when it ends. What many threads append at the same
time shares one (``group_commit``). SQLite rolls back a transaction that a crash interrupted; no reply of it was released, since
a reply is released after the commit. The lines are those of a JSON lines log, byte for byte.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from constrained import _durable_files as files
from constrained.errors import AuditError
from constrained.records.chain import START, EntryDraft, LogPosition, from_row, lines_in_place
from constrained.records.group_commit import GroupCommit, Placement, close_all, place_all
from constrained.records.record import Chained

T = TypeVar("T", bound=Chained)
WAIT_S = 60.0  # for another process that writes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (sequence INTEGER PRIMARY KEY, hash TEXT NOT NULL, line BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints (number INTEGER PRIMARY KEY, line BLOB NOT NULL);
CREATE TRIGGER IF NOT EXISTS entries_stay BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'a log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS entries_remain BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'a log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS checkpoints_stay BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'a log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS checkpoints_remain BEFORE DELETE ON checkpoints BEGIN SELECT RAISE(ABORT, 'a log is append-only'); END;
"""


class SqliteFile:
    """A log in an SQLite file that is only read: nothing is made in it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def name(self) -> str:
        return str(self.path)

    def lines(self, first: int = 1) -> Iterator[bytes]:
        """Read through a connection of its own, a thousand at a time: writers are not held up."""
        question = "SELECT sequence, CAST(line AS BLOB) FROM entries WHERE sequence >= ? ORDER BY sequence LIMIT 1000"
        with closing(reader(self.path)) as database:
            while rows := _asked(database, self.path, question, first):
                yield from (line for _, line in rows)
                first = rows[-1][0] + 1

    def places(self) -> Generator[LogPosition, None, None]:
        """One statement, so one state of the table; writers are not held up."""
        with closing(reader(self.path)) as database:
            try:
                rows = database.execute("SELECT sequence, hash FROM entries ORDER BY sequence")
                yield from (LogPosition(sequence, digest) for sequence, digest in rows)
            except sqlite3.Error as error:
                raise _failed(self.path, error) from error

    def checkpoints(self) -> list[bytes]:
        """Raises AuditError where the number of a row is not its place."""
        with closing(reader(self.path)) as database:
            rows = _asked(database, self.path, "SELECT number, CAST(line AS BLOB) FROM checkpoints ORDER BY number")
        return lines_in_place(self.name, rows)

    def keep_checkpoint(self, number: int, line: bytes) -> bool:
        with closing(_connect(self.path)) as database:
            try:
                database.execute("INSERT INTO checkpoints VALUES (?, ?)", (number, line))
            except sqlite3.IntegrityError:  # another process was first
                return False
            except sqlite3.Error as error:
                raise _failed(self.path, error) from error
            return True


class SqliteLog(SqliteFile):
    """An append-only table in an SQLite file.

    Args:
        path: the file; made (readable by its owner only) when missing, its folder is not.

    Raises AuditError when the file is no log, or its last record does not verify.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self._held: list[sqlite3.Connection] = []  # the one connection that writes, when there is one
        weakref.finalize(self, close_all, self._held)
        self._file = 0  # its inode
        self._last = START
        self._commit = GroupCommit(self._write, partial(close_all, self._held))
        _make(self.path)
        with self._commit.busy:
            self._open()

    def append(self, record: T) -> T:
        """Writes the record as the next entry; see ``Log.append``."""
        return self._commit.keep(record)

    def close(self) -> None:
        """Ends the connection; the next append opens another."""
        self._commit.close()

    # -- writing ---------------------------------------------------------------------------------------

    def _write(self, drafts: Sequence[EntryDraft]) -> list[Placement]:
        self._see_that_it_is_there()
        database = self._held[0] if self._held else self._open()
        try:
            database.execute("BEGIN IMMEDIATE")
            placed = self._insert(database, drafts)
            database.execute("COMMIT")
        except BaseException as error:
            self._roll_back(database, error)
            if isinstance(error, sqlite3.Error):
                raise _failed(self.path, error) from error
            raise
        self._last = placed[-1][0]
        return placed

    def _insert(self, database: sqlite3.Connection, drafts: Sequence[EntryDraft]) -> list[Placement]:
        placed, rows = place_all(self._head(database), drafts)
        database.executemany("INSERT INTO entries VALUES (:sequence, :hash, :line)", rows)
        return placed

    def _head(self, database: sqlite3.Connection) -> LogPosition:
        """Where the log ends now: others may have written. Raises AuditError when our last record is gone."""
        row = database.execute("SELECT sequence, hash FROM entries ORDER BY sequence DESC LIMIT 1").fetchone()
        head = LogPosition(*row) if row else START
        ours = self._last
        if head.sequence > ours.sequence and ours.sequence:
            row = database.execute("SELECT sequence, hash FROM entries WHERE sequence = ?", (ours.sequence,)).fetchone()
            ours_now = LogPosition(*row) if row else START
        else:
            ours_now = head
        if ours.sequence and ours_now != ours:
            raise AuditError(
                f"{self.path}:{ours.sequence}: the last record is not where it was written",
                file=str(self.path), line=ours.sequence, hint="the file was cut, changed or replaced; keep it and find out why",
            )  # fmt: skip
        return head

    def _roll_back(self, database: sqlite3.Connection, error: BaseException) -> None:
        try:
            if database.in_transaction:
                database.execute("ROLLBACK")
        except sqlite3.Error as second:
            error.add_note(f"the transaction could not be rolled back: {second}")
            self._held.clear()  # SQLite undoes it when the file is opened again

    def _see_that_it_is_there(self) -> None:
        """SQLite goes on with a file that was deleted, and everything would be lost with the process."""
        try:
            present = os.stat(self.path).st_ino
        except OSError as error:
            raise _failed(self.path, error) from error
        if present != self._file:
            raise AuditError(f"{self.path}: another file is in the place of the log", file=str(self.path), hint="open the log anew")

    # -- opening ---------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        database = _connect(self.path)
        try:
            database.executescript(_SCHEMA)
            question = "SELECT sequence, hash, CAST(line AS BLOB) FROM entries ORDER BY sequence DESC LIMIT 1"
            row = database.execute(question).fetchone()
            if row:
                from_row(LogPosition(*row[:2]), row[2], str(self.path))
        except sqlite3.Error as error:
            database.close()
            raise _failed(self.path, error) from error
        except AuditError:
            database.close()
            raise
        self._held.append(database)
        self._file = os.stat(self.path).st_ino
        return database


def reader(path: str | Path) -> sqlite3.Connection:
    """A connection that only reads. SQLite may leave two small files beside the log (``-shm``, ``-wal``) that hold nothing of it.

    A log in a folder that cannot be written (a read-only volume) is read as a file that does not change.
    """
    address = f"{Path(path).resolve().as_uri()}?mode=ro"
    try:
        database = sqlite3.connect(address, uri=True, timeout=WAIT_S, isolation_level=None)
        if _is_shut_out(database, Path(path)):
            database.close()
            database = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
        return database
    except sqlite3.Error as error:
        raise AuditError(f"{path}: the log could not be read: {error}", file=str(path), hint="give the path of a log") from error


def _is_shut_out(database: sqlite3.Connection, path: Path) -> bool:
    """Whether SQLite can only not make its files beside a log that is whole without them: what is in a ``-wal`` must be read."""
    try:
        database.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        wal = path.resolve().with_name(path.resolve().name + "-wal")
        is_about_files = error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN"))
        return is_about_files and path.is_file() and (not wal.exists() or wal.stat().st_size == 0)
    except sqlite3.Error:
        return False  # whoever asks a question gets it again
    return False


def _asked(database: sqlite3.Connection, path: str | Path, question: str, *values: object) -> list[tuple[Any, ...]]:
    try:
        return database.execute(question, values).fetchall()
    except (sqlite3.Error, OverflowError) as error:  # the second: a sequence that no database can count to
        raise _failed(path, error) from error


def _connect(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        return database
    except sqlite3.Error as error:
        raise _failed(path, error) from error


def _make(path: Path) -> None:
    """An empty file that only its owner reads; SQLite would make one that others can read."""
    try:
        os.close(files.open_file(path, os.O_RDWR | os.O_CREAT))
        files.sync_folder(path.parent)
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: str | Path, error: Exception) -> AuditError:
    reason = getattr(error, "strerror", None) or error
    return AuditError(
        f"{path}: the log could not be used: {reason}",
        file=str(path),
        hint="nothing was released; see that it is there, writable and not full",
    )
