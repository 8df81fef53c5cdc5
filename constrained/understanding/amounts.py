"""Finds amounts in a text: numerals by the locale's separators, number words by text2num; and the words that recognisers know.

``Words`` holds, for each language, what amounts and dates are told by and no library lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale


@dataclass(frozen=True, slots=True)
class Words:
    """Regular expressions (case-insensitive, matched at word borders) and words of one language.

    Attributes:
        days: phrase -> days from today, for phrases that the date library misreads.
        synonyms: phrase -> one that the date library reads.
        periods: phrases that name more or less than a day; they are no date.
        last: what makes a weekday the one before today.
        ordinal: a day of the month without its month; the group is its number.
        of: what may stand between day, month and year.
        dozen: twelve of them. ``half``: what halves a dozen. ``article``: what may stand before a number.
        not_number: a number word after or before which the word "one" is no amount (``one_before``, ``one_after``).
        is_one_article: the word for one is also the article, so alone it is no amount.
    """

    days: Mapping[str, int] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    periods: str = r"(?!)"
    last: str = r"(?!)"
    ordinal: str = r"(?!)"
    of: str = r"(?!)"
    dozen: str = r"(?!)"
    half: str = r"(?!)"
    article: str = r"(?!)"
    one_before: frozenset[str] = frozenset()
    one_after: frozenset[str] = frozenset()
    is_one_article: bool = True


_WORD_LANGUAGES: Mapping[str, Words] = {
    "en": Words(
        days={
            r"(?:the\s+)?day\s+after\s+tomorrow": 2,
            r"(?:the\s+)?day\s+before\s+yesterday": -2,
            r"overmorrow": 2,
            r"(?:in\s+)?a\s+fortnight(?:'s\s+time)?": 14,
            r"(?:a\s+)?week\s+(?:from\s+)?today": 7,
            r"(?:a\s+)?week\s+(?:from\s+)?tomorrow": 8,
            r"tonight": 0,
            r"this\s+(?:morning|afternoon|evening)": 0,
            r"last\s+night": -1,
        },
        periods=r"(?:this|next|last|past|coming|every|each)\s+(?:week|month|year|hour|minute|second|fortnight|quarter|time|day)s?",
        last=r"last|past|previous",
        ordinal=r"(?:on\s+)?the\s+(\d{1,2})(?:st|nd|rd|th)|(?:on\s+)(\d{1,2})(?:st|nd|rd|th)",
        of=r"of|the",
        dozen=r"dozens?",
        half=r"half",
        article=r"an?",
        one_before=frozenset(
            ("a", "the", "no", "any", "every", "each", "this", "that", "which", "other", "first", "last", "next", "good", "bad")
        ),
        one_after=frozenset(("of", "more", "thing", "day", "time", "moment", "second", "minute", "another", "by", "who", "that")),
        is_one_article=False,
    ),
    "es": Words(
        days={
            r"pasado\s+mañana": 2,
            r"anteayer|antier|antes\s+de\s+ayer": -2,
            r"esta\s+(?:noche|tarde|mañana)": 0,
            r"anoche": -1,
        },
        synonyms={r"dentro\s+de": "en"},
        periods=(
            r"(?:esta|este|la|el|cada)\s+(?:próxim[oa]\s+)?(?:semana|mes|año)(?:\s+(?:que\s+viene|próxim[oa]|pasad[oa]))?"
            r"|(?:próxim[oa]s?|pasad[oa]s?)\s+(?:semana|mes|año)s?|(?:por|de|en)\s+la\s+mañana|(?:una|la|primera\s+hora\s+de\s+la)\s+mañana"
        ),
        last=r"pasad[oa]|último",
        ordinal=r"(?:el|para\s+el)\s+(?:día\s+)?(\d{1,2})(?!\s*(?:%|€|euros?|de\b))",
        of=r"de|del",
        dozen=r"docenas?",
        half=r"media",
        article=r"una?",
    ),
    "de": Words(
        periods=r"(?:diese|nächste|letzte|kommende|jede)[nrs]?\s+(?:Woche|Monat|Jahr)",
        last=r"letzte[nrs]?|vergangene[nrs]?",
        ordinal=r"(?:am|den)\s+(\d{1,2})\.",
        of=r"des",
        dozen=r"Dutzend",
        half=r"halbes",
        article=r"eine?[nms]?",
    ),
    "fr": Words(
        periods=(
            r"(?:cette|la)\s+semaine(?:\s+(?:prochaine|dernière))?|(?:ce|le)\s+mois(?:\s+(?:prochain|dernier))?"
            r"|l'année\s+(?:prochaine|dernière)"
        ),
        last=r"dernier|passé",
        ordinal=r"le\s+(\d{1,2})(?:er)?(?!\s*(?:%|€|euros?))",
        of=r"de",
        dozen=r"douzaines?",
        half=r"demi(?:e)?",
        article=r"une?",
    ),
    "it": Words(
        days={r"dopodomani": 2, r"l'altro\s*ieri": -2},
        periods=r"(?:questa|prossima|scorsa)\s+settimana|(?:questo|prossimo|scorso)\s+(?:mese|anno)",
        last=r"scors[oa]",
        of=r"di|del",
        dozen=r"dozzin[ae]",
        half=r"mezza",
        article=r"una?",
    ),
    "pt": Words(
        days={r"depois\s+de\s+amanhã": 2, r"anteontem": -2},
        periods=r"(?:esta|próxima)\s+semana|semana\s+(?:que\s+vem|passada)|(?:este|próximo)\s+(?:mês|ano)",
        last=r"passad[oa]",
        of=r"de",
        dozen=r"dúzias?",
        half=r"meia",
        article=r"uma?",
    ),
    "nl": Words(
        days={r"overmorgen": 2, r"eergisteren": -2},
        periods=r"(?:deze|volgende|vorige)\s+(?:week|maand)|(?:dit|volgend|vorig)\s+jaar",
        last=r"vorige",
        of=r"van",
        dozen=r"dozijn",
        half=r"half",
        article=r"een",
    ),
    "da": Words(
        days={r"i\s+overmorgen": 2, r"i\s+forgårs": -2},
        periods=r"(?:denne|næste|sidste)\s+(?:uge|måned)",
        last=r"sidste",
        dozen=r"dusin",
        half=r"halvt",
        article=r"et|en",
    ),
}


def words(language: str) -> Words:
    """The words of a language (ISO 639); none for a language that is not listed."""
    return _WORD_LANGUAGES.get(language, Words())


# -- amounts -----------------------------------------------------------------------------------------

AmountSpan = tuple[int, int, Decimal]

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


def find_amounts(text: str, locale: Locale) -> list[AmountSpan]:
    """``(start, end, value)`` of every amount; ordinals, times, percentages, parts of codes and negatives are none."""
    known = words(locale.language)
    written, spoken = list(_numerals(text, locale)), list(spoken_numbers(text, locale.language))
    joined, used = _multiplied(text, written, spoken)
    rest = [one for one in spoken if one not in used and _is_amount(text, one, known)]
    return [one for one in _dozens(text, [*joined, *rest], known) if one[2] < MOST]


def spoken_numbers(text: str, language: str) -> Iterator[AmountSpan]:
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


def _numerals(text: str, locale: Locale) -> Iterator[AmountSpan]:
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


def _multiplied(text: str, written: Iterable[AmountSpan], spoken: list[AmountSpan]) -> tuple[list[AmountSpan], set[AmountSpan]]:
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


def _is_amount(text: str, found: AmountSpan, known: Words) -> bool:
    """Whether a number word is an amount; the word "one" often is not, and in many languages it is the article."""
    start, end, value = found
    if value != 1:
        return True
    before = re.findall(r"[^\W\d_]+", text[:start].lower())[-1:]
    after = re.findall(r"[^\W\d_]+", text[end:].lower())[:1]
    if known.is_one_article:
        return not before and not after
    return not (known.one_before.intersection(before) or known.one_after.intersection(after))


def _dozens(text: str, found: list[AmountSpan], known: Words) -> list[AmountSpan]:
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
