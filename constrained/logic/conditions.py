"""Specificity: how many conditions lie on the way to a line of a logic file. Knows no catalog."""

from __future__ import annotations

import ast

from constrained.logic.script import FunctionNode, Script, body_nodes


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
