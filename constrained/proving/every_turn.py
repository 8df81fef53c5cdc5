"""Holds a test against every turn of a graph, running it only where something that it reads differs. Knows no other property.

Turns of one leaf differ in nothing that the logic read. A test that reads no more, and not the state afterwards, has
one answer for all of them; another is asked once for each value of what it does read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from constrained.logic.questions import Entity
from constrained.proving.declared import Moment, Test
from constrained.proving.graph import Graph
from constrained.proving.machine import Picks, Turns
from constrained.proving.memo import Key, Memo
from constrained.proving.watch import HeardWatch, StateWatch

Failing = tuple[int, Picks]  # the branch in which a test fails, and what else is heard in it
Found = tuple[int, int, int, Picks]  # (point, move, branch, what else is heard)
Meant = Callable[[int, int, int], bool]  # (point, move, target): whether a test is about this turn


class EveryTurn:
    """Runs tests on the turns of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.machine = graph, graph.machine
        machine, kind = graph.machine, graph.machine.policy.state_type
        self._n_slots = len(graph.points[0])
        self._before = StateWatch(kind, lambda name: self._touch(machine.slots[name]), is_strict=True)
        self._after = StateWatch(kind, lambda name: self._touch(self._n_slots + machine.slots[name]), is_strict=True)
        heard_type = machine.policy.heard_type
        self._heard = HeardWatch(heard_type, self._choose, is_strict=True) if heard_type else None
        self._members: dict[int, list[int]] = {}
        for point, turns in enumerate(graph.turns):
            self._members.setdefault(turns.number, []).append(point)
        self._reads: dict[int, int] = {}
        self._key: Key = ()
        self._hearing = _Hearing({})

    def failing(self, test: Test, is_meant: Meant, *, is_by_name: bool) -> Found | None:
        """The first turn, by the distance of its point, for which a test is false. ``is_by_name``: a move tells whether it is meant."""
        best: Found | None = None
        for members in self._members.values():
            for move in self.graph.turns[members[0]].moves:
                if not is_by_name or is_meant(0, move, 0):
                    best = (
                        self._first(test, None if is_by_name else is_meant, move, members, best[0] if best else len(self.graph.points))
                        or best
                    )
        return best

    def _first(self, test: Test, is_meant: Meant | None, move: int, members: list[int], below: int) -> Found | None:
        """The first of the points of a leaf, of those before one that is known, at which a test of this move is false."""
        memo: Memo[Failing | None] = Memo()
        turns = self.graph.turns[members[0]]
        for point in members:
            target = self.graph.target(point, move) if point < below else -1
            if target < 0 or (is_meant is not None and not is_meant(point, move, target)):
                continue
            key = (*self.graph.points[point], *self.graph.points[target])
            known = memo.find(key)
            if known is not None:
                failing = known.answer
            else:
                failing = self._run(test, turns, move, key)
                if failing is None and turns.reads.issuperset(self._reads):
                    return None  # every turn of this leaf is alike in what the test reads
                memo.keep(list(self._reads.items()), failing)
            if failing is not None:
                return point, move, *failing
        return None

    def _run(self, test: Test, turns: Turns, move: int, key: Key) -> Failing | None:
        """A test of one turn, by every way of hearing that leads to it, as far as the test asks."""
        self._reads, self._key = {}, key
        machine, one = self.machine, self.machine.moves[move]
        before = {name: machine.values.value(slot, key[slot]) for name, slot in machine.slots.items()}
        after = {name: machine.values.value(slot, key[self._n_slots + slot]) for name, slot in machine.slots.items()}
        passed: list[_Hearing] = []
        for branch, (picks, outcome) in enumerate(turns.branches):
            if move not in outcome.moves:
                continue
            options = tuple(machine.moves[number].chosen for number in outcome.moves if not machine.moves[number].fails)
            if any(known.is_like(dict(picks), options) for known in passed):
                continue
            hearing = self._hearing = _Hearing(dict(picks), options)
            while hearing.begin():
                heard = self._heard.make() if self._heard else None
                moment = Moment(self._before.make(before), self._after.make(after), one.chosen, one.said, one.done, heard, hearing.asked)
                if not test(moment):
                    return branch, hearing.more
            passed.append(hearing)
        return None

    def _touch(self, slot: int) -> None:
        self._reads.setdefault(slot, self._key[slot])

    def _choose(self, name: str) -> Any:
        """The value of a field of what was heard that a test reads."""
        if name in self._hearing.picks:
            return self._hearing.noted(name)
        machine = self.machine
        domain, number = machine.domains[name], self._key[machine.recall_slot]
        if not machine.recall.is_plain:
            self._touch(machine.recall_slot)
        if isinstance(domain.question, Entity):
            self._touch(machine.slots[domain.question.among])
        if domain.basis == "sample":
            machine.read_domains.add(name)
        is_asked = machine.recall.is_asked(number, name)
        values = domain.in_state(machine.state(self._key[: self._n_slots])) if is_asked else (domain.values or (None,))[:1]
        return self._hearing.further(name, values)


class _Hearing:
    """What may be heard in one branch: what the logic read, and whatever else the test reads, one value after the other."""

    def __init__(self, picks: dict[str, Any], options: tuple[str, ...] = ()) -> None:
        self.picks, self._options = picks, options
        self.more: Picks = ()
        self._names: dict[str, None] = {}
        self._has_options = self._is_further = False
        self._todo: list[tuple[int, ...]] = [()]
        self._forced: tuple[int, ...] = ()
        self._chosen: list[int] = []

    def begin(self) -> bool:
        """Whether there is another way of hearing; the test runs once for each."""
        if not self._todo:
            return False
        self._forced, self._chosen, self.more = self._todo.pop(), [], ()
        return True

    def asked(self) -> tuple[str, ...]:
        self._has_options = True
        return self._options

    def noted(self, name: str) -> Any:
        self._names[name] = None
        return self.picks[name]

    def further(self, name: str, values: Sequence[Any]) -> Any:
        """A field that the logic did not read: the values that are not tried now are tried later."""
        self._is_further = True
        place = len(self._chosen)
        number = self._forced[place] if place < len(self._forced) else 0
        if place >= len(self._forced):
            self._todo += [(*self._chosen, other) for other in range(1, len(values))]
        self._chosen.append(number)
        self.more = (*self.more, (name, values[number]))
        return values[number]

    def is_like(self, picks: dict[str, Any], options: tuple[str, ...]) -> bool:
        """Whether a test that passed here passes there too, as it read nothing in which they differ."""
        if self._is_further or (self._has_options and options != self._options):
            return False
        return all(name in picks and picks[name] == self.picks[name] for name in self._names)
