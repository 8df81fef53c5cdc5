"""Finds days in a text: written dates and weekdays by Babel's names, relative ones by dateparser."""

from __future__ import annotations

import datetime as dt
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from constrained.understanding.amounts import Words, spoken_numbers, words
from constrained.understanding.questions import Prefer

if TYPE_CHECKING:
    from babel import Locale


DateSpan = tuple[int, int, dt.date]
DayReader = Callable[[re.Match[str]], dt.date | None]

TOKENS = 100  # words that dateparser may read in one message; it needs about half a millisecond each
_LOCK = threading.Lock()  # dateparser's search keeps the language of the running call in a module global
_VERBS = frozenset(("may", "march", "mar"))
_ISO = re.compile(r"(?<![\w./-])(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?![\w/-])")
_TOKEN = re.compile(r"[^\W\d_]+|\d+|\S")
_NUMERIC = re.compile(r"(?<![\w./-])(\d{1,2})([-./])(\d{1,2})(?:\2(\d{4}|\d{2}))?(?![\w/-]|\.\d)")


@dataclass(frozen=True, slots=True)
class _Today:
    """The day on which the message is read, and which way an open day lies."""

    date: dt.date
    prefer: Prefer

    def pick(self, days: list[dt.date]) -> dt.date | None:
        """The nearest of several days on the preferred side (today counts), else the nearest on the other."""
        sign = 1 if self.prefer == "future" else -1
        return min(days, key=lambda day: ((day - self.date).days * sign < 0, abs((day - self.date).days)), default=None)


def find_dates(text: str, locale: Locale, today: dt.date, prefer: Prefer) -> list[DateSpan]:
    """``(start, end, day)`` of every day named in a text. A time, a week, a month or a duration is none."""
    at, known = _Today(today, prefer), words(locale.language)
    found, taken = [], bytearray(len(text))
    for pattern, read in _rules(locale, known, at):
        for match in pattern.finditer(text):
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
                day = read(match)
                found += [(match.start(), match.end(), day)] if day else []
    return [*found, *_relative(text, taken, locale, at)]


def written_days(text: str, locale: Locale) -> list[tuple[int, int]]:
    """Where a day and month stand in full ("5 April 2026"): numbers there are no amounts. "May" and "March" may be verbs."""
    names = _names(locale)
    matches = [match for pattern in (names.day_month, names.month_day) for match in pattern.finditer(text)]
    return [match.span() for match in matches if 1 <= int(match["day"]) <= 31 and _folded(match["month"]) not in _VERBS]


def in_words(day: dt.date, locale: Locale) -> str:
    """A day for a reader of the locale, with its weekday."""
    from babel.dates import format_date

    return format_date(day, format="full", locale=locale)


# -- days that are written out: phrases, numerals, month names, weekdays --------------------------------


def _rules(locale: Locale, known: Words, at: _Today) -> Iterator[tuple[re.Pattern[str], DayReader]]:
    """Patterns and their readings, the more specific first: a place in the text is read once."""
    for phrase, days in known.days.items():
        yield _bordered(phrase), partial(_shifted, at.date, days)
    names = _names(locale)
    yield _ISO, lambda match: _day(int(match[1]), int(match[2]), int(match[3]))
    yield _NUMERIC, lambda match: _numeric(match, names.is_month_first, at)
    yield names.day_month, lambda match: _named(int(match["day"]), names.month(match), match["year"], at)
    yield names.month_day, lambda match: _named(int(match["day"]), names.month(match), match["year"], at)
    yield _bordered(known.periods), lambda match: None
    yield names.weekday, lambda match: _weekday(names.weekdays[_folded(match["weekday"])], match["last"] or match["last2"], at)
    yield _bordered(known.ordinal), lambda match: _ordinal(int(next(filter(None, match.groups()))), at)


@dataclass(frozen=True, slots=True)
class _Names:
    """A locale's names of months and weekdays, and patterns made of them."""

    months: dict[str, int]
    weekdays: dict[str, int]
    is_month_first: bool
    day_month: re.Pattern[str]
    month_day: re.Pattern[str]
    weekday: re.Pattern[str]

    def month(self, match: re.Match[str]) -> int:
        return self.months[_folded(match["month"])]


@lru_cache(maxsize=64)
def _names(locale: Locale) -> _Names:
    known = words(locale.language)
    months, weekdays = _forms(locale.months), _forms(locale.days)
    month, weekday, of, last = _any(months), _any(weekdays), known.of, known.last
    day = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.|º|ª)?"
    year = rf"(?:,?\s+(?:(?:{of})\s+)?(?P<year>\d{{4}}))?"
    pattern = str(locale.date_formats["short"].pattern)
    return _Names(
        months,
        weekdays,
        pattern.index("M") < pattern.index("d"),
        _bordered(rf"{day}\s*(?:(?:{of})\s+)?(?P<month>{month})\.?{year}"),
        _bordered(rf"(?P<month>{month})\.?\s+(?:(?:{of})\s+)?{day}(?![\d:.,]*\d|\s*[ap]\.?m){year}"),
        _bordered(rf"(?:(?P<last>{last})\s+)?(?P<weekday>{weekday})\.?(?:\s+(?P<last2>{last}))?"),
    )


def _forms(table: Any) -> dict[str, int]:
    """Folded name -> number, of all forms in which Babel lists months or days (narrow ones are ambiguous)."""
    forms: dict[str, int] = {}
    for context in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in table[context][width].items():
                forms.setdefault(_folded(name), number)
    return {name: number for name, number in forms.items() if len(name) > 1}


def _folded(name: str) -> str:
    return name.casefold().rstrip(".")


def _any(names: dict[str, int]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name))) or r"(?!)"


@lru_cache(maxsize=512)
def _bordered(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


def _day(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:  # 31 February
        return None


def _shifted(day: dt.date, days: int, match: object = None) -> dt.date | None:
    try:
        return day + dt.timedelta(days=days)
    except OverflowError:  # beyond the calendar
        return None


def _named(day: int, month: int, year: str | None, at: _Today) -> dt.date | None:
    """A day and month, in the year given or in the one that the preference asks for (29 February looks further)."""
    if year:
        return _day(int(year), month, day)
    return at.pick([one for offset in range(-8, 9) if (one := _day(at.date.year + offset, month, day))])


def _numeric(match: re.Match[str], is_month_first: bool, at: _Today) -> dt.date | None:
    """``12/04/2026``: in the locale's order, in the other one where the first makes no date. Two numbers need a slash."""
    first, mark, second, year = int(match[1]), match[2], int(match[3]), match[4]
    if not year and mark != "/":
        return None
    full = f"20{year}" if year and len(year) == 2 else year
    orders = [(second, first), (first, second)] if is_month_first else [(first, second), (second, first)]
    return next((found for day, month in orders if 1 <= month <= 12 and (found := _named(day, month, full, at))), None)


def _weekday(weekday: int, last: str | None, at: _Today) -> dt.date | None:
    """The next such day after today, or the last one before it. Today's own name means a week away."""
    is_past = bool(last) or at.prefer == "past"
    ahead = (weekday - at.date.weekday()) % 7 or 7
    behind = (at.date.weekday() - weekday) % 7 or 7
    return _shifted(at.date, -behind if is_past else ahead)


def _ordinal(day: int, at: _Today) -> dt.date | None:
    """ "the 3rd": of this month or of a neighbouring one."""
    first = at.date.replace(day=1)
    months = [divmod(first.year * 12 + first.month - 1 + offset, 12) for offset in range(-3, 4)]
    return at.pick([one for year, month in months if (one := _day(year, month + 1, day))])


# -- days that are relative: "tomorrow", "in two weeks", "three days ago" -------------------------------


def _relative(text: str, taken: bytearray, locale: Locale, at: _Today) -> list[DateSpan]:
    """What dateparser finds in the rest of the text."""
    found, budget = [], TOKENS
    for piece in re.finditer(r"[^\0.,!?;:()\[\]{}\"\n]+", "".join("\0" if used else char for char, used in zip(text, taken, strict=True))):
        tokens = list(_TOKEN.finditer(piece.group()))[:budget]
        if not any(char.isalpha() for char in piece.group()) or not tokens:
            continue
        budget -= len(tokens)
        read = piece.group()[: tokens[-1].end()]
        found += [(piece.start() + start, piece.start() + end, day) for start, end, day in _searched(read, locale, at)]
    return found


def _searched(piece: str, locale: Locale, at: _Today) -> Iterator[DateSpan]:
    digits, back = _with_digits(piece, locale.language)
    cursor = 0
    for phrase, day in _search(digits, locale.language, at.date):
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
    phrases = [(match.start(), match.end(), new) for phrase, new in synonyms for match in _bordered(phrase).finditer(piece)]
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
