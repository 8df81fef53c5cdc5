"""Finds numbers in a text: numerals by the locale's separators, number words by text2num. Knows no message and no question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from constrained.logic.words import Words, words

if TYPE_CHECKING:
    from babel import Locale

Found = tuple[int, int, Decimal]

MOST = 10**15  # numbers of this size and more cannot be said either
DIGITS = 15  # longer numerals are account numbers or attacks, not amounts
_LANGUAGES = frozenset(("en", "fr", "es", "pt", "de", "nl", "da", "it"))  # those of text2num
_SPACES = "\u00a0\u202f "
_DASHES = "\u2212\u2013"
_QUOTES = "'\u2019"
_ATTACHED_BEFORE = re.compile(rf"(?:[^\W\d_]|[-{_DASHES}#/:.,_@\d])$")  # A17, -5, 5-10, 10:30, 1/2: part of something else
_ATTACHED_AFTER = re.compile(rf"(?:st|nd|rd|th|[ap]\.?m|º|ª|\s?%|[-{_DASHES}/:.,_@]\d|[^\W\d_]{{4}})", re.IGNORECASE)
_THOUSANDS = re.compile(r"\s?k(?!\w)", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_]+|\s+|.", re.DOTALL)
_MULTIPLIERS = frozenset(map(Decimal, (100, 1_000, 10**6, 10**9)))


def find_amounts(text: str, locale: Locale) -> list[Found]:
    """``(start, end, value)`` of every amount; ordinals, times, percentages, parts of codes and negatives are none."""
    known = words(locale.language)
    written, spoken = list(_numerals(text, locale)), list(spoken_numbers(text, locale.language))
    joined, used = _multiplied(text, written, spoken)
    rest = [one for one in spoken if one not in used and _is_amount(text, one, known)]
    return [one for one in _dozens(text, [*joined, *rest], known) if one[2] < MOST]


def spoken_numbers(text: str, language: str) -> Iterator[Found]:
    """Numbers written in words ("twenty five", "two hundred and fifty"); ordinals are left out."""
    if language not in _LANGUAGES:
        return
    from text_to_num import find_numbers  # type: ignore[import-untyped]  # ships no types

    tokens = [_Word(match) for match in _TOKEN.finditer(text)]
    for one in find_numbers(tokens, language, threshold=0.0):
        start, end = tokens[one.start].match.start(), tokens[one.end - 1].match.end()
        digits = one.text.replace(",", ".")
        if not one.is_ordinal and re.fullmatch(rf"\d{{1,{DIGITS}}}(?:\.\d{{1,{DIGITS}}})?", digits, re.ASCII):
            yield start, end, Decimal(digits)


@dataclass(frozen=True, slots=True)
class _Word:
    """A token in the form that text2num reads."""

    match: re.Match[str]

    def text(self) -> str:
        return self.match.group()

    def nt_separated(self, previous: _Word) -> bool:
        return False

    def not_a_number_part(self) -> bool:
        return not self.match.group().isalpha() and any(char.isdigit() for char in self.match.group())


def _numerals(text: str, locale: Locale) -> Iterator[Found]:
    pattern, decimal = _numeral(locale)
    for match in pattern.finditer(text):
        before, after = text[max(0, match.start() - 3) : match.start()], text[match.end() : match.end() + 4]
        is_part = _ATTACHED_BEFORE.search(before) or _ATTACHED_AFTER.match(after)
        value = None if is_part else _value(match.group(), decimal)
        if value is None:
            continue
        thousands = _THOUSANDS.match(after)
        yield (match.start(), match.end() + thousands.end(), value * 1000) if thousands else (match.start(), match.end(), value)


@lru_cache(maxsize=64)
def _numeral(locale: Locale) -> tuple[re.Pattern[str], str]:
    """How numerals are written in a locale, and its decimal mark. A space groups digits only where the locale says so."""
    from babel.numbers import get_decimal_symbol, get_group_symbol

    groups = ".," + _QUOTES + (_SPACES if get_group_symbol(locale) in _SPACES else "")
    pattern = re.compile(rf"[0-9]{{1,3}}(?:[{groups}][0-9]{{3}})+(?:[.,][0-9]+)?(?![0-9])|[0-9]+(?:[.,][0-9]+)?(?![0-9])")
    return pattern, str(get_decimal_symbol(locale))


def _value(numeral: str, decimal: str) -> Decimal | None:
    """A numeral's value: its last mark is the decimal one, unless it groups thousands where the locale's decimal mark differs."""
    bare = re.sub(rf"[{_QUOTES}{_SPACES}]", "", numeral)
    if sum(char.isdigit() for char in bare) > DIGITS:
        return None
    marks = [char for char in bare if char in ".,"]
    if not marks:
        return Decimal(bare)
    last = marks[-1]
    is_grouping = bool(re.fullmatch(rf"[1-9][0-9]{{0,2}}(?:{re.escape(last)}[0-9]{{3}})+", bare))
    if is_grouping and (len(marks) > 1 or last != decimal):
        return Decimal(bare.replace(last, ""))
    whole, _, fraction = bare.rpartition(last)
    if last in whole:
        return None  # 1.2.3 is a version or an address
    return Decimal(f"{whole.replace('.', '').replace(',', '')}.{fraction}")


def _multiplied(text: str, written: Iterable[Found], spoken: list[Found]) -> tuple[list[Found], set[Found]]:
    """ "5 hundred", "2 million": a numeral takes the multiplier word that follows it."""
    by_start = {one[0]: one for one in spoken if one[2] in _MULTIPLIERS}
    joined, used = [], set()
    for start, end, value in written:
        follows = by_start.get(end + 1) if text[end : end + 1].isspace() else None
        if follows is None:
            joined.append((start, end, value))
        else:
            joined.append((start, follows[1], value * follows[2]))
            used.add(follows)
    return joined, used


def _is_amount(text: str, found: Found, known: Words) -> bool:
    """Whether a number word is an amount; the word "one" often is not, and in many languages it is the article."""
    start, end, value = found
    if value != 1:
        return True
    before = re.findall(r"[^\W\d_]+", text[:start].lower())[-1:]
    after = re.findall(r"[^\W\d_]+", text[end:].lower())[:1]
    if known.is_one_article:
        return not before and not after
    return not (known.one_before.intersection(before) or known.one_after.intersection(after))


def _dozens(text: str, found: list[Found], known: Words) -> list[Found]:
    """With "a dozen", "half a dozen" and "three dozen" as numbers."""
    pattern = rf"(?<!\w)(?P<half>(?:{known.half})\s+)?(?:(?:{known.article})\s+)?(?P<half2>(?:{known.half})\s+)?(?:{known.dozen})(?!\w)"
    dozens = list(re.finditer(pattern, text, re.IGNORECASE))
    if not dozens:
        return found
    kept, by_end = list(found), {end: (start, end, value) for start, end, value in found}
    for match in dozens:
        count = by_end.get(match.start() - 1)
        if count is not None and count in kept:
            kept.remove(count)
            kept.append((count[0], match.end(), count[2] * 12))
        else:
            kept.append((match.start(), match.end(), Decimal(6 if match["half"] or match["half2"] else 12)))
    return kept
