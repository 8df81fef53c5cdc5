"""Finds days in a text: written dates and weekdays, by Babel's names; relative ones are found in ``relative_days``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from constrained.understanding.numerals import spoken_numbers
from constrained.understanding.questions import Prefer
from constrained.understanding.relative_days import DateSpan, relative_days
from constrained.understanding.stated_times import is_coming, stated_year
from constrained.understanding.value_words import Words, bordered, words

if TYPE_CHECKING:
    from babel import Locale


DayReader = Callable[[re.Match[str]], dt.date | object | None]

NO_DAY = object()  # what a pattern matched is no day at all; another pattern may read it
_ANY_DAY = dt.date(2024, 2, 1)  # for where a day stands, not which one it is

NEAR_YEARS = 10  # a year of two digits that is asked for ahead is at most so far away
HOURS = 24  # a number up to here behind a day may tell an hour
_VERBS = frozenset(("may", "march", "mar"))
_ISO = re.compile(
    r"(?<![\w./-])(\d{4})[-./](\d{1,2})[-./](\d{1,2})(?:T\d{2}(?::?\d{2}){0,2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?)?(?![\w/-])"
)
_EAST_ASIAN = re.compile(r"(?:(?<!\d)(?P<year>\d{4})\s?年\s?)?(?<!\d)(?P<month>\d{1,2})\s?月\s?(?P<day>\d{1,2})\s?[日号號]")
_DOTTED = re.compile(r"(?<![\w./-])(\d{1,2})\.\s?(\d{1,2})\.(?![\d/-])")
_WIDE_DIGITS = {0xFF10 + digit: str(digit) for digit in range(10)} | {0xFF0F: "/", 0xFF0D: "-"}
_BESIDE = re.compile(r"\s*[,(]?\s*(?:(?:the|on|el|der|den|dem|le)\s+){0,2}", re.IGNORECASE)
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
    from constrained.understanding.mentions import standing

    found = _with_weekdays(text.translate(_WIDE_DIGITS), _named_days(text, locale, _Today(today, prefer)), _names(locale))
    plain = text.translate(_WIDE_DIGITS)
    stands = standing(plain, [one[:2] for one in found], locale.language, of="day")
    return [(start, end, day) for (start, end, day), is_meant in zip(found, stands, strict=True) if is_meant and day is not None]


def day_spans(text: str, locale: Locale, today: dt.date) -> list[tuple[int, int]]:
    """``(start, end)`` of every day named in a text, also of those that it takes back."""
    return [(start, end) for start, end, _ in _named_days(text, locale, _Today(today, "future"))]


def _named_days(text: str, locale: Locale, at: _Today) -> list[tuple[int, int, dt.date | None]]:
    plain = text.translate(_WIDE_DIGITS)
    written, taken = _written(plain, locale, at)
    return sorted([*written, *relative_days(plain, taken, locale.language, at.date)], key=lambda one: one[:2])


def _with_weekdays(text: str, found: list[tuple[int, int, dt.date | None]], names: _Names) -> list[tuple[int, int, dt.date | None]]:
    """A weekday right beside a date ("Tuesday, 1 December") as one day; as none where they contradict each other."""
    kept: list[tuple[int, int, dt.date | None]] = []
    for start, end, day in found:
        before = kept[-1] if kept else None
        if before is None or not _BESIDE.fullmatch(text[before[1] : start]):
            kept.append((start, end, day))
            continue
        named = [names.weekday.fullmatch(text[first:last]) for first, last, _ in (before, (start, end, day))]
        if (named[0] is None) == (named[1] is None) or day is None or before[2] is None:
            kept.append((start, end, day))
            continue
        weekday, date = (named[0], day) if named[0] else (named[1], before[2])
        is_same = weekday is not None and names.weekdays[_folded(weekday["weekday"])] == date.weekday()
        if is_same or "," not in text[before[1] : start]:  # else a list of days
            kept[-1] = (before[0], end, date if is_same else None)
        else:
            kept.append((start, end, day))
    return kept


def written_days(text: str, locale: Locale) -> list[tuple[int, int]]:
    """Where a day is written out ("5 April 2026", "the first of May", "5.4." in German): numbers there are no amounts."""
    plain = text.translate(_WIDE_DIGITS)
    days, _ = _written(plain, locale, _Today(_ANY_DAY, "future"), is_date_only=True)
    return [(start, end) for start, end, day in days if day is not None]


def _written(
    text: str, locale: Locale, at: _Today, *, is_date_only: bool = False
) -> tuple[list[tuple[int, int, dt.date | None]], bytearray]:
    """Days that are written out, None for a period, and which characters were read. ``is_date_only``: those with day and month alone."""
    found: list[tuple[int, int, dt.date | None]] = []
    taken = bytearray(len(text))
    rules = _rules_of_dates(locale, at) if is_date_only else _rules(locale, words(locale.language), at)
    for pattern, read in rules:
        for match in pattern.finditer(text):
            if match.end() > match.start() and not any(taken[match.start() : match.end()]):
                day = read(match)
                if day is not NO_DAY:
                    taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
                    found.append((match.start(), match.end(), day if isinstance(day, dt.date) else None))
    return found, taken


def in_words(day: dt.date, locale: Locale) -> str:
    """A day for a reader of the locale, with its weekday."""
    from babel.dates import format_date

    return format_date(day, format="full", locale=locale)


# -- days that are written out: phrases, numerals, month names, weekdays --------------------------------


def _rules(locale: Locale, known: Words, at: _Today) -> Iterator[tuple[re.Pattern[str], DayReader]]:
    """Patterns and their readings, the more specific first: a place in the text is read once."""
    for phrase, days in known.days.items():
        yield bordered(phrase), partial(_shifted, at.date, days)
    yield from _rules_of_dates(locale, at)
    names = _names(locale)
    yield bordered(known.periods), lambda match: None
    yield names.weekday, lambda match: _weekday_named(match, names, known, at)
    yield bordered(known.ordinal), lambda match: _ordinal(int(next(filter(None, match.groups()))), at)


def _rules_of_dates(locale: Locale, at: _Today) -> Iterator[tuple[re.Pattern[str], DayReader]]:
    """Those of days with their month."""
    names, known = _names(locale), words(locale.language)
    yield (
        _EAST_ASIAN,
        lambda match: _named(int(match["day"]), int(match["month"]), match["year"], at) if int(match["month"]) <= 12 else NO_DAY,
    )
    yield _ISO, lambda match: _day(int(match[1]), int(match[2]), int(match[3]))
    yield _NUMERIC, lambda match: _numeric(match, names.is_month_first, known, at)
    if known.dotted:
        yield _DOTTED, lambda match: _named(int(match[1]), int(match[2]), None, at) if 1 <= int(match[2]) <= 12 else None
    yield names.day_month, lambda match: _day_month(match, names, known, at)
    yield names.month_day, lambda match: _month_day(match, names, known, at)
    if names.spoken_day:
        yield names.spoken_day, lambda match: _in_year(match, names.spoken(match), names.month(match), known, at)
    if names.spoken_month_day:
        yield names.spoken_month_day, lambda match: _in_year(match, names.spoken(match), names.month(match), known, at)


@dataclass(frozen=True, slots=True)
class _Names:
    """A locale's names of months and weekdays, and patterns made of them."""

    months: dict[str, int]
    weekdays: dict[str, int]
    is_month_first: bool
    day_month: re.Pattern[str]
    month_day: re.Pattern[str]
    weekday: re.Pattern[str]
    spoken_day: re.Pattern[str] | None
    spoken_month_day: re.Pattern[str] | None
    days_in_words: tuple[re.Pattern[str], ...]

    def spoken(self, match: re.Match[str]) -> int:
        """The day of a match in words."""
        return next(number for number, pattern in enumerate(self.days_in_words, 1) if pattern.fullmatch(match["day"]))

    def month(self, match: re.Match[str]) -> int:
        return self.months[_folded(match["month"])]


@lru_cache(maxsize=64)
def _names(locale: Locale) -> _Names:
    known = words(locale.language)
    months, weekdays = _forms(locale.months), {**known.weekdays, **_forms(locale.days)}
    month, weekday, of, last = _any(months), _any(weekdays), known.of, known.last
    day = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.|º|ª)?"
    year = rf"(?:,?\s+(?:(?:{of})\s+)?(?P<year>\d{{4}}))?"
    pattern = str(locale.date_formats["short"].pattern)
    spoken = "|".join(sorted(known.days_in_words, key=len, reverse=True))
    return _Names(
        months,
        weekdays,
        pattern.index("M") < pattern.index("d"),
        bordered(rf"{day}\s*(?:(?:{of})\s+)?(?P<month>{month})\.?{year}"),
        bordered(rf"(?P<month>{month})\.?\s+(?:(?:{of})\s+)?{day}(?![\d:.,]*\d|\s*[ap]\.?m){year}"),
        bordered(
            rf"(?:(?P<last>{last})\s+)?(?:(?P<later>{known.week_later})\s+|(?P<earlier>{known.week_earlier})\s+)?(?P<weekday>{weekday})"
            rf"(?P<dot>\.?)(?:\s+(?P<last2>{last}))?(?:\s+(?:(?P<later2>{known.week_later})|(?P<earlier2>{known.week_earlier})))?"
        ),
        bordered(rf"(?P<day>{spoken})\s+(?:(?:{of})\s+)*(?P<month>{month})\.?{year}") if spoken else None,
        bordered(rf"(?P<month>{month})\s+(?:the\s+)?(?P<day>{spoken}){year}") if spoken and locale.language == "en" else None,
        tuple(re.compile(one, re.IGNORECASE) for one in known.days_in_words),
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


def _in_year(match: re.Match[str], day: int, month: int, known: Words, at: _Today) -> dt.date | None:
    """A day and month with the year that the match gives, or that is said right behind it: "80", "'80", "nineteen eighty"."""
    said = match["year"] or stated_year(match, known, at.date.year)
    short = None if said else _short_year(known.of).match(match.string, match.end())
    year = _full_year(short[1], day, month, at) if short else None
    if year and at.prefer == "future" and not 0 <= int(year) - at.date.year <= NEAR_YEARS:
        if int(year[2:]) > HOURS:
            return None  # "3 May 80"
        year = None  # "3 May 10" may tell an hour
    return _named(day, month, said or year or _spoken_year(match, known), at)


@lru_cache(maxsize=64)
def _short_year(of: str) -> re.Pattern[str]:
    """Two digits right behind a day, with nothing behind them."""
    return re.compile(rf",?\s+(?:(?:{of})\s+)?['\u2019]?(\d{{2}})(?=\s*(?:[.,;!?)]|$))(?![.,:]\d)", re.IGNORECASE)


def _spoken_year(match: re.Match[str], known: Words) -> str | None:
    """A year in words right behind a day: one number, or two as in "nineteen eighty"."""
    behind = re.compile(rf"(?:,?\s+(?:(?:{known.of})\s+)?)(?=[^\W\d_])", re.IGNORECASE).match(match.string, match.end())
    said = match.string[behind.end() : behind.end() + 48] if behind else ""
    numbers = list(spoken_numbers(said, known.language)) if said else []
    if not numbers or numbers[0][0] != 0:
        return None
    first = int(numbers[0][2])
    if 1900 <= first <= 2100:
        return str(first)
    is_two = len(numbers) > 1 and re.fullmatch(r"[\s-]+", said[numbers[0][1] : numbers[1][0]]) is not None
    second = int(numbers[1][2]) if is_two else -1
    return str(first * 100 + second) if first in (19, 20) and 10 <= second <= 99 else None


def _named(day: int, month: int, year: str | None, at: _Today) -> dt.date | None:
    """A day and month, in the year given or in the one that the preference asks for (29 February looks further)."""
    if year:
        return _day(int(year), month, day)
    return at.pick([one for offset in range(-8, 9) if (one := _day(at.date.year + offset, month, day))])


def _numeric(match: re.Match[str], is_month_first: bool, known: Words, at: _Today) -> dt.date | object | None:
    """``12/04/2026``: in the locale's order, in the other one where the first makes no date. Two numbers need a slash."""
    first, mark, second, year = int(match[1]), match[2], int(match[3]), match[4]
    if not year and (mark != "/" or not _is_date_meant(match, known)):
        return NO_DAY if not year and mark != "/" else None
    orders = [(second, first), (first, second)] if is_month_first else [(first, second), (second, first)]
    for day, month in orders:
        found = _named(day, month, _full_year(year, day, month, at), at) if 1 <= month <= 12 else None
        if found:
            return found
    return None


def _is_date_meant(match: re.Match[str], known: Words) -> bool:
    """Whether ``3/17`` is a day: not where it may be a fraction, a mark or a manner of speech ("1/2 a pint", "9/10", "24/7")."""
    first, second = match[1], match[3]
    if (first, second) == ("24", "7"):
        return False
    text, start, end = match.string, match.start(), match.end()
    if re.search(r"\d\s+$", text[max(0, start - 4) : start]):
        return False  # 2 1/2
    is_whole = not re.search(r"\w", text[:start]) and not re.search(r"\w", text[end:])
    is_after = re.search(rf"(?<!\w)(?:{known.on})\s+$", text[max(0, start - 20) : start], re.IGNORECASE) is not None
    is_before_noun = (
        re.match(r"\s+(?:an?|of|the|cup|pint|hour|de|d'|stars?|points?|price|off)(?!\w)", text[end:], re.IGNORECASE) is not None
    )
    return is_whole or (not is_before_noun and (is_after or first[0] == "0" or second[0] == "0" or int(first) > 12 or int(second) > 12))


def _full_year(year: str | None, day: int, month: int, at: _Today) -> str | None:
    """A year of two digits in full: of this century; of the last one where a day that is past is asked for and this one is still ahead."""
    if not year or len(year) == 4:
        return year
    full = at.date.year // 100 * 100 + int(year)
    if at.prefer == "past" and (found := _day(full, month, day)) and found > at.date:
        full -= 100
    return f"{full:04d}"


def _day_month(match: re.Match[str], names: _Names, known: Words, at: _Today) -> dt.date | object | None:
    """ "5 May"; but "I have 30. May I?" is no day."""
    if _folded(match["month"]) in _VERBS and re.match(r"\d+\.\s", match.group()):
        return NO_DAY
    return _in_year(match, int(match["day"]), names.month(match), known, at)


def _month_day(match: re.Match[str], names: _Names, known: Words, at: _Today) -> dt.date | object | None:
    """ "May 5"; but "I may 5 times" and "May 5 people come" are no day."""
    if _folded(match["month"]) in _VERBS:
        before, after = match.string[max(0, match.start() - 20) : match.start()], match.string[match.end() :]
        is_free = not re.search(r"\w\s*$", before) or re.search(rf"(?<!\w)(?:{known.on}|in|the|of)\s+$", before, re.IGNORECASE)
        is_noun_next = re.match(
            r"\s+(?!(?:at|or|and|is|was|works|would|please|in|for|to|if|then|until|till|if|no)(?!\w))[^\W\d_]", after, re.IGNORECASE
        )
        if not is_free or is_noun_next:
            return NO_DAY
    return _in_year(match, int(match["day"]), names.month(match), known, at)


def _weekday_named(match: re.Match[str], names: _Names, known: Words, at: _Today) -> dt.date | object | None:
    """A weekday, a week later or earlier where its words say so. An abbreviation that is another word too needs a word before it."""
    name = _folded(match["weekday"])
    if name in known.abbreviations and not _is_weekday_meant(match, known):
        return NO_DAY
    at = _Today(at.date, "future") if is_coming(match, known) else at
    day = _weekday(names.weekdays[name], match["last"] or match["last2"] or match["earlier"] or match["earlier2"], at)
    if day and (match["later"] or match["later2"]):
        nearest = _weekday(names.weekdays[name], None, _Today(at.date, "future"))
        return _shifted(nearest, 7) if nearest else None
    return _shifted(day, -7) if day and (match["earlier"] or match["earlier2"]) else day


def _is_weekday_meant(match: re.Match[str], known: Words) -> bool:
    """Whether "sat" is Saturday: after "on" and the like, alone, with a dot inside a sentence, or beside another day or a time."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    starts, ends = not re.search(r"\w\s*$", before[-40:]), not re.match(r"\s*\w", after)
    is_after = re.search(rf"(?<!\w)(?:{known.on})\s+$", before[-20:], re.IGNORECASE) is not None
    goes_on = (
        re.match(r"\s*(?:\d|(?:or|and|o|y|oder|und|ou|et|please|morning|afternoon|evening|next|this)(?!\w)|[-/])", after, re.IGNORECASE)
        is not None
    )
    is_dotted = bool(match["dot"]) and re.match(r"\s+[a-z0-9]", after) is not None
    return (starts or is_after or is_dotted) and (ends or goes_on or is_dotted)


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
