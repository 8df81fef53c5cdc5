"""Slot templates (``"{price} gold."`` as literal text and holes), and the characters and markers that no text may hold."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from constrained.catalog.invisible import misplaced
from constrained.errors import ConstrainedError

if TYPE_CHECKING:
    from lark import Lark, UnexpectedInput


# Markers that chat models were trained on: what a reply holds may be read by a model in the next turn.
_NAMED = (
    r"s|bos|eos|pad|unk|mask|sep|cls|sop|eop|eot|eoa|eoh|bot|image|audio|video|think|tool_call|tool_calls|tool_response|tools|"
    r"(?:bos|eos|pad|unk|user|assistant|system)_token|(?:start|end)_of_(?:turn|image|audio|utterance|text|role)|start_header_id|end_header_id|"
    r"fim_(?:prefix|middle|suffix|pad)|pre|suf|mid|repo_?name|file_?name|file_sep|gh_stars|issue_(?:start|comment|closed)|"
    r"jupyter_(?:start|text|code|output|script)|empty_output|commit_(?:before|msg|after)|"
    r"unused_?[0-9]+|reserved_[0-9]+|extra_id_[0-9]+|0x[0-9a-f]{2}"
)
_BRACKETED = (
    r"(?:INST|TOOL_CALLS?|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CONTENT|TOOL_CALL_ID|ARGS|THINK|SYSTEM_PROMPT|MODEL_SETTINGS|IMG|IMG_BREAK|"
    r"IMG_END|AUDIO|PREFIX|MIDDLE|SUFFIX|CLS|SEP|MASK|gMASK|sMASK|PAD|UNK|BOS|EOS|UNUSED_TOKEN_[0-9]+|unused[0-9]+)"
)
_MARKER = re.compile(
    rf"<[|\uff5c][^<>]{{0,80}}>|<[^<>\s]{{1,80}}[|\uff5c]>|</?(?:{_NAMED})>|<</?SYS>>|\[/?{_BRACKETED}\]|\[/?INST\]", re.IGNORECASE
)

_UNSEEN = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\uffff\ud800-\udfff"
# Never in an authored text. The marks of right-to-left scripts (U+061C, U+200E, U+200F) are allowed; joiners and the variation
# selectors of emoji are where they belong, see ``invisible``.
_REFUSED = re.compile(rf"[\x00-\x09\x0b-\x1f\x7f-\x9f{_UNSEEN}\U000e0000-\U000e0fff]")
# Never in a value that fills a text slot: all that is not seen, or that breaks the line.
_HIDDEN = re.compile(rf"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f{_UNSEEN}\U000e0000-\U000e0fff]")


def find_marker(text: str) -> str | None:
    """The first piece of ``text`` that a chat model could take for a special token; None when there is none."""
    if "<" not in text and "[" not in text:
        return None
    match = _MARKER.search(text)
    return match[0] if match else None


def refused_in_text(text: str) -> str | None:
    """Why an authored text may not be said, as a noun phrase; None when it may."""
    return _named(_REFUSED.search(text) or misplaced(text)) or _marker(text)


def refused_in_value(text: str) -> str | None:
    """Why a value may not fill a text slot, as a noun phrase; None when it may."""
    if text and unicodedata.category(text[0]).startswith("M"):
        return f"a combining mark at its beginning ({_name(text[0])})"
    return _named(_HIDDEN.search(text) or misplaced(text)) or _marker(text)


def _marker(text: str) -> str | None:
    found = find_marker(text)
    return f"the chat marker {found!r}" if found else None


def _named(match: re.Match[str] | None) -> str | None:
    return f"the character {_name(match[0])}" if match else None


def _name(character: str) -> str:
    name = unicodedata.name(character, "").lower() or ("line break" if character in "\n\r" else "a control character")
    return f"U+{ord(character):04X} ({name})"


# -- templates -----------------------------------------------------------------------------------------

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
