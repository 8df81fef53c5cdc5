"""Finds relative days in a text, by dateparser: "tomorrow", "in two weeks", "three days ago"."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Callable, Iterator

from constrained.understanding.numerals import spoken_numbers
from constrained.understanding.questions import Prefer
from constrained.understanding.value_words import bordered, words

DateSpan = tuple[int, int, dt.date]

TOKENS = 100  # words that dateparser may read in one message; it needs about half a millisecond each
_LOCK = threading.Lock()  # dateparser's search keeps the language of the running call in a module global
_TOKEN = re.compile(r"[^\W\d_]+|\d+|\S")


def relative_days(text: str, taken: bytearray, language: str, today: dt.date) -> list[DateSpan]:
    """What dateparser finds in the rest of a text. ``taken``: [character] 1 where something else was read."""
    found, budget = [], TOKENS
    is_relative = bordered(words(language).relative)
    for piece in re.finditer(r"[^\0.,!?;:()\[\]{}\"\n]+", "".join("\0" if used else char for char, used in zip(text, taken, strict=True))):
        tokens = list(_TOKEN.finditer(piece.group()))[:budget]
        if not tokens or not is_relative.search(piece.group()):
            continue
        budget -= len(tokens)
        read = piece.group()[: tokens[-1].end()]
        found += [(piece.start() + start, piece.start() + end, day) for start, end, day in _searched(read, language, today)]
    return found


def _searched(piece: str, language: str, today: dt.date) -> Iterator[DateSpan]:
    digits, back = _with_digits(piece, language)
    cursor = 0
    for phrase, day in _search(digits, language, today):
        start = digits.find(phrase, cursor)
        if start >= 0:
            cursor = start + len(phrase)
            yield back(start), back(cursor), day


def _with_digits(piece: str, language: str) -> tuple[str, Callable[[int], int]]:
    """The text with number words as digits, and the way back from its positions: dateparser reads digits in every language."""
    pieces, marks, cursor, length = [], [(0, 0)], 0, 0
    for start, end, digits in _rewritten(piece, language):
        pieces += [piece[cursor:start], digits]
        length += start - cursor
        marks += [(length, start), (length + len(digits), end)]
        cursor, length = end, length + len(digits)
    pieces.append(piece[cursor:])

    def back(position: int) -> int:
        new, old = max(mark for mark in marks if mark[0] <= position)
        return old + position - new

    return "".join(pieces), back


def _rewritten(piece: str, language: str) -> list[tuple[int, int, str]]:
    """``(start, end, new text)`` of what dateparser does not read as it stands."""
    numbers = [(start, end, f"{value:f}") for start, end, value in spoken_numbers(piece, language)]
    synonyms = words(language).synonyms.items()
    phrases = [(match.start(), match.end(), new) for phrase, new in synonyms for match in bordered(phrase).finditer(piece)]
    return sorted([*numbers, *phrases])


def _search(text: str, language: str, today: dt.date) -> list[tuple[str, dt.date]]:
    """Relative days in a text. A phrase that lies ahead or behind as one prefers ("two days") is a duration, not a day."""
    ahead, behind = _dateparser(text, language, today, "future"), _dateparser(text, language, today, "past")
    is_word = re.compile(r"[^\W\d_]{2}")
    return [(phrase, day) for phrase, day in ahead if (phrase, day) in behind and is_word.search(phrase)]


def _dateparser(text: str, language: str, today: dt.date, prefer: Prefer) -> list[tuple[str, dt.date]]:
    from dateparser.search import search_dates  # type: ignore[import-untyped]  # ships no types

    settings = {
        "RELATIVE_BASE": dt.datetime.combine(today, dt.time()),
        "PREFER_DATES_FROM": prefer,
        "PARSERS": ["relative-time"],
        "RETURN_AS_TIMEZONE_AWARE": False,
        "TIMEZONE": "UTC",
    }
    try:
        with _LOCK:
            found = search_dates(text, languages=[language], settings=settings)
    except Exception:  # a text that dateparser stumbles over names no day: it is a proposal, and a message is hostile at will
        return []
    return [(phrase, day.date()) for phrase, day in found or []]
