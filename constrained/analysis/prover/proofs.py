"""Proves a pack: explores its conversations and judges every property. A Proof holds verdicts and the hashes they hold for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from constrained.analysis.prover.graph import Graph, Progress, explore_graph
from constrained.analysis.prover.judge import Finding, Judge, Witness, built_in
from constrained.analysis.prover.machine import Failure, Machine, Picks
from constrained.analysis.prover.properties import Property, Scope
from constrained.analysis.samples import Domain, domains, try_build
from constrained.approval.in_force import Approvals
from constrained.errors import PropertyError, StateError
from constrained.logic.effects import EffectKind
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.quality.golden import GoldenDialogue, GoldenTurn
from constrained.understanding.questions import Amount, Day, PatternQuestion

MOST_POINTS = 250_000
MOST_SECONDS = 120.0

Status = Literal["proved", "held", "violated", "open"]
"""``proved``: no conversation of the scope breaks it, all were looked at. ``held``: none of those looked at does.
``violated``: one does. ``open``: nothing broke it, and something that should be seen was not seen yet."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(_Frozen):
    """What became of one property.

    Attributes:
        wrong: what is wrong, in a sentence. dialogue: a shortest conversation that shows it.
        is_built_in: nobody declared it.
    """

    name: str
    says: str
    status: Status
    wrong: str = ""
    is_built_in: bool = False
    dialogue: GoldenDialogue | None = None


class Bound(_Frozen):
    """What a proof holds for: change any of these, and it is stale."""

    catalog: str
    logic: str
    properties: str = ""


class Explored(_Frozen):
    """What was looked at.

    Attributes:
        n_points: points of conversations found, ``n_explored`` of them with all their turns. n_turns: turns between them.
        is_closed: all that can be reached was explored.
        heard: field -> which values it was tried with.
        sampled: fields of which not every value could be tried, and that the logic read.
    """

    n_starts: int
    n_points: int
    n_explored: int
    n_turns: int
    is_closed: bool
    seconds: float
    heard: dict[str, str] = {}
    sampled: tuple[str, ...] = ()


class Proof(_Frozen):
    """The result of ``constrained prove``.

    Attributes:
        pack: its name. bound: hashes that it holds for.
    """

    pack: str
    bound: Bound
    explored: Explored
    verdicts: tuple[Verdict, ...]

    @property
    def violated(self) -> tuple[Verdict, ...]:
        return tuple(one for one in self.verdicts if one.status == "violated")

    def rests_on(self) -> str:
        """What the verdicts rest on, in a sentence."""
        found = self.explored
        starts = "1 start" if found.n_starts == 1 else f"{found.n_starts:,} starts"
        if not found.is_closed:
            return f"{found.n_explored:,} of at least {found.n_points:,} points from {starts}: the rest was not explored"
        rest = f"; of {', '.join(found.sampled)} only values next to the logic's constants" if found.sampled else ""
        return f"all {found.n_points:,} points that can be reached from {starts}{rest}"

    def stale(self, bound: Bound) -> tuple[str, ...]:
        """Which of the files changed since; none when the proof holds."""
        return tuple(name for name in type(bound).model_fields if getattr(bound, name) != getattr(self.bound, name))

    def text(self) -> str:
        """As the JSON text of a file."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def read_proof(path: Path) -> Proof:
    """Raises PropertyError when the file holds no proof."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        return Proof.model_validate(data)
    except (OSError, ValueError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise PropertyError(f"{path} holds no proof: {first}", hint="write it anew: constrained prove NAME --save") from error


# -- proving -------------------------------------------------------------------------------------------


def prove(
    policy: Policy,
    properties: Sequence[Property] = (),
    scope: Scope | None = None,
    *,
    source: str = "",
    most_points: int = MOST_POINTS,
    most_seconds: float = MOST_SECONDS,
    today: date | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Explores every conversation of the scope, as far as the bounds allow, and judges each property.

    Args:
        source: text of the file that declares the properties; the proof is bound to it.
        today: for a policy whose state holds no day.

    Raises PropertyError when there is nowhere to start, PolicyError when the logic is not deterministic.
    """
    scope = scope or Scope()
    graph = explored(policy, scope, most_points=most_points, most_seconds=most_seconds, today=today, progress=progress)
    judge = Judge(graph)
    judged = [*built_in(graph, judge, scope), *_declared(judge, properties)]
    names = {one.name for one in properties}
    verdicts = tuple(_verdict(graph, one, is_built_in=one.name not in names) for one in judged)
    return Proof(pack=policy.name, bound=bound(policy, source), explored=_explored(graph), verdicts=verdicts)


def explored(
    policy: Policy, scope: Scope, *, most_points: int, most_seconds: float, today: date | None = None, progress: Progress | None = None
) -> Graph:
    """The graph of all conversations in the scope."""
    heard = domains(policy, scope.heard or {})
    standing = Approvals(policy.catalog, drafts=True).now()  # as golden dialogues are run: what is a draft yet can be tried out
    machine = Machine(policy, heard, standing=standing, today=today or datetime.now(UTC).date())
    return explore_graph(machine, starts(policy, scope), most_points=most_points, most_seconds=most_seconds, progress=progress)


def starts(policy: Policy, scope: Scope) -> list[State]:
    """The states in which a conversation begins."""
    if not scope.starts:
        state = try_build(policy.state_type.default)
        if state is None:
            raise PropertyError(
                f"{policy.state_type.__name__} has no default to start from", hint="scope(starts=[{...}]) in the file of properties"
            )
        return [state]
    found = []
    for number, given in enumerate(scope.starts, start=1):
        try:
            found.append(given if isinstance(given, State) else policy.state_type.from_json(given))
        except StateError as error:
            raise PropertyError(f"start {number} is no {policy.state_type.__name__}: {error.message}", hint=error.hint) from error
    return found


def bound(policy: Policy, source: str = "") -> Bound:
    """The hashes of what a proof of this policy rests on."""
    digest = "sha256:" + hashlib.sha256(source.encode()).hexdigest() if source else ""
    return Bound(catalog=policy.catalog.hash, logic=policy.hash, properties=digest)


def _declared(judge: Judge, properties: Sequence[Property]) -> Iterator[Finding]:
    policy = judge.machine.policy
    known = {*policy.catalog.responses, *(effect.name for move in judge.machine.moves for effect in move.effects)}
    known |= {value.name for value in policy.script.module_globals.values() if isinstance(value, EffectKind)}
    for one in properties:
        unknown = [name for name in _names(one) if name not in known]
        witness = None if unknown else judge.counterexample(one)
        wrong = f"nothing is called {', '.join(unknown)}" if unknown else ""
        yield Finding(one.name, one.says, witness, open=wrong)


def _names(one: Property) -> Iterator[str]:
    """The responses and effects that a property speaks of."""
    for event in (one.on, one.first, one.then):
        if isinstance(event, str):
            yield event
        elif event is not None and not callable(event):
            yield from event


def _verdict(graph: Graph, judged: Finding, *, is_built_in: bool) -> Verdict:
    dialogue = golden_of(graph, judged.name, judged.witness) if judged.witness is not None else None
    wrong = judged.wrong or (judged.witness.note if judged.witness else "") or judged.open
    status: Status = _status(graph, judged)
    return Verdict(name=judged.name, says=judged.says, status=status, wrong=wrong, is_built_in=is_built_in, dialogue=dialogue)


def _status(graph: Graph, judged: Finding) -> Status:
    """Proved only where everything was looked at, with every value, and no conversation ended early."""
    is_whole = graph.is_closed and not graph.machine.read_domains
    if judged.witness is not None:
        return "violated"
    if judged.wrong:  # something that should be seen was not
        return "violated" if is_whole else "open"
    if judged.open:
        return "open"
    return "proved" if is_whole and not graph.failures and not graph.errors else "held"


def _explored(graph: Graph) -> Explored:
    machine = graph.machine
    return Explored(
        n_starts=graph.starts,
        n_points=len(graph.points),
        n_explored=graph.n_explored,
        n_turns=len(graph.targets),
        is_closed=graph.is_closed,
        seconds=round(graph.seconds, 2),
        heard={name: _basis(domain) for name, domain in machine.domains.items()},
        sampled=tuple(sorted(machine.read_domains)),
    )


def _basis(domain: Domain) -> Any:
    if domain.basis == "all":
        return "all values"
    values = ", ".join(str(getattr(value, "name", value)) for value in domain.values)
    return f"{domain.basis}: {values}" if domain.values else domain.basis


# -- a counterexample as a golden dialogue: what to write, what should be heard, what is said then -----


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
    if machine.memories.is_silent(graph.points[point][machine.memory_slot]):
        picks = ()
    one = machine.moves[move]
    after = machine.after(graph.points[point], graph.turns[point], move)
    then = {} if isinstance(after, Failure) else _changes(machine.state(graph.points[point]), machine.state(after))
    return GoldenTurn(
        says=_message(machine, one.chosen, picks) if not machine.memories.is_silent(graph.points[point][machine.memory_slot]) else "",
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
