"""Slot templates (``"{price} gold."`` as literal text and holes), and the characters and markers that no text may hold.

A selection says one of several written forms: ``{n, plural, one {# day} other {# days}}`` by the number in a slot,
``{size, select, big {crates} other {boxes}}`` by the value of a choice slot. The notation is that of ICU MessageFormat, without
``offset`` and without selections inside selections.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from constrained.catalog.invisible import misplaced
from constrained.errors import ConstrainedError

if TYPE_CHECKING:
    from lark import Lark, Token, Tree, UnexpectedInput


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
template: (LITERAL | OPEN | CLOSE | hole | selection)*
hole: "{" NAME "}"
selection: "{" NAME COMMA KIND COMMA form+ SPACE? "}"
form: SPACE? SELECTOR SPACE? "{" (LITERAL | inner)* "}"
inner: "{" NAME "}"
LITERAL: /[^{}]+/
OPEN: "{{"
CLOSE: "}}"
COMMA: /\s*,\s*/
SPACE: /\s+/
KIND: "plural" | "select"
SELECTOR: /=[0-9]{1,15}|[A-Za-z0-9_][A-Za-z0-9_.-]*/
NAME: /[a-z][a-z0-9_]*/
"""
# ``inner`` is a rule of its own: behind a hole of a form, "}}" closes the form and the selection, and is no brace that is said.
OTHER = "other"  # the form that is said when no other one fits
MOST_FORMS = 256  # whole texts that one template can make; each of them is approved
COUNT = "#"  # in a plural form: the number
BETWEEN = "|{}|"  # stands between the variants of a text where they are written as one; no template can hold it, in no form either


class TemplateSyntaxError(ConstrainedError):
    """A text whose braces do not make a template; ``column`` is the 1-based character in ``source``."""

    def __init__(self, message: str, *, source: str, column: int, hint: str = "") -> None:
        self.source, self.column = source, column
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Hole:
    """A place in a template that the slot ``name`` fills."""

    name: str


Part = TypeVar("Part", bound="str | Hole | Selection")
Flat = tuple[str | Hole, ...]
"""Literal text and holes in order, without a selection."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A place in a template where one of several written forms stands, by the value of the slot ``name``.

    Attributes:
        kind: ``plural`` selects by a locale's rules for numbers, ``select`` by the value of a choice.
        forms: selector (``one``, ``other``, ``=0``; a value of the choice) and what is said, in the order of the text.
    """

    name: str
    kind: Literal["plural", "select"]
    forms: tuple[tuple[str, Flat], ...]

    @property
    def selectors(self) -> tuple[str, ...]:
        return tuple(selector for selector, _ in self.forms)


@dataclass(frozen=True, slots=True)
class Template:
    """A text with holes and selections.

    Attributes:
        source: as written, braces doubled, with every form of every selection.
        parts: literal text (braces single), holes and selections, in order; no two literals touch, none is empty.
        slots: the names of the holes, and of what selections select by.
        variants: of a text that has several, each of them, the first one too; ``source`` then holds them all, ``parts`` those of the first.
        literal: all that is said, for a template without slots and variants; else None.
    """

    source: str
    parts: tuple[str | Hole | Selection, ...]
    slots: frozenset[str]
    variants: tuple[Template, ...] = ()
    literal: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = "".join(part for part in self.parts if isinstance(part, str))
        object.__setattr__(self, "literal", None if self.slots or self.variants else text)

    @property
    def each(self) -> tuple[Template, ...]:
        """The variants; a text that has none is the only one."""
        return self.variants or (self,)

    @property
    def selections(self) -> tuple[Selection, ...]:
        return tuple(part for one in self.each for part in one.parts if isinstance(part, Selection))

    def flattened(self) -> Iterator[Flat]:
        """Every text that the template can make before its slots are filled: one form of each selection, in all combinations."""
        for one in self.each:
            options = [[form for _, form in part.forms] if isinstance(part, Selection) else [(part,)] for part in one.parts]
            for chosen in itertools.product(*options):
                yield _joined(piece for pieces in chosen for piece in pieces)

    def wordings(self) -> Iterator[str]:
        """``flattened`` as texts, with ``{name}`` for a hole: what a reader looks for words in."""
        for flat in self.flattened():
            yield "".join(part if isinstance(part, str) else f"{{{part.name}}}" for part in flat)


def with_variants(templates: Sequence[Template]) -> Template:
    """One template of which one of several is said."""
    if len(templates) == 1:
        return templates[0]
    slots = frozenset[str]().union(*(one.slots for one in templates))
    return Template(join_variants(one.source for one in templates), templates[0].parts, slots, tuple(templates))


def join_variants(sources: Iterable[str]) -> str:
    """The variants of a text as one text, for sheets and signatures; of one, that one."""
    return f" {BETWEEN} ".join(sources)


def split_variants(text: str) -> list[str]:
    """The variants out of such a text."""
    return [one.strip() for one in text.split(BETWEEN)]


@lru_cache(maxsize=1 << 16)
def parse_template(source: str) -> Template:
    """Parses a slot template.

    Raises:
        TemplateSyntaxError: a brace is single, not closed, or holds neither a slot name nor a selection; a selection has no form
            ``other``, a selector twice, or another selection inside.
    """
    if "{" not in source and "}" not in source:
        return Template(source, (source,) if source else (), frozenset())
    parts = _parts(source)
    return Template(source, parts, frozenset(name for part in parts for name in _names(part)))


def _names(part: str | Hole | Selection) -> Iterator[str]:
    if isinstance(part, Hole | Selection):
        yield part.name
    if isinstance(part, Selection):
        yield from (inner.name for _, form in part.forms for inner in form if isinstance(inner, Hole))


def _parts(source: str) -> tuple[str | Hole | Selection, ...]:
    from lark import Token, UnexpectedInput

    try:
        tree = _parser().parse(source)
    except UnexpectedInput as error:
        raise _explained(source, error) from None
    parts: list[str | Hole | Selection] = []
    n_texts = 1
    for child in tree.children:
        if isinstance(child, Token):
            parts.append(str(child)[0] if child.type in ("OPEN", "CLOSE") else str(child))
        elif child.data == "hole":
            parts.append(Hole(str(child.children[0])))
        else:
            found = _selection(child, source)
            n_texts *= len(found.forms)
            parts.append(found)
            if n_texts > MOST_FORMS:
                raise _misplaced(source, child, f"the forms make more than {MOST_FORMS} texts", "split it into several responses")
    return _joined(parts)


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts with literals that touch as one."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] = joined[-1] + part
        else:
            joined.append(part)
    return tuple(joined)


def _selection(tree: Tree[Token], source: str) -> Selection:
    name, _, kind, _, *rest = tree.children
    forms = [one for one in rest if not isinstance(one, str)]
    found = tuple((_selector(form), _form(form, str(name), str(kind))) for form in forms)
    selectors = [selector for selector, _ in found]
    twice = next((one for one in selectors if selectors.count(one) > 1), None)
    if twice:
        raise _misplaced(source, tree, f"the {kind} of {str(name)!r} has the form {twice!r} twice", "take one out")
    if OTHER not in selectors:
        hint = "write other {...}: what is said when no other form fits"
        raise _misplaced(source, tree, f"the {kind} of {str(name)!r} has no form {OTHER!r}", hint)
    return Selection(str(name), "plural" if kind == "plural" else "select", found)


def _selector(form: Tree[Token]) -> str:
    return next(str(one) for one in form.children if getattr(one, "type", "") == "SELECTOR")


def _form(form: Tree[Token], name: str, kind: str) -> Flat:
    parts: list[str | Hole] = []
    for child in form.children:
        if not isinstance(child, str):
            parts.append(Hole(str(child.children[0])))
        elif getattr(child, "type", "") == "LITERAL":
            pieces = str(child).split(COUNT) if kind == "plural" else [str(child)]
            for number, piece in enumerate(pieces):
                parts += ([Hole(name)] if number else []) + ([piece] if piece else [])
    return _joined(parts)


def _misplaced(source: str, tree: Tree[Token], message: str, hint: str) -> TemplateSyntaxError:
    at = getattr(tree.children[0], "start_pos", None) or 1
    return TemplateSyntaxError(message, source=source, column=source.rfind("{", 0, at) + 1, hint=hint)


@cache
def _parser() -> Lark:
    from lark import Lark  # about 70 ms: only for a text with a brace

    return Lark(GRAMMAR, start="template", parser="lalr", lexer="contextual")


def _explained(source: str, error: UnexpectedInput) -> TemplateSyntaxError:
    """The parser's error in a writer's words."""
    is_at_end = getattr(getattr(error, "token", None), "type", None) == "$END"
    at = len(source) if is_at_end or error.pos_in_stream is None else error.pos_in_stream
    selection = _SELECTION.match(source, _outer_brace(source, at))
    if selection and selection.end() <= at:
        return _explained_form(source, selection, at, is_at_end)
    opening = source.rfind("{", 0, at)
    expected = set(getattr(error, "accepts", None) or getattr(error, "expected", None) or getattr(error, "allowed", None) or ())
    if not expected & {"NAME", "RBRACE", "COMMA", "KIND"} or opening < 0:
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


_SELECTION = re.compile(r"\{([a-z][a-z0-9_]*)\s*,\s*(plural|select)\s*,\s*")


def _outer_brace(source: str, at: int) -> int:
    """Where the outermost brace opens that is still open at ``at``; the length of the text where none is."""
    opened: list[int] = []
    place = 0
    while place < at:
        if not opened and source[place : place + 2] in ("{{", "}}"):
            place += 1
        elif source[place] == "{":
            opened.append(place)
        elif source[place] == "}" and opened:
            opened.pop()
        place += 1
    return opened[0] if opened else len(source)


def _explained_form(source: str, selection: re.Match[str], at: int, is_at_end: bool) -> TemplateSyntaxError:
    """What is wrong inside a plural or select."""
    name, kind = selection.groups()
    example = f"{{{name}, {kind}, {'one {# day}' if kind == 'plural' else 'big {crates}'} other {{...}}}}"
    inner = source.rfind("{", selection.end(), at + 1)
    if is_at_end:
        hint = f"write {example}"
        return TemplateSyntaxError(
            f"the {kind} of {name!r} is not closed", source=source, column=selection.start() + 1, hint=f"write {example}"
        )
    if inner > 0 and _SELECTION.match(source, inner):
        hint = "write whole sentences as forms, or two responses"
        return TemplateSyntaxError(f"a plural or select stands inside the {kind} of {name!r}", source=source, column=inner + 1, hint=hint)
    hint = f"write {example}; a form holds words{', # for the number' if kind == 'plural' else ''} and slots, and no brace that is said"
    column = (inner if inner > 0 else selection.start()) + 1
    return TemplateSyntaxError(f"the {kind} of {name!r} cannot be read", source=source, column=column, hint=hint)
