"""Which effects a recorded turn has: found again by its policy, without a model. Runs none of them."""

from __future__ import annotations

from constrained.approval.live import standing_at
from constrained.audit.record import Record
from constrained.audit.replay import allowed_then, replay
from constrained.errors import ReplayError
from constrained.logic.effects import Effect
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
