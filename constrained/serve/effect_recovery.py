"""Completes turns that a crash interrupted: from what was kept, never decided anew; effects that may have run are not run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from constrained.approval.in_force import snapshot_at
from constrained.dialogue.effect_runner import EffectRun, run_effects
from constrained.errors import ConstrainedError, ReplayError
from constrained.logic.effects import Effect, first_failing
from constrained.logic.memory import Memory
from constrained.logic.policy import Policy
from constrained.logic.run import with_outcomes
from constrained.logic.state import State
from constrained.records.record import Outcome, Record
from constrained.records.replay import allowed_then, replay
from constrained.serve.journal import Journal
from constrained.serve.packs import Packs
from constrained.serve.sessions import DONE, STARTED, Sessions, StoredTurn, TenantStore
from constrained.serve.wire import TurnReply, seal_of, with_effects_outcome


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
            return with_effects_outcome(reply, outcome="failed", error=f"not run: {error.message}", state_after=None)
        store.start(row.turn_id)
        ran, why = recover_effects(effects, state)
        at = datetime.now(UTC).isoformat()
        self._journal.write(Outcome(turn_id=record.turn_id, conversation=record.conversation, at=at, outcomes=ran.outcomes(why)))
        after = None if why else ran.state.model_dump(mode="json")
        return with_effects_outcome(reply, outcome="failed" if why else "ran", error=why, state_after=after)


def finish_turn(store: TenantStore, row: StoredTurn, reply: TurnReply, seal: Mapping[str, Any]) -> None:
    """Keeps the reply as it is released, and what the conversation is after it."""
    state = reply.state_before if reply.state_after is None else reply.state_after
    store.finish(row, reply.model_dump_json(), json.dumps(seal), json.dumps(state), _memory_after(store, row, reply))


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
