"""Judges properties on a graph: each holds for every turn that was found, or a shortest conversation shows that it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import yaml

from constrained.analysis.prover.graph import EveryTurn, Graph
from constrained.analysis.prover.machine import Failure, Machine, Picks
from constrained.analysis.prover.properties import Event, Moment, Property
from constrained.errors import ConstrainedError, PropertyError
from constrained.logic.state import State
from constrained.quality.golden import GoldenDialogue, GoldenTurn
from constrained.understanding.questions import Amount, Day, PatternQuestion

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
        heard = heard_type().replace(**dict(picks)) if heard_type else None
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


# -- A counterexample as a golden dialogue: what to write, what should be heard, and what is said then. Judges nothing. --


def golden_of(graph: Graph, name: str, witness: Witness) -> GoldenDialogue:
    """The conversation of a witness; whoever replays it sees what it shows."""
    machine = graph.machine
    start = machine.state(graph.points[_first_point(graph, witness)])
    turns = []
    for number, (point, move) in enumerate(witness.steps):
        is_last = number == len(witness.steps) - 1
        branch = witness.branch if is_last and witness.branch is not None else graph.turns[point].moves.get(move, 0)
        turns.append(_turn(graph, point, move, branch, witness.more if is_last else ()))
    return GoldenDialogue(name=name, locale=_locale(machine), state=_fields(start, type(start)), turns=tuple(turns))


def golden_text(pack: str, dialogues: Sequence[GoldenDialogue], notes: Mapping[str, str] | None = None) -> str:
    """A file of golden dialogues; ``notes`` stand above the dialogue of that name, as comments."""
    head = f"pack: {pack}\ndialogues:\n"
    return head + "".join(_written(one, (notes or {}).get(one.name, "")) for one in dialogues)


def _written(dialogue: GoldenDialogue, note: str) -> str:
    plain = dialogue.model_dump(mode="json", exclude_none=True)
    plain["turns"] = [{name: value for name, value in turn.items() if value not in ({}, [], False)} for turn in plain["turns"]]
    text = yaml.safe_dump([plain], sort_keys=False, allow_unicode=True, width=130)
    comment = "".join(f"  # {line}\n" for line in note.splitlines())
    return "\n" + comment + "".join(f"  {line}\n" for line in text.splitlines())


def _first_point(graph: Graph, witness: Witness) -> int:
    return witness.steps[0][0] if witness.steps else 0


def _turn(graph: Graph, point: int, move: int, branch: int, more: Picks) -> GoldenTurn:
    machine = graph.machine
    picks = (*graph.turns[point].branches[branch][0], *more)
    if move < 0:  # it cannot be taken: that is what the conversation shows
        fallback = machine.policy.catalog.fallback
        return GoldenTurn(says=_message(machine, fallback, picks), heard=_heard(machine, picks), expects=fallback)
    if machine.recall.is_silent(graph.points[point][machine.recall_slot]):
        picks = ()
    one = machine.moves[move]
    after = machine.after(graph.points[point], graph.turns[point], move)
    then = {} if isinstance(after, Failure) else _changes(machine.state(graph.points[point]), machine.state(after))
    return GoldenTurn(
        says=_message(machine, one.chosen, picks) if not machine.recall.is_silent(graph.points[point][machine.recall_slot]) else "",
        heard=_heard(machine, picks),
        expects=one.chosen,
        obliged=tuple(one.said[: one.place] + one.said[one.place + 1 :]),
        effects=tuple(map(str, one.effects)),
        fails=one.fails,
        then=then,
    )


def _heard(machine: Machine, picks: Picks) -> dict[str, Any]:
    """What is heard beyond the defaults, as JSON values."""
    heard_type = machine.policy.heard_type
    if heard_type is None:
        return {}
    fields = heard_type().replace(**dict(picks)).model_dump(mode="json")
    defaults = heard_type().model_dump(mode="json")
    return {name: value for name, value in fields.items() if value != defaults[name]}


def _message(machine: Machine, response_id: str, picks: Picks) -> str:
    """A message that the response answers, and that says every amount, day and text which is to be heard."""
    response = machine.policy.catalog.responses[response_id]
    examples = response.examples.get(machine.locale) or next(iter(response.examples.values()), ())
    spoken = [
        _spoken(value)
        for name, value in picks
        if value is not None and isinstance(machine.domains[name].question, Amount | Day | PatternQuestion)
    ]
    said = next((one for one in examples if not any(char.isdigit() for char in one)), "") or "..."
    return f"{said} ({', '.join(spoken)})" if spoken else said


def _spoken(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _changes(before: State, after: State) -> dict[str, Any]:
    written = after.model_dump(mode="json")
    return {name: written[name] for name in type(after).model_fields if getattr(before, name) != getattr(after, name)}


def _fields(state: State, kind: type[State]) -> dict[str, Any]:
    """The fields that differ from the type's own defaults."""
    written = state.model_dump(mode="json")
    fields = kind.model_fields
    return {
        name: written[name]
        for name, field in fields.items()
        if field.is_required() or getattr(state, name) != field.get_default(call_default_factory=True)
    }


def _locale(machine: Machine) -> str | None:
    return machine.locale if machine.locale != machine.policy.catalog.locale else None
