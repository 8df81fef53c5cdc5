"""Judges properties on a graph: each holds for every turn that was found, or a shortest conversation shows that it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from constrained.errors import ConstrainedError, PropertyError
from constrained.logic.state import State
from constrained.proving.declared import Event, Moment, Property
from constrained.proving.every_turn import EveryTurn
from constrained.proving.graph import Graph
from constrained.proving.machine import Picks

HIT, STOP = -1, -2
Step = tuple[int, int]  # (point, move)
Place = Callable[[int, int, int], int]  # (point, move, target) -> where in the turn, or -1
Far = tuple[int, bytearray]  # (layer, 0 for each point that is far there)
Rule = Callable[[int, int, int, int], int]  # (layer, point, move, target) -> next layer, HIT or STOP


@dataclass(frozen=True, slots=True)
class Witness:
    """A shortest conversation that shows something.

    Attributes:
        steps: (point, move) of each turn. branch: what is heard in the last turn, by number; the move's first one when None.
        more: what else is heard in the last turn, which only the property reads.
    """

    steps: tuple[Step, ...]
    branch: int | None = None
    more: Picks = ()
    note: str = ""


class Judge:
    """Looks for counterexamples in one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.machine = graph, graph.machine
        self._states: dict[int, State] = {}
        self._every = EveryTurn(graph)

    def counterexample(self, one: Property) -> Witness | None:
        """A shortest conversation that breaks the property; None when there is none here. Raises PropertyError when it cannot be asked."""
        try:
            return self._counterexample(one)
        except ConstrainedError:
            raise
        except Exception as error:  # a property is its author's code: its failure is told with its name
            text = f"the property {one.name!r} failed: {type(error).__name__}: {error}"
            raise PropertyError(text, hint="it is asked of every turn; name those that it is about: on=...") from error

    def _counterexample(self, one: Property) -> Witness | None:
        if one.kind == "always":
            meant = (lambda point, move, target: True) if one.on is None else self._matcher(one.on)
            found = self._every.failing(one.test or bool, meant, is_by_name=not callable(one.on))
            return Witness((*self.graph.way(found[0]), found[:2]), *found[2:]) if found else None
        if one.kind == "eventually":
            return self.far_from(one.then, one.within, one.first)
        first, then = self._places(one.first), self._places(one.then)
        is_by_name = not (callable(one.first) or callable(one.then))
        rule = _before(first, then) if one.kind == "before" else _never_after(first, then)
        return self.search(rule, n_layers=2 if is_by_name else 0)

    # -- searches ------------------------------------------------------------------------------------

    def search(self, rule: Rule, *, n_layers: int = 0, far: Far | None = None) -> Witness | None:
        """A shortest conversation to a HIT, or to a point that is ``far``, in the product of graph and layers.

        ``n_layers`` says that the rule looks at the layer, of so many, and the move alone: then most searches end early.
        """
        graph = self.graph
        if n_layers and not self._is_reached(rule, n_layers, far):
            return None
        came: dict[tuple[int, int], tuple[tuple[int, int], int] | None] = {(point, 0): None for point in range(graph.starts)}
        level = list(came)
        while level:
            following = []
            for node in level:
                point, layer = node
                if point >= graph.n_explored:
                    continue
                if far is not None and layer == far[0] and not far[1][point]:
                    return Witness((*_way(came, node), *self._any_turn(point)))
                for move, target in graph.steps(point):
                    after = rule(layer, point, move, target)
                    if after == HIT:
                        return Witness((*_way(came, node), (point, move)))
                    if after != STOP and (target, after) not in came:
                        came[target, after] = (node, move)
                        following.append((target, after))
            level = following
        return None

    def _is_reached(self, rule: Rule, n_layers: int, far: Far | None) -> bool:
        """Whether ``search`` would find something: the same walk, with no memory of the way."""
        graph = self.graph
        tables = [[rule(layer, 0, move, 0) for move in range(len(self.machine.moves))] for layer in range(n_layers)]
        seen = [bytearray(len(graph.points)) for _ in tables]
        seen[0][: graph.starts] = b"\1" * graph.starts
        todo = [(point, 0) for point in range(graph.starts)]
        while todo:
            point, layer = todo.pop()
            if point >= graph.n_explored:
                continue
            if far is not None and layer == far[0] and not far[1][point]:
                return True
            table = tables[layer]
            for move, target in graph.steps(point):
                after = table[move]
                if after >= 0:
                    if not seen[after][target]:
                        seen[after][target] = 1
                        todo.append((target, after))
                elif after == HIT:
                    return True
        return False

    def far_from(self, then: Event | None, within: int, first: Event | None) -> Witness | None:
        """A shortest conversation to a point (once ``first`` has happened) from which no ``then`` can be come to in time."""
        wanted, after = self._matcher(then), self._matcher(first)
        is_by_name = not (callable(then) or callable(first))
        near = self._near(wanted, within, is_by_name)
        begins = 0 if first is None else 1

        def rule(layer: int, point: int, move: int, target: int) -> int:
            if layer == begins and wanted(point, move, target):
                return STOP
            return begins if layer == begins or after(point, move, target) else 0

        return self.search(rule, n_layers=begins + 1 if is_by_name else 0, far=(begins, near))

    def _any_turn(self, point: int) -> tuple[Step, ...]:
        """One turn at a point: whatever is said first when nothing special is heard."""
        return tuple((point, move) for move, _ in list(self.graph.steps(point))[:1])

    def _near(self, wanted: Place, within: int, is_by_name: bool) -> bytearray:
        """1 for each point from which a wanted turn can be come to in time, or where that is not known."""
        graph = self.graph
        near = bytearray(b"\1") * len(graph.points)
        known: dict[int, bool] = {}  # of the turns that many points have in common
        for point, turns in enumerate(graph.turns):
            is_near = known.get(turns.number) if is_by_name and not graph.failures else None
            if is_near is None:
                is_near = known[turns.number] = any(wanted(point, move, target) for move, target in graph.steps(point))
            near[point] = is_near
        for _ in range(within - 1):
            before = bytes(near)
            for point in range(graph.n_explored):
                if not near[point]:
                    near[point] = any(before[target] for _, target in graph.steps(point))
        return near

    # -- events --------------------------------------------------------------------------------------

    def _matcher(self, event: Event | None) -> Callable[[int, int, int], bool]:
        """Whether an event happens in a turn."""
        if callable(event):
            return lambda point, move, target: bool(event(self.moment(point, move, target)))
        names = frozenset((event,) if isinstance(event, str) else event or ())
        flags = [not names.isdisjoint(move.events) for move in self.machine.moves]
        return lambda point, move, target: flags[move]

    def _places(self, event: Event | None) -> Callable[[int, int, int], int]:
        """Where in a turn an event happens; -1 where it does not. What is said comes before the effects."""
        if callable(event):
            return lambda point, move, target: 0 if event(self.moment(point, move, target)) else -1
        names = frozenset((event,) if isinstance(event, str) else event or ())
        places = [next((place for place, name in enumerate((*move.said, *move.done)) if name in names), -1) for move in self.machine.moves]
        return lambda point, move, target: places[move]

    def moment(self, point: int, move: int, target: int) -> Moment:
        """A turn as an event that is a function sees it; what is heard in it is as little as leads to it."""
        one, turns = self.machine.moves[move], self.graph.turns[point]
        picks, outcome = turns.branches[turns.moves[move]]
        heard_type = self.machine.policy.heard_type
        heard = heard_type().but(**dict(picks)) if heard_type else None
        options = tuple(self.machine.moves[number].chosen for number in outcome.moves if not self.machine.moves[number].fails)
        return Moment(self._state(point), self._state(target), one.chosen, one.said, one.done, heard, lambda: options)

    def _state(self, point: int) -> State:
        found = self._states.get(point)
        if found is None:
            if len(self._states) > 1 << 15:
                self._states.clear()
            found = self._states[point] = self.machine.state(self.graph.points[point])
        return found


def _way(came: Any, node: tuple[int, int]) -> tuple[Step, ...]:
    found: list[Step] = []
    while came[node] is not None:
        node, move = came[node]
        found.append((node[0], move))
    return tuple(reversed(found))


def _before(first: Place, then: Place) -> Rule:
    def rule(layer: int, point: int, move: int, target: int) -> int:
        earlier, later = first(point, move, target), then(point, move, target)
        if later >= 0 and (earlier < 0 or later < earlier):
            return HIT
        return STOP if earlier >= 0 else 0

    return rule


def _never_after(first: Place, then: Place) -> Rule:
    def rule(layer: int, point: int, move: int, target: int) -> int:
        earlier, later = first(point, move, target), then(point, move, target)
        if later >= 0 and (layer == 1 or 0 <= earlier < later):
            return HIT
        return 1 if layer == 1 or earlier >= 0 else 0

    return rule
