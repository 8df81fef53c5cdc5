"""Finds the offers and steps that a policy makes, in the text of its logic file.

say("sell_key", price=PRICE).then(pay, PRICE).once()
^kind ^ids       ^slots            ^links
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from constrained.errors import Problem
from constrained.logic.effects import EffectKind
from constrained.logic.options import OfferKind, must, only, say
from constrained.logic.script import UNKNOWN, FunctionNode, Script, bindings, body_nodes
from constrained.procedures.steps import StepKind, ask, choose, confirm, perform, start, tell

MadeKind = OfferKind | StepKind
STEPS: tuple[StepKind, ...] = ("tell", "ask", "confirm", "perform")
_MAKERS: dict[Any, MadeKind] = {
    say: "say", only: "only", must: "must", tell: "tell", ask: "ask", confirm: "confirm", perform: "perform",
}  # fmt: skip
_WORDINGS = ("again", "otherwise")  # keywords of a step that name responses, and are no slots
_SETTINGS = (*_WORDINGS, "tries", "asides", "alone")
_COLLECTS = ("tuple", "list", "sorted", "reversed", "filter")  # builtins that only pass offers on
_LINKS = ("once", "after", "then", "ends", "on_yes_to")


@dataclass(frozen=True, slots=True)
class Made:
    """One call of ``say``, ``only`` or ``must``, or of a step, in a logic file.

    Attributes:
        ids: every response id it may name; None when the file does not tell.
        slots: slot name -> expression. ``has_unpacking``: more slots come from ``**``.
        links: the ``.once()``, ``.after()`` and ``.then()`` calls on it.
        is_dropped: it is a statement of its own, so nobody yields it.
        is_dead: no run can come to it.
        wordings: response ids that it may say besides: the question put again, and given up.
        fields: of Heard, that answer it, as far as the file tells.
    """

    kind: MadeKind
    call: ast.Call
    ids: tuple[str, ...] | None
    slots: dict[str, ast.expr]
    has_unpacking: bool
    links: tuple[tuple[str, ast.Call], ...]
    is_dropped: bool
    is_dead: bool
    wordings: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def is_step(self) -> bool:
        return self.kind in STEPS


def find_offers(script: Script, functions: Sequence[FunctionNode]) -> list[Made]:
    """Every offer in these functions, in the order of the file."""
    dead = {id(node) for function in functions for node in _dead(function)}
    found = [_made(script, call, kind, dead) for function in functions for call, kind in _calls(script, function)]
    return sorted(found, key=lambda made: (made.call.lineno, made.call.col_offset))


def act_ids(script: Script, functions: Sequence[FunctionNode]) -> frozenset[str]:
    """The responses that the file never says without an effect of high risk; one that the file does not tell counts as such."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for made in find_offers(script, functions):
        effects = [_global(script, link.args[0]) for name, link in made.links if name == "then" and link.args]
        found[any(getattr(one, "risk", "high") == "high" for one in effects)].update(made.ids or ())
    return frozenset(found[True] - found[False])


def misuse(script: Script, made: Made) -> Iterator[Problem]:
    """What is wrong with an offer whatever the catalog says."""
    if made.is_step:
        yield from _step_misuse(script, made)
    elif len(made.call.args) != 1 or isinstance(made.call.args[0], ast.Starred):
        yield script.problem(made.call, f"{made.kind}() takes one response id, then its slots by name", f'{made.kind}("id", slot=value)')
    if made.has_unpacking:
        yield script.problem(made.call, f"the slots of {made.kind}() come from **, so they cannot be checked", "write slot=value for each")
    if made.is_dropped:
        verb = "await" if made.is_step else "yield"
        yield script.problem(made.call, f"{made.kind}() is made but never {verb}ed", f"{verb} {made.kind}(...)")
    for name, link in made.links:
        yield from _link_misuse(script, made, name, link)


def is_step(script: Script, node: ast.expr) -> bool:
    """Whether an expression names ``tell``, ``ask``, ``confirm``, ``perform`` or ``choose``."""
    named = _hashable(_global(script, node))
    return named is choose or _MAKERS.get(named) in STEPS


def _step_misuse(script: Script, made: Made) -> Iterator[Problem]:
    """What is wrong with a step, as far as the file tells."""
    least = {"ask": 2}.get(made.kind, 1)
    most = {"ask": 99, "confirm": 2}.get(made.kind, 1)
    if not least <= len(made.call.args) <= most or any(isinstance(one, ast.Starred) for one in made.call.args):
        form = {"ask": 'ask("id", "field of Heard", slot=value)'}.get(made.kind, f'{made.kind}("id", slot=value)')
        yield script.problem(made.call, f"{made.kind}() is not called as it is meant", form)
    if made.kind == "perform" and not any(name == "then" for name, _ in made.links):
        yield script.problem(made.call, "perform() hands nothing to the host", 'perform("id").then(effect, *arguments)')
    for name, link in made.links:
        if name != "then":
            yield script.problem(link, f".{name}() on {made.kind}() means nothing", "a step takes .then(effect, *arguments)")
    if not any(isinstance(scope, ast.AsyncFunctionDef) for scope in _scopes(made.call)):
        yield script.problem(made.call, f"{made.kind}() is a step of a procedure, and this is none", "await it in an async function")


def _scopes(node: ast.AST) -> Iterator[ast.AST]:
    scope = _parent(node)
    while scope is not None:
        yield scope
        scope = _parent(scope)


def foreign(script: Script, functions: Sequence[FunctionNode]) -> Iterator[Problem]:
    """Yields of what a function outside the file returns: its offers could not be checked."""
    for node in (node for function in functions for node in body_nodes(function)):
        value = node.value if isinstance(node, ast.Yield | ast.YieldFrom) else None
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _LINKS:
            value = value.func.value
        if isinstance(value, ast.Call) and not _is_known(script, value):
            name = ast.unparse(value.func)
            yield script.problem(
                node, f"{name} is not a function of this file, so what it offers cannot be checked", "write it in this file"
            )


def _is_known(script: Script, call: ast.Call) -> bool:
    if _hashable(_global(script, call.func)) in (*_MAKERS, start):
        return True
    return isinstance(call.func, ast.Name) and (call.func.id in script.functions or call.func.id in (*_COLLECTS, *bindings(call)))


def _link_misuse(script: Script, made: Made, name: str, link: ast.Call) -> Iterator[Problem]:
    if name == "after" and made.kind != "must":
        yield script.problem(made.call, f".after() on {made.kind}(): only an obligation has a place", "use must(...).after()")
    if name == "then" and made.kind == "must":
        yield script.problem(made.call, ".then() on must(): an obligation has no effects", "put the effect on the option that is chosen")
    if name == "then":
        yield from _effect_misuse(script, link)


def _effect_misuse(script: Script, link: ast.Call) -> Iterator[Problem]:
    if not link.args:
        yield script.problem(link, ".then() names no effect", ".then(effect, *arguments)")
    elif not _is_effect(script, link.args[0]):
        text = ast.unparse(link.args[0])
        yield script.problem(
            link, f".then({text}): {text} is not an effect", "decorate the function with @effect and pass it, not its result"
        )
    elif reason := _call_misfit(script, link):
        yield script.problem(link, reason, "give the arguments that follow the state")


def _is_effect(script: Script, node: ast.expr) -> bool:
    """Whether an expression is an EffectKind; what the file does not tell is left to the run."""
    if isinstance(node, ast.Call | ast.Lambda | ast.Constant):
        return False
    if not isinstance(node, ast.Name) or node.id in bindings(node):
        return True
    if node.id in script.module_globals:
        return isinstance(script.module_globals[node.id], EffectKind)
    function = script.functions.get(node.id)
    return function is None or any(_names_effect(decorator) for decorator in function.decorator_list)


def _call_misfit(script: Script, link: ast.Call) -> str:
    """Why the effect or its precondition cannot be called with these arguments; empty when it can, or the text does not tell."""
    kind = _global(script, link.args[0])
    if (
        not isinstance(kind, EffectKind)
        or any(isinstance(one, ast.Starred) for one in link.args)
        or any(k.arg is None for k in link.keywords)
    ):
        return ""
    names = {keyword.arg or "": None for keyword in link.keywords}
    for what, function in (("", kind.run), ("the precondition of ", kind.requires)):
        if function is None:
            continue
        try:
            signature = inspect.signature(function)
        except ValueError:  # a function of C without a signature
            continue
        try:
            signature.bind(*link.args, **names)
        except TypeError as error:
            return f"{what}{kind.name}({', '.join(signature.parameters)}) cannot be called with {ast.unparse(link)[:80]}: {error}"
    return ""


def _names_effect(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(target).rpartition(".")[2] == "effect"


def _calls(script: Script, function: FunctionNode) -> Iterator[tuple[ast.Call, MadeKind]]:
    for node in body_nodes(function):
        if isinstance(node, ast.Call) and (kind := _MAKERS.get(_hashable(_global(script, node.func)))):
            yield node, kind


def _global(script: Script, node: ast.expr) -> Any:
    """What a name, or an attribute of an imported module, stands for in the file."""
    if isinstance(node, ast.Name):
        return UNKNOWN if node.id in bindings(node) else script.module_globals.get(node.id, UNKNOWN)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(script.module_globals.get(node.value.id), node.attr, UNKNOWN)
    return UNKNOWN


def _hashable(value: Any) -> Any:
    return value if callable(value) and getattr(type(value), "__hash__", None) else UNKNOWN


def _made(script: Script, call: ast.Call, kind: MadeKind, dead: set[int]) -> Made:
    values = script.values(call.args[0]) if call.args else None
    ids = tuple(values) if values is not None and all(isinstance(value, str) for value in values) else None
    links, top = _chain(call)
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
    is_step = kind in STEPS
    slots = {name: value for name, value in given.items() if not (is_step and name in _SETTINGS)}
    wordings = [found for name in _WORDINGS if is_step and name in given for found in script.values(given[name]) or ()]
    fields = [found for one in call.args[1:] if is_step for found in script.values(one) or () if isinstance(found, str)]
    return Made(
        kind,
        call,
        ids,
        slots,
        any(keyword.arg is None for keyword in call.keywords),
        links,
        isinstance(_parent(top), ast.Expr),
        id(call) in dead,
        tuple(one for one in wordings if isinstance(one, str) and one),
        tuple(fields),
    )


def _chain(call: ast.Call) -> tuple[tuple[tuple[str, ast.Call], ...], ast.AST]:
    """The methods called on an offer, and the outermost call."""
    links: list[tuple[str, ast.Call]] = []
    top: ast.AST = call
    while isinstance(attribute := _parent(top), ast.Attribute) and attribute.attr in _LINKS:
        outer = _parent(attribute)
        if not isinstance(outer, ast.Call) or outer.func is not attribute:
            break
        links.append((attribute.attr, outer))
        top = outer
    return tuple(links), top


def _parent(node: ast.AST) -> ast.AST | None:
    return getattr(node, "parent", None)


# -- code that no run comes to -----------------------------------------------------------------------


def _dead(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes behind ``return``, ``raise``, ``break`` or ``continue`` in one block, or under ``if False``."""
    for block in _blocks(node):
        is_over = False
        for statement in block:
            if is_over:
                yield from ast.walk(statement)
            else:
                yield from _dead(statement)
            is_over = is_over or _ends(statement)


def _ends(statement: ast.stmt) -> bool:
    """Whether nothing behind this statement in its block can run."""
    if isinstance(statement, ast.If):
        return bool(statement.orelse) and all(any(map(_ends, block)) for block in (statement.body, statement.orelse))
    if isinstance(statement, ast.Match):
        is_complete = any(
            case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None for case in statement.cases
        )
        return is_complete and all(any(map(_ends, case.body)) for case in statement.cases)
    return isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            if _never(node, name):
                yield [ast.Return(), *block]  # as if it stood behind a return
            else:
                yield block
    for part in [*getattr(node, "handlers", ()), *getattr(node, "cases", ())]:
        yield part.body


def _never(node: ast.AST, block: str) -> bool:
    test = getattr(node, "test", None)
    if not isinstance(node, ast.If | ast.While) or not isinstance(test, ast.Constant):
        return False
    return (block == "body") is not bool(test.value)
