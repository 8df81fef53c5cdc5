"""What a policy and a procedure have in common when they are registered: source, catalog and signature."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from constrained._values import source_text
from constrained.catalog.response import Catalog
from constrained.errors import PackError, PolicyError, Problem
from constrained.logic.script import FunctionNode, Script
from constrained.logic.state import State
from constrained.understanding.hearing import Understanding


def read(function: FunctionType) -> tuple[Script, FunctionNode]:
    """The file of a function as a syntax tree, and the function in it."""
    file = function.__code__.co_filename
    linecache.checkcache(file)
    script = Script(file, source_text(file, function.__globals__), function.__globals__)
    node = script.function_at(function.__code__.co_firstlineno, function.__name__) if script.text else None
    if node is None:
        raise PolicyError(
            f"the source of the policy {function.__name__} is not at hand", hint="write it into a file: it is hashed, shown and checked"
        )
    return script, node


def catalog_of(given: str | Path | Catalog, file: Path) -> tuple[str, Catalog]:
    """Name and catalog of what a decorator was given."""
    if isinstance(given, Catalog):
        return given.name, given
    if not isinstance(given, str | Path):
        raise PolicyError(f"@policy takes a name, a path or a Catalog, not {type(given).__name__}", hint='@policy("tavern")')
    if isinstance(given, Path) or given.endswith((".yaml", ".yml")):
        loaded = Catalog.load(existing(Path(given), file))
        return loaded.name, loaded
    from constrained.pack_folders import catalog_path

    return given, Catalog.load(catalog_path(given, beside=file.resolve().parent.parent))


def existing(path: Path, file: Path) -> Path:
    """A relative path is looked up beside the logic file, then in the working directory. Raises PackError."""
    folder = file.resolve().parent
    found = next((one for one in (folder / path, path) if one.is_file()), None)  # an absolute path stays as it is behind a folder
    if found is None:
        searched = tuple(dict.fromkeys((folder, Path.cwd())))
        where = "" if path.is_absolute() else f" in {' or '.join(map(str, searched))}"
        hint = "put the file there, or correct the path"
        raise PackError(f"there is no catalog {path}{where}", name=str(path), searched=searched, hint=hint)
    return found


def parameters_of(
    script: Script, node: FunctionNode, function: FunctionType, local_names: dict[str, Any]
) -> tuple[dict[str, type], list[Problem]]:
    """Parameter name -> State or Understanding type, in order, and what is wrong with the signature."""
    found = list(inspect.signature(function).parameters.values())
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not 1 <= len(found) <= 2 or any(one.kind not in plain or one.default is not one.empty for one in found):
        names = ", ".join(map(str, found))
        return {}, [script.problem(node, f"{function.__name__}({names}) is not (state) or (state, heard)", _SIGNATURE)]
    parameters: dict[str, type] = {}
    problems = []
    for one, base in zip(found, (State, Understanding), strict=False):
        kind = _resolved(one.annotation, function, local_names)
        if isinstance(kind, type) and issubclass(kind, base):
            parameters[one.name] = kind
        else:
            shown = "nothing" if one.annotation is one.empty else getattr(kind, "__name__", str(kind))
            problems.append(
                script.problem(node, f"the parameter {one.name!r} is annotated with {shown}, not with a {base.__name__}", _SIGNATURE)
            )
    return parameters, problems


_SIGNATURE = "def name(state: YourState, heard: YourHeard): with a State, and an Understanding if it reads one"


def _resolved(annotation: Any, function: FunctionType, local_names: dict[str, Any]) -> Any:
    """An annotation, also one written as text (``from __future__ import annotations``)."""
    if not isinstance(annotation, str):
        return annotation
    name: Any = None
    for part in annotation.split("."):
        known = {**function.__globals__, **local_names}
        name = known.get(part) if name is None else getattr(name, part, None)
    return annotation if name is None else name


def generator(script: Script, node: FunctionNode) -> list[Problem]:
    """Whether a policy function is one."""
    if isinstance(node, ast.AsyncFunctionDef):
        hint = "write def, not async def; steps that wait are a @procedure's"
        return [script.problem(node, f"{node.name} is async: a policy waits for nothing", hint)]
    if any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in _own(node)):
        return []
    return [script.problem(node, f"{node.name} yields nothing: a policy is a generator", "yield say(...)")]


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, FunctionNode | ast.Lambda | ast.GeneratorExp):
            yield from _own(child)


def text_hash(text: str) -> str:
    """``sha256:`` and hex digits."""
    import hashlib  # loads OpenSSL

    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def first_line(node: FunctionNode) -> int:
    """The line of the first decorator, else of the ``def``."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
