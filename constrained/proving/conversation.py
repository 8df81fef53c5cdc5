"""A counterexample as a golden dialogue: what to write, what should be heard, and what is said then. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import yaml

from constrained.golden import GoldenDialogue, GoldenTurn
from constrained.logic.questions import Amount, Day, Written
from constrained.logic.state import State
from constrained.proving.graph import Graph
from constrained.proving.judge import Witness
from constrained.proving.machine import Failure, Machine, Picks


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
    fields = heard_type().but(**dict(picks)).model_dump(mode="json")
    defaults = heard_type().model_dump(mode="json")
    return {name: value for name, value in fields.items() if value != defaults[name]}


def _message(machine: Machine, response_id: str, picks: Picks) -> str:
    """A message that the response answers, and that says every amount, day and text which is to be heard."""
    response = machine.policy.catalog.responses[response_id]
    examples = response.examples.get(machine.locale) or next(iter(response.examples.values()), ())
    spoken = [
        _spoken(value) for name, value in picks if value is not None and isinstance(machine.domains[name].question, Amount | Day | Written)
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
