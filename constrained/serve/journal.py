"""The log as a server uses it: records appended once a turn is kept elsewhere, and turns completed that a crash interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from constrained.approval.in_force import snapshot_at
from constrained.dialogue.turn import EffectRun, run_effects
from constrained.errors import AuditError, ConstrainedError, ReplayError
from constrained.logic.allow import with_outcomes
from constrained.logic.effects import Effect, first_failing
from constrained.logic.policy import Policy
from constrained.logic.state import Memory, State
from constrained.records.chain import from_line
from constrained.records.group_commit import SharedFlush
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import Log, MemoryLog, existing, open_log
from constrained.records.record import Chained, Outcome, PersonReply, Record
from constrained.records.replay import allowed_then, replay
from constrained.records.sealing import SealedLog, SubjectKeys
from constrained.serve.handover.store import NewHandover, open_handover
from constrained.serve.packs import Packs
from constrained.serve.replies import seal_of, with_effects_outcome
from constrained.serve.storage.sessions import Sessions, StoredConversation, StoredTurn, TenantStore
from constrained.serve.storage.statements import DONE, STARTED
from constrained.serve.wire import TurnReply

T = TypeVar("T", bound=Chained)


class Journal:
    """The log of a server.

    Args:
        log: where records go. place: where it lies, as ``Dialogue`` takes it; empty for one in memory.

    Attributes:
        last: a sequence that the log has reached, as far as this process knows: what is written later stands after it.
    """

    def __init__(self, log: Log, place: str = "") -> None:
        self._log, self._place, self.last = log, place, 0
        self._notice: Callable[[int], None] | None = None
        self._flush: SharedFlush | None = None
        self._store = log.log if isinstance(log, SealedLog) else log
        if isinstance(self._store, JsonLinesLog) and self._store.durable:
            self._store.durable, self._flush = False, SharedFlush(self._store.path)  # one flush for all turns recorded at the time

    @classmethod
    def at(cls, place: str, keys: str = "") -> Journal:
        """The log at ``place``, sealed under the keys of a folder where one is given. Raises AuditError."""
        log: Log = open_log(place) if place else MemoryLog()
        return cls(SealedLog(log, SubjectKeys(Path(keys)), by_day=True) if keys else log, place)

    def append(self, record: T) -> T:
        """As ``write``: a journal is a Log."""
        return self.write(record)

    def write(self, entry: T) -> T:
        """The entry, sealed and durable. Raises AuditError."""
        try:
            sealed = self._log.append(entry)
            if self._flush is not None:
                self._flush.wait()
        except ConstrainedError:
            raise
        except Exception as error:  # a host's own Log
            raise AuditError(f"the log failed: {type(error).__name__}: {error}", hint="nothing was released; see to the log") from error
        self.last = max(self.last, sealed.sequence)
        if self._notice is not None:
            self._notice(self.last)
        return sealed

    def signed_by(self, notice: Callable[[int], None]) -> None:
        """``notice`` is told of every sequence that is durable from now on; it must return at once."""
        self._notice = notice

    def find(self, turn_ids: Collection[str], after: int = 0) -> dict[str, Record]:
        """Those of the turns that are in the log, looked for behind ``after``. Only their lines are read as records."""
        if not turn_ids:
            return {}
        wanted = [turn_id.encode() for turn_id in turn_ids]
        name, lines = self._lines(after + 1)
        found = (from_line(line, name, after + number) for number, line in enumerate(lines, 1) if any(one in line for one in wanted))
        return {one.turn_id: one for one in found if isinstance(one, Record) and one.turn_id in turn_ids}

    def find_person_reply(self, reply_id: str, after: int = 0) -> PersonReply | None:
        """What a person said, looked for behind ``after``."""
        name, lines = self._lines(after + 1)
        found = (from_line(line, name, after + number) for number, line in enumerate(lines, 1) if reply_id.encode() in line)
        return next((one for one in found if isinstance(one, PersonReply) and one.reply_id == reply_id), None)

    def _lines(self, first: int) -> tuple[str, Iterator[bytes]]:
        if isinstance(self._store, MemoryLog):
            return self._store.name, self._store.lines(first)
        if not self._place:
            return "", iter(())
        store = existing(self._place)
        return store.name, store.lines(first)


class Draft:
    """What a Dialogue of one turn writes to. It keeps the record back until ``Journal.write``; nothing is released before that.

    What became of the effects is told after that, and goes straight into the log.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def append(self, entry: T) -> T:
        return entry if isinstance(entry, Record) else self._journal.write(entry)


# -- recovery: from what was kept, never decided anew; effects that may have run are not run again ----------------------


class TurnRecovery:
    """Completes interrupted turns of one server, when it starts or when their conversation goes on."""

    def __init__(self, packs: Packs, sessions: Sessions, journal: Journal) -> None:
        self._packs, self._sessions, self._journal = packs, sessions, journal

    def complete_all(self) -> int:
        """Completes what a crash interrupted; how many turns. Called before the first request."""
        rows, n_completed = self._sessions.unfinished_turns(), 0
        for row in rows:
            with self._sessions.hold(row.tenant, row.conversation) as store:
                present = store.find_turn(row.conversation, row.number)
                if present is not None and present.stage != DONE:  # not one that another server was busy with until now
                    self.complete(store, present)
                    n_completed += 1
        return n_completed

    def conversation(self, store: TenantStore, name: str) -> StoredConversation | None:
        """A conversation as it is now, its last turn completed; None where it is not there."""
        stored = store.find(name)
        last = None if stored is None or stored.is_complete else store.find_turn(name, stored.number)
        if last is None:
            return stored
        self.complete(store, last)
        return store.find(name)

    def complete(self, store: TenantStore, row: StoredTurn) -> StoredTurn:
        """The row of a turn that is done; one that a crash interrupted is completed first."""
        if row.stage == DONE:
            return row
        reply, before = TurnReply.model_validate_json(row.reply), json.loads(row.before)
        record = Record.model_validate(reply.record)
        seal = seal_of(self._journal.find({row.turn_id}, before["after"]).get(row.turn_id) or self._journal.write(record))
        if row.stage == STARTED:
            reply = with_effects_outcome(reply, outcome="unknown", error="the server stopped while they ran", state_after=None)
        elif reply.effects and before["effects"] != "hand_over":
            reply = self._run_effects(store, row, reply, record)
        finish_turn(store, row, reply, seal)
        return replace(store.find_turn(row.conversation, row.number) or row, stage=DONE)

    def _run_effects(self, store: TenantStore, row: StoredTurn, reply: TurnReply, record: Record) -> TurnReply:
        """Runs the effects that did not start before the crash, when the pack still gives them for this record."""
        try:
            effects, state = find_effects(self._packs.get(reply.pack), record)
        except ConstrainedError as error:
            why = error.message if isinstance(error, ReplayError) else type(error).__name__  # others may quote a path
            return with_effects_outcome(reply, outcome="failed", error=f"not run: {why}", state_after=None)
        store.start(row.turn_id)
        ran, why = recover_effects(effects, state)
        at = datetime.now(UTC).isoformat()
        self._journal.write(Outcome(turn_id=record.turn_id, conversation=record.conversation, at=at, outcomes=ran.outcomes(why)))
        after = None if why else ran.state.model_dump(mode="json")
        return with_effects_outcome(reply, outcome="failed" if why else "ran", error=why, state_after=after)


def finish_turn(store: TenantStore, row: StoredTurn, reply: TurnReply, seal: Mapping[str, Any]) -> None:
    """Keeps the reply as it is released, and what the conversation is after it."""
    state = reply.state_before if reply.state_after is None else reply.state_after
    waits = partial(open_handover, new=_handover(row, reply), is_announcing=store.is_announcing) if reply.handover else None
    store.finish(row, reply.model_dump_json(), json.dumps(seal), json.dumps(state), _memory_after(store, row, reply), waits)


def _handover(row: StoredTurn, reply: TurnReply) -> NewHandover:
    """The conversation's place in the queue: the customer was told of it, whatever became of the effects."""
    versions, locale = reply.record["versions"], str(reply.record["locale"])
    place = {"channel": versions.get("channel"), "jurisdiction": versions.get("jurisdiction")}
    return NewHandover(row.turn_id, row.tenant, row.conversation, reply.pack, row.number, reply.response_id, locale, **place)


def _memory_after(store: TenantStore, row: StoredTurn, reply: TurnReply) -> Memory | None:
    """The memory with what became of the effects; None where that is not known, or a later turn came."""
    stored = store.find(row.conversation) if reply.effects_outcome in ("ran", "failed") else None
    if stored is None or stored.number != row.number:
        return None
    names = [effect.name for effect in reply.effects]
    is_done = reply.effects_outcome == "ran"
    return with_outcomes(Memory.model_validate_json(stored.memory), names if is_done else (), () if is_done else names)


def find_effects(policy: Policy, record: Record) -> tuple[tuple[Effect, ...], State]:
    """The effects of the chosen option, without asking a model, and the state that they are run on.

    Raises ReplayError when catalog or policy are not those of the record, or do not give it again.
    """
    if set(record.masked) - {"message", "text", "blocked"}:
        problem = f"turn {record.turn_id} rests on what may not be logged, and only its mark was kept"
        raise ReplayError(problem, turn_id=record.turn_id, line=record.sequence, hint="see to its effects by hand")
    for replayed in replay(policy, [record]):
        if replayed.error is not None:
            raise replayed.error
    state = policy.state_type.from_json(record.state)
    for option in allowed_then(policy, record, snapshot_at(policy.catalog, record.versions)).options:
        if option.id == record.decision.chosen and tuple(map(str, option.effects)) == record.effects:
            return option.effects, state
    problem = f"turn {record.turn_id} is not given the effects {', '.join(record.effects)} again"
    raise ReplayError(problem, turn_id=record.turn_id, line=record.sequence, hint="see to them by hand")


def recover_effects(effects: tuple[Effect, ...], state: State) -> tuple[EffectRun, str]:
    """Runs effects as ``Turn.apply`` does, and says in a few words why they stopped; empty when all ran.

    The words name the type of what an effect raised, never its message: that may quote what a user wrote.
    """
    failing = first_failing(effects, state)
    ran = run_effects(effects, state) if failing is None else EffectRun(effects, 0, state, refused=failing)
    if ran.refused is not None:
        return ran, f"the precondition of {ran.refused} no longer held"
    return ran, type(ran.error).__name__ if ran.error is not None else ""
