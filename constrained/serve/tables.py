"""The two tables in which conversations are kept, and the database behind them. Knows no turn and no policy."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint, create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import StaticPool

from constrained.errors import ConstrainedError

MEMORY = "sqlite://"
metadata = MetaData()

conversations = Table(
    "constrained_conversations",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("pack", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("memory", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", String(40), nullable=False),
)

turns = Table(
    "constrained_turns",
    metadata,
    Column("turn_id", String(64), primary_key=True),
    Column("tenant", String(128), nullable=False),
    Column("conversation", String(128), nullable=False),
    Column("number", Integer, nullable=False),
    Column("request_key", String(300)),
    Column("fingerprint", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("before", Text, nullable=False),
    Column("reply", Text, nullable=False),
    Column("seal", Text, nullable=False),
    UniqueConstraint("tenant", "conversation", "number"),
    UniqueConstraint("tenant", "request_key"),
    Index("constrained_turns_stage", "stage"),
)


def connect(url: str, pool_size: int) -> Engine:
    """The database of a SQLAlchemy URL, its tables made when they are missing. Raises ConstrainedError."""
    try:
        engine = _sqlite(make_url(url or MEMORY)) if (url or MEMORY).startswith("sqlite") else _server(url, pool_size)
        metadata.create_all(engine)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        hint = "sqlite:///PATH, or postgresql+psycopg://USER@HOST/NAME with: pip install 'constrained[evidence]'"
        raise ConstrainedError(f"the conversations cannot be kept there: {error}", hint=hint) from error
    return engine


def _sqlite(url: URL) -> Engine:
    """One connection for all threads: SQLite has one writer anyway. Its file belongs to one process.

    Commits are flushed by ``Sessions``, several at once: so SQLite itself flushes at checkpoints only.
    """
    engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepared(connection: object, _: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connections have no common type
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _server(url: str, pool_size: int) -> Engine:
    given = make_url(url)
    if given.drivername in ("postgresql", "postgres"):
        given = given.set(drivername="postgresql+psycopg")
    return create_engine(given, pool_size=pool_size, max_overflow=4, pool_pre_ping=True)


def own_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for one in memory and for other databases."""
    given = make_url(url or MEMORY)
    is_file = given.drivername.startswith("sqlite") and given.database not in (None, "", ":memory:")
    return Path(str(given.database)) if is_file else None
