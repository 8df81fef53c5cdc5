"""Explores a machine breadth first, so that the first way found to a point is a shortest conversation; tests every turn of it."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from constrained.analysis.prover.machine import Failure, Machine, Picks, Turns
from constrained.analysis.prover.properties import Test, TurnView
from constrained.analysis.prover.watch import HeardWatch, Key, Memo, StateWatch
from constrained.logic.state import State
from constrained.understanding.questions import Entity

Progress = Callable[[int, int, int], None]  # points found, points explored, turns
_EVERY = 512  # points between two calls of progress


@dataclass(slots=True)
class Graph:
    """The points that were found, numbered in the order of their distance, and the turns between them.

    Attributes:
        turns: of each explored point. came_from: (point, move) by which a point was found first; (-1, -1) for a start.
        first: offset of a point's turns in ``targets`` and ``moves``; one more entry than explored points.
        failures: (point, move, text) of effects that could not run. errors: (point, branch, text) of turns that cannot be taken.
        is_closed: every point that can be reached was explored.
        seconds: how long it took.
    """

    machine: Machine
    starts: int
    points: list[Key] = field(default_factory=list)
    turns: list[Turns] = field(default_factory=list)
    came_from: list[tuple[int, int]] = field(default_factory=list)
    first: array[int] = field(default_factory=lambda: array("Q", [0]))
    targets: array[int] = field(default_factory=lambda: array("I"))
    moves: array[int] = field(default_factory=lambda: array("I"))
    failures: list[tuple[int, int, str]] = field(default_factory=list)
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    is_closed: bool = False
    seconds: float = 0.0

    @property
    def n_explored(self) -> int:
        return len(self.turns)

    def steps(self, point: int) -> Iterator[tuple[int, int]]:
        """(move, target) of each turn from an explored point."""
        start, end = self.first[point], self.first[point + 1]
        return zip(self.moves[start:end], self.targets[start:end], strict=True)

    def target(self, point: int, move: int) -> int:
        """Where a move leads from an explored point; -1 where its effects cannot run."""
        place = self.turns[point].places.get(move, -1)
        if not self.failures:  # then the turns of a point stand in the order of its moves
            return self.targets[self.first[point] + place] if place >= 0 else -1
        return next((target for number, target in self.steps(point) if number == move), -1)

    def way(self, point: int) -> list[tuple[int, int]]:
        """(point, move) of a shortest conversation to a point."""
        found = []
        while (step := self.came_from[point])[0] >= 0:
            found.append(step)
            point = step[0]
        return found[::-1]


def explore_graph(
    machine: Machine, starts: Sequence[State], *, most_points: int, most_seconds: float, progress: Progress | None = None
) -> Graph:
    """Every point that can be reached from the starts, as far as the bounds allow."""
    began = time.monotonic()
    is_collecting = gc.isenabled()
    gc.disable()  # of millions of small tuples none is garbage
    try:
        graph = _explored(machine, starts, most_points, began + most_seconds, progress)
    finally:
        if is_collecting:
            gc.enable()
    graph.seconds = time.monotonic() - began
    return graph


def _explored(machine: Machine, starts: Sequence[State], most_points: int, until: float, progress: Progress | None) -> Graph:
    graph = Graph(machine, len(starts))
    known: dict[Key, int] = {}
    for state in starts:
        point = machine.point(state)
        if point not in known:
            known[point] = len(graph.points)
            graph.points.append(point)
            graph.came_from.append((-1, -1))
    graph.starts = len(graph.points)
    number = 0
    while number < len(graph.points):
        if progress and number % _EVERY == 0:
            progress(len(graph.points), number, len(graph.targets))
        if len(graph.points) > most_points or time.monotonic() > until:  # a point can cost a quarter of a second
            return graph
        _expand(graph, number, known)
        number += 1
    graph.is_closed = True
    return graph


def _expand(graph: Graph, number: int, known: dict[Key, int]) -> None:
    machine, point = graph.machine, graph.points[number]
    turns = machine.turns(point)
    for branch, (_, outcome) in enumerate(turns.branches) if turns.has_errors else ():
        if outcome.error:
            graph.errors.append((number, branch, outcome.error))
    for move in turns.moves:
        after = machine.after(point, turns, move)
        if isinstance(after, Failure):
            graph.failures.append((number, move, after.text))
            continue
        target = known.get(after)
        if target is None:
            target = known[after] = len(graph.points)
            graph.points.append(after)
            graph.came_from.append((number, move))
        graph.moves.append(move)
        graph.targets.append(target)
    graph.turns.append(turns)
    graph.first.append(len(graph.targets))


# -- every turn: a test runs only where something that it reads differs --------------------------------

FailingBranch = tuple[int, Picks]  # the branch in which a test fails, and what else is heard in it
FailingTurn = tuple[int, int, int, Picks]  # (point, move, branch, what else is heard)
IsAbout = Callable[[int, int, int], bool]  # (point, move, target): whether a test is about this turn


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

    def failing(self, test: Test, is_about: IsAbout, *, is_by_name: bool) -> FailingTurn | None:
        """A turn for which a test is false, the first by the distance of its point. ``is_by_name``: a move tells whether it is meant."""
        for is_option in (True, False):  # a turn that a message can bring about is rather shown than one that is said in place of it
            best: FailingTurn | None = None
            for members in self._members.values():
                for move in self.graph.turns[members[0]].moves:
                    if self.machine.moves[move].is_option is is_option and (not is_by_name or is_about(0, move, 0)):
                        below = best[0] if best else len(self.graph.points)
                        best = self._first(test, None if is_by_name else is_about, move, members, below) or best
            if best is not None:
                return best
        return None

    def _first(self, test: Test, is_about: IsAbout | None, move: int, members: list[int], below: int) -> FailingTurn | None:
        """The first of the points of a leaf, of those before one that is known, at which a test of this move is false."""
        memo: Memo[FailingBranch | None] = Memo()
        turns = self.graph.turns[members[0]]
        for point in members:
            target = self.graph.target(point, move) if point < below else -1
            if target < 0 or (is_about is not None and not is_about(point, move, target)):
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

    def _run(self, test: Test, turns: Turns, move: int, key: Key) -> FailingBranch | None:
        """A test of one turn, by every way of hearing that leads to it, as far as the test asks."""
        self._reads, self._key = {}, key
        machine, one = self.machine, self.machine.moves[move]
        before = {name: machine.values.value(slot, key[slot]) for name, slot in machine.slots.items()}
        after = {name: machine.values.value(slot, key[self._n_slots + slot]) for name, slot in machine.slots.items()}
        passed: list[_Hearing] = []
        for branch, (picks, outcome) in enumerate(turns.branches):
            if move not in outcome.moves:
                continue
            moves = [machine.moves[number] for number in outcome.moves]
            options = tuple(one.chosen for one in moves if one.is_option and not one.fails)
            if any(known.is_like(dict(picks), options) for known in passed):
                continue
            hearing = self._hearing = _Hearing(dict(picks), options)
            while hearing.begin():
                heard = self._heard.make() if self._heard else None
                view = TurnView(self._before.make(before), self._after.make(after), one.chosen, one.said, one.done, heard, hearing.asked)
                if not test(view):
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
        domain, number = machine.domains[name], self._key[machine.memory_slot]
        if not machine.memories.is_plain:
            self._touch(machine.memory_slot)
        if isinstance(domain.question, Entity):
            self._touch(machine.slots[domain.question.among])
        if domain.basis == "sample":
            machine.read_domains.add(name)
        is_asked = machine.memories.is_asked(number, name)
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
