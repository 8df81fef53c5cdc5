"""Finds the effects of a recorded turn again, without a model, and runs them after a crash."""

from __future__ import annotations

from constrained.approval.in_force import snapshot_at
from constrained.dialogue.effect_runner import EffectRun, run_effects
from constrained.errors import ReplayError
from constrained.logic.effects import Effect, first_failing
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.records.record import Record
from constrained.records.replay import allowed_then, replay


def find_effects(policy: Policy, record: Record) -> tuple[tuple[Effect, ...], State]:
    """The effects of the chosen option, and the state that they are run on.

    Raises ReplayError when catalog or policy are not those of the record, or do not give it again.
    """
    for replayed in replay(policy, [record]):
        if replayed.error is not None:
            raise replayed.error
    state = policy.state_type.from_json(record.state)
    for option in allowed_then(policy, record, snapshot_at(policy.catalog, record.versions)).options:
        if option.id == record.decision.chosen and tuple(map(str, option.effects)) == record.effects:
            return option.effects, state
    told = f"turn {record.turn_id} is not given the effects {', '.join(record.effects)} again"
    raise ReplayError(told, turn_id=record.turn_id, line=record.sequence, hint="see to them by hand")


def recover_effects(effects: tuple[Effect, ...], state: State) -> tuple[EffectRun, str]:
    """Runs effects as ``Turn.apply`` does, and says in a few words why they stopped; empty when all ran.

    The words name the type of what an effect raised, never its message: that may quote what a user wrote.
    """
    failing = first_failing(effects, state)
    ran = run_effects(effects, state) if failing is None else EffectRun(effects, 0, state, refused=failing)
    if ran.refused is not None:
        return ran, f"the precondition of {ran.refused} no longer held"
    return ran, type(ran.error).__name__ if ran.error is not None else ""
