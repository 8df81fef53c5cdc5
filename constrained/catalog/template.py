"""Slot templates: ``"{price} gold."`` as literal text and holes. Knows neither slot types nor values.

The whole grammar: text, ``{name}``, and ``{{`` or ``}}`` for a brace that is said. Nothing in a template is
evaluated, and what fills a hole is never parsed again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from constrained.errors import ConstrainedError

if TYPE_CHECKING:
    from lark import Lark, UnexpectedInput

GRAMMAR = r"""
template: (LITERAL | OPEN | CLOSE | hole)*
hole: "{" NAME "}"
LITERAL: /[^{}]+/
OPEN: "{{"
CLOSE: "}}"
NAME: /[a-z][a-z0-9_]*/
"""


class TemplateSyntaxError(ConstrainedError):
    """A text whose braces do not make a template; ``column`` is the 1-based character in ``source``."""

    def __init__(self, message: str, *, source: str, column: int, hint: str = "") -> None:
        self.source, self.column = source, column
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Hole:
    """A place in a template that the slot ``name`` fills."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text with holes.

    Attributes:
        source: as written, braces doubled.
        parts: literal text (braces single) and holes, in order; no two literals touch, none is empty.
        slots: the names of the holes.
        literal: all that is said, for a template without holes; else None.
    """

    source: str
    parts: tuple[str | Hole, ...]
    slots: frozenset[str]
    literal: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = "".join(part for part in self.parts if isinstance(part, str))
        object.__setattr__(self, "literal", None if self.slots else text)


@lru_cache(maxsize=1 << 16)
def parse_template(source: str) -> Template:
    """Parses a slot template.

    Raises:
        TemplateSyntaxError: a brace is single, not closed, or holds something that is not a slot name.
    """
    if "{" not in source and "}" not in source:
        return Template(source, (source,) if source else (), frozenset())
    parts = _parts(source)
    return Template(source, parts, frozenset(part.name for part in parts if isinstance(part, Hole)))


def _parts(source: str) -> tuple[str | Hole, ...]:
    from lark import Token, UnexpectedInput

    try:
        tree = _parser().parse(source)
    except UnexpectedInput as error:
        raise _explained(source, error) from None
    parts: list[str | Hole] = []
    for child in tree.children:
        if not isinstance(child, Token):
            parts.append(Hole(str(child.children[0])))
            continue
        literal = str(child)[0] if child.type in ("OPEN", "CLOSE") else str(child)
        if parts and isinstance(parts[-1], str):
            parts[-1] += literal
        else:
            parts.append(literal)
    return tuple(parts)


@cache
def _parser() -> Lark:
    from lark import Lark  # about 70 ms: only for a text with a brace

    return Lark(GRAMMAR, start="template", parser="lalr", lexer="contextual")


def _explained(source: str, error: UnexpectedInput) -> TemplateSyntaxError:
    """The parser's error in a writer's words."""
    is_at_end = getattr(getattr(error, "token", None), "type", None) == "$END"
    at = len(source) if is_at_end or error.pos_in_stream is None else error.pos_in_stream
    opening = source.rfind("{", 0, at)
    expected = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or getattr(error, "allowed", None) or ())
    if not expected & {"NAME", "RBRACE"} or opening < 0:
        return TemplateSyntaxError(
            "a single '}' closes nothing", source=source, column=at + 1, hint="write }} for a brace that is said, {name} for a slot"
        )
    closing = source.find("}", opening)
    if closing < 0:
        return TemplateSyntaxError(
            "the '{' is not closed", source=source, column=opening + 1, hint="write {{ for a brace that is said, {name} for a slot"
        )
    return TemplateSyntaxError(
        f"{source[opening : closing + 1]!r} does not name a slot",
        source=source,
        column=opening + 1,
        hint="write {name}: a-z, 0-9 and _, a letter first, no spaces and no format; {{ is a brace that is said",
    )
