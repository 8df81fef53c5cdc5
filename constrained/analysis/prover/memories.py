"""What a conversation carries between turns, by number: memories after which everything goes the same way have one.

A policy of one step asks only whether some responses were said; that is part of a point. Procedures, obligations of
the conversation and claims read more: their situation tells memories apart.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from typing import Any

from constrained.analysis.prover.watch import WHOLE
from constrained.logic.allow import TurnOptions, with_outcomes
from constrained.logic.obligations import is_meant
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.script import FunctionNode, body_nodes
from constrained.logic.source_offers import find_offers
from constrained.logic.state import Frame, Memory
from constrained.procedures.run import GAVE_UP, MISSED, ProcedureDefinition, ProcedureRun

_WHOLE = WHOLE | {"vars"}


class Memories:
    """The memories of one policy's conversations.

    What was said and what was done are parts of a point of their own, as far as they matter (``said``, ``done``); a
    memory of a number holds the rest: where procedures stand.

    Attributes:
        is_whole: an obligation counts turns: then a memory holds everything, and ``said`` and ``done`` are empty.
        is_plain: there is but one memory.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.situations = Situations(policy)
        self.is_whole = any(self.situations.said.values())
        self.is_plain = not (self.is_whole or policy.procedures.definitions)
        self.said: tuple[str, ...] = () if self.is_whole else tuple(self.situations.said)
        self.done: tuple[str, ...] = () if self.is_whole else tuple(sorted(self.situations.claimed))
        self._numbers: dict[Hashable, int] = {}
        self._memories: list[Memory] = []
        self._silent: list[bool] = []
        self.number(Memory())

    def number(self, memory: Memory) -> int:
        """Equal for memories that cannot be told apart from here on; the first of them stands for all."""
        key = () if self.is_plain else self.situations.of(memory)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self._memories)
            self._memories.append(memory)
            self._silent.append(self._is_silent(memory))
        return found

    def memory(self, number: int, said: Any, done: Any) -> Memory:
        """The memory of a number, with what was said and done of elsewhere."""
        found = self._memories[number]
        if self.is_whole:
            return found
        return Memory.model_construct(said=said, done=done, number=found.number, running=found.running, outcomes=found.outcomes)

    def is_silent(self, number: int) -> bool:
        """Whether the next turn answers no message: a procedure goes on after an effect."""
        return self._silent[number]

    def is_asked(self, number: int, field: str) -> bool:
        """Whether a message is asked for this field in the next turn; one that is not stays at its default."""
        if self._silent[number]:
            return False
        return not self.policy.procedures.definitions or field in self.policy.procedures.listened_fields(self._memories[number])

    def after(self, number: int, ran: TurnOptions, option: Option, heard: str) -> list[tuple[int, bool]]:
        """(number of the memory, did the effects fail) for each way in which the turn may end that began with memory ``number``.

        ``heard`` is what was heard in the turn, as JSON: events that were written before all of it was read tell less.
        """
        if self.is_plain or (option.running is None and not self.is_whole):  # nothing that runs has moved
            return [(number, False)]
        memory = self._after(number, ran, option)
        memory = memory.model_copy(update={"running": tuple(_hearing(frame, memory.number, heard) for frame in memory.running)})
        if not option.effects:
            return [(self.number(memory), False)]
        names = [effect.name for effect in option.effects]
        found = [(self.number(self._with_outcomes(memory, done=names)), False)]
        return [*found, (self.number(self._with_outcomes(memory, failed=names)), True)] if ran.is_performing(option) else found

    def _after(self, number: int, ran: TurnOptions, option: Option) -> Memory:
        if self.is_whole:
            return ran.after(option).model_copy(update={"history": ()})
        before = self._memories[number]
        return before.model_copy(update={"number": before.number + 1, "running": option.running})

    def _with_outcomes(self, memory: Memory, done: Collection[str] = (), failed: Collection[str] = ()) -> Memory:
        """What became of effects; what was done is kept elsewhere."""
        after = with_outcomes(memory, done, failed)
        return after if self.is_whole else after.model_copy(update={"done": ()})

    def _is_silent(self, memory: Memory) -> bool:
        if self.is_plain or not memory.running:
            return False
        position = self.policy.procedures.position(memory)
        return position is not None and position.kind == "perform" and memory.running[-1].events[-1].number in dict(memory.outcomes)


class Situations:
    """Which memories of one policy's conversations cannot be told apart from here on.

    Attributes:
        said: ids of which it matters whether they were said, with the number of turns that an obligation counts back, or 0.
        claimed: events that some response claims.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.said = _asked_said(policy)
        self.claimed = frozenset(response.claims for response in policy.catalog.responses.values() if response.claims)
        self._has_waiting_loops = _has_waiting_loops(policy.functions)

    def of(self, memory: Memory) -> Hashable:
        """Equal for memories after which everything goes the same way, given equal states and equal things heard."""
        procedures = self.policy.procedures.serving(memory)
        frames = procedures.frames(memory) if procedures.definitions else ()
        running = tuple(self._frame(procedures.definitions[frame.name], frame, memory) for frame in frames)
        return running, self.claimed.intersection(memory.done), self._said(memory), memory.clock

    def _frame(self, definition: ProcedureDefinition, frame: Frame, memory: Memory) -> Hashable:
        run = ProcedureRun.of(definition, frame)
        outcome = dict(memory.outcomes).get(frame.events[-1].number) if run.step and run.step.kind == "perform" else None
        partly = tuple(sorted((name, repr(value)) for name, value in run.partly.items()))
        return frame.name, run.position(), run.n_missed, partly, outcome, self._rounds(frame)

    def _rounds(self, frame: Frame) -> Hashable:
        """How often each step was passed, where a loop may come to it again: how far a loop has gone is not among the local values."""
        if not self._has_waiting_loops:
            return ()
        return tuple(sorted(Counter(event.step for event in frame.events if event.answer not in (MISSED, GAVE_UP)).items()))

    def _said(self, memory: Memory) -> Hashable:
        """Of what was said: whether, where it matters; how long ago, as far as turns are counted."""
        now = memory.number
        return tuple(
            (name, name in memory.said, min(now - memory.said.get(name, 0), n_turns) if n_turns else 0)
            for name, n_turns in self.said.items()
        )


def _asked_said(policy: Policy) -> dict[str, int]:
    """Responses of which it matters whether they were said: an obligation or ``once()`` asks. With the turns that it counts back, or 0."""
    once = [one for one in find_offers(policy.script, policy.functions) if any(link == "once" for link, _ in one.links)]
    asked = dict.fromkeys((name for one in once for name in one.ids or policy.catalog.responses), 0)
    for clause in policy.terms.obligations:
        names = [clause.response_id]
        if clause.kind == "never_after":
            names = [one.id for one in policy.catalog.responses.values() if is_meant(clause.what, one)]
        for name in names if clause.kind != "after" else ():  # what follows it has to be said in the same turn
            asked[name] = max(asked.get(name, 0), clause.turns)
    return dict(sorted(asked.items()))


def _has_waiting_loops(functions: Iterable[FunctionNode]) -> bool:
    """Whether a procedure may wait inside a loop."""
    loops = [node for function in functions for node in body_nodes(function) if isinstance(node, ast.For)]
    return any(isinstance(node, ast.Await) for loop in loops for node in ast.walk(loop))


def _hearing(frame: Frame, number: int, heard: str) -> Frame:
    """A frame whose event of that turn, if there is one, tells all that was heard."""
    last = frame.events[-1]
    if last.number != number or last.heard == heard:
        return frame
    return frame.model_copy(update={"events": (*frame.events[:-1], last.model_copy(update={"heard": heard}))})


def reads_whole(policy: Policy) -> bool:
    """Whether the logic may read a state as a whole, so that which fields it reads cannot be told."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _WHOLE) or (isinstance(node, ast.Name) and node.id in _WHOLE)
        for node in ast.walk(policy.script.tree)
    )
