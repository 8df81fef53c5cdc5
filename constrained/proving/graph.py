"""Explores a machine breadth first, so that the first way found to a point is a shortest conversation. Judges nothing."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from constrained.logic.state import State
from constrained.proving.machine import Failure, Machine, Turns
from constrained.proving.memo import Key

Progress = Callable[[int, int, int], None]  # points found, points explored, turns
_EVERY = 512  # points between two looks at the clock


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
    graph = _explored(machine, starts, most_points, began + most_seconds, progress)
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
        if number % _EVERY == 0:
            if progress:
                progress(len(graph.points), number, len(graph.targets))
            if time.monotonic() > until:
                return graph
        if len(graph.points) > most_points:
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
