"""The two tables in which conversations are kept, and the database behind them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.elements import ClauseElement

from constrained import _durable_files as files
from constrained.errors import AuditError, ConstrainedError
from constrained.logic.memory import Memory
from constrained.records.group_commit import SharedFlush
from constrained.serve.errors import RefusedError

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


# -- SQLite by its own driver: the statements that SQLAlchemy writes, without what it does around each of them. --

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


# -- Conversations kept between requests, in SQLite or PostgreSQL: what a turn begins with and what it left. --

PREPARED, STARTED, DONE = "prepared", "started", "done"
LOCK_WAIT_MS = 30_000  # for a conversation that another process is busy with
MOST_UNMARKED = 64  # finished turns whose row may still say "prepared"; after a crash each is looked up in the log
Database = Connection | Lite


@dataclass(frozen=True, slots=True)
class Stored:
    """A conversation between two turns, as JSON texts."""

    tenant: str
    id: str
    pack: str
    number: int
    memory: str
    state: str


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A turn as it is kept.

    Attributes:
        key: under which a repeated request finds it; None where the request named none. fingerprint: of the request.
        stage: ``prepared`` (its record may not be in the log yet), ``started`` (its effects may have run), ``done``.
        before: the Memory and state that it began with. reply: the TurnReply; ``seal``: the record's place in the log.
    """

    turn_id: str
    tenant: str
    conversation: str
    number: int
    key: str | None
    fingerprint: str
    stage: str
    before: str
    reply: str
    seal: str = "{}"


class Sessions:
    """The conversations of one server, or of several on one PostgreSQL. Thread-safe.

    Args:
        url: of SQLAlchemy; in memory when empty. An SQLite file is refused while another process has it.
        pool_size: connections, where there is a pool: one a turn that runs.
    """

    def __init__(self, url: str = "", *, pool_size: int = 16) -> None:
        self._claim = _claimed(url)
        self._engine = connect(url, pool_size)
        self.is_shared = self._engine.dialect.name != "sqlite"
        self._lock = threading.RLock()
        self._one = None if self.is_shared else Lite(self._engine.connect())
        path = own_file(url)
        self._flush = SharedFlush(path.with_name(path.name + "-wal")) if path is not None else None
        self._unmarked: dict[str, str] = {}  # turn id -> seal, of turns that are done and not yet marked so

    @contextmanager
    def held(self, tenant: str, name: str) -> Iterator[TenantStore]:
        """The book, while no other turn holds the same name. Within one process the caller sees to that."""
        if self._one is not None:
            yield TenantStore(self, self._one, tenant)
            return
        with _told(), self._engine.connect() as connection:
            number = int.from_bytes(hashlib.sha256(f"{tenant}\0{name}".encode()).digest()[:8], "big", signed=True)
            with connection.begin():
                connection.execute(text(f"SET lock_timeout = {LOCK_WAIT_MS}"))
                connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
            try:
                yield TenantStore(self, connection, tenant)
            finally:
                with connection.begin():
                    connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})

    def unfinished(self) -> list[TurnRow]:
        """Turns that a crash may have interrupted, oldest first."""
        with self._reading() as connection:
            return [row for found in connection.execute(_UNFINISHED) if (row := _turn(found)).turn_id not in self._unmarked]

    def is_reachable(self) -> bool:
        try:
            with self._reading() as connection:
                connection.execute(_PING)
        except ConstrainedError:
            return False
        return True

    def close(self) -> None:
        with self._lock:
            if self._one is not None:
                with self._begun() as connection:
                    self.mark(connection)
                self._one.close()
            self._engine.dispose()
            if self._claim is not None:
                files.release(self._claim)
                self._claim = None

    # -- what the book is made of ------------------------------------------------------------------------

    @contextmanager
    def _reading(self, connection: Database | None = None) -> Iterator[Database]:
        """For one question: on SQLite that needs no transaction."""
        if self._one is None:
            with self._begun(connection) as found:
                yield found
        else:
            with _told(), self._lock:
                yield self._one

    @contextmanager
    def _begun(self, connection: Database | None = None) -> Iterator[Database]:
        """One transaction; on SQLite one at a time."""
        with _told():
            if self._one is not None:
                with self._lock, self._one.begin():
                    yield self._one
            elif connection is not None:
                with connection.begin():
                    yield connection
            else:
                with self._engine.begin() as fresh:
                    yield fresh

    def flush(self) -> None:
        """Waits until what was committed would survive a power cut."""
        if self._flush is not None:
            self._flush.wait()

    def done(self, turn_id: str, seal: str) -> None:
        """A turn without effects is done. Its row is marked with the next transaction: one less for each turn."""
        with self._lock:
            self._unmarked[turn_id] = seal
            is_due = self.is_shared or len(self._unmarked) >= MOST_UNMARKED
        if is_due:
            with self._begun() as connection:
                self.mark(connection)

    def seal_of(self, turn_id: str) -> str | None:
        return self._unmarked.get(turn_id)

    def mark(self, connection: Database) -> None:
        with self._lock:
            if not self._unmarked:
                return
            found = [{"its_id": turn_id, "its_seal": seal} for turn_id, seal in self._unmarked.items()]
            connection.execute(_MARK, found)
            self._unmarked.clear()


class TenantStore:
    """One tenant's conversations, while a turn is taken. Each method is one transaction; failures are AuditErrors."""

    def __init__(self, sessions: Sessions, connection: Database, tenant: str) -> None:
        self._sessions, self._connection, self._tenant = sessions, connection, tenant

    def find(self, conversation: str) -> Stored | None:
        with self._sessions._reading(self._connection) as connection:
            found = connection.execute(_FIND, {"tenant": self._tenant, "conversation": conversation}).first()
        return Stored(*found[:6]) if found else None

    def repeated(self, key: str) -> TurnRow | None:
        """The turn that a request with this key was answered with."""
        return self._row(_REPEATED, key=key)

    def turn(self, conversation: str, number: int) -> TurnRow | None:
        return self._row(_TURN, conversation=conversation, number=number)

    def is_done(self, conversation: str, number: int) -> bool:
        """Whether nothing of a turn is left to do; there may be no such turn."""
        with self._sessions._reading(self._connection) as connection:
            found = connection.execute(_STAGE, {"tenant": self._tenant, "conversation": conversation, "number": number}).first()
        return found is None or found[1] == DONE or self._sessions.seal_of(found[0]) is not None

    def turns(self, conversation: str, most: int) -> list[TurnRow]:
        """The last turns of a conversation, oldest first."""
        asked = {"tenant": self._tenant, "conversation": conversation, "most": most}
        with self._sessions._reading(self._connection) as connection:
            found = [self._sealed(_turn(row)) for row in connection.execute(_TURNS, asked)]
        return found[::-1]

    def count(self) -> int:
        with self._sessions._reading(self._connection) as connection:
            found = connection.execute(_COUNT, {"tenant": self._tenant}).first()
        return int(found[0]) if found else 0

    def prepare(self, row: TurnRow, pack: str, memory: Memory, state: str) -> None:
        """Keeps a turn and what the conversation is after it; durable before its record is. A second one of its number is refused."""
        kept = {"tenant": self._tenant, "id": row.conversation, "pack": pack, "number": row.number}
        kept |= {"memory": memory.model_dump_json(), "state": state, "at": _now()}
        try:
            with self._sessions._begun(self._connection) as connection:
                if not self._sessions.is_shared:
                    self._sessions.mark(connection)
                if connection.execute(_MOVE, _as_parameters(kept)).rowcount == 0:
                    connection.execute(_BEGIN, kept)
                connection.execute(_KEEP, _columns(row))
            self._sessions.flush()
        except (IntegrityError, sqlite3.IntegrityError) as error:
            raise RefusedError(409, "another turn of this conversation came first", hint="send the request again") from error

    def withdraw(self, row: TurnRow, before: Stored | None) -> None:
        """Takes back what ``prepare`` kept: the record could not be written, nothing was released."""
        with self._sessions._begun(self._connection) as connection:
            connection.execute(_WITHDRAW, {"its_id": row.turn_id})
            if before is None:
                connection.execute(_FORGET, {"tenant": self._tenant, "conversation": row.conversation})
                return
            kept = {"tenant": self._tenant, "id": row.conversation, "pack": before.pack, "number": before.number}
            kept |= {"memory": before.memory, "state": before.state, "at": _now()}
            connection.execute(_MOVE, _as_parameters(kept))

    def start(self, turn_id: str) -> None:
        """From here on the effects of the turn may have run."""
        with self._sessions._begun(self._connection) as connection:
            connection.execute(_START, {"its_id": turn_id})
        self._sessions.flush()

    def finish(self, row: TurnRow, reply: str, seal: str, state: str, memory: Memory | None = None) -> None:
        """The turn is done, with the reply as it was released; ``state`` and ``memory`` are the conversation's now, if none came later."""
        with self._sessions._begun(self._connection) as connection:
            connection.execute(_FINISH, {"its_id": row.turn_id, "its_reply": reply, "its_seal": seal})
            kept = {"its_state": state, "its_memory": None if memory is None else memory.model_dump_json()}
            connection.execute(_GO_ON, {"its_tenant": self._tenant, "its_id": row.conversation, "its_number": row.number} | kept)
        self._sessions.flush()

    def forget(self, conversation: str) -> bool:
        """Deletes a conversation and its turns here; its records stay in the log."""
        with self._sessions._begun(self._connection) as connection:
            asked = {"tenant": self._tenant, "conversation": conversation}
            connection.execute(_FORGET_TURNS, asked)
            return connection.execute(_FORGET, asked).rowcount > 0

    def _row(self, query: Any, **asked: Any) -> TurnRow | None:
        with self._sessions._reading(self._connection) as connection:
            found = connection.execute(query, {"tenant": self._tenant, **asked}).first()
        return self._sealed(_turn(found)) if found else None

    def _sealed(self, row: TurnRow) -> TurnRow:
        """A turn that is done, though its row is not marked yet, reads as done."""
        seal = self._sessions.seal_of(row.turn_id)
        return row if seal is None else TurnRow(*(_columns(row) | {"stage": DONE, "seal": seal}).values())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _columns(row: TurnRow) -> dict[str, Any]:
    return {
        "turn_id": row.turn_id,
        "tenant": row.tenant,
        "conversation": row.conversation,
        "number": row.number,
        "request_key": row.key,
        "fingerprint": row.fingerprint,
        "stage": row.stage,
        "before": row.before,
        "reply": row.reply,
        "seal": row.seal,
    }


def _turn(found: Any) -> TurnRow:
    return TurnRow(*found)


def _as_parameters(kept: dict[str, Any]) -> dict[str, Any]:
    return {f"its_{name}": value for name, value in kept.items()}


@contextmanager
def _told() -> Iterator[None]:
    """Whatever the database raises is an AuditError: nothing is released. A broken rule of the tables is left to the caller."""
    try:
        yield
    except (IntegrityError, sqlite3.IntegrityError):
        raise
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        hint = "nothing was released; see to the database"
        raise AuditError(f"the conversations cannot be kept: {type(cause).__name__}", hint=hint) from error


def _claimed(url: str) -> int | None:
    """The lock on an SQLite file, kept as long as the process lives: two servers on one file would not see each other's turns."""
    path = own_file(url)
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
    except OSError as error:
        hint = "stop the other one, give --data another folder, or use PostgreSQL for several processes"
        raise ConstrainedError(f"another server keeps its conversations in {path}", hint=hint) from error


_MINE = turns.c.tenant == bindparam("tenant")
_ITS_CONVERSATION = turns.c.conversation == bindparam("conversation")
_HERE = (conversations.c.tenant == bindparam("tenant"), conversations.c.id == bindparam("conversation"))
_FIND = select(conversations).where(*_HERE)
_REPEATED = select(turns).where(_MINE, turns.c.request_key == bindparam("key"))
_TURN = select(turns).where(_MINE, _ITS_CONVERSATION, turns.c.number == bindparam("number"))
_TURNS = select(turns).where(_MINE, _ITS_CONVERSATION).order_by(turns.c.number.desc()).limit(bindparam("most"))
_COUNT = select(func.count()).select_from(conversations).where(conversations.c.tenant == bindparam("tenant"))
_BEGIN, _KEEP = insert(conversations), insert(turns)
_MOVE = (
    update(conversations)
    .where(conversations.c.tenant == bindparam("its_tenant"), conversations.c.id == bindparam("its_id"))
    .values(
        pack=bindparam("its_pack"),
        number=bindparam("its_number"),
        memory=bindparam("its_memory"),
        state=bindparam("its_state"),
        at=bindparam("its_at"),
    )
)
_WITHDRAW = delete(turns).where(turns.c.turn_id == bindparam("its_id"))
_STAGE = select(turns.c.turn_id, turns.c.stage).where(_MINE, _ITS_CONVERSATION, turns.c.number == bindparam("number"))
_UNFINISHED = select(turns).where(turns.c.stage != literal_column(f"'{DONE}'")).order_by(turns.c.conversation, turns.c.number)
_PING = text("SELECT 1")
_START = update(turns).where(turns.c.turn_id == bindparam("its_id")).values(stage=literal_column(f"'{STARTED}'"))
_FINISH = (
    update(turns)
    .where(turns.c.turn_id == bindparam("its_id"))
    .values(stage=literal_column(f"'{DONE}'"), reply=bindparam("its_reply"), seal=bindparam("its_seal"))
)
_GO_ON = (
    update(conversations)
    .where(
        conversations.c.tenant == bindparam("its_tenant"),
        conversations.c.id == bindparam("its_id"),
        conversations.c.number == bindparam("its_number"),
    )
    .values(state=bindparam("its_state"), memory=func.coalesce(bindparam("its_memory"), conversations.c.memory))
)
_MARK = update(turns).where(turns.c.turn_id == bindparam("its_id")).values(stage=literal_column(f"'{DONE}'"), seal=bindparam("its_seal"))
_FORGET = delete(conversations).where(*_HERE)
_FORGET_TURNS = delete(turns).where(_MINE, _ITS_CONVERSATION)
