"""What a user wrote, on its way into a reply: which ``text`` slots may be filled with free text of the message.

A pattern or grammar of ``Heard`` holds a piece of the message. In a ``user_text`` slot it is said only where it keeps the slot's form. In a
``text`` slot it is said as it stands, so its pattern must not admit free text, unless the response declares ``free_text``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from constrained.catalog.response import Catalog, Response
from constrained.errors import Problem
from constrained.logic.script import Script, bindings
from constrained.logic.source_offers import Made
from constrained.understanding.free_text import free_text
from constrained.understanding.hearing import Understanding
from constrained.understanding.questions import PatternQuestion

_UNREAD = "any text of its grammar"  # a grammar's language is not looked into


def free_questions(heard_type: type[Understanding] | None) -> Mapping[str, str]:
    """Field of Heard -> a free text that its pattern admits, or what stands for one; fields that admit none are left out."""
    questions = heard_type.__questions__ if heard_type is not None else {}
    found = {name: _witness(one) for name, one in questions.items() if isinstance(one, PatternQuestion)}
    return {name: text for name, text in found.items() if text}


def _witness(one: PatternQuestion) -> str:
    return free_text(one.pattern) if one.pattern else _UNREAD


def free_text_problems(
    script: Script, offers: Iterable[Made], catalog: Catalog, heard_type: type[Understanding] | None
) -> Iterator[Problem]:
    """A problem for each slot that the file fills with free text of the message, as far as the file tells."""
    free = free_questions(heard_type)
    names = _names_of(script, heard_type) if heard_type is not None and free else frozenset[str]()
    for made in offers if free else ():
        for response_id in made.ids or ():
            response = catalog.responses.get(response_id)
            for name, expression in made.slots.items() if response is not None else ():
                field = next((one for one in _heard_fields(expression, names) if one in free), None)
                if response is not None and field is not None and takes_text(response, name):
                    yield free_text_problem(expression.lineno, script.file, response, name, field, free[field])


def _names_of(script: Script, heard_type: type[Understanding]) -> frozenset[str]:
    """Parameters of the file's functions that hold what is heard, by their annotation."""
    arguments = [
        one
        for node in ast.walk(script.tree)
        if isinstance(node, ast.arguments)
        for one in (*node.posonlyargs, *node.args, *node.kwonlyargs)
    ]
    return frozenset(
        one.arg for one in arguments if one.annotation and ast.unparse(one.annotation).strip("'\"").endswith(heard_type.__name__)
    )


def takes_text(response: Response, slot: str) -> bool:
    """Whether a slot says any text that it is given."""
    return slot in response.slots and response.slots[slot].kind == "text" and not response.free_text


def free_text_problem(line: int, file: str, response: Response, slot: str, field: str, witness: str) -> Problem:
    where = f" (declared in {response.source})" if response.source.line else ""
    return Problem(
        file,
        line,
        0,
        f"the slot {slot!r} of {response.id!r}{where} says what the user wrote: heard.{field} may hold {witness!r}",
        f"write {slot}: {{type: user_text, form: reference}} (or name, postcode) in the catalog, or a narrower pattern; where any "
        "text is meant, free_text: WHY at the response, which approvers sign for",
    )


def _heard_fields(expression: ast.expr, heard: frozenset[str], seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Fields of what is heard that an expression mentions, through local names too."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in heard:
            yield node.attr
        elif isinstance(node, ast.Name) and node.id not in seen:
            for source in bindings(node).get(node.id, ()):
                if source.expression is not None:
                    yield from _heard_fields(source.expression, heard, seen | {node.id})
