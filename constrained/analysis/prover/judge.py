"""Judges properties on a graph, declared and built in: each holds for every turn found, or a shortest conversation breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from constrained.analysis.prover.graph import EveryTurn, Graph
from constrained.analysis.prover.machine import Failure, Picks
from constrained.analysis.prover.properties import Event, Property, Scope, TurnView
from constrained.errors import ConstrainedError, PropertyError
from constrained.logic.matching import is_yielded
from constrained.logic.state import State

HIT, STOP = -1, -2
Step = tuple[int, int]  # (point, move)
Place = Callable[[int, int, int], int]  # (point, move, target) -> where in the turn, or -1
Unreached = tuple[int, bytearray]  # (layer, 0 for each point of that layer from which what is wanted cannot be reached)
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
            is_about = (lambda point, move, target: True) if one.on is None else self._matcher(one.on)
            found = self._every.failing(one.test or bool, is_about, is_by_name=not callable(one.on))
            return Witness((*self.graph.way(found[0]), found[:2]), *found[2:]) if found else None
        if one.kind == "eventually":
            return self.far_from(one.then, one.within, one.first)
        first, then = self._places(one.first), self._places(one.then)
        is_by_name = not (callable(one.first) or callable(one.then))
        rule = _before(first, then) if one.kind == "before" else _never_after(first, then)
        return self.search(rule, n_layers=2 if is_by_name else 0)

    # -- searches ------------------------------------------------------------------------------------

    def search(self, rule: Rule, *, n_layers: int = 0, unreached: Unreached | None = None) -> Witness | None:
        """A shortest conversation to a HIT, or to a point that is ``unreached``, in the product of graph and layers.

        Where messages alone can bring one about, one of those: it can be played. ``n_layers`` says that the rule looks at the layer, of
        so many, and the move alone: then most searches end early.
        """
        if n_layers and not self._is_reached(rule, n_layers, unreached):
            return None
        found = self._search(rule, unreached)
        moves = self.machine.moves
        if found is None or all(moves[move].is_option for _, move in found.steps):
            return found
        return self._search(rule, unreached, by_messages=True) or found

    def _search(self, rule: Rule, unreached: Unreached | None, *, by_messages: bool = False) -> Witness | None:
        """Breadth first. ``by_messages``: only by moves that a message can choose."""
        graph, moves = self.graph, self.machine.moves
        came: dict[tuple[int, int], tuple[tuple[int, int], int] | None] = {(point, 0): None for point in range(graph.starts)}
        level = list(came)
        while level:
            following = []
            for node in level:
                point, layer = node
                if point >= graph.n_explored:
                    continue
                if unreached is not None and layer == unreached[0] and not unreached[1][point]:
                    return Witness((*_way(came, node), *self._any_turn(point)))
                for move, target in graph.steps(point):
                    if by_messages and not moves[move].is_option:
                        continue
                    after = rule(layer, point, move, target)
                    if after == HIT:
                        return Witness((*_way(came, node), (point, move)))
                    if after != STOP and (target, after) not in came:
                        came[target, after] = (node, move)
                        following.append((target, after))
            level = following
        return None

    def _is_reached(self, rule: Rule, n_layers: int, unreached: Unreached | None) -> bool:
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
            if unreached is not None and layer == unreached[0] and not unreached[1][point]:
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

        return self.search(rule, n_layers=begins + 1 if is_by_name else 0, unreached=(begins, near))

    def _any_turn(self, point: int) -> tuple[Step, ...]:
        """One turn at a point that a message can bring about, where one can: what is said first when nothing special is heard."""
        moves = self.machine.moves
        return tuple((point, move) for move, _ in self.graph.steps(point) if moves[move].is_option)[:1]

    def _near(self, wanted: Place, within: int, is_by_name: bool) -> bytearray:
        """1 for each point from which a wanted turn can be come to in time, or where that is not known."""
        graph = self.graph
        near = bytearray(b"\1") * len(graph.points)
        known: dict[int, bool] = {}  # of the turns that many points have in common
        for point, turns in enumerate(graph.turns):
            is_near = known.get(turns.number) if is_by_name and not graph.failures else None
            if is_near is None:
                is_near = known[turns.number] = any(wanted(point, move, target) for move, target in self._choosable(point))
            near[point] = is_near
        for _ in range(within - 1):
            before = bytes(near)
            for point in range(graph.n_explored):
                if not near[point]:
                    near[point] = any(before[target] for _, target in self._choosable(point))
        return near

    def _choosable(self, point: int) -> Iterator[tuple[int, int]]:
        """The steps from a point that a message can bring about: what is said in place of an option cannot be counted on."""
        moves = self.machine.moves
        return ((move, target) for move, target in self.graph.steps(point) if moves[move].is_option)

    # -- events --------------------------------------------------------------------------------------

    def _matcher(self, event: Event | None) -> Callable[[int, int, int], bool]:
        """Whether an event happens in a turn."""
        if callable(event):
            return lambda point, move, target: bool(event(self.view(point, move, target)))
        names = frozenset((event,) if isinstance(event, str) else event or ())
        flags = [not names.isdisjoint(move.events) for move in self.machine.moves]
        return lambda point, move, target: flags[move]

    def _places(self, event: Event | None) -> Callable[[int, int, int], int]:
        """Where in a turn an event happens; -1 where it does not. What is said comes before the effects."""
        if callable(event):
            return lambda point, move, target: 0 if event(self.view(point, move, target)) else -1
        names = frozenset((event,) if isinstance(event, str) else event or ())
        places = [next((place for place, name in enumerate((*move.said, *move.done)) if name in names), -1) for move in self.machine.moves]
        return lambda point, move, target: places[move]

    def view(self, point: int, move: int, target: int) -> TurnView:
        """A turn as an event that is a function sees it; what is heard in it is as little as leads to it."""
        one, turns = self.machine.moves[move], self.graph.turns[point]
        picks, outcome = turns.branches[turns.moves[move]]
        heard_type = self.machine.policy.heard_type
        heard = heard_type().replace(**dict(picks)) if heard_type else None
        moves = [self.machine.moves[number] for number in outcome.moves]
        options = tuple(one.chosen for one in moves if one.is_option and not one.fails)
        return TurnView(self._state(point), self._state(target), one.chosen, one.said, one.done, heard, lambda: options)

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


# -- built in: what every pack has to keep, without anybody declaring it -------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one property on a graph.

    Attributes:
        witness: a counterexample; None when there is none. ids: what it is about, where no conversation can show it.
        open: what could not be settled, for people; empty when all was.
    """

    name: str
    says: str
    witness: Witness | None = None
    wrong: str = ""
    open: str = ""


def built_in(graph: Graph, judge: Judge, scope: Scope) -> Iterator[Finding]:
    """Each of them, in order."""
    yield from _turns(graph)
    yield _options(graph)
    yield from _reached(graph, scope)
    if scope.human:
        yield _human(graph, judge, scope)
    yield _fallbacks(graph, judge, scope)
    yield _conflicts(graph)
    yield _effects(graph)


def _turns(graph: Graph) -> Iterator[Finding]:
    """No turn fails; of those that do, obligations that may not be said are told apart."""
    obliged = [error for error in graph.errors if "obligation" in error[2]]
    others = [error for error in graph.errors if error not in obliged]
    for name, says, errors in (
        ("obligations_can_be_said", "whatever must be said may be said", obliged),
        ("no_turn_fails", "the logic answers at every point, whatever is heard", others),
    ):
        if not errors:
            yield Finding(name, says)
            continue
        point, branch, text = errors[0]
        yield Finding(name, says, Witness((*graph.way(point), (point, -1)), branch, note=text), text)


def _options(graph: Graph) -> Finding:
    """Something other than the fallback, for some message, everywhere."""
    name, says = "an_option_everywhere", "at every point some message has an answer besides the fallback"
    moves = graph.machine.moves
    stuck = {turns.number: turns.moves and all(moves[move].is_forced for move in turns.moves) for turns in set(graph.turns)}
    for point, turns in enumerate(graph.turns):
        if stuck[turns.number]:
            return Finding(name, says, Witness((*graph.way(point), (point, next(iter(turns.moves)))), note="nothing but the fallback"))
    return Finding(name, says)


def _reached(graph: Graph, scope: Scope) -> Iterator[Finding]:
    """Every response is said in some conversation; none is offered only where another one takes its place."""
    machine = graph.machine
    turns = sorted(set(graph.turns), key=lambda one: one.number)
    said = {one for found in turns for move in found.moves for one in machine.moves[move].said}
    blocked: dict[str, tuple[int, int, str]] = {}
    for found in turns:
        for branch, (_, outcome) in enumerate(found.branches):
            for response_id, _, reason in outcome.blocked:
                blocked.setdefault(response_id, (found.number, branch, reason))
    catalog = machine.policy.catalog
    needed = [one.id for one in catalog.responses.values() if is_yielded(catalog, one)]
    missing = [one for one in needed if one not in said and one not in scope.unreached]
    yield _dead([one for one in missing if one not in blocked])
    yield _shadowed(graph, {one: blocked[one] for one in missing if one in blocked})


def _dead(dead: list[str]) -> Finding:
    wrong = f"no conversation comes to {', '.join(dead)}" if dead else ""
    return Finding("no_dead_response", "every response is offered in some conversation", None, wrong)


def _shadowed(graph: Graph, shadowed: dict[str, tuple[int, int, str]]) -> Finding:
    name, says = "no_shadowed_response", "every response that is offered can be said in some conversation"
    if not shadowed:
        return Finding(name, says)
    response_id, (number, branch, reason) = next(iter(shadowed.items()))
    point = next(point for point, turns in enumerate(graph.turns) if turns.number == number)
    wrong = f"{', '.join(shadowed)} can never be said: {response_id} {reason}"
    return Finding(name, says, _at(graph, point, branch, f"{response_id} is offered and blocked: {reason}"), wrong)


def _human(graph: Graph, judge: Judge, scope: Scope) -> Finding:
    witness = judge.far_from(scope.human, scope.within, None)
    turns = "turn" if scope.within == 1 else "turns"
    return Finding("a_human_in_reach", f"from everywhere {' or '.join(scope.human)} can be come to within {scope.within} {turns}", witness)


def _fallbacks(graph: Graph, judge: Judge, scope: Scope) -> Finding:
    moves, most = graph.machine.moves, scope.fallbacks

    def rule(layer: int, point: int, move: int, target: int) -> int:
        if not moves[move].is_forced:
            return 0
        return HIT if layer + 1 > most else layer + 1

    return Finding(
        "no_fallback_loop",
        f"never more than {most} turns in a row that only the fallback can answer",
        judge.search(rule, n_layers=most + 1),
    )


def _conflicts(graph: Graph) -> Finding:
    """Two rules that want the same place: one loses, and nobody reads which."""
    name, says = "no_conflicting_rules", "no two rules offer what reads the same, and nothing obliged is offered as well"
    seen: dict[int, tuple[int, str]] = {}
    for turns in set(graph.turns):
        for branch, (_, outcome) in enumerate(turns.branches):
            text = next((f"{one} is {reason}" for one, _, reason in outcome.blocked if _is_conflict(reason)), "")
            if text:
                seen[turns.number] = branch, text
                break
    for point, turns in enumerate(graph.turns):
        if turns.number in seen:
            branch, text = seen[turns.number]
            return Finding(name, says, _at(graph, point, branch, text), text)
    return Finding(name, says)


def _is_conflict(reason: str) -> bool:
    return reason.startswith(("reads the same as", "said anyway", "offered already"))


def _effects(graph: Graph) -> Finding:
    name, says = "effects_can_run", "an effect whose option was allowed can run"
    if not graph.failures:
        return Finding(name, says)
    point, move, text = graph.failures[0]
    return Finding(name, says, Witness((*graph.way(point), (point, move)), note=text), text)


def _at(graph: Graph, point: int, branch: int, note: str) -> Witness:
    """A conversation to a point and one turn there that a message can bring about, as a branch has it."""
    moves = [
        move
        for move in graph.turns[point].branches[branch][1].moves
        if graph.machine.moves[move].is_option
        and not isinstance(graph.machine.after(graph.points[point], graph.turns[point], move), Failure)
    ]
    return Witness((*graph.way(point), *((point, move) for move in moves[:1])), branch if moves else None, note=note)
