"""The decision logic: a pure function of state and heard, matched against its catalog when it is registered.

    @policy("tavern")
    def innkeeper(state: Tavern, heard: Heard):
        yield say("greet")

Knows no message and no model. What a policy yields becomes options in ``allow``.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import update_wrapper
from itertools import islice
from pathlib import Path
from types import FunctionType
from typing import Any

from constrained.catalog.response import Catalog
from constrained.errors import ConstrainedError, PackError, PolicyError, Problem
from constrained.logic.conditions import specificity_by_line
from constrained.logic.matching import mismatches
from constrained.logic.offers import find_offers, foreign
from constrained.logic.options import Offer
from constrained.logic.place import source_text
from constrained.logic.purity import impurities
from constrained.logic.script import FunctionNode, Script
from constrained.logic.state import State
from constrained.logic.understanding import Understanding

MOST_OFFERS = 100_000  # a policy that yields more never ends
_OFFERS = frozenset((Offer,))


class Policy:
    """A policy function with its catalog; made by ``@policy``. Immutable.

    Attributes:
        state_type: the State that it reads; ``heard_type``: the Understanding, or None when it reads none.
        source: text of the logic file; ``rules``: text of the function; ``hash``: ``sha256:`` over ``source``.
        file: path of the logic file; ``line``: where the function begins.
    """

    def __init__(
        self, function: FunctionType, catalog: Catalog, name: str, script: Script, node: FunctionNode, parameters: Mapping[str, type]
    ) -> None:
        kinds = list(parameters.values())
        self.name = name
        self.catalog = catalog
        self.state_type: type[State] = kinds[0]
        self.heard_type: type[Understanding] | None = kinds[1] if len(kinds) > 1 else None
        self.file = script.file
        self.line = _first_line(node)
        self.source = script.text
        self.rules = "\n".join(script.text.splitlines()[_first_line(node) - 1 : node.end_lineno]) + "\n"
        self.hash = _hash(script.text)
        self.cache: dict[Any, Any] = {}  # of ``allow``: what became of offers without slots
        self.function_name = function.__name__
        self._function = function
        self._lines = specificity_by_line(script, node)
        self.script, self._node = script, node
        update_wrapper(self, function)

    def __call__(self, state: State, heard: Understanding | None = None) -> tuple[Offer, ...]:
        """What the policy yields, in order. Raises PolicyError, with file and line, for anything but offers."""
        arguments = (state,) if self.heard_type is None else (state, self.heard_type() if heard is None else heard)
        try:
            offers = tuple(islice(self._function(*arguments), MOST_OFFERS + 1))
        except ConstrainedError:
            raise
        except Exception as error:  # whatever a policy raises, its host gets the line of logic and a typed error
            raise self._failed(error) from error
        if len(offers) > MOST_OFFERS or not _OFFERS.issuperset(map(type, offers)):
            raise self._misyielded(arguments)
        return offers

    def specificity(self, line: int) -> int:
        """Number of conditions on the way to a line of the logic file; 0 for a line outside the policy."""
        return self._lines.get(line, 0)

    def impurities(self) -> list[Problem]:
        """What the policy does that a pure function does not, as far as its text tells."""
        return list(impurities(self.script, self.script.called(self._node)))

    def __repr__(self) -> str:
        return f"<Policy {self.name!r} {self.file}:{self.line}>"

    def _misyielded(self, arguments: tuple[Any, ...]) -> PolicyError:
        """Runs the policy again, up to the yield that is wrong, to name its line."""
        running = self._function(*arguments)
        for number, offer in enumerate(running):
            if type(offer) is not Offer:
                message, hint = f"yielded {type(offer).__name__} {offer!r:.60}", "yield say(...), only(...) or must(...)"
            elif number >= MOST_OFFERS:
                message, hint = f"yields more than {MOST_OFFERS:,} offers", "loop over a tuple of the State, or over a constant"
            else:
                continue
            return PolicyError(f"the policy {self.name!r} {message}", [Problem(self.file, _line_of(running), 0, message, hint)])
        return PolicyError(f"the policy {self.name!r} is not deterministic", hint="equal state and heard must yield equal offers")

    def _failed(self, error: Exception) -> PolicyError:
        line, trace = self._node.lineno, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.file:
                line = trace.tb_lineno
            trace = trace.tb_next
        problem = Problem(self.file, line, 0, f"{type(error).__name__}: {error}", "a policy answers for every state and everything heard")
        return PolicyError(f"the policy {self.name!r} failed", [problem])


def policy(catalog: str | Path | Catalog) -> Callable[[Callable[..., Any]], Policy]:
    """Registers a function ``(state, heard)`` or ``(state)`` that yields offers, and matches it against its catalog.

    Args:
        catalog: a Catalog, a path to a YAML file, or a name: ``catalogs/NAME.yaml`` in the parent of the logic
            file's folder, then in the working directory, then among the packs shipped with the package.

    Raises:
        PolicyError: the function and the catalog do not fit, or the function is not pure; every reason at once.
        CatalogError: the catalog may not be used. PackError: there is no such catalog.
    """

    def register(function: Callable[..., Any]) -> Policy:
        if not isinstance(function, FunctionType):
            raise PolicyError(f"@policy decorates a function, not {type(function).__name__}", hint="def name(state: ..., heard: ...):")
        local_names = dict(sys._getframe(1).f_locals)
        script, node = _read(function)
        parameters, problems = _parameters(script, node, function, local_names)
        name, loaded = _catalog(catalog, Path(function.__code__.co_filename))
        functions = script.called(node)
        problems += _generator(script, node)
        problems += mismatches(script, find_offers(script, functions), loaded, parameters, node)
        problems += foreign(script, functions)
        problems += impurities(script, functions)
        if problems:
            raise PolicyError(f"the policy {function.__name__} does not fit the catalog {loaded.name!r}", problems)
        return Policy(function, loaded, name, script, node, parameters)

    return register


def _read(function: FunctionType) -> tuple[Script, FunctionNode]:
    file = function.__code__.co_filename
    linecache.checkcache(file)
    script = Script(file, source_text(file, function.__globals__), function.__globals__)
    node = script.function_at(function.__code__.co_firstlineno, function.__name__) if script.text else None
    if node is None:
        raise PolicyError(
            f"the source of the policy {function.__name__} is not at hand", hint="write it into a file: it is hashed, shown and checked"
        )
    return script, node


def _catalog(given: str | Path | Catalog, file: Path) -> tuple[str, Catalog]:
    if isinstance(given, Catalog):
        return given.name, given
    from constrained.catalog.load import load_catalog

    if not isinstance(given, str | Path):
        raise PolicyError(f"@policy takes a name, a path or a Catalog, not {type(given).__name__}", hint='@policy("tavern")')
    if isinstance(given, Path) or given.endswith((".yaml", ".yml")):
        loaded = load_catalog(_existing(Path(given), file))
        return loaded.name, loaded
    from constrained.folders import catalog_path

    return given, load_catalog(catalog_path(given, beside=file.resolve().parent.parent))


def _existing(path: Path, file: Path) -> Path:
    """A relative path is looked up in the working directory, then beside the logic file."""
    beside = file.resolve().parent / path
    if not path.is_file() and not beside.is_file():
        raise PackError(f"there is no catalog {path}", name=str(path), searched=(Path.cwd(), beside.parent), hint="check the path")
    return path if path.is_file() else beside


def _parameters(
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


def _generator(script: Script, node: FunctionNode) -> list[Problem]:
    if any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in _own(node)):
        return []
    return [script.problem(node, f"{node.name} yields nothing: a policy is a generator", "yield say(...)")]


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, FunctionNode | ast.Lambda | ast.GeneratorExp):
            yield from _own(child)


def _hash(text: str) -> str:
    import hashlib  # loads OpenSSL

    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _first_line(node: FunctionNode) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _line_of(running: Any) -> int:
    """The line at which a generator stands, in the innermost of ``yield from``."""
    while inspect.isgenerator(inner := getattr(running, "gi_yieldfrom", None)):
        running = inner
    frame = getattr(running, "gi_frame", None)
    return frame.f_lineno if frame is not None else 0
