"""Where a conversation stands, for those who look at procedures from outside: the step, and a key of all that can matter."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from constrained.catalog.response import Source
from constrained.logic.memory import Frame, Memory
from constrained.logic.script import FunctionNode, body_nodes
from constrained.procedures.procedure_run import GAVE_UP, MISSED, ProcedureRun, step_at

if TYPE_CHECKING:
    from constrained.logic.policy import Policy


@dataclass(frozen=True, slots=True)
class ProcedurePosition:
    """The step at which a procedure waits.

    Attributes:
        procedure: name of its function. response_id: what was said last of it; ``source``: the line of the step.
        kind: ``ask``, ``confirm`` or ``perform``. n_missed: how often it was put in vain.
    """

    procedure: str
    version: int
    code: str
    response_id: str
    source: Source
    kind: str
    n_missed: int


def standpoint(policy: Policy, memory: Memory) -> ProcedurePosition | None:
    """The step at which the innermost running procedure waits; None where none runs."""
    frames = policy.frames(memory)
    if not frames:
        return None
    frame = frames[-1]
    waits = step_at(policy.bodies[frame.name], frame)
    n_missed = next((number for number, event in enumerate(reversed(frame.events)) if event.answer != MISSED), 0)
    return ProcedurePosition(frame.name, frame.version, frame.code, waits.id, waits.offer.source, waits.kind, n_missed)


def situation(policy: Policy, memory: Memory) -> Hashable:
    """A key of what can still matter of a memory."""
    frames = tuple(_frame(policy, frame, memory) for frame in policy.frames(memory)) if policy.bodies else ()
    return frames, policy.claimed.intersection(memory.done), _said(policy, memory), memory.clock


def _frame(policy: Policy, frame: Frame, memory: Memory) -> Hashable:
    course = ProcedureRun.of(policy.bodies[frame.name], frame)
    outcome = dict(memory.outcomes).get(frame.events[-1].number) if course.waits and course.waits.kind == "perform" else None
    partly = tuple(sorted((name, repr(value)) for name, value in course.partly.items()))
    return frame.name, course.position(), course.n_missed, partly, outcome, _rounds(policy, frame)


def _rounds(policy: Policy, frame: Frame) -> Hashable:
    """How often each step was passed, where a loop may come to it again: how far a loop has gone is not among the local values."""
    if not policy.has_waiting_loops:
        return ()
    return tuple(sorted(Counter(event.step for event in frame.events if event.answer not in (MISSED, GAVE_UP)).items()))


def has_waiting_loops(functions: Iterable[FunctionNode]) -> bool:
    """Whether a procedure may wait inside a loop."""
    loops = [node for function in functions for node in body_nodes(function) if isinstance(node, ast.For)]
    return any(isinstance(node, ast.Await) for loop in loops for node in ast.walk(loop))


def asked_said(policy: Policy) -> dict[str, int]:
    """Responses of which it matters whether they were said: an obligation or ``once()`` asks. With the turns that it counts back, or 0."""
    asked: dict[str, int] = dict.fromkeys(policy.once_ids, 0)
    for clause in policy.obligations:
        names = _names(policy, clause.what) if clause.kind == "never_after" else [clause.response_id]
        for name in names if clause.kind != "after" else ():  # what follows it has to be said in the same turn
            asked[name] = max(asked.get(name, 0), clause.turns)
    return dict(sorted(asked.items()))


def _said(policy: Policy, memory: Memory) -> Hashable:
    """Of what was said: whether, where it matters; how long ago, as far as turns are counted."""
    now = memory.number
    return tuple(
        (name, name in memory.said, min(now - memory.said.get(name, 0), n_turns) if n_turns else 0)
        for name, n_turns in policy.asked_said.items()
    )


def _names(policy: Policy, what: str) -> list[str]:
    """The responses that an id or tag means."""
    return [one.id for one in policy.catalog.responses.values() if what == one.id or what in one.tags]
