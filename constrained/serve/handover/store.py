"""Conversations that wait for a person: their states in the database of the sessions, claimed by one person at a time.

    waiting -> claimed -> closed        a claim that is released, or not renewed in time, waits again

A change and the event that tells a webhook of it are one transaction.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from constrained.serve.errors import RefusedError
from constrained.serve.handover.cloud_events import EventType, make_event
from constrained.serve.storage.statements import CLAIMED, CLOSED, WAITING
from constrained.serve.storage.tables import handovers, outbox

HandoverState = Literal["waiting", "claimed", "closed"]
QueueFilter = Literal["open", "waiting", "claimed", "closed"]  # open: waiting or claimed

Transaction = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class NewHandover:
    """What a turn that handed over says of the entry; ``id`` is the turn's, ``reason`` the response that it said.

    Attributes:
        channel, jurisdiction: where the conversation takes place, as its approvals were read.
        number: of the turn in its conversation.
    """

    id: str
    tenant: str
    conversation: str
    pack: str
    number: int
    reason: str
    locale: str
    channel: str | None = None
    jurisdiction: str | None = None


@dataclass(frozen=True, slots=True)
class Handover:
    """One entry of the queue, as it is at the moment of reading: a claim whose time is over reads as ``waiting``.

    Attributes:
        version: counts the changes, from 1. claimed_by, claimed_until: empty and 0 where nobody has it.
        outcome: why it was closed: ``closed``, or ``taken over by CHANNEL``.
        at, changed_at, claimed_until: seconds since the epoch.
    """

    id: str
    tenant: str
    conversation: str
    pack: str
    number: int
    reason: str
    locale: str
    channel: str | None
    jurisdiction: str | None
    state: HandoverState
    version: int
    claimed_by: str
    claimed_until: float
    outcome: str
    at: float
    changed_at: float


# -- within the transactions of the sessions ---------------------------------------------------------------------


def open_handover(connection: Connection, new: NewHandover, is_announcing: bool, at: float | None = None) -> bool:
    """The conversation waits from now on. False where it waits already, or where this turn made it wait before."""
    at = time.time() if at is None else at
    theirs = and_(handovers.c.tenant == new.tenant, handovers.c.conversation == new.conversation)
    if connection.execute(select(handovers.c.id).where(or_(handovers.c.id == new.id, and_(theirs, handovers.c.state != CLOSED)))).first():
        return False
    entry = Handover(
        **{name: getattr(new, name) for name in new.__slots__},
        state="waiting",
        version=1,
        claimed_by="",
        claimed_until=0.0,
        outcome="",
        at=at,
        changed_at=at,
    )
    connection.execute(insert(handovers), {column.name: getattr(entry, column.name) for column in handovers.c})
    if is_announcing:
        announce(connection, entry, "waiting")
    return True


def announce(connection: Connection, entry: Handover, kind: EventType) -> None:
    """Puts the event of a change into the outbox; the same change gives the same id."""
    names = ("tenant", "conversation", "pack", "number", "reason", "state", "version", "outcome")
    data = {"handover": entry.id, **{name: getattr(entry, name) for name in names}, "by": entry.claimed_by}
    event = make_event(kind, subject=entry.id, version=entry.version, pack=entry.pack, at_s=entry.changed_at, data=data)
    row = {"id": event["id"], "subject": f"{entry.tenant}/{entry.conversation}", "body": json.dumps(event, ensure_ascii=False)}
    times = {"first_at": entry.changed_at, "next_at": entry.changed_at}
    connection.execute(insert(outbox), {**row, "state": "due", "attempts": 0, **times})


# -- the queue ---------------------------------------------------------------------------------------------------


class HandoverStore:
    """The queue of one server. Thread-safe; each method is one transaction, and raises AuditError where the database fails.

    Args:
        transaction: of the sessions. is_announcing: changes are put into the outbox.
        clock: seconds since the epoch, for tests. lease_s: see ``Handovers``.
    """

    def __init__(
        self, transaction: Transaction, *, is_announcing: bool = False, clock: Callable[[], float] = time.time, lease_s: float
    ) -> None:
        self._transaction, self._is_announcing, self.clock, self.lease_s = transaction, is_announcing, clock, lease_s

    def find(self, tenant: str, name: str) -> Handover:
        """Raises RefusedError: 404."""
        with self._transaction() as connection:
            return self._find(connection, tenant, name)

    def page(
        self, tenant: str, *, state: QueueFilter | None = None, pack: str | None = None, after: str = "", most: int = 50
    ) -> list[Handover]:
        """Entries, the one that waits longest first; ``after``: the id of the last one of the page before."""
        wanted: list[ColumnElement[bool]] = [handovers.c.tenant == tenant]
        wanted += [self._is_in(state)] if state else []
        wanted += [handovers.c.pack == pack] if pack else []
        with self._transaction() as connection:
            if after:
                last = self._find(connection, tenant, after)
                later = and_(handovers.c.at == last.at, handovers.c.id > last.id)
                wanted.append(or_(handovers.c.at > last.at, later))
            query = select(handovers).where(*wanted).order_by(handovers.c.at, handovers.c.id).limit(most)
            return [self._read(row) for row in connection.execute(query)]

    def claim(self, tenant: str, name: str, by: str) -> Handover:
        """The entry is this person's for the lease; claimed again, renewed. Raises RefusedError: 404, or 409 where it is another's."""
        with self._transaction() as connection:
            if self._change(connection, tenant, name, self._held_by(by), claimed_until=self.clock() + self.lease_s, counts=False):
                return self._find(connection, tenant, name)
            free = self._is_in("waiting")
            self._change_or_refuse(connection, tenant, name, free, state=CLAIMED, claimed_by=by, claimed_until=self.clock() + self.lease_s)
            return self._announced(connection, tenant, name, "claimed")

    def release(self, tenant: str, name: str, by: str | None) -> Handover:
        """It waits again. ``by``: who must hold it; None: whoever does. Raises RefusedError: 404 or 409."""
        with self._transaction() as connection:
            held = self._is_in("claimed") if by is None else self._held_by(by)
            self._change_or_refuse(connection, tenant, name, held, state=WAITING, claimed_by="", claimed_until=0.0)
            return self._announced(connection, tenant, name, "waiting")

    def close(self, tenant: str, name: str, by: str, outcome: str) -> Handover:
        """It is over; the engine answers alone again. Raises RefusedError: 404, or 409 where this person does not hold it."""
        with self._transaction() as connection:
            self._change_or_refuse(connection, tenant, name, self._held_by(by), state=CLOSED, outcome=outcome, claimed_until=0.0)
            return self._announced(connection, tenant, name, "closed")

    def check_held(self, tenant: str, name: str, by: str) -> Handover:
        """The entry, which this person holds now. Raises RefusedError: 404 or 409."""
        entry = self.find(tenant, name)
        if entry.state != CLAIMED or entry.claimed_by != by:
            raise _conflict(entry)
        return entry

    def answered(self, connection: Connection, tenant: str, name: str, by: str) -> Handover:
        """Within the transaction that keeps an answer: the claim is renewed where it still stands, and the webhook is told."""
        self._change(connection, tenant, name, self._held_by(by), claimed_until=self.clock() + self.lease_s, counts=False)
        self._change(connection, tenant, name, handovers.c.id == name)
        return self._announced(connection, tenant, name, "answered")

    # -- one row -----------------------------------------------------------------------------------------------

    def _is_in(self, state: QueueFilter) -> ColumnElement[bool]:
        """Whether a row is in a state now: a claim whose time is over waits."""
        if state in ("open", CLOSED):
            return handovers.c.state == CLOSED if state == CLOSED else handovers.c.state != CLOSED
        live = and_(handovers.c.state == CLAIMED, handovers.c.claimed_until > self.clock())
        if state == CLAIMED:
            return live
        return or_(handovers.c.state == WAITING, and_(handovers.c.state == CLAIMED, handovers.c.claimed_until <= self.clock()))

    def _held_by(self, person: str) -> ColumnElement[bool]:
        return and_(self._is_in("claimed"), handovers.c.claimed_by == person)

    def _change(
        self, connection: Connection, tenant: str, name: str, condition: ColumnElement[bool], *, counts: bool = True, **values: Any
    ) -> bool:
        """Whether the row was as the condition says, and is changed: one statement, so that of two people one gets it."""
        if counts:
            values = {**values, "version": handovers.c.version + 1, "changed_at": self.clock()}
        the_row = and_(handovers.c.tenant == tenant, handovers.c.id == name, condition)
        return connection.execute(update(handovers).where(the_row).values(**values)).rowcount > 0

    def _change_or_refuse(self, connection: Connection, tenant: str, name: str, condition: ColumnElement[bool], **values: Any) -> None:
        if not self._change(connection, tenant, name, condition, **values):
            raise _conflict(self._find(connection, tenant, name))

    def _announced(self, connection: Connection, tenant: str, name: str, kind: EventType) -> Handover:
        entry = self._find(connection, tenant, name)
        if self._is_announcing:
            announce(connection, entry, kind)
        return entry

    def _find(self, connection: Connection, tenant: str, name: str) -> Handover:
        row = connection.execute(select(handovers).where(handovers.c.tenant == tenant, handovers.c.id == name)).first()
        if row is None:
            raise RefusedError(404, f"there is no hand-over {name}", hint="GET /v1/handovers lists them")
        return self._read(row)

    def _read(self, row: Sequence[Any]) -> Handover:
        found = Handover(*row)
        is_over = found.state == CLAIMED and found.claimed_until <= self.clock()
        return replace(found, state="waiting", claimed_by="", claimed_until=0.0) if is_over else found


def _conflict(entry: Handover) -> RefusedError:
    if entry.state == CLOSED:
        return RefusedError(409, f"the hand-over {entry.id} is closed", hint="the conversation waits anew when a turn hands it over again")
    if entry.state == CLAIMED:
        return RefusedError(409, f"{entry.claimed_by} has claimed {entry.id}", hint="wait for a release, or take the next one of the queue")
    return RefusedError(409, f"nobody has claimed {entry.id}", hint=f"first POST /v1/handovers/{entry.id}/claim")
