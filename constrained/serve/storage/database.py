"""The database of a server's conversations: SQLite or PostgreSQL, opened with its tables, and what it raises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from constrained import _durable_files as files
from constrained.errors import AuditError, ConstrainedError
from constrained.serve.storage.tables import metadata

MEMORY = "sqlite://"


def connect(url: str, pool_size: int) -> Engine:
    """The database of a SQLAlchemy URL, its tables made when they are missing. Raises ConstrainedError."""
    try:
        given = make_url(url or MEMORY)
        engine = _sqlite_engine(given) if given.drivername.startswith("sqlite") else _server_engine(given, pool_size)
        metadata.create_all(engine)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        hint = "sqlite:///PATH, or postgresql+psycopg://USER@HOST/NAME with: pip install 'constrained[evidence]'"
        raise ConstrainedError(f"the conversations cannot be kept there: {error}", hint=hint) from error
    return engine


def _sqlite_engine(url: URL) -> Engine:
    """One connection for all threads: SQLite has one writer anyway. Its file belongs to one process.

    Commits are flushed by ``Sessions``, several at once: so SQLite itself flushes at checkpoints only.
    """
    engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connections have no common type
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _server_engine(url: URL, pool_size: int) -> Engine:
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(url, pool_size=pool_size, max_overflow=4, pool_pre_ping=True)


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for one in memory and for other databases."""
    given = make_url(url or MEMORY)
    is_file = given.drivername.startswith("sqlite") and given.database not in (None, "", ":memory:")
    return Path(str(given.database)) if is_file else None


def claim_file(url: str) -> int | None:
    """The lock on an SQLite file, kept as long as the process lives: two servers on one file would not see each other's turns."""
    path = sqlite_file(url)
    if path is None:
        return None
    lock_file = path.with_name(path.name + ".lock")
    try:
        for name in (lock_file, path):  # what users wrote is for the owner only
            os.close(files.open_file(name, os.O_RDWR | os.O_CREAT))
    except OSError as error:
        hint = "see that the folder is there and writable"
        raise ConstrainedError(f"{path} cannot be written: {error.strerror}", hint=hint) from error
    try:
        return files.claim(lock_file)
    except BlockingIOError as error:
        hint = "stop the other one, give --data another folder, or use PostgreSQL for several processes"
        raise ConstrainedError(f"another server keeps its conversations in {path}", hint=hint) from error
    except OSError as error:
        hint = "give --data a folder on a disk of this machine, or use PostgreSQL"
        raise ConstrainedError(f"{lock_file} cannot be locked: {error.strerror}", hint=hint) from error


@contextmanager
def database_errors() -> Iterator[None]:
    """Whatever the database raises is an AuditError: nothing is released. A broken rule of the tables is left to the caller."""
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        hint = "nothing was released; see to the database"
        raise AuditError(f"the conversations cannot be kept: {type(cause).__name__}", hint=hint) from error
