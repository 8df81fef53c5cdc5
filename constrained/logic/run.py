"""One turn of a policy or procedure as a pure function: what may be said, and the memory after each of it.

turn = run(policy, state, heard, memory)
for option in turn.allowed.options:
    after = turn.after(option)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from constrained.logic.allow import allow
from constrained.logic.memory import Memory
from constrained.logic.obligations import Audience
from constrained.logic.option_builder import CATALOG_ONLY, ApprovalCheck
from constrained.logic.options import Allowed, Obligation, Option, with_it
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.understanding.hearing import Understanding

KEPT_OUTCOMES = 8  # turns whose outcome a procedure may still ask for
NO_DAY = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """What may be said in one turn.

    Attributes:
        policy: the one that serves the conversation: the present version, or the one that it began with.
    """

    policy: Policy
    memory: Memory
    allowed: Allowed
    now: float | None

    def said(self, option: Option) -> tuple[Option | Obligation, ...]:
        """Everything that is said when the option is chosen, in order."""
        around = with_it(option, self.allowed.obligations)
        before = [one for one in around if not one.is_after]
        return (*before, option, *around[len(before) :])

    def is_performing(self, option: Option) -> bool:
        """Whether a procedure goes on, without a message, once the host has told what became of the option's effects."""
        if not option.effects or not option.running:
            return False
        position = self.policy.procedures.position(Memory(running=option.running))
        return position is not None and position.kind == "perform"

    def after(self, option: Option) -> Memory:
        """The memory once the option is chosen and committed; what became of its effects is added by ``with_outcomes``."""
        memory, number = self.memory, self.memory.number + 1
        spoken = [one.id for one in self.said(option)]
        changes: dict[str, object] = {"number": number, "said": memory.said | dict.fromkeys(spoken, number)}
        if option.running is not None:
            changes["running"] = option.running
        timed = {clause.response_id for clause in self.policy.terms.obligations if clause.minutes}
        if timed and self.now is not None:
            clock = {"": self.now} | dict(memory.clock) | {name: self.now for name in spoken if name in timed}
            changes["clock"] = tuple(sorted(clock.items()))
        return memory.model_copy(update=changes)


def run(
    policy: Policy,
    state: State,
    heard: Understanding | None = None,
    memory: Memory | None = None,
    *,
    now: float | None = None,
    place: Audience | None = None,
    locale: str | None = None,
    today: date | None = None,
    approvals: ApprovalCheck = CATALOG_ONLY,
) -> TurnOptions:
    """What may be said now, and what follows from each.

    Args:
        memory: of the conversation so far; a new one's when None. now: seconds since the epoch.
        locale: the catalog's when None. today: the day for approvals that are written in the catalog; see ``in_force_on``
            when None. approvals, place: as for ``allow``.
    """
    memory = Memory() if memory is None else memory
    policy = policy.serving(memory)
    allowed = allow(
        policy,
        state,
        heard,
        memory,
        locale=locale or policy.catalog.locale,
        today=today or in_force_on(policy),
        approvals=approvals,
        now=now,
        place=place,
    )
    return TurnOptions(policy, memory, allowed, now)


def in_force_on(policy: Policy) -> date:
    """A day on which every approval written in the catalog has begun: for those who look at the logic alone."""
    days = [response.approval.on for response in policy.catalog.responses.values() if response.approval]
    return max(days, default=NO_DAY)


def with_outcomes(memory: Memory, done: Collection[str] = (), failed: Collection[str] = (), *, number: int | None = None) -> Memory:
    """The memory after the host told what became of the effects of a turn (the last one): names of those done, and of the others."""
    outcome = (memory.number if number is None else number, "failed" if failed else "done")
    outcomes = (*[one for one in memory.outcomes if one[0] != outcome[0]], outcome)[-KEPT_OUTCOMES:]
    return memory.model_copy(update={"outcomes": outcomes, "done": with_events(memory, done).done})


def with_events(memory: Memory, events: Collection[str]) -> Memory:
    """The memory after the host told of events that were committed."""
    new = [name for name in dict.fromkeys(events) if name not in memory.done]
    return memory.model_copy(update={"done": (*memory.done, *new)}) if new else memory
