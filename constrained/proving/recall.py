"""What a conversation carries between turns, by number: memories after which everything goes the same way have one. Runs no turn.

A policy of one step asks only whether some responses were said; that is part of a point. Procedures, obligations of
the conversation and claims read more: their situation tells memories apart.
"""

from __future__ import annotations

import ast
from collections.abc import Hashable

from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.run import Ran, told
from constrained.memory import Memory
from constrained.proving.watch import WHOLE

_WHOLE = WHOLE | {"vars"}


class Recall:
    """The memories of one policy's conversations.

    Attributes:
        is_plain: the policy asks of a conversation only what was said.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.is_plain = not (policy.bodies or policy.obligations or policy.is_claiming)
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

    def memory(self, number: int) -> Memory:
        return self._memories[number]

    def is_silent(self, number: int) -> bool:
        """Whether the next turn answers no message: a procedure goes on after an effect."""
        return self._silent[number]

    def is_asked(self, number: int, field: str) -> bool:
        """Whether a message is asked for this field in the next turn; one that is not stays at its default."""
        if self._silent[number]:
            return False
        return not self.policy.bodies or field in self.policy.listens(self._memories[number])

    def after(self, ran: Ran, option: Option) -> list[tuple[int, bool]]:
        """(number of the memory, did the effects fail) for each way in which the turn may end."""
        if self.is_plain:
            return [(0, False)]
        memory = ran.after(option).model_copy(update={"history": ()})
        if not option.effects:
            return [(self.number(memory), False)]
        names = [effect.name for effect in option.effects]
        found = [(self.number(told(memory, done=names)), False)]
        return [*found, (self.number(told(memory, failed=names)), True)] if ran.is_performing(option) else found

    def _is_silent(self, memory: Memory) -> bool:
        if self.is_plain or not memory.running:
            return False
        stands = self.policy.stands_at(memory)
        return stands is not None and stands.kind == "perform" and memory.running[-1].events[-1].number in dict(memory.outcomes)


def reads_whole(policy: Policy) -> bool:
    """Whether the logic may read a state as a whole, so that which fields it reads cannot be told."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _WHOLE) or (isinstance(node, ast.Name) and node.id in _WHOLE)
        for node in ast.walk(policy.script.tree)
    )
