"""Which values of an open question an answer repeats, and which it names that are not the question's: "yes, 129 is right", "yes, 78"."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from constrained.understanding.spans import message_locale

SAME, OTHER = "samevalue", "othervalue"  # words that stand for a value of the question, and for any other
_SIGNS = {"€": "€", "$": "$", "£": "£", "eur": "€", "euro": "€", "dollar": "$", "buck": "$", "pound": "£", "quid": "£"}
_NUMBER = re.compile(
    r"(?P<sign>[€$£])?\s?(?<![\w.])(?P<digits>\d+(?:[.:,/h]\d+)*)(?:st|nd|rd|th|er|h|º|ª)?(?!\w)"
    r"(?:\s?(?P<half>[ap]\.?m\b\.?|[ap]m\b))?(?:\s?(?P<unit>[€$£]|(?:euro|dollar|buck|pound|peso)s?\b|eur\b|quid\b))?"
    r"(?:\s(?:o'clock|uhr|horas?|heures?|h)\b)?",
    re.IGNORECASE,
)
_SPAN = re.compile(  # a length of time or a number of times, not one that is still to pass: "three weeks", not "in three weeks"
    r"\s(?:minutes?|hours?|days?|nights?|weeks?|months?|years?|times?|minutos?|horas|d[i\u00ed]as?|noches?|semanas?|mes(?:es)?|a\u00f1os?|veces"
    r"|minuten?|stunden?|tagen?|tage|n\u00e4chten?|n\u00e4chte|wochen?|monaten?|monate|jahren?|jahre|mal"
    r"|minutes|heures|jours?|nuits?|semaines?|mois|ans?|ann\u00e9es?|fois)\b",
    re.IGNORECASE,
)
_CURRENCY = re.compile(r"\s(?:euro|dollar|buck|pound|peso)s?\b|\squid\b", re.IGNORECASE)
_TO_COME = re.compile(
    r"\b(?:in|within|after|en|dentro de|despu\u00e9s de|nach|innerhalb von|dans|apr\u00e8s)\s+(?:about\s+)?$", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_]+")
_NO_DAYS = frozenset(("may", "march"))  # words of other meanings, too
_THOUSANDS = 3

Number = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MarkedAnswer:
    """An answer with its values marked.

    Attributes:
        text: with SAME and OTHER in the place of values. words: those that name a value of the question, without case and accents.
        has_other: whether a number in words is none of the question's.
    """

    text: str
    words: frozenset[str]
    has_other: bool


def mark_values(text: str, question: str, values: Sequence[object], locale: str) -> MarkedAnswer:
    """The answer with its values marked as the question's or as others.

    Args:
        question: as it was said, with its values. values: the same as they were given: dates, times, numbers, names.
    """
    numbers, times, words = _known_values(question, tuple(values), locale)

    def marked(found: re.Match[str]) -> str:
        if _is_span(text, found.start(), found.end()):
            return " "
        sign = _SIGNS.get((found["sign"] or found["unit"] or "").lower().rstrip("s"), "")
        number = _number(found["digits"])
        if found["half"]:
            is_same = bool(number) and _on_24_hours(number, found["half"]) in times
        else:
            is_same = number in numbers and (not sign or sign in question)
        return f" {SAME if is_same else OTHER} "

    plain = _NUMBER.sub(marked, text)
    plain, has_other = _in_words(plain, numbers, locale)
    names = _day_names(locale)
    plain = _WORD.sub(lambda word: f" {OTHER} " if (bare := bare_word(word[0])) in names and bare not in words else word[0], plain)
    return MarkedAnswer(plain, words | {SAME}, has_other)


def _in_words(text: str, numbers: frozenset[Number], locale: str) -> tuple[str, bool]:
    """Numbers in words: marked where they are the question's; and whether there are others."""
    from constrained.understanding.amounts import find_numbers

    has_other = False
    for one in reversed(find_numbers(text, message_locale(locale))):
        said = text[one.start : one.end]
        if not any(char.isalpha() for char in said):
            continue
        if _is_span(text, one.start, one.end):
            continue
        is_half = one.value is not None and one.kind == "time" and one.value % 1 == Decimal("0.5")
        if one.value is not None and ((int(one.value), 30) if is_half else _number(f"{one.value:f}")) in numbers:
            unit = _CURRENCY.match(text, one.end)
            text = f"{text[: one.start]} {SAME} {text[unit.end() if unit else one.end :]}"
        else:
            has_other = True
    return text, has_other


def names_span(text: str) -> bool:
    """Whether a text holds a word for a length of time, or for a number of times."""
    return _SPAN.search(text) is not None


def _is_span(text: str, start: int, end: int) -> bool:
    """Whether a number counts the time that passed."""
    return _SPAN.match(text, end) is not None and not _TO_COME.search(text[:start])


@lru_cache(maxsize=256)
def _known_values(question: str, values: tuple[object, ...], locale: str) -> tuple[frozenset[Number], frozenset[Number], frozenset[str]]:
    """Numbers and times (hour and minute) of a question, and the words for its values."""
    numbers = {_number(found["digits"]) for found in _NUMBER.finditer(question)}
    times: set[Number] = set()
    words: set[str] = set()
    for value in values:
        if isinstance(value, dt.datetime | dt.date):
            numbers |= _date_numbers(value)
            words |= _names_of(value, locale)
        if isinstance(value, dt.datetime | dt.time):
            hour, minute = value.hour, value.minute
            times.add(_shortened((hour, minute)))
            numbers |= {_shortened((hour, minute)), _shortened((hour % 12 or 12, minute))}
        elif isinstance(value, int | Decimal):
            numbers.add(_number(f"{abs(Decimal(value)):f}"))
        elif isinstance(value, str):
            words |= {bare_word(word) for word in _WORD.findall(value)}
    return frozenset(numbers), frozenset(times), frozenset(words)


def _date_numbers(value: dt.date) -> set[Number]:
    year, month, day = value.year, value.month, value.day
    return {(day,), (day, month), (month, day), (day, month, year), (month, day, year), (year, month, day), (day, month, year % 100)}


def _number(digits: str) -> Number:
    """The groups of digits: ``129.00`` and ``129`` are one number, ``1,234`` and ``1234`` too, ``9:30`` and ``09.30``."""
    groups = re.split(r"\D", digits)
    if len(groups) > 1 and len(groups[-1]) < _THOUSANDS and not int(groups[-1]):
        groups.pop()
    if len(groups) > 1 and all(len(group) == _THOUSANDS for group in groups[1:]):
        groups = ["".join(groups)]
    return tuple(map(int, groups))


def _shortened(clock: Number) -> Number:
    return clock if clock[1] else clock[:1]


def _on_24_hours(number: Number, half: str) -> Number:
    hour = number[0] % 12 + (12 if half.lower().startswith("p") else 0)
    return (hour, *number[1:])


@lru_cache(maxsize=16)
def _names(locale: str) -> tuple[dict[int, str], dict[int, str]]:
    """Names of the days of the week from Monday = 0, and of the months from 1."""
    known = message_locale(locale)
    days, months = known.days["format"]["wide"], known.months["format"]["wide"]
    return {number: bare_word(name) for number, name in days.items()}, {number: bare_word(name) for number, name in months.items()}


def _day_names(locale: str) -> frozenset[str]:
    days, months = _names(locale)
    return frozenset((*days.values(), *months.values())) - _NO_DAYS


def _names_of(value: dt.date, locale: str) -> set[str]:
    days, months = _names(locale)
    return {days[value.weekday()], months[value.month]}


def bare_word(text: str) -> str:
    """Without case and accents."""
    letters = unicodedata.normalize("NFD", text.casefold())
    return unicodedata.normalize("NFC", "".join(char for char in letters if unicodedata.category(char) != "Mn"))
