"""Where something was written: turns a class or a frame into file and line for error messages. Knows no rules."""

from __future__ import annotations

import ast
import linecache
import os
import sys
from types import FrameType

import pydantic

from constrained.errors import Problem

_OURS = os.path.dirname(os.path.abspath(__file__))
_PYDANTIC = os.path.dirname(os.path.abspath(pydantic.__file__))


def caller() -> tuple[str, int]:
    """File and line of the nearest frame outside this package, pydantic and the class machinery."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((_OURS, _PYDANTIC, "<frozen")):
        frame = frame.f_back
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def field_problem(cls: type, field: str, message: str, hint: str) -> Problem:
    """A problem with one field of a class that is being defined, at the line of the field."""
    file, line = caller()
    return Problem(file, _field_line(file, line, cls.__name__, field), 0, f"{cls.__name__}.{field}: {message}", hint)


def source_text(file: str, module_globals: dict[str, object] | None = None) -> str:
    """The text of a source file with newlines as ``\\n``; empty when there is none (an interactive session)."""
    return "".join(linecache.getlines(file, module_globals))


def _field_line(file: str, near: int, class_name: str, field: str) -> int:
    """The line of ``field: ...`` in the class statement at or after line ``near``; ``near`` if it is not found."""
    text = source_text(file)
    if not text:
        return near
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef) and node.name == class_name]
    nearest = min(classes, key=lambda node: abs(node.lineno - near), default=None)
    for statement in nearest.body if nearest else ():
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == field for target in targets):
            return statement.lineno
    return near
