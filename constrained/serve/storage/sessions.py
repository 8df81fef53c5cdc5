"""Conversations kept between requests, in SQLite or PostgreSQL: what a turn begins with and what it left.

``constrained_conversations`` holds where each conversation stands, ``constrained_turns`` every turn with its reply; see ``tables``.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from constrained import _durable_files as files
from constrained.errors import ConstrainedError
from constrained.logic.state import Memory
from constrained.records.group_commit import SharedFlush
from constrained.serve.errors import RefusedError
from constrained.serve.storage import statements
from constrained.serve.storage.at_rest import RowCipher
from constrained.serve.storage.database import claim_file, connect, database_errors, sqlite_file
from constrained.serve.storage.statements import DONE
from constrained.serve.storage.tables import turns

LOCK_WAIT_MS = 30_000  # for a conversation that another process is busy with
MOST_PENDING = 64  # finished turns whose row may still say "prepared"; after a crash each is looked up in the log


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """A conversation between two turns; memory and state as JSON texts. ``is_complete``: nothing of its last turn is left to do.

    ``claimed_until``: a person answers it until then, in seconds since the epoch; 0: nobody does. ``is_overtaken``: a person said
    something after its last turn.
    """

    tenant: str
    id: str
    pack: str
    number: int
    memory: str
    state: str
    is_complete: bool
    claimed_until: float = 0.0
    is_overtaken: bool = False


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn as it is kept; the fields are the columns of the table.

    Attributes:
        request_key: under which a repeated request finds it; None where the request named none. fingerprint: of the request.
        stage: ``prepared`` (its record may not be in the log yet), ``started`` (its effects may have run), ``done``.
        before: the Memory and state that it began with. reply: the TurnReply; ``seal``: the record's place in the log.
    """

    turn_id: str
    tenant: str
    conversation: str
    number: int
    request_key: str | None
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
        is_announcing: hand-overs are put into the outbox, for a webhook.
        cipher: encrypts what was said and heard, and the state; None keeps it in plain text. Rows of before are read either way.
    """

    def __init__(self, url: str = "", *, pool_size: int = 16, is_announcing: bool = False, cipher: RowCipher | None = None) -> None:
        self.is_announcing, self.cipher = is_announcing, cipher or RowCipher()
        self._claim = claim_file(url)
        self._engine = connect(url, pool_size)
        self.is_shared = self._engine.dialect.name != "sqlite"
        self._lock = threading.RLock()
        self._sqlite = None if self.is_shared else self._engine.connect()
        path = sqlite_file(url)
        self._flush = SharedFlush(path.with_name(path.name + "-wal")) if path is not None else None
        self._pending: dict[str, str] = {}  # turn id -> seal, of turns that are done and not yet marked so

    @contextmanager
    def hold(self, tenant: str, name: str) -> Iterator[TenantStore]:
        """The tenant's store, while no other turn holds the same name. Within one process the caller sees to that."""
        if self._sqlite is not None:
            yield TenantStore(self, self._sqlite, tenant)
            return
        with database_errors(), self._engine.connect() as connection:
            number = int.from_bytes(hashlib.sha256(f"{tenant}\0{name}".encode()).digest()[:8], "big", signed=True)
            with connection.begin():
                connection.execute(text(f"SET lock_timeout = {LOCK_WAIT_MS}"))
                connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
            try:
                yield TenantStore(self, connection, tenant)
            finally:
                with connection.begin():
                    connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})

    @contextmanager
    def look(self, tenant: str) -> Iterator[TenantStore]:
        """The tenant's store, to read from: nothing is held, and turns run meanwhile."""
        if self._sqlite is not None:
            yield TenantStore(self, self._sqlite, tenant)
            return
        with database_errors(), self._engine.connect() as connection:
            yield TenantStore(self, connection, tenant)

    def unfinished_turns(self) -> list[StoredTurn]:
        """Turns that a crash may have interrupted, oldest first."""
        with self.transaction() as connection:
            rows = [self.read_turn(row) for row in connection.execute(statements.SELECT_UNFINISHED)]
        return [row for row in rows if row.turn_id not in self._pending]

    def idle_since(self, before: str) -> list[tuple[str, str]]:
        """Tenant and id of the conversations whose last turn was before that moment, ISO 8601 in UTC."""
        with self.transaction() as connection:
            return [(tenant, name) for tenant, name in connection.execute(statements.SELECT_IDLE, {"before": before})]

    def clean(self) -> None:
        """Takes what was deleted out of SQLite's files, where it would stay until it is written over."""
        if self._sqlite is not None:
            with self._lock, database_errors():
                self._sqlite.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                self._sqlite.commit()

    def is_reachable(self) -> bool:
        try:
            with self.transaction() as connection:
                connection.execute(statements.PING)
        except ConstrainedError:
            return False
        return True

    def close(self) -> None:
        with self._lock:
            if self._sqlite is not None:
                with self.transaction() as connection:
                    self.write_pending(connection)
                self._sqlite.close()
            self._engine.dispose()
            if self._claim is not None:
                files.release(self._claim)
                self._claim = None

    def read_turn(self, row: Any) -> StoredTurn:
        turn = StoredTurn(*row)
        bound = f"{turn.tenant} {turn.conversation}"
        return replace(turn, before=self.cipher.read(turn.before, bound), reply=self.cipher.read(turn.reply, bound))

    # -- for TenantStore ---------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, connection: Connection | None = None) -> Iterator[Connection]:
        """One transaction; on SQLite one at a time."""
        with database_errors():
            if self._sqlite is not None:
                with self._lock, self._sqlite.begin():
                    yield self._sqlite
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

    def finish_later(self, turn_id: str, seal: str) -> None:
        """A turn without effects is done. Its row is marked with the next transaction: one less for each turn."""
        with self._lock:
            self._pending[turn_id] = seal
            is_due = self.is_shared or len(self._pending) >= MOST_PENDING
        if is_due:
            with self.transaction() as connection:
                self.write_pending(connection)

    def pending_seal(self, turn_id: str) -> str | None:
        """The seal of a turn that is done, though its row does not say so yet."""
        return self._pending.get(turn_id)

    def write_pending(self, connection: Connection) -> None:
        with self._lock:
            if self._pending:
                rows = [{"for_turn": turn_id, "new_seal": seal} for turn_id, seal in self._pending.items()]
                connection.execute(statements.MARK_DONE, rows)
                self._pending.clear()


class TenantStore:
    """One tenant's conversations, while a turn is taken. Each method is one transaction; failures are AuditErrors."""

    def __init__(self, sessions: Sessions, connection: Connection, tenant: str) -> None:
        self._sessions, self._connection, self._tenant = sessions, connection, tenant

    @property
    def is_announcing(self) -> bool:
        return self._sessions.is_announcing

    def transaction(self) -> AbstractContextManager[Connection]:
        return self._sessions.transaction(self._connection)

    def find(self, conversation: str) -> StoredConversation | None:
        found = self._first(statements.SELECT_CONVERSATION, **self._named(conversation))
        if found is None:
            return None
        tenant, name, pack, number, memory, state, turn_id, stage, claimed_until, is_overtaken = found
        is_complete = stage in (None, DONE) or self._sessions.pending_seal(turn_id) is not None
        memory, state = (self._sessions.cipher.read(one, self._bound(name)) for one in (memory, state))
        return StoredConversation(tenant, name, pack, number, memory, state, is_complete, claimed_until or 0.0, bool(is_overtaken))

    def existing(self, conversation: str) -> StoredConversation:
        """Raises RefusedError: 404."""
        found = self.find(conversation)
        if found is None:
            raise missing(conversation)
        return found

    def find_repeat(self, key: str) -> StoredTurn | None:
        """The turn that a request with this key was answered with."""
        return self._turn(self._first(statements.SELECT_BY_KEY, tenant=self._tenant, key=key))

    def find_turn(self, conversation: str, number: int) -> StoredTurn | None:
        return self._turn(self._first(statements.SELECT_TURN, tenant=self._tenant, conversation=conversation, number=number))

    def last_turns(self, conversation: str, most: int) -> list[StoredTurn]:
        """The last turns of a conversation, oldest first."""
        asked = {"tenant": self._tenant, "conversation": conversation, "most": most}
        with self._sessions.transaction(self._connection) as connection:
            found = [one for row in connection.execute(statements.SELECT_LAST_TURNS, asked) if (one := self._turn(row))]
        return found[::-1]

    def turns_after(self, conversation: str, number: int, most: int) -> list[StoredTurn]:
        """The first turns of a conversation behind that number, oldest first."""
        asked = {"tenant": self._tenant, "conversation": conversation, "after": number, "most": most}
        with self._sessions.transaction(self._connection) as connection:
            return [one for row in connection.execute(statements.SELECT_TURNS_AFTER, asked) if (one := self._turn(row))]

    def count(self) -> int:
        return int(self._first(statements.COUNT_CONVERSATIONS, tenant=self._tenant)[0])

    def prepare(self, turn: StoredTurn, pack: str, memory: Memory, state: str) -> None:
        """Keeps a turn and what the conversation is after it; durable before its record is. A second one of its number is refused."""
        memory_text, state, before, reply = self._kept(turn.conversation, memory.model_dump_json(), state, turn.before, turn.reply)
        values = {"pack": pack, "number": turn.number, "memory": memory_text, "state": state}
        row = {column.name: getattr(turn, column.name) for column in turns.c} | {"before": before, "reply": reply}
        try:
            with self._sessions.transaction(self._connection) as connection:
                if not self._sessions.is_shared:
                    self._sessions.write_pending(connection)
                self._put(connection, turn.conversation, values)
                connection.execute(statements.INSERT_TURN, row)
            self._sessions.flush()
        except IntegrityError as error:
            raise RefusedError(409, "another turn of this conversation came first", hint="send the request again") from error

    def withdraw(self, turn: StoredTurn, before: StoredConversation | None) -> None:
        """Takes back what ``prepare`` kept: the record could not be written, nothing was released."""
        with self._sessions.transaction(self._connection) as connection:
            connection.execute(statements.DELETE_TURN, {"for_turn": turn.turn_id})
            if before is None:
                connection.execute(statements.DELETE_CONVERSATION, self._named(turn.conversation))
            else:
                memory, state = self._kept(turn.conversation, before.memory, before.state)
                values = {"pack": before.pack, "number": before.number, "memory": memory, "state": state}
                self._move(connection, turn.conversation, values)

    def keep_state(self, connection: Connection, stored: StoredConversation, state: str) -> None:
        """Within a transaction: the conversation goes on with that state; one that is not there yet begins with it."""
        memory, state = self._kept(stored.id, stored.memory, state)
        self._put(connection, stored.id, {"pack": stored.pack, "number": stored.number, "memory": memory, "state": state})

    def start(self, turn_id: str) -> None:
        """From here on the effects of the turn may have run."""
        with self._sessions.transaction(self._connection) as connection:
            connection.execute(statements.START_TURN, {"for_turn": turn_id})
        self._sessions.flush()

    def finish(
        self,
        turn: StoredTurn,
        reply: str,
        seal: str,
        state: str,
        memory: Memory | None = None,
        also: Callable[[Connection], object] | None = None,
    ) -> None:
        """The turn is done, with the reply as it was released; ``state`` and ``memory`` are the conversation's now, if none came later.

        Args:
            also: what is kept with it, or not at all.
        """
        reply, state = self._kept(turn.conversation, reply, state)
        after: dict[str, str | None] = {"new_state": state, "new_memory": None}
        if memory is not None:
            (after["new_memory"],) = self._kept(turn.conversation, memory.model_dump_json())
        with self._sessions.transaction(self._connection) as connection:
            connection.execute(statements.FINISH_TURN, {"for_turn": turn.turn_id, "new_reply": reply, "new_seal": seal})
            connection.execute(statements.UPDATE_AFTER_EFFECTS, {**self._named(turn.conversation), "for_number": turn.number, **after})
            if also is not None:
                also(connection)
        self._sessions.flush()

    def forget(self, conversation: str) -> bool:
        """Deletes a conversation here, with its turns and hand-overs; its records stay in the log."""
        with self._sessions.transaction(self._connection) as connection:
            for deletion in statements.DELETE_WHAT_IS_OF_IT:
                connection.execute(deletion, {"tenant": self._tenant, "conversation": conversation})
            return connection.execute(statements.DELETE_CONVERSATION, self._named(conversation)).rowcount > 0

    def forget_idle(self, conversation: str, before: str) -> bool:
        """As ``forget``, unless it went on since that moment."""
        found = self._first(statements.SELECT_WHEN, **self._named(conversation))
        return found is not None and found[0] < before and self.forget(conversation)

    def _kept(self, conversation: str, *values: str) -> list[str]:
        return [self._sessions.cipher.write(value, self._bound(conversation)) for value in values]

    def _bound(self, conversation: str) -> str:
        return f"{self._tenant} {conversation}"

    def _named(self, conversation: str) -> dict[str, Any]:
        return {"for_tenant": self._tenant, "for_id": conversation}

    def _move(self, connection: Connection, conversation: str, values: dict[str, Any]) -> bool:
        """Whether there was such a conversation to update."""
        new = {f"new_{name}": value for name, value in {**values, "at": _now()}.items()}
        return connection.execute(statements.UPDATE_CONVERSATION, {**self._named(conversation), **new}).rowcount > 0

    def _put(self, connection: Connection, conversation: str, values: dict[str, Any]) -> None:
        if not self._move(connection, conversation, values):
            key = {"tenant": self._tenant, "id": conversation}
            connection.execute(statements.INSERT_CONVERSATION, {**key, **values, "at": _now()})

    def _first(self, query: Any, **asked: Any) -> Any:
        with self._sessions.transaction(self._connection) as connection:
            return connection.execute(query, asked).first()

    def _turn(self, row: Any) -> StoredTurn | None:
        """A turn that is done, though its row is not marked yet, reads as done."""
        if row is None:
            return None
        turn = self._sessions.read_turn(row)
        seal = self._sessions.pending_seal(turn.turn_id)
        return turn if seal is None else replace(turn, stage=DONE, seal=seal)


def missing(conversation: str) -> RefusedError:
    return RefusedError(404, f"there is no conversation {conversation}", hint="its id is in the reply of each of its turns")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
