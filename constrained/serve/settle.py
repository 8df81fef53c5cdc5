"""Which effects a recorded turn has: found again by its policy, without a model. Runs none of them."""

from __future__ import annotations

from constrained.audit.record import Record
from constrained.audit.replay import replay
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
    state, heard = policy.state_type.from_json(record.state), None
    if policy.heard_type is not None:
        heard = policy.heard_type.from_json({one.name: one.value for one in record.heard})
    for offer in policy(state, heard):
        if offer.response_id == record.decision.chosen and tuple(map(str, offer.effects)) == record.effects:
            return offer.effects, state
    told = f"turn {record.turn_id} is not given the effects {', '.join(record.effects)} again"
    raise ReplayError(told, turn_id=record.turn_id, line=record.sequence, hint="see to them by hand")
