"""Reads the Python export of an Agent Builder workflow by its syntax tree; nothing of it is run."""

from __future__ import annotations

import ast
import re

from constrained.cli.importing.workflow import (
    APPROVALS,
    ENTRIES,
    PARTS,
    REASONS,
    TOOLS,
    Agent,
    Branch,
    Condition,
    End,
    Loop,
    Node,
    Other,
    Run,
    Workflow,
)
from constrained.errors import DataError

EMPTY_BLOCKS = 50


def read_python(text: str, file: str) -> Workflow:
    """The workflow in ``text``. Raises DataError where it is not Python."""
    found = Workflow(file)
    tree = _parsed(text, found)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(_called(one) == "function_tool" for one in node.decorator_list):
                found.others.append(Other("tool", node.name, node.lineno, REASONS["tool"]))
            elif node.name in ENTRIES:
                found.nodes, found.line = _Reader().block(node.body), node.lineno
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            _definition(node, found)
        elif isinstance(node, ast.ClassDef) and node.name.endswith("Schema"):
            found.others.append(Other("output", node.name, node.lineno, REASONS["output"]))
    return found


def _parsed(text: str, found: Workflow) -> ast.Module:
    """The syntax tree. The export leaves blocks without nodes empty (``else:``), which is not Python: ``pass`` is put there, and told."""
    lines = text.split("\n")
    for _ in range(EMPTY_BLOCKS):
        try:
            return ast.parse("\n".join(lines))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            empty = re.search(r"expected an indented block after .* on line (\d+)", str(error))
            line = getattr(error, "lineno", 0) or 0
            if empty is None or not lines[int(empty[1]) - 1].rstrip().endswith(":"):
                hint = "correct that line; nothing of the file was read"
                raise DataError(f"{found.file}:{line} is not Python: {error}", hint=hint) from error
            line = int(empty[1])
            found.others.append(Other("syntax", lines[line - 1].strip(), line, "a block without a line: read as one that does nothing"))
            lines[line - 1] = f"{lines[line - 1].rstrip()} pass"
    raise DataError(f"{found.file} has more than {EMPTY_BLOCKS} empty blocks", hint="write pass into them")


def _definition(node: ast.Assign | ast.AnnAssign, found: Workflow) -> None:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    name, value = ast.unparse(target), node.value
    called = _called(value)
    if isinstance(value, ast.Call) and called == "Agent":
        given = {one.arg: one.value for one in value.keywords if one.arg}
        parts = []
        for key, kind in PARTS.items():
            for one in _elements(given.get(key)):
                parts.append((kind, ast.unparse(one) if kind != "instructions" else name, one.lineno))
        found.agents[name] = Agent(name, _literal(given.get("name")) or name, found.file, node.lineno, tuple(parts))
    elif called in TOOLS:
        found.others.append(Other("tool", name, node.lineno, REASONS["tool"]))
    elif "guardrail" in name.lower() and isinstance(value, ast.Dict):
        found.others.append(Other("guardrail", name, node.lineno, REASONS["guardrail"]))


def _elements(value: ast.expr | None) -> list[ast.expr]:
    if value is None:
        return []
    return list(value.elts) if isinstance(value, ast.List | ast.Tuple) else [value]


def _called(node: ast.AST | None) -> str:
    """The last name of what is called: ``run`` of ``Runner.run(...)``; a bare name counts too."""
    node = node.value if isinstance(node, ast.Await) else node
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _literal(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


class _Reader:
    """Statements of the entry function as nodes; knows the texts that variables were given."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def block(self, body: list[ast.stmt]) -> list[Node]:
        return [node for statement in body for node in self._statement(statement)]

    def _statement(self, node: ast.stmt) -> list[Node]:
        if isinstance(node, ast.With | ast.AsyncWith):
            return self.block(node.body)
        if isinstance(node, ast.Try):
            return self.block([*node.body, *node.orelse, *node.finalbody])
        if isinstance(node, ast.If):
            return self._branch(node)
        if isinstance(node, ast.While):
            return [Loop(self._condition(node.test), self.block(node.body), node.lineno)]
        if isinstance(node, ast.For | ast.AsyncFor):
            return [Other("loop", ast.unparse(node.target), node.lineno, REASONS["loop"]), *self.block(node.body)]
        if isinstance(node, ast.Return):
            run = self._run(node.value, "", node.lineno)
            return [*run, End("" if run else self._text(node.value), node.lineno)]
        if isinstance(node, ast.Assign | ast.AnnAssign):
            return self._assignment(node)
        if isinstance(node, ast.Expr):
            return self._run(node.value, "", node.lineno)
        return []

    def _branch(self, node: ast.If) -> list[Node]:
        cases = [(self._condition(node.test), self.block(node.body))]
        rest = node.orelse
        while len(rest) == 1 and isinstance(rest[0], ast.If):
            cases.append((self._condition(rest[0].test), self.block(rest[0].body)))
            rest = rest[0].orelse
        return [Branch(cases, self.block(rest), node.lineno)]

    def _assignment(self, node: ast.Assign | ast.AnnAssign) -> list[Node]:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        name = ast.unparse(target)
        self._texts[name] = self._text(node.value)
        if isinstance(target, ast.Subscript | ast.Attribute) and name.startswith("state"):
            return [Other("state", name, node.lineno, REASONS["state"])]
        return self._run(node.value, name, node.lineno)

    def _run(self, value: ast.expr | None, result: str, line: int) -> list[Node]:
        call = value.value if isinstance(value, ast.Await) else value
        if not isinstance(call, ast.Call):
            return []
        called = _called(call)
        if called in ("run", "run_streamed", "run_sync") and call.args:
            return [Run(ast.unparse(call.args[0]), result, line)]
        if "guardrail" in called.lower():
            return [Other("guardrail", called, line, REASONS["guardrail"])] if isinstance(value, ast.Await) else []
        if isinstance(value, ast.Await):
            return [Other("call", ast.unparse(call.func), line, REASONS["call"])]
        return []

    def _condition(self, test: ast.expr) -> Condition:
        text, line = ast.unparse(test), test.lineno
        if isinstance(test, ast.Call) and _called(test) in APPROVALS:
            return Condition(text, line, approval=self._text(test.args[0]) if test.args else "")
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq) and _literal(test.comparators[0]):
            return Condition(text, line, ast.unparse(test.left), _literal(test.comparators[0]))
        return Condition(text, line)

    def _text(self, value: ast.expr | None) -> str:
        """The text that ``value`` says: a literal, a variable with one, or the only text of an object."""
        if isinstance(value, ast.Name):
            return self._texts.get(value.id, "")
        if isinstance(value, ast.Dict):
            return _literal(value.values[0]) if len(value.values) == 1 else ""
        return _literal(value)
