"""A policy or procedure as a graph of boxes and arrows, read from its text, with turn counts, and as Mermaid text.

A policy's yields stand beside each other under the conditions that lead to them; a procedure's steps follow each other.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from constrained.errors import GoldenError
from constrained.logic.policy import Policy
from constrained.logic.script import FunctionNode
from constrained.logic.source_offers import Made, find_offers
from constrained.quality.coverage import read_counts
from constrained.records.record import Record

Kind = Literal["function", "condition", "response", "step", "end"]
OpenArrows = list[tuple[int, str]]  # arrows without a target yet: (number of the source box, label)


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in the picture.

    Attributes:
        text: its first line. effects: what follows when it is said. line: of the logic file.
    """

    number: int
    kind: Kind
    text: str
    line: int = 0
    effects: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrow:
    source: int
    target: int
    text: str = ""


@dataclass(slots=True)
class Flow:
    """Boxes by number, and arrows between them."""

    name: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def box(self, kind: Kind, text: str, line: int = 0, effects: Iterable[str] = (), ids: Iterable[str] = ()) -> int:
        self.boxes.append(Box(len(self.boxes), kind, text, line, tuple(effects), tuple(ids)))
        return len(self.boxes) - 1

    def join(self, open_ends: OpenArrows, target: int) -> None:
        """Draws every open arrow to a box."""
        for source, text in open_ends:
            arrow = Arrow(source, target, text)
            if arrow not in self.arrows:
                self.arrows.append(arrow)


def flow_of(policy: Policy) -> Flow:
    """The picture of a policy, the procedure it runs, and all functions of its file that take part."""
    flow = Flow(policy.name)
    offers = {id(made.call): made for made in find_offers(policy.script, policy.functions) if not made.is_dead}
    functions = {node.name: flow.box("function", node.name, node.lineno) for node in policy.functions}
    reader = _Reader(flow, offers, functions)
    for node in policy.functions:
        reader.function(node)
    return flow


class _Reader:
    def __init__(self, flow: Flow, offers: dict[int, Made], functions: dict[str, int]) -> None:
        self.flow, self.offers, self.functions = flow, offers, functions

    def function(self, node: FunctionNode) -> None:
        start = self.functions[node.name]
        is_procedure = isinstance(node, ast.AsyncFunctionDef)
        ends = self._block(node.body, [(start, "")], is_procedure)
        if is_procedure and ends and ends != [(start, "")]:
            self.flow.join(ends, self.flow.box("end", "end"))

    def _block(self, statements: list[ast.stmt], ends: OpenArrows, is_procedure: bool) -> OpenArrows:
        for statement in statements:
            if not ends:
                break
            ends = self._statement(statement, ends, is_procedure)
        return ends

    def _statement(self, statement: ast.stmt, ends: OpenArrows, is_procedure: bool) -> OpenArrows:
        if isinstance(statement, ast.If):
            return self._if(statement, ends, is_procedure)
        if isinstance(statement, ast.For | ast.While):
            return self._loop(statement, ends, is_procedure)
        if isinstance(statement, ast.Match):
            return self._match(statement, ends, is_procedure)
        if isinstance(statement, ast.Try):
            inner = self._block(statement.body, ends, is_procedure)
            others = [self._block(one.body, [(source, "gave up") for source, _ in inner], is_procedure) for one in statement.handlers]
            return [*inner, *(end for other in others for end in other)]
        if isinstance(statement, ast.With):
            return self._block(statement.body, ends, is_procedure)
        after = self._leaves(statement, ends, is_procedure)
        if isinstance(statement, ast.Return):
            if is_procedure:
                self.flow.join(after, self.flow.box("end", "end", statement.lineno))
            return []
        return [] if isinstance(statement, ast.Raise | ast.Continue | ast.Break) else after

    def _if(self, statement: ast.If, ends: OpenArrows, is_procedure: bool) -> OpenArrows:
        if _is_silent(statement, self.offers, self.functions):
            return ends
        after = self._leaves(statement.test, ends, is_procedure)
        if after == ends:  # nothing is said in the test: it is a condition
            condition = self.flow.box("condition", _short(ast.unparse(statement.test)), statement.lineno)
            self.flow.join(ends, condition)
            after = [(condition, "")]
        then = self._block(statement.body, _labelled(after, "yes"), is_procedure)
        other = self._block(statement.orelse, _labelled(after, "no"), is_procedure)
        if is_procedure:
            return [*then, *other]
        if then and (other or not statement.orelse):
            return ends
        return then or other

    def _loop(self, statement: ast.For | ast.While, ends: OpenArrows, is_procedure: bool) -> OpenArrows:
        if _is_silent(statement, self.offers, self.functions):
            return ends
        head = statement.iter if isinstance(statement, ast.For) else statement.test
        each = f"for {ast.unparse(statement.target)} in " if isinstance(statement, ast.For) else "while "
        text = each + ast.unparse(head)
        box = self.flow.box("condition", _short(text), statement.lineno)
        self.flow.join(ends, box)
        inner = self._block(statement.body, [(box, "each")], is_procedure)
        if not is_procedure:
            return ends
        self.flow.join(inner, box)
        return [(box, "over")]

    def _match(self, statement: ast.Match, ends: OpenArrows, is_procedure: bool) -> OpenArrows:
        box = self.flow.box("condition", _short(ast.unparse(statement.subject)), statement.lineno)
        self.flow.join(ends, box)
        found: OpenArrows = []
        for case in statement.cases:
            found += self._block(case.body, [(box, _short(ast.unparse(case.pattern)))], is_procedure)
        return [*found, (box, "else")] if is_procedure else ends

    def _leaves(self, node: ast.AST, ends: OpenArrows, is_procedure: bool) -> OpenArrows:
        """What is offered, asked or called in a statement, in order."""
        for call in _calls(node):
            made = self.offers.get(id(call))
            if made is not None:
                box = self._offer(made)
                self.flow.join(ends, box)
                ends = [(box, "")] if is_procedure and made.kind not in ("say", "only", "must") else ends
            elif isinstance(call.func, ast.Name) and call.func.id in self.functions:
                self.flow.join(ends, self.functions[call.func.id])
            elif _name(call.func) == "start" and call.args and _name(call.args[0]) in self.functions:
                self.flow.join(_labelled(ends, "starts"), self.functions[_name(call.args[0])])
        return ends

    def _offer(self, made: Made) -> int:
        ids = made.ids or (ast.unparse(made.call.args[0]) if made.call.args else "?",)
        effects = [_effect(link) for name, link in made.links if name == "then"]
        marks = "".join(f", {name}" for name, _ in made.links if name in ("once", "after", "ends"))
        kind: Kind = "response" if made.kind in ("say", "only", "must") else "step"
        return self.flow.box(kind, f"{made.kind} {' or '.join(ids)}{marks}", made.call.lineno, effects, ids)


def _is_silent(statement: ast.AST, offers: dict[int, Made], functions: dict[str, int]) -> bool:
    """Whether nothing is said, asked, called or ended in a statement: it is of no interest in a picture."""
    return not any(
        isinstance(node, ast.Return)
        or (isinstance(node, ast.Call) and (id(node) in offers or _name(node.func) in functions or _name(node.func) == "start"))
        for node in ast.walk(statement)
    )


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """Calls in a statement in the order in which they are written; a chain of links after the call it hangs on."""
    found = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    return iter(sorted(found, key=lambda one: (one.lineno, one.col_offset, -(one.end_col_offset or 0))))


def _labelled(ends: OpenArrows, text: str) -> OpenArrows:
    return [(source, text if not label else f"{label}, {text}") for source, label in ends]


def _effect(link: ast.Call) -> str:
    arguments = ", ".join(ast.unparse(one) for one in link.args[1:])
    return _short(f"{ast.unparse(link.args[0])}({arguments})" if link.args else "?", 60)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _short(text: str, most: int = 70) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


# -- counts: how often each line of logic was reached, by golden dialogues or by the turns of a log ----


@dataclass(frozen=True, slots=True)
class Counts:
    """Turns by line of logic.

    Attributes:
        offered: line -> turns in which it offered something. chosen: in which that was said.
    """

    offered: Counter[int] = field(default_factory=Counter)
    chosen: Counter[int] = field(default_factory=Counter)

    def of(self, box: Box) -> tuple[int, int] | None:
        """(offered, chosen) of a box; None for one that offers nothing itself."""
        return (self.offered[box.line], self.chosen[box.line]) if box.kind in ("response", "step") else None


def counts_of_coverage(path: Path, pack: str) -> Counts:
    """What a coverage file tells of a pack. Raises GoldenError."""
    found = read_counts(path).get(pack)
    if found is None:
        raise GoldenError(f"{path} tells nothing of {pack!r}", hint=f"constrained test {pack} --coverage {path}")
    return Counts(*(Counter({int(line): n for line, n in found[name].items()}) for name in ("lines", "chosen")))


def counts_of_log(records: Iterable[Record], logic: str) -> Counts:
    """What the turns of a log came to, of one logic file."""
    counts = Counts()
    name = Path(logic).name
    for record in records:
        obliged = [one.line for one in record.obligations]
        chosen = record.options[record.decision.index].line if 0 <= record.decision.index < len(record.options) else ""
        counts.offered.update({_line(place, name) for place in (*(one.line for one in record.options), *obliged)} - {0})
        counts.chosen.update({_line(place, name) for place in (chosen, *obliged)} - {0})
    return counts


def _line(place: str, name: str) -> int:
    """The line of ``FILE:LINE``, when it is of that file; else 0."""
    file, _, line = place.rpartition(":")
    return int(line) if line.isdigit() and Path(file).name == name else 0


# -- Mermaid: text that many editors and web pages draw ------------------------------------------------

_SHAPES = {"function": ("([", "])"), "condition": ("{", "}"), "response": ("[", "]"), "step": ("[[", "]]"), "end": ("((", "))")}


def markdown(flow: Flow, counts: Counts | None = None) -> str:
    """The picture as a Markdown page."""
    return f"# {flow.name}\n\n```mermaid\n{mermaid(flow, counts)}```\n"


def mermaid(flow: Flow, counts: Counts | None = None) -> str:
    """The whole picture; with counts, what nothing came to is marked."""
    lines = ["flowchart LR"]
    lines += [f"  n{box.number}{_box(box, counts)}" for box in flow.boxes]
    lines += [f"  n{one.source} -->{f'|{_quoted(one.text)}|' if one.text else ''} n{one.target}" for one in flow.arrows]
    if counts is not None:
        lines += ["  classDef come fill:#d9f2d9,stroke:#2e7d32", "  classDef missed fill:#fde0dc,stroke:#b71c1c"]
        for name, wanted in (("come", True), ("missed", False)):
            found = [f"n{box.number}" for box in flow.boxes if (count := counts.of(box)) is not None and (count[0] > 0) is wanted]
            lines += [f"  class {','.join(found)} {name}"] if found else []
    return "\n".join(lines) + "\n"


def _lines(box: Box, counts: Counts | None) -> list[str]:
    """The lines of text in a box."""
    count = counts.of(box) if counts is not None else None
    return [box.text, *(f"then {effect}" for effect in box.effects), *([f"offered {count[0]}, said {count[1]}"] if count else [])]


def _box(box: Box, counts: Counts | None) -> str:
    left, right = _SHAPES[box.kind]
    return f"{left}{_quoted('<br/>'.join(_plain(line) for line in _lines(box, counts)))}{right}"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "#quot;") + '"'


def _plain(text: str) -> str:
    """Without what Mermaid reads as markup."""
    return text.replace("&", "#amp;").replace("<", "#lt;").replace(">", "#gt;")
