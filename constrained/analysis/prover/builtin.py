"""What every pack has to keep, without anybody declaring it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from constrained.analysis.prover.graph import Graph
from constrained.analysis.prover.judge import HIT, Judge, Witness
from constrained.analysis.prover.machine import Failure
from constrained.analysis.prover.properties import Scope
from constrained.logic.matching import RESERVE


@dataclass(frozen=True, slots=True)
class Judged:
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


def built_in(graph: Graph, judge: Judge, scope: Scope) -> Iterator[Judged]:
    """Each of them, in order."""
    yield from _turns(graph)
    yield _options(graph)
    yield from _reached(graph, scope)
    if scope.human:
        yield _human(graph, judge, scope)
    yield _fallbacks(graph, judge, scope)
    yield _conflicts(graph)
    yield _effects(graph)


def _turns(graph: Graph) -> Iterator[Judged]:
    """No turn fails; of those that do, obligations that may not be said are told apart."""
    obliged = [error for error in graph.errors if "obligation" in error[2]]
    others = [error for error in graph.errors if error not in obliged]
    for name, says, errors in (
        ("obligations_can_be_said", "whatever must be said may be said", obliged),
        ("no_turn_fails", "the logic answers at every point, whatever is heard", others),
    ):
        if not errors:
            yield Judged(name, says)
            continue
        point, branch, text = errors[0]
        yield Judged(name, says, Witness((*graph.way(point), (point, -1)), branch, note=text), text)


def _options(graph: Graph) -> Judged:
    """Something other than the fallback, for some message, everywhere."""
    name, says = "an_option_everywhere", "at every point some message has an answer besides the fallback"
    moves = graph.machine.moves
    stuck = {turns.number: turns.moves and all(moves[move].is_forced for move in turns.moves) for turns in set(graph.turns)}
    for point, turns in enumerate(graph.turns):
        if stuck[turns.number]:
            return Judged(name, says, Witness((*graph.way(point), (point, next(iter(turns.moves)))), note="nothing but the fallback"))
    return Judged(name, says)


def _reached(graph: Graph, scope: Scope) -> Iterator[Judged]:
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
    needed = [one.id for one in catalog.responses.values() if one.id != catalog.fallback and RESERVE not in one.tags]
    missing = [one for one in needed if one not in said and one not in scope.unreached]
    yield _dead([one for one in missing if one not in blocked])
    yield _shadowed(graph, {one: blocked[one] for one in missing if one in blocked})


def _dead(dead: list[str]) -> Judged:
    wrong = f"no conversation comes to {', '.join(dead)}" if dead else ""
    return Judged("no_dead_response", "every response is offered in some conversation", None, wrong)


def _shadowed(graph: Graph, shadowed: dict[str, tuple[int, int, str]]) -> Judged:
    name, says = "no_shadowed_response", "every response that is offered can be said in some conversation"
    if not shadowed:
        return Judged(name, says)
    response_id, (number, branch, reason) = next(iter(shadowed.items()))
    point = next(point for point, turns in enumerate(graph.turns) if turns.number == number)
    wrong = f"{', '.join(shadowed)} can never be said: {response_id} {reason}"
    return Judged(name, says, _at(graph, point, branch, f"{response_id} is offered and blocked: {reason}"), wrong)


def _human(graph: Graph, judge: Judge, scope: Scope) -> Judged:
    witness = judge.far_from(scope.human, scope.within, None)
    turns = "turn" if scope.within == 1 else "turns"
    return Judged("a_human_in_reach", f"from everywhere {' or '.join(scope.human)} can be come to within {scope.within} {turns}", witness)


def _fallbacks(graph: Graph, judge: Judge, scope: Scope) -> Judged:
    moves, most = graph.machine.moves, scope.fallbacks

    def rule(layer: int, point: int, move: int, target: int) -> int:
        if not moves[move].is_forced:
            return 0
        return HIT if layer + 1 > most else layer + 1

    return Judged(
        "no_fallback_loop",
        f"never more than {most} turns in a row that only the fallback can answer",
        judge.search(rule, n_layers=most + 1),
    )


def _conflicts(graph: Graph) -> Judged:
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
            return Judged(name, says, _at(graph, point, branch, text), text)
    return Judged(name, says)


def _is_conflict(reason: str) -> bool:
    return reason.startswith(("reads the same as", "said anyway", "offered already"))


def _effects(graph: Graph) -> Judged:
    name, says = "effects_can_run", "an effect whose option was allowed can run"
    if not graph.failures:
        return Judged(name, says)
    point, move, text = graph.failures[0]
    return Judged(name, says, Witness((*graph.way(point), (point, move)), note=text), text)


def _at(graph: Graph, point: int, branch: int, note: str) -> Witness:
    """A conversation to a point and one turn there, as a branch has it."""
    moves = [
        move
        for move in graph.turns[point].branches[branch][1].moves
        if not isinstance(graph.machine.after(graph.points[point], graph.turns[point], move), Failure)
    ]
    return Witness((*graph.way(point), *((point, move) for move in moves[:1])), branch if moves else None, note=note)
