"""What a policy may not do, found in the text of its logic file: write, read the clock, draw lots, talk to the world.

Purity is what makes a policy testable, replayable and checkable. The checks are static and name the line; what
they cannot see, ``check`` finds by running.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator, Sequence

from constrained.errors import Problem
from constrained.logic.effects import EffectKind
from constrained.logic.script import FunctionNode, Script, bindings, body_nodes
from constrained.logic.source_offers import is_step

_CALLS = {
    "open": "reads or writes files",
    "print": "writes to the terminal",
    "input": "waits for the terminal",
    "eval": "runs text as code",
    "exec": "runs text as code",
    "compile": "runs text as code",
    "__import__": "imports",
    "breakpoint": "stops",
    "globals": "reaches past its arguments",
    "locals": "reaches past its arguments",
    "vars": "reaches past its arguments",
    "setattr": "writes",
    "delattr": "writes",
    "id": "differs between runs",
    "hash": "differs between runs",
}
_MODULES = {
    "random": "draws lots",
    "secrets": "draws lots",
    "uuid": "draws lots",
    "time": "reads the clock",
    "os": "talks to the system",
    "sys": "talks to the system",
    "io": "reads or writes files",
    "pathlib": "reads or writes files",
    "shutil": "reads or writes files",
    "tempfile": "reads or writes files",
    "socket": "talks to the network",
    "subprocess": "starts programs",
    "requests": "talks to the network",
    "httpx": "talks to the network",
    "urllib": "talks to the network",
    "http": "talks to the network",
    "threading": "starts threads",
    "multiprocessing": "starts programs",
    "asyncio": "waits",
    "logging": "writes to the log",
    "sqlite3": "reads or writes files",
    "importlib": "imports",
    "numpy": "is not one of a logic file's imports",
}
_CLOCK = frozenset(("now", "today", "utcnow"))
_CHANGES = frozenset(
    name
    for kind, same in ((list, tuple), (dict, types.MappingProxyType), (set, frozenset), (object, type(None)))
    for name in vars(kind)
    if name not in vars(same) and not name.startswith("__") and name not in ("copy", "fromkeys")
) | {"__setattr__", "__setitem__"}  # the methods that a mutable container has beside its immutable twin
_HINT = "a policy only reads state and heard, and yields; what it needs to know belongs in the State, what it does in an @effect"


def impurities(script: Script, functions: Sequence[FunctionNode]) -> Iterator[Problem]:
    """Every impure act of these functions, each with its line."""
    for function in functions:
        yield from _signature(script, function)
        if isinstance(function, ast.AsyncFunctionDef):
            yield from _endless(script, function)
        for node in body_nodes(function):
            for message, hint in _acts(script, node):
                yield script.problem(node, message, hint or _HINT)


_STEPS_HINT = (
    "await tell, ask, confirm, perform, or an async function of this file; what must be waited for is the host's: "
    "an effect does it, perform() waits for it, and the State holds what came of it"
)


def _is_ours(script: Script, awaited: ast.expr) -> bool:
    """Whether an awaited expression is a step, a name for one, or a call of a plain async function of the file."""
    while isinstance(awaited, ast.Call) and isinstance(awaited.func, ast.Attribute) and awaited.func.attr == "then":
        awaited = awaited.func.value
    if isinstance(awaited, ast.Name):
        sources = [source.expression for source in bindings(awaited).get(awaited.id, [])]
        return bool(sources) and all(isinstance(source, ast.Call) and _is_ours(script, source) for source in sources)
    if not isinstance(awaited, ast.Call):
        return False
    if isinstance(awaited.func, ast.Name) and awaited.func.id in script.functions and awaited.func.id not in bindings(awaited.func):
        function = script.functions[awaited.func.id]
        return isinstance(function, ast.AsyncFunctionDef) and not function.decorator_list
    return is_step(script, awaited.func)


def _endless(script: Script, function: ast.AsyncFunctionDef) -> Iterator[Problem]:
    """What could keep a procedure from ever ending, or from being let go."""
    for node in body_nodes(function):
        if isinstance(node, ast.While):
            yield script.problem(node, "while: nothing bounds how often a procedure asks", "write for _ in range(3)")
        elif isinstance(node, ast.Try) and any(isinstance(one, ast.Await) for final in node.finalbody for one in ast.walk(final)):
            yield script.problem(node, "await in finally: a procedure may be let go at any step", "await it in the body")
        elif isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) in ("BaseException", "Exception")):
            yield script.problem(node, "except: catches more than an answer that did not come", "except GaveUp")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and function in _awaited(script, node.func.id, set()):
            yield script.problem(node, f"{function.name} comes back to itself", "write a for loop with a bound")


def _awaited(script: Script, name: str, seen: set[str]) -> list[FunctionNode]:
    """The async functions of the file that come about when ``name`` is called."""
    function = script.functions.get(name)
    if name in seen or not isinstance(function, ast.AsyncFunctionDef):
        return []
    seen.add(name)
    calls = [one.func.id for one in body_nodes(function) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)]
    return [function, *(found for call in calls for found in _awaited(script, call, seen))]


def _signature(script: Script, function: FunctionNode) -> Iterator[Problem]:
    for default in [*function.args.defaults, *function.args.kw_defaults]:
        if isinstance(default, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
            yield script.problem(default, "a mutable default argument keeps what earlier turns left in it", "use a tuple or None")


def _acts(script: Script, node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield "an import inside a policy", "import at the top of the file"
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield f"{type(node).__name__.lower()} {', '.join(node.names)}: a policy keeps nothing between turns", ""
    elif isinstance(node, ast.Await) and not _is_ours(script, node.value):
        yield f"await {ast.unparse(node.value)[:60]}: a procedure awaits its own steps only", _STEPS_HINT
    elif isinstance(node, ast.AsyncFor | ast.AsyncWith):
        yield f"{'async for' if isinstance(node, ast.AsyncFor) else 'async with'}: a procedure awaits its own steps only", _STEPS_HINT
    elif isinstance(node, ast.Attribute | ast.Subscript):
        yield from _write(script, node)
        yield from _clock_or_module(script, node)
    elif isinstance(node, ast.Call):
        yield from _call(script, node)
    elif isinstance(node, ast.Name):
        yield from _module(script, node)


def _write(script: Script, node: ast.Attribute | ast.Subscript) -> Iterator[tuple[str, str]]:
    if isinstance(node.ctx, ast.Store | ast.Del) and not _is_local_container(node):
        yield f"{ast.unparse(node)} is written: facts change in effects, never in a policy", ""


def _is_local_container(node: ast.Attribute | ast.Subscript) -> bool:
    """``seen[key] = ...`` on a container that the function itself made."""
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and _is_made_here(node.value)


def _is_made_here(name: ast.Name) -> bool:
    sources = bindings(name).get(name.id, [])
    return bool(sources) and all(source.expression is not None and not source.is_loop and _makes(source.expression) for source in sources)


def _makes(expression: ast.expr) -> bool:
    made = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    return isinstance(expression, made) or (isinstance(expression, ast.Call) and ast.unparse(expression.func) in ("list", "dict", "set"))


def _call(script: Script, node: ast.Call) -> Iterator[tuple[str, str]]:
    function = node.func
    if isinstance(function, ast.Name) and function.id in _CALLS and function.id not in bindings(function):
        if function.id not in script.functions:
            yield f"{function.id}() {_CALLS[function.id]}", ""
    elif isinstance(function, ast.Name) and _is_effect(script, function):
        yield f"{function.id}() runs an effect in the policy", f"name it on an option: say(...).then({function.id}, ...)"
    elif isinstance(function, ast.Attribute) and function.attr in _CHANGES and _is_shared(function.value):
        yield f"{ast.unparse(function)}() changes a value that outlives the turn", ""


def _is_shared(owner: ast.expr) -> bool:
    """Whether an expression starts at a name of the module. Parameters hold immutable values, locals are the turn's own."""
    while isinstance(owner, ast.Attribute | ast.Subscript):
        owner = owner.value
    return isinstance(owner, ast.Name) and owner.id not in bindings(owner)


def _is_effect(script: Script, name: ast.Name) -> bool:
    return name.id not in bindings(name) and isinstance(script.module_globals.get(name.id), EffectKind)


def _clock_or_module(script: Script, node: ast.Attribute | ast.Subscript) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Attribute) and node.attr in _CLOCK and _is_clock(script, node.value):
        yield f"{ast.unparse(node)}() reads the clock", "put the day into the State: today: dt.date"


def _is_clock(script: Script, owner: ast.expr) -> bool:
    """Whether an expression names datetime's ``date`` or ``datetime`` class."""
    text = ast.unparse(owner)
    if text.rpartition(".")[2] in ("date", "datetime") and text.partition(".")[0] not in bindings(owner):
        return True
    value = script.value(owner) if isinstance(owner, ast.Name) else None
    return getattr(value, "__module__", "") == "datetime"


def _module(script: Script, node: ast.Name) -> Iterator[tuple[str, str]]:
    """A name that stands for a module, or for something out of one, that a policy may not use."""
    if not isinstance(node.ctx, ast.Load) or node.id in bindings(node):
        return
    value = script.module_globals.get(node.id)
    if isinstance(value, types.ModuleType):
        origin = value.__name__.partition(".")[0]
    elif callable(value):
        origin = str(getattr(value, "__module__", "") or "").partition(".")[0]
        origin = origin if origin in _MODULES and node.id not in script.functions else ""
    else:
        origin = ""
    if origin in _MODULES:
        yield f"{node.id}: the module {origin} {_MODULES[origin]}", ""
