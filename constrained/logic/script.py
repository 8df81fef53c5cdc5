"""A logic file as a syntax tree: its functions and constants, what an expression may hold, the conditions on the way to a line."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from constrained._values import parse_source
from constrained.errors import Problem

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda self: "UNKNOWN"})()


@dataclass(eq=False)
class Script:
    """One logic file, read but not run.

    Attributes:
        module_globals: the module's names as far as it has been executed; constants are read from it.
    """

    file: str
    text: str
    module_globals: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def tree(self) -> ast.Module:
        tree = parse_source(self.text)
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                child.parent = node  # type: ignore[attr-defined]  # ast nodes take attributes, their stubs do not say so
        return tree

    @cached_property
    def functions(self) -> dict[str, FunctionNode]:
        """Module-level functions by name."""
        return {node.name: node for node in self.tree.body if isinstance(node, FunctionNode)}

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """Module-level names that are assigned exactly once, with the expression assigned."""
        found: dict[str, list[ast.expr]] = {}
        for node in self.tree.body:
            for name, binding in _binds(node):
                if binding.expression is not None and not binding.path and not binding.is_loop:
                    found.setdefault(name, []).append(binding.expression)
        return {name: values[0] for name, values in found.items() if len(values) == 1}

    def function_at(self, line: int, name: str) -> FunctionNode | None:
        """The function of that name whose decorators or ``def`` begin at ``line``, wherever it is nested."""
        for node in ast.walk(self.tree):
            if isinstance(node, FunctionNode) and node.name == name and line in _first_lines(node):
                return node
        return None

    def called(self, root: FunctionNode) -> list[FunctionNode]:
        """``root`` and the functions of this file that it calls or begins, directly or through others."""
        found, todo = [], [root]
        while todo:
            node = todo.pop(0)
            if node in found:
                continue
            found.append(node)
            names = [call.func.id for call in body_nodes(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)]
            todo += [self.functions[name] for name in [*names, *self.begun(node)] if name in self.functions]
        return found

    def begun(self, node: FunctionNode) -> list[str]:
        """Names of the async functions of this file that a function hands on without calling them: ``start(blocking)``."""
        handed = [
            one.id
            for call in body_nodes(node)
            if isinstance(call, ast.Call)
            for one in call.args
            if isinstance(one, ast.Name) and one.id not in bindings(one)
        ]
        return [name for name in handed if isinstance(self.functions.get(name), ast.AsyncFunctionDef)]

    def problem(self, node: ast.AST, message: str, hint: str = "") -> Problem:
        return Problem(self.file, getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1, message, hint)

    # -- what an expression may hold -----------------------------------------------------------------

    def value(self, node: ast.expr) -> Any:
        """The value of a constant expression: a literal or a module constant; UNKNOWN when it is neither."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name) and node.id not in bindings(node):
            return self._constant(node.id)
        if isinstance(node, ast.Attribute):
            owner = self.value(node.value)
            return UNKNOWN if owner is UNKNOWN or not isinstance(owner, type) else getattr(owner, node.attr, UNKNOWN)
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return self._items(node)

    def _items(self, node: ast.expr) -> Any:
        """What is no literal as a whole may still be a tuple or list of constants."""
        if not isinstance(node, ast.Tuple | ast.List):
            return UNKNOWN
        items = [self.value(item) for item in node.elts]
        return UNKNOWN if any(item is UNKNOWN for item in items) else tuple(items)

    def _constant(self, name: str) -> Any:
        if name in self.constants:
            return self.module_globals[name] if name in self.module_globals else self.value(self.constants[name])
        known = self.module_globals.get(name, UNKNOWN)
        return known if isinstance(known, type) else UNKNOWN

    def values(self, node: ast.expr, seen: frozenset[str] = frozenset()) -> list[Any] | None:
        """All values that an expression may have, where the file alone tells; None where it does not."""
        if isinstance(node, ast.IfExp):
            return _union(self.values(node.body, seen), self.values(node.orelse, seen))
        if isinstance(node, ast.BoolOp):
            return _union(*(self.values(value, seen) for value in node.values))
        if isinstance(node, ast.NamedExpr):
            return self.values(node.value, seen)
        if isinstance(node, ast.Subscript):
            return self._looked_up(node)
        if isinstance(node, ast.Name) and node.id in bindings(node):
            return None if node.id in seen else self._bound(bindings(node)[node.id], seen | {node.id})
        value = self.value(node)
        return None if value is UNKNOWN else [value]

    def _looked_up(self, node: ast.Subscript) -> list[Any] | None:
        """``TABLE[key]``: any value of a constant table."""
        table = self.value(node.value)
        if isinstance(table, Mapping):
            return list(table.values())
        return list(table) if isinstance(table, tuple | list) else None

    def _bound(self, sources: list[Binding], seen: frozenset[str]) -> list[Any] | None:
        return _union(*(self._from(source, seen) for source in sources))

    def _from(self, source: Binding, seen: frozenset[str]) -> list[Any] | None:
        if source.expression is None:
            return None
        if not source.is_loop:
            return self.values(source.expression, seen) if not source.path else None
        items = self.value(source.expression)
        if isinstance(items, Mapping):
            items = tuple(items)
        if not isinstance(items, tuple | list | frozenset | range):
            return None
        return [item for whole in items if (item := _part(whole, source.path)) is not UNKNOWN]


@dataclass(frozen=True, slots=True)
class Binding:
    """One place where a function gives a local name a value.

    Attributes:
        expression: what is assigned or iterated over; None when the value comes from elsewhere (a parameter).
        path: which part of it, where a tuple is unpacked.
    """

    expression: ast.expr | None
    is_loop: bool = False
    path: tuple[int, ...] = ()


def body_nodes(function: FunctionNode) -> Iterator[ast.AST]:
    """Every node of a function's body: what runs when it is called. Decorators and defaults ran before."""
    for statement in function.body:
        yield from ast.walk(statement)


def bindings(node: ast.AST) -> dict[str, list[Binding]]:
    """Local names of the functions that enclose ``node``, with every place that binds them."""
    found: dict[str, list[Binding]] = {}
    scope: ast.AST | None = node
    while scope is not None:
        if isinstance(scope, FunctionNode | ast.Lambda):
            for name, sources in _bound_in(scope).items():
                found.setdefault(name, sources)
        scope = getattr(scope, "parent", None)
    return found


def _bound_in(scope: FunctionNode | ast.Lambda) -> dict[str, list[Binding]]:
    cached: dict[str, list[Binding]] | None = getattr(scope, "bound", None)
    if cached is None:
        cached = {}
        for name, binding in [*_parameters(scope), *(pair for node in ast.walk(scope) for pair in _binds(node))]:
            cached.setdefault(name, []).append(binding)
        scope.bound = cached  # type: ignore[union-attr]  # as above
    return cached


def _parameters(scope: FunctionNode | ast.Lambda) -> Iterator[tuple[str, Binding]]:
    arguments = scope.args
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
        if argument is not None:
            yield argument.arg, Binding(None)


def _binds(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _targets(target, node.value, False)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield from _targets(node.target, node.value, False)
    elif isinstance(node, ast.For | ast.comprehension):
        yield from _targets(node.target, node.iter, True)
    elif isinstance(node, ast.AugAssign):
        yield from _targets(node.target, None, False)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _targets(node.optional_vars, None, False)
    elif isinstance(node, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and node.name:
        yield node.name, Binding(None)


def _targets(target: ast.expr, source: ast.expr | None, is_loop: bool, path: tuple[int, ...] = ()) -> Iterator[tuple[str, Binding]]:
    if isinstance(target, ast.Name):
        yield target.id, Binding(source, is_loop, path)
    elif isinstance(target, ast.Tuple | ast.List):
        for index, item in enumerate(target.elts):
            yield from _targets(item, source, is_loop, (*path, index))
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, None, is_loop)


def _part(value: Any, path: tuple[int, ...]) -> Any:
    for index in path:
        if not isinstance(value, tuple | list | str) or index >= len(value):
            return UNKNOWN
        value = value[index]
    return value


def _union(*several: list[Any] | None) -> list[Any] | None:
    found: list[Any] = []
    for values in several:
        if values is None:
            return None
        found += [value for value in values if value not in found]
    return found


def _first_lines(node: FunctionNode) -> set[int]:
    return {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}


# -- conditions on the way to a line -----------------------------------------------------------------


def specificity_by_line(script: Script, root: FunctionNode) -> dict[int, int]:
    """Line -> number of atomic conditions on the way to it, for the policy and the functions that it calls.

    ``if a and b`` counts two, ``elif c`` after it one more, ``else`` as much as all that were tested; a ``case`` counts
    one and its guard. A function that is called under conditions starts with the fewest of its calls.
    """
    functions = script.called(root)
    local = {function.name: _local(function) for function in functions}
    starts = _starts(script, root, functions, local)
    lines: dict[int, int] = {}
    for function in functions:
        for line, count in local[function.name].items():
            lines[line] = max(lines.get(line, 0), count + starts.get(function.name, 0))
    return lines


def _starts(script: Script, root: FunctionNode, functions: list[FunctionNode], local: dict[str, dict[int, int]]) -> dict[str, int]:
    """Function name -> fewest conditions on the way to a call of it. Shortest paths, settled one function at a time."""
    starts: dict[str, int] = {root.name: 0}
    settled: set[str] = set()
    while todo := [function for function in functions if function.name in starts and function.name not in settled]:
        caller = min(todo, key=lambda function: starts[function.name])
        settled.add(caller.name)
        for call in body_nodes(caller):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in script.functions:
                cost = starts[caller.name] + local[caller.name].get(call.lineno, 0)
                starts[call.func.id] = min(starts.get(call.func.id, cost), cost)
    return starts


def _local(function: FunctionNode) -> dict[int, int]:
    lines: dict[int, int] = {}
    _mark(function.body, 0, lines)
    return lines


def _mark(block: list[ast.stmt], count: int, lines: dict[int, int]) -> None:
    for statement in block:
        last = statement.end_lineno or statement.lineno
        for line in range(statement.lineno, last + 1):
            lines[line] = max(lines.get(line, 0), count)
        for inner, more in _branches(statement):
            _mark(inner, count + more, lines)


def _branches(statement: ast.stmt) -> list[tuple[list[ast.stmt], int]]:
    """The blocks of a statement, with the conditions that each adds."""
    if isinstance(statement, ast.If):
        n = _atoms(statement.test)
        return [(statement.body, n), (statement.orelse, n)]
    if isinstance(statement, ast.While):
        return [(statement.body, _atoms(statement.test)), (statement.orelse, 0)]
    if isinstance(statement, ast.Match):
        return [(case.body, 1 + (_atoms(case.guard) if case.guard else 0)) for case in statement.cases]
    blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [handler.body for handler in getattr(statement, "handlers", [])]
    return [(block, 0) for block in blocks if block]


def _atoms(test: ast.expr) -> int:
    """Operands of ``and`` and ``or``, through ``not``."""
    if isinstance(test, ast.BoolOp):
        return sum(map(_atoms, test.values))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _atoms(test.operand)
    return 1
