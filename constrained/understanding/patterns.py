"""Patterns and grammars: is a text of this form, and does the message say it?

Whatever an engine claims to have read is checked here, by other means than those that it was read by.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Lark


LONGEST = 120  # characters of a reading
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?!:)[^)]{0,12}|.", re.DOTALL)
_UNKNOWN_TO_MASKS = re.compile(r"\\[bBAZ1-9]|\(\?.*", re.DOTALL)


def pattern_flaw(pattern: str) -> str:
    """What keeps a regular expression from being read with; empty when nothing does."""
    try:
        found = re.compile(pattern)
    except re.error as error:
        return f"the pattern is no regular expression: {error}"
    if found.fullmatch(""):
        return "the pattern matches the empty text"
    unknown = next((part for part in _PARTS.findall(pattern) if _UNKNOWN_TO_MASKS.fullmatch(part)), None)
    return f"the pattern holds {unknown!r}, which no token mask can follow" if unknown else ""


def grammar_flaw(grammar: str) -> str:
    """What keeps a Lark grammar from being read with; empty when nothing does."""
    from lark.exceptions import LarkError

    try:
        _parser(grammar)
    except LarkError as error:
        return f"the grammar is none that Lark reads: {' '.join(str(error).split()):.200}"
    return "the grammar matches the empty text" if _parses(grammar, "") else ""


def fits(text: str, grammar: str, pattern: str = "") -> bool:
    """Whether the whole text is of the grammar (of ``pattern`` where one is given), as Lark parses it.

    Any text is ordinary: nothing is raised for what it holds.
    """
    if not 0 < len(text) <= LONGEST or not text.isprintable():
        return False
    if pattern:
        return re.fullmatch(pattern, text) is not None and _parses(as_grammar(pattern), text)
    return _parses(grammar, text)


def as_grammar(pattern: str) -> str:
    """The Lark grammar of a regular expression: one terminal, which ends where the text ends and not at the first match."""
    slashed = re.sub(r"\\.|/", lambda part: r"\/" if part[0] == "/" else part[0], pattern, flags=re.DOTALL)
    return f"start: TEXT\nTEXT: /(?:{slashed})\\Z/"


def is_said(text: str, message: str) -> bool:
    """Whether the message says ``text``: its letters and digits stand there side by side, case and separators aside.

    They stand there as whole words: of the number 1234567 a message does not say 123456.
    """
    wanted = "".join(letter for letter, _, _ in _letters(text))
    said = list(_letters(message))
    joined = "".join(letter for letter, _, _ in said)
    at = joined.find(wanted) if wanted else -1
    while at >= 0:
        if said[at][1] and said[at + len(wanted) - 1][2]:
            return True
        at = joined.find(wanted, at + 1)
    return False


def _letters(text: str) -> Iterator[tuple[str, bool, bool]]:
    """Letters and digits in lower case, each with whether a word begins and ends there."""
    plain = unicodedata.normalize("NFKC", text)
    for at, character in enumerate(plain):
        if character.isalnum():
            folded = character.casefold()
            begins = at == 0 or not _is_joined(plain[at - 1], character)
            ends = at + 1 == len(plain) or not _is_joined(character, plain[at + 1])
            for index, letter in enumerate(folded):
                yield letter, begins and index == 0, ends and index == len(folded) - 1


def _is_joined(first: str, second: str) -> bool:
    """Whether two characters may be of one word; scripts without spaces put an order number right beside a word."""
    return first.isalnum() and second.isalnum() and first.isascii() == second.isascii()


def _parses(grammar: str, text: str) -> bool:
    from lark.exceptions import LarkError

    try:
        _parser(grammar).parse(text)
    except LarkError:
        return False
    return True


@lru_cache(maxsize=64)
def _parser(grammar: str) -> Lark:
    from lark import Lark

    return Lark(grammar, parser="earley", lexer="dynamic_complete", start="start")
