"""What a logic file consists of, part by part, to tell a change that no offer's conditions show. Runs nothing."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from constrained.logic.script import Script

IMPORTS = "imports"
MOST_LINES = 40  # of one part that are shown


def parts(script: Script) -> dict[str, str]:
    """Name -> code of each function, class and assignment of a file, without its comments and the way it is laid out."""
    found: dict[str, list[str]] = {}
    for node in script.tree.body:
        found.setdefault(_name(node), []).append(ast.unparse(node))
    return {name: "\n".join(code) for name, code in found.items()}


def changed_parts(old: Script, new: Script) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, what happened to it, and the lines before (``- ``) and after (``+ ``) of each part that differs."""
    before, after = parts(old), parts(new)
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if was != now:
            what = "new code" if was is None else "code taken out" if now is None else "code changed"
            yield name, what, tuple(_lines(was or "", now or ""))


def _name(node: ast.stmt) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return IMPORTS
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign):
        return ", ".join(map(ast.unparse, node.targets))
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return ast.unparse(node.target)
    return "docstring" if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else "other statements"


def _lines(was: str, now: str) -> list[str]:
    told = [line for line in difflib.ndiff(was.splitlines(), now.splitlines()) if line[:2] in ("- ", "+ ") and line[2:].strip()]
    rest = len(told) - MOST_LINES
    return told if rest <= 0 else [*told[:MOST_LINES], f"+ ({rest} more lines)"]
