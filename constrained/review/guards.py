"""The conditions on the way to each offer of a policy, as text. Runs nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from constrained.logic.offers import Made
from constrained.logic.policy import Policy
from constrained.logic.script import FunctionNode
from constrained.review.effects import offers_of

UNKNOWN_ID = "(any of several)"


def offers_with_conditions(policy: Policy) -> dict[str, list[str]]:
    """Response id -> its offers, in the order of the file: ``say(price=PRICE).then(pay, PRICE) when state.gold >= PRICE``."""
    found: dict[str, list[str]] = {}
    for made in offers_of(policy):
        for response_id in made.ids if made.ids is not None else (UNKNOWN_ID,):
            found.setdefault(response_id, []).append(_told(made))
    return found


def _told(made: Made) -> str:
    slots = ", ".join(f"{name}={ast.unparse(value)}" for name, value in made.slots.items())
    links = "".join(f".{name}({', '.join(map(ast.unparse, [*link.args, *link.keywords]))})" for name, link in made.links)
    conditions = " and ".join(_conditions(made.call))
    return f"{made.kind}({slots}){links}" + (f" when {conditions}" if conditions else "")


def _conditions(node: ast.AST) -> list[str]:
    """From the outermost to the innermost; a function other than the policy begins with its name."""
    found: list[str] = []
    while (parent := getattr(node, "parent", None)) is not None:
        found = [*_between(parent, node), *found]
        if isinstance(parent, FunctionNode):
            return [f"in {parent.name}", *found]
        node = parent
    return found


def _between(parent: ast.AST, child: ast.AST) -> Iterator[str]:
    """What must hold for a run to come from a statement into the part of it that holds ``child``."""
    if isinstance(parent, ast.If | ast.While | ast.IfExp) and child is not parent.test:
        test = _bracketed(parent.test)
        body = parent.body if isinstance(parent.body, list) else [parent.body]
        yield test if child in body else f"not {test}"
    elif isinstance(parent, ast.For | ast.AsyncFor):
        yield f"for {ast.unparse(parent.target)} in {ast.unparse(parent.iter)}"
    elif isinstance(parent, ast.match_case):
        yield f"case {ast.unparse(parent.pattern)}" + (f" if {ast.unparse(parent.guard)}" if parent.guard else "")
    elif isinstance(parent, ast.Match):
        yield f"match {ast.unparse(parent.subject)}"
    yield from _earlier_returns(parent, child)


def _earlier_returns(parent: ast.AST, child: ast.AST) -> Iterator[str]:
    """``if x: ...; return`` above a statement means that x does not hold there."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if not isinstance(block, list) or child not in block:
            continue
        for statement in block[: block.index(child)]:
            if isinstance(statement, ast.If) and not statement.orelse and _leaves(statement.body):
                yield f"not {_bracketed(statement.test)}"


def _leaves(block: list[ast.stmt]) -> bool:
    return bool(block) and isinstance(block[-1], ast.Return | ast.Continue | ast.Raise | ast.Break)


def _bracketed(test: ast.expr) -> str:
    text = ast.unparse(test)
    return f"({text})" if isinstance(test, ast.BoolOp | ast.IfExp | ast.Compare | ast.UnaryOp) and " " in text else text
