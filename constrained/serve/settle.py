"""The effects of a recorded turn: found again by its policy, without a model, and run once. Knows no conversation."""

from __future__ import annotations

from dataclasses import dataclass

from constrained.approval.live import standing_at
from constrained.audit.record import OutcomeEntry, Record
from constrained.audit.replay import allowed_then, replay
from constrained.errors import ReplayError
from constrained.logic.effects import Effect, first_failing
from constrained.logic.policy import Policy
from constrained.logic.state import State


def effects_of(policy: Policy, record: Record) -> tuple[tuple[Effect, ...], State]:
    """The effects of the chosen option, and the state that they are run on.

    Raises ReplayError when catalog or policy are not those of the record, or do not give it again.
    """
    for replayed in replay(policy, [record]):
        if replayed.error is not None:
            raise replayed.error
    state = policy.state_type.from_json(record.state)
    for option in allowed_then(policy, record, standing_at(policy.catalog, record.versions)).options:
        if option.id == record.decision.chosen and tuple(map(str, option.effects)) == record.effects:
            return option.effects, state
    told = f"turn {record.turn_id} is not given the effects {', '.join(record.effects)} again"
    raise ReplayError(told, turn_id=record.turn_id, line=record.sequence, hint="see to them by hand")


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of effects: the state after them, None when one failed (``error``: why), and an entry for each."""

    state: State | None
    entries: tuple[OutcomeEntry, ...]
    error: str = ""


def run(effects: tuple[Effect, ...], state: State) -> Ran:
    """Runs effects one after the other, as ``Turn.apply`` does: none of them when the precondition of one fails beforehand."""
    failing = first_failing(effects, state)
    if failing is not None:
        return _stopped(effects, 0, f"the precondition of {failing} no longer held")
    for number, effect in enumerate(effects):
        try:
            if not effect.holds(state):
                return _stopped(effects, number, f"the precondition of {effect} no longer held")
            state = effect.kind.run(state, *effect.args, **effect.kwargs)
        except Exception as error:  # whatever a host's effect raises: it is recorded
            return _stopped(effects, number, type(error).__name__)
    return Ran(state, tuple(OutcomeEntry(effect=str(one), status="done") for one in effects))


def _stopped(effects: tuple[Effect, ...], n_done: int, why: str) -> Ran:
    status = ["done" if number < n_done else "failed" if number == n_done else "not_run" for number in range(len(effects))]
    told = [
        OutcomeEntry.model_validate({"effect": str(effect), "status": one, "detail": why if one == "failed" else ""})
        for effect, one in zip(effects, status, strict=True)
    ]
    return Ran(None, tuple(told), why)
