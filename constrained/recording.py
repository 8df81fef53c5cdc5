"""What one turn is about, and the record that is made of it. Knows no engine and no log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from constrained.approval.in_force import OPEN, Standing
from constrained.audit.approved import approvals
from constrained.audit.marks import marked
from constrained.audit.record import DecisionEntry, HeardEntry, ObligationEntry, OptionEntry, ProcedureEntry, Record, portable, to_json
from constrained.choice import Deadline
from constrained.logic.options import Allowed, Option, with_it
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.logic.understanding import Hearing
from constrained.memory import Memory
from constrained.turn import Decision


@dataclass(slots=True)
class Taken:
    """What one turn is about: filled by ``take``, read by every later stage."""

    id: str
    message: str
    state: State
    locale: str
    now: datetime
    deadline: Deadline | None
    standing: Standing = OPEN
    timings_ms: dict[str, float] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.now.date()


def recorded(
    policy: Policy,
    taken: Taken,
    hearings: tuple[Hearing, ...],
    allowed: Allowed,
    decision: Decision,
    text: str,
    *,
    conversation: str,
    memory: Memory,
    versions: Mapping[str, str],
    prompt: str,
) -> Record:
    """The record of a turn that is about to be released."""
    file, around = policy.file, with_it(decision.chosen, allowed.obligations)
    return Record(
        turn_id=taken.id,
        conversation=conversation,
        number=memory.number + 1,
        at=taken.now.isoformat(),
        today=taken.today.isoformat(),
        locale=taken.locale,
        versions=dict(versions),
        prompt=prompt,
        approvals=approvals((*decision.options, *around), taken.standing),
        message=taken.message,
        state=taken.state.model_dump(mode="json"),
        said=dict(memory.said),
        heard=tuple(HeardEntry(name=one.name, value=to_json(one.value), probability=one.probability) for one in hearings),
        options=_options(decision, file),
        obligations=tuple(
            ObligationEntry(id=one.id, slots=to_json(one.slots), line=portable(str(one.source), file), is_after=one.is_after, rule=one.rule)
            for one in around
        ),
        blocked=tuple(
            {"id": one.response_id, "line": portable(str(one.source), file), "reason": portable(one.reason, file)}
            for one in allowed.blocked
        ),
        decision=_decision(decision),
        text=text,
        effects=tuple(map(str, decision.chosen.effects)),
        timings_ms=dict(taken.timings_ms),
        procedure=_procedure(policy, memory, decision.chosen) if policy.bodies else None,
        memory=memory.course(),
        sensitive=marked(policy, hearings, (*decision.options, *around)),
    )


def _procedure(policy: Policy, memory: Memory, chosen: Option) -> ProcedureEntry | None:
    """Where the innermost procedure stood and stands."""
    stood = policy.stands_at(memory)
    running = memory.running if chosen.running is None else chosen.running
    stands = policy.stands_at(Memory(running=running))
    at = stands or stood
    if at is None:
        return None
    is_moved = chosen.running is not None and running != memory.running
    grown = running[-1] if is_moved and running else None
    return ProcedureEntry(
        name=at.procedure,
        version=at.version,
        code=at.code,
        step=stood.response_id if stood else "",
        line=portable(str(stood.source), policy.file) if stood else "",
        answer=grown.events[-1].answer if grown else "over" if is_moved else "",
        next_step=stands.response_id if stands else "",
        next_line=portable(str(stands.source), policy.file) if stands else "",
    )


def _options(decision: Decision, file: str) -> tuple[OptionEntry, ...]:
    probabilities = decision.probabilities or (None,) * len(decision.options)
    return tuple(
        OptionEntry(id=option.id, slots=to_json(option.slots), line=portable(str(option.source), file), probability=probability)
        for option, probability in zip(decision.options, probabilities, strict=True)
    )


def _decision(decision: Decision) -> DecisionEntry:
    return DecisionEntry(
        chosen=decision.chosen.id,
        index=next(index for index, option in enumerate(decision.options) if option is decision.chosen),
        mode=decision.mode,
        margin=decision.margin,
        abstained=decision.abstained,
        threshold=decision.threshold,
        decoding=decision.decoding.told() if decision.decoding else {},
    )
