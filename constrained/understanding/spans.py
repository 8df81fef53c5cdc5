"""The pieces of a message that hold a value: numbers and days, each found once, in the order of the message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date as Date
from typing import TYPE_CHECKING, Any

from constrained.catalog.locales import babel_locale
from constrained.engines.protocol import Candidate
from constrained.understanding.questions import Answer, Prefer

if TYPE_CHECKING:
    from babel import Locale


READ = 2000  # characters of a message that are searched
SPANS = 12  # most spans that are proposed


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a message and its value.

    Attributes:
        text: as written; ``start`` and ``end`` are its place in the message.
        key: the value as text, unique among the spans of a message. ``words``: the value for a reader.
    """

    text: str
    start: int
    end: int
    value: Any
    key: str
    words: str

    def answer(self, question: str) -> Answer:
        return Answer(Candidate(self.key, self.text, f"{question} {self.words}.", name=self.text), self.value)


def amounts(message: str, locale: str, *, is_whole: bool, decimals: int = 2, question: str = "") -> list[Span]:
    """The numbers said in a message, as Decimal with at most ``decimals``, or as int; others are left out.

    ``question`` tells whether a sum of money is asked for or another kind of number ("Which parcel?"). What its words say to be of
    another kind is left out, and so are values that the message takes back.
    """
    from constrained.understanding.amounts import MONEY, find_numbers, wanted_kinds
    from constrained.understanding.dates import written_days
    from constrained.understanding.mentions import standing

    text, known, places = readable(message), message_locale(locale), 0 if is_whole else decimals
    days, wanted = written_days(text, known), wanted_kinds(question)
    said = [one for one in find_numbers(text, known) if not any(one.start < last and first < one.end for first, last in days)]
    sorts = ["" if one.kind in ("", *wanted) else one.kind for one in said]
    stands = standing(text, [(one.start, one.end) for one in said], known.language, sorts)
    meant = [one for one, is_meant, sort in zip(said, stands, sorts, strict=True) if is_meant and not sort]
    asked_for = [one for one in meant if one.kind] if MONEY not in wanted else []
    found = [
        (one.start, one.end, one.value) for one in asked_for or meant if one.value is not None and one.value == round(one.value, places)
    ]
    return _literal_spans(
        text, found, lambda value: int(value) if is_whole else value, lambda value: f"{value:f}", lambda value: f"{value:f}"
    )


def dates(message: str, locale: str, *, today: Date, prefer: Prefer = "future") -> list[Span]:
    """The days named in a message; ``prefer`` settles a day without a year or a week."""
    from constrained.understanding.dates import find_dates, in_words

    text, known = readable(message), message_locale(locale)
    found = find_dates(text, known, today, prefer)
    return _literal_spans(text, found, lambda value: value, Date.isoformat, lambda value: in_words(value, known))


def readable(message: str) -> str:
    """What is searched: the head of the message, with lone surrogates replaced."""
    return message[:READ].encode("utf-8", "replace").decode("utf-8")


def message_locale(locale: str) -> Locale:
    """The locale in which a message is read: Babel's for a BCP 47 tag, or English where it knows none."""
    from babel import Locale

    return babel_locale(locale) or Locale("en")


def _literal_spans(
    text: str,
    found: list[tuple[int, int, Any]],
    value_of: Callable[[Any], Any],
    key_of: Callable[[Any], str],
    words_of: Callable[[Any], str],
) -> list[Span]:
    """In the order of the message, one span a value."""
    spans: dict[str, Span] = {}
    for start, end, value in sorted(found, key=lambda one: one[:2]):
        key = key_of(value)
        if key not in spans and len(spans) < SPANS:
            spans[key] = Span(text[start:end], start, end, value_of(value), key, words_of(value))
    return list(spans.values())
