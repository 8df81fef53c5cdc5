"""Does a pattern admit free text: sentences, links, phone numbers? Then what it finds is not fit to be said back unread.

The pattern's parsed form is followed with a few small automata, one for each kind of free text. Its language is never made smaller on
the way: assertions count as nothing, and a pattern with a part that cannot be followed is said to admit free text. Letters that the
pattern fixes spell nothing of the user's, so words of a closed list are no free text.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MOST_LETTERS = 40  # characters; a longer text with a word in it is taken for free text, as in a slot of what a user wrote
_FEW = 10  # letters; a place that takes fewer spells nothing
_MOST_REPEATS = 400  # of a part that must come so often; no reading is as long
_PROBES = [chr(code) for code in range(0x20, 0x7F)] + list("\t\n\u00a0\u00e9\u00df\u0436\u03b4\u4f60\u3042\u0623\u2019\u2013\u20ac")
_BLANKS = " \t\n\u00a0"
State = tuple[int, ...]
Step = Callable[[State, str], State]
_FOUND: State = (-1,)  # nothing that follows takes it back


@lru_cache(maxsize=256)
def free_text(pattern: str) -> str:
    """A text of the pattern that is free text: three words, a link, a phone number beside a word, or a long text with a word.

    Returns:
        Such a text, to be shown; empty when the pattern admits none. A pattern that cannot be followed is returned itself.
    """
    try:
        parsed = importlib.import_module("re._parser").parse(pattern)
        few = 2 if len(_letters(parsed)) >= _FEW else _FEW
        reached = (_after(parsed, {start: ""}, _Reader(step, few)).get(_FOUND) for start, step in _KINDS)
        return next((text for text in reached if text is not None), "")
    except (_Unfollowed, RecursionError, re.error):
        return pattern


class _Unfollowed(Exception):
    """A part of a pattern whose language is not looked into."""


@dataclass(slots=True)
class _Reader:
    """How one kind of free text is looked for.

    Attributes:
        step: of its automaton. few: letters from which on a place spells something; two where the pattern's classes hold many between them.
        n_left: steps that may still be taken; a pattern of nested repetitions that needs more is not followed.
    """

    step: Step
    few: int
    n_left: int = 100_000

    def spend(self, n_steps: int) -> None:
        """Raises _Unfollowed when too many steps were taken."""
        self.n_left -= n_steps
        if self.n_left < 0:
            raise _Unfollowed("too many steps")


# -- the kinds of free text ----------------------------------------------------------------------------
# A step takes a state and a character: "a" for a letter that may be nearly any, "x" for one that is fixed, "0" for a digit,
# " " for a blank, and other characters as they are.


def _three_words(state: State, character: str) -> State:
    n_words, run, is_new = state  # words so far, letters in a row, whether a blank stands before this word
    if character == " ":
        return (n_words, 0, 1)
    if character != "a":
        return (n_words, 0, is_new)
    run = min(2, run + 1)
    if run == 2 and is_new:
        return _FOUND if n_words == 2 else (n_words + 1, run, 0)
    return (n_words, run, is_new)


def _long(state: State, character: str) -> State:
    length, run = state
    run = 3 if run == 3 or (run == 2 and character == "a") else run + 1 if character == "a" else 0
    length = min(MOST_LETTERS + 1, length + 1)
    return _FOUND if length > MOST_LETTERS and run == 3 else (length, run)


def _link(state: State, character: str) -> State:
    """``aa.aa``: a host that the pattern does not fix."""
    (place,) = state
    if character == "a":
        return _FOUND if place == 4 else ((1, 2, 2, 4)[place],)
    return (3,) if character == "." and place == 2 else (0,)


def _phone(state: State, character: str) -> State:
    """Six digits and a word of four letters, with a blank somewhere."""
    has_word, run, n_digits, has_blank = state
    if character == "a":
        run = min(4, run + 1)
        has_word = max(has_word, int(run == 4))
        n_digits = n_digits if n_digits == 6 else 0
    elif character == "0":
        run, n_digits = 0, min(6, n_digits + 1)
    else:
        run, has_blank = 0, max(has_blank, int(character == " "))
    return _FOUND if has_word and n_digits == 6 and has_blank else (has_word, run, n_digits, has_blank)


_KINDS: tuple[tuple[State, Step], ...] = (((0, 0, 1), _three_words), ((0,), _link), ((0, 0, 0, 0), _phone), ((0, 0), _long))


# -- following a pattern -------------------------------------------------------------------------------

Reached = dict[State, str]
"""State of an automaton -> a shortest text that leads to it."""


def _after(parsed: Any, states: Mapping[State, str], reader: _Reader) -> Reached:
    """The states after a sequence of parts."""
    reached = dict(states)
    for operation, argument in parsed:
        reached = _after_part(str(operation), argument, reached, reader)
    return reached


def _after_part(operation: str, argument: Any, states: Reached, reader: _Reader) -> Reached:
    if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _after_repeat(*argument, states=states, reader=reader)
    if operation == "BRANCH":
        return _union(_after(branch, states, reader) for branch in argument[1])
    if operation == "SUBPATTERN":
        return _after(argument[-1], states, reader)
    if operation == "ATOMIC_GROUP":
        return _after(argument, states, reader)
    if operation in ("AT", "ASSERT", "ASSERT_NOT"):
        return states
    kinds = _kinds(operation, argument, reader.few)
    reader.spend(10 + len(states) * len(kinds))
    return _union(
        {following: text + shown} for state, text in states.items() for kind, shown in kinds for following in [_next(state, kind, reader)]
    )


def _next(state: State, kind: str, reader: _Reader) -> State:
    return _FOUND if state == _FOUND else reader.step(state, kind)


def _after_repeat(low: int, high: int, inner: Any, *, states: Reached, reader: _Reader) -> Reached:
    """At least ``low`` and at most ``high`` times; it ends as soon as another time leads nowhere new."""
    reached = states
    for _ in range(min(int(low), _MOST_REPEATS)):
        reached = _after(inner, reached, reader)
    every, newest = dict(reached), reached
    for _ in range(min(int(high), 2 * _MOST_REPEATS * MOST_LETTERS) - int(low)):
        newest = {state: text for state, text in _after(inner, newest, reader).items() if state not in every}
        if not newest:
            break
        every |= newest
    return every


def _union(parts: Iterator[Reached]) -> Reached:
    found: Reached = {}
    for part in parts:
        for state, text in part.items():
            if state not in found or len(text) < len(found[state]):
                found[state] = text
    return found


def _kinds(operation: str, argument: Any, few: int) -> list[tuple[str, str]]:
    """What stands at a place that takes one character: ``(kind, a character of it)``, each kind once."""
    allowed = _allowed(operation, argument)
    is_any = len({character.casefold() for character in allowed if character.isalpha()}) >= few
    found: dict[str, str] = {}
    for character in allowed:
        kind = " " if character in _BLANKS else "0" if character.isdigit() else character
        found.setdefault(("a" if is_any else "x") if character.isalpha() else kind, character)
    return list(found.items())


def _allowed(operation: str, argument: Any) -> list[str]:
    """Characters that a place takes: of the usual ones all, and the beginning of every range."""
    if operation == "LITERAL":
        return [chr(argument)]
    found = [character for character in _PROBES if _takes(operation, argument, character)]
    members = argument if operation == "IN" and not (argument and str(argument[0][0]) == "NEGATE") else ()
    for kind, value in members:
        low, high = value if str(kind) == "RANGE" else (value, value) if str(kind) == "LITERAL" else (1, 0)
        found += [chr(code) for code in range(low, min(high, low + 2 * _FEW) + 1)]
    return found


def _takes(operation: str, argument: Any, character: str) -> bool:
    code = ord(character)
    if operation == "ANY":
        return character != "\n"
    if operation == "NOT_LITERAL":
        return bool(code != argument)
    if operation != "IN":
        raise _Unfollowed(operation)
    is_negated = bool(argument) and str(argument[0][0]) == "NEGATE"
    members = argument[1:] if is_negated else argument
    return is_negated != any(_is_member(str(kind), value, code) for kind, value in members)


def _is_member(kind: str, value: Any, code: int) -> bool:
    if kind == "LITERAL":
        return bool(code == value)
    if kind == "RANGE":
        return bool(value[0] <= code <= value[1])
    classes = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}
    name = str(value).removeprefix("CATEGORY_").removeprefix("UNI_")
    is_match = re.fullmatch(classes[name.removeprefix("NOT_")], chr(code)) is not None
    return bool(is_match) != name.startswith("NOT_")


def _letters(parsed: Any) -> set[str]:
    """The letters that the classes of a pattern take between them, wherever they stand."""
    found: set[str] = set()
    for operation, argument in parsed:
        name = str(operation)
        if name in ("IN", "ANY", "NOT_LITERAL"):
            found |= {character.casefold() for character in _allowed(name, argument) if character.isalpha()}
        elif name == "BRANCH":
            found = found.union(*map(_letters, argument[1]))
        elif name == "ATOMIC_GROUP":
            found |= _letters(argument)
        elif name.endswith("REPEAT") or name == "SUBPATTERN":
            found |= _letters(argument[-1])
    return found
