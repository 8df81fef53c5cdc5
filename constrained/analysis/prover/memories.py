"""What a conversation carries between turns, by number: memories after which everything goes the same way have one.

A policy of one step asks only whether some responses were said; that is part of a point. Procedures, obligations of
the conversation and claims read more: their situation tells memories apart.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Hashable
from typing import Any

from constrained.analysis.prover.watch import WHOLE
from constrained.logic.memory import Frame, Memory
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.run import TurnOptions, with_outcomes

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
        self.is_whole = any(policy.asked_said.values())
        self.is_plain = not (self.is_whole or policy.bodies)
        self.said: tuple[str, ...] = () if self.is_whole else tuple(policy.asked_said)
        self.done: tuple[str, ...] = () if self.is_whole else tuple(sorted(policy.claimed))
        self._numbers: dict[Hashable, int] = {}
        self._memories: list[Memory] = []
        self._silent: list[bool] = []
        self.number(Memory())

    def number(self, memory: Memory) -> int:
        """Equal for memories that cannot be told apart from here on; the first of them stands for all."""
        key = () if self.is_plain else self.policy.situation(memory)
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
        return not self.policy.bodies or field in self.policy.listens(self._memories[number])

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
        stands = self.policy.stands_at(memory)
        return stands is not None and stands.kind == "perform" and memory.running[-1].events[-1].number in dict(memory.outcomes)


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
