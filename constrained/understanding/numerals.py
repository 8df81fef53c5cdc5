"""The numbers of a text as they stand: numerals by the locale's separators, and number words by text2num."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from constrained.understanding.mentions import CURRENCY_SIGNS
from constrained.understanding.number_cues import SIGN, number_cues
from constrained.understanding.value_cues import cues
from constrained.understanding.value_words import each

if TYPE_CHECKING:
    from babel import Locale

AmountSpan = tuple[int, int, Decimal]

DIGITS = 15  # longer numerals are account numbers or attacks, not amounts
NUMBERS = 120  # of one message that are read; so many are a table or an attack
_LANGUAGES = frozenset(("en", "fr", "es", "pt", "de", "nl", "da", "it"))  # those of text2num
_SPACES = "\u00a0\u202f\u2009 "
_JOIN = "\ue000"  # stands for a space that groups digits
_QUOTES = "'\u2019"
_CHUNK = re.compile(r"[^\s…—()\[\]{};!?\"“”«»|<>¿¡]+")
_HAS_DIGIT = re.compile(r"[0-9½¼¾⅓⅔]")
_PARTS = {
    "½": Decimal("0.5"),
    "¼": Decimal("0.25"),
    "¾": Decimal("0.75"),
    "1/2": Decimal("0.5"),
    "1/4": Decimal("0.25"),
    "3/4": Decimal("0.75"),
}
_WRITTEN = re.compile(
    rf"(?P<before>[*'\u2018\u2019~≈=:,.@&]*)(?P<hash>\#?)(?P<sign>[-+\u2212\u2013]?)(?P<money>(?:[A-Z]{{1,2}})?{SIGN}|EUR|USD|GBP|CHF|eur|usd|gbp)?(?P<sign2>[-\u2212\u2013]?)"
    rf"(?P<numeral>[0-9]{{1,3}}(?:[.,'\u2019{_JOIN}][0-9]{{3}})+(?:[.,][0-9]+)?|[0-9]+(?:[.,][0-9]+)?)(?P<part>[½¼¾])?"
    rf"(?:(?P<money2>{SIGN})(?P<minor>[0-9]{{2}})?|(?P<suffix>[^\W\d_]*{SIGN}?))"
    r"(?P<tail>[.,:'\u2019*~=+]*|,[-\u2013]|[.][-\u2013]|[,.:/](?=[^\W\d_])[^0-9]*)"
)
_SCALE_SUFFIXES = {
    "k": 1000,
    "tsd": 1000,
    "mn": 10**6,
    "mio": 10**6,
    "mln": 10**6,
    "mill": 10**6,
    "bn": 10**9,
    "mrd": 10**9,
    "md": 10**9,
    "mds": 10**9,
}
_NO_SUFFIXES = frozenset(
    each("st nd rd th am pm h hr hrs min mins s sec kg km cm mm m l ml mg er re e ème eme nd º ª a o x c° f b t d ° p.m")
)
_MINOR_SUFFIXES = frozenset(("c", "p", "ct", "cts"))
_CODE = re.compile(rf"[A-Za-z]{{1,4}}-?([0-9]{{3,{DIGITS}}})")  # NG-123456
_GROUPED = re.compile(rf"(?<![\w.,])[0-9]{{1,3}}(?:[{_SPACES}][0-9]{{3}})+(?![0-9])(?:[.,][0-9]+)?(?![0-9])")
_GERMAN_HALF = re.compile(r"(?<!\w)(?:anderthalb|(\w{2,30}?)einhalb)(?:e[nrsm]?)?(?!\w)", re.IGNORECASE)
_GERMAN_ONE = re.compile(r"ein\w", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_]+|\s+|.", re.DOTALL)
_SPACED = " -\u00a0\u202f"
_COUNTS = re.compile(  # before "grand" or "mill", which are other words as well ("the mill", "that is grand")
    r"\b(?:an?|half|quarter|few|several|couple|some|many|ein(?:e[nmr]?)?|halbe?|paar|une?|una|pocos|varios|media?|demi|quelques|plusieurs|of|de)$",
    re.IGNORECASE,
)
_SCALES = frozenset(map(Decimal, (100, 1000, 10**5, 10**6, 10**8, 10**9, 10**12)))


@dataclass(frozen=True, slots=True)
class Number:
    """A number on the way to being read.

    Attributes:
        scale: the power of ten that its last word names; 1 for none. ``is_scale``: it is such a word alone.
        part: it is a fraction that may follow a whole number.
    """

    start: int
    end: int
    value: Decimal | None
    is_written: bool = False
    is_money: bool = False
    scale: int = 1
    is_scale: bool = False
    part: Decimal | None = None
    kind: str = ""
    is_code: bool = False


def raw_numbers(text: str, locale: Locale) -> list[Number]:
    """Numerals, number words and scale words, in the order of the text."""
    written = list(_numerals(_joined_groups(text, locale), locale))
    taken = [(one.start, one.end) for one in written]
    spoken = [
        one for one in _words_for_numbers(text, locale.language) if not any(one.start < end and start < one.end for start, end in taken)
    ]
    numbers = sorted([*written, *spoken], key=lambda one: one.start)
    if len(numbers) <= NUMBERS:
        return numbers
    return [*numbers[: NUMBERS - 1], replace(numbers[NUMBERS - 1], value=None, is_scale=False)]  # the last one may go on beyond the cut


def _joined_groups(text: str, locale: Locale) -> str:
    """The text with spaces that group digits marked: by the locale, by their kind, by a decimal mark, or by a group like 000."""
    from babel.numbers import get_group_symbol

    is_spaced = get_group_symbol(locale) in _SPACES

    def joined(match: re.Match[str]) -> str:
        numeral = match.group()
        is_one = is_spaced or " " not in numeral or "." in numeral or "," in numeral or re.search(r" 0", numeral)
        return re.sub(rf"[{_SPACES}]", _JOIN, numeral) if is_one else numeral

    return _GROUPED.sub(joined, text)


def _numerals(text: str, locale: Locale) -> Iterator[Number]:
    decimal = _decimal_mark(locale)
    for chunk in _CHUNK.finditer(text):
        if not _HAS_DIGIT.search(chunk.group()):
            continue
        bare = chunk.group().strip(".,:'\u2019*")
        if bare in _PARTS:
            start = chunk.start() + chunk.group().index(bare)
            yield Number(start, start + len(bare), None, True, part=_PARTS[bare])
            continue
        match = _WRITTEN.fullmatch(chunk.group())
        if match is None and (code := _CODE.fullmatch(bare)):
            yield Number(chunk.start(), chunk.end(), Decimal(code[1]), True, kind="reference", is_code=True)
        elif match is None:
            yield Number(chunk.start(), chunk.end(), None, True, is_code=not re.match(r"[-+\u2212\u2013]?[0-9]", bare))
        else:
            yield _numeral(chunk.start(), match, decimal, locale.language)


def _numeral(offset: int, match: re.Match[str], decimal: str, language: str) -> Number:
    """A numeral with what is written right beside it: sign, currency, fraction, suffix."""
    value = _value(match["numeral"], decimal)
    if match["before"].endswith((".", ",")):  # ".50" is a part of one, and not fifty
        is_part = match["before"].endswith(".") and match["numeral"].isdecimal() and not match["before"].endswith("..")
        value = Decimal(f"0.{match['numeral']}") if is_part and len(match["numeral"]) <= DIGITS else None
    suffix = (match["suffix"] or "").rstrip(CURRENCY_SIGNS).lower()
    is_money = bool(match["money"] or match["money2"] or suffix != (match["suffix"] or "").lower())
    end = offset + match.end("part" if match["part"] else "numeral")
    if value is None or match["sign"] in ("-", "\u2212", "\u2013") or match["sign2"] or (match["sign"] and value >= 10**6):
        return Number(offset + match.start("numeral"), offset + match.end(), None, True, is_money)
    if match["part"]:
        value = value + _PARTS[match["part"]] if value == int(value) else None
    if match["minor"] and value is not None:
        value, end = value + Decimal(match["minor"]) / 100 if value == int(value) else None, offset + match.end("minor")
    if match["money2"] == "¢" and value is not None:
        value = value / 100
    scale = _SCALE_SUFFIXES.get(suffix, 1)
    if is_money and suffix in ("m", "b"):
        scale = 10**6 if suffix == "m" else 10**9
    if scale > 1 and value is not None:
        value, end = value * scale, offset + match.end("suffix")
    elif suffix in _MINOR_SUFFIXES and value is not None and language in ("en", "es", "de", "fr") and not is_money:
        value, is_money, end = value / 100, True, offset + match.end("suffix")
    elif suffix:
        is_word = re.fullmatch(number_cues(language).currency, suffix, re.IGNORECASE)
        is_money = is_money or bool(is_word)
        if not is_word and (suffix in _NO_SUFFIXES or len(suffix) > 3):
            value = None
    kind = "reference" if match["hash"] else ""
    return Number(offset + match.start("numeral"), end, value, True, is_money, scale, kind=kind)


@lru_cache(maxsize=64)
def _decimal_mark(locale: Locale) -> str:
    from babel.numbers import get_decimal_symbol

    return str(get_decimal_symbol(locale))


def _value(numeral: str, decimal: str) -> Decimal | None:
    """A numeral's value: its last mark is the decimal one, unless it groups thousands where the locale's decimal mark differs."""
    bare = re.sub(rf"[{_QUOTES}{_JOIN}]", "", numeral)
    if sum(char.isdigit() for char in bare) > DIGITS or re.match(r"0[0-9]", bare):
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


def _words_for_numbers(text: str, language: str) -> list[Number]:
    found, shares = [], [match.span() for match in number_cues(language).percent.finditer(text)]
    for start, end, value in spoken_numbers(text, language):
        if any(start < last and first < end for first, last in shares):
            continue  # the "cent" of "pour cent"
        is_scale = value in _SCALES and not re.search(r"[\s-]", text[start:end]) and not _GERMAN_ONE.match(text[start:end])
        found.append(
            Number(start, end, value, scale=int(value) if value in _SCALES else _last_scale(text[start:end], language), is_scale=is_scale)
        )
    if language == "de":
        for match in _GERMAN_HALF.finditer(text):
            whole = [one[2] for one in spoken_numbers(match[1] or "eins", language)]
            found.append(Number(match.start(), match.end(), whole[0] + Decimal("0.5") if len(whole) == 1 else None))
    taken = [(one.start, one.end) for one in found]
    for pattern, power in number_cues(language).scales:
        for match in pattern.finditer(text):
            before = text[: match.start()].rstrip(_SPACED)
            is_counted = before[-1:].isdigit() or any(end == len(before) for _, end in taken) or _COUNTS.search(before)
            if is_counted and not any(match.start() < end and start < match.end() for start, end in taken):
                found.append(Number(match.start(), match.end(), Decimal(power), scale=power, is_scale=True))
    return found


def _last_scale(said: str, language: str) -> int:
    """The scale that the last of several number words names: a million for "two million", one for "two million five"."""
    *_, last = re.split(r"[\s-]+", said)
    values = [one[2] for one in spoken_numbers(last, language)]
    return int(values[0]) if len(values) == 1 and values[0] in _SCALES and values[0] >= 10**3 else 1


# -- number words ---------------------------------------------------------------------------------------


def spoken_numbers(text: str, language: str) -> Iterator[AmountSpan]:
    """Numbers written in words ("twenty five", "two hundred and fifty"); ordinals are left out."""
    if language not in _LANGUAGES:
        return
    import text_to_num  # type: ignore[import-untyped]  # ships no types

    other = cues(language).spoken
    tokens = [_Word(match, other) for match in _TOKEN.finditer(text)]
    for one in text_to_num.find_numbers(tokens, language, threshold=0.0):
        start, end = tokens[one.start].match.start(), tokens[one.end - 1].match.end()
        digits = one.text.replace(",", ".")
        if not one.is_ordinal and re.fullmatch(rf"\d{{1,{DIGITS}}}(?:\.\d{{1,{DIGITS}}})?", digits, re.ASCII):
            yield start, end, Decimal(digits)


class _Word:
    """A token in the form that text2num reads."""

    __slots__ = ("_text", "match")

    def __init__(self, match: re.Match[str], other: Mapping[str, str]) -> None:
        self.match = match
        self._text = other.get(match.group().lower(), match.group())

    def text(self) -> str:
        return self._text

    def nt_separated(self, previous: _Word) -> bool:
        return False

    def not_a_number_part(self) -> bool:
        return not self._text.isalpha() and any(char.isdigit() for char in self._text)
