"""Finds amounts in a text: numerals by the locale's separators, number words by text2num, and what both together say.

A number is read as a whole or not at all: where a part of it is not understood ("5m", "two thirds", "555 123"), nothing is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from constrained.catalog.render import CURRENCIES
from constrained.understanding.mentions import CURRENCY_SIGNS
from constrained.understanding.words import Cues, Words, cues, each, words

if TYPE_CHECKING:
    from babel import Locale

AmountSpan = tuple[int, int, Decimal]

MONEY = "money"
MOST = 10**15  # numbers of this size and more cannot be said either
DIGITS = 15  # longer numerals are account numbers or attacks, not amounts
NUMBERS = 120  # of one message that are read; so many are a table or an attack
PHONE_DIGITS = 9  # a plain numeral of as many digits is a number to call, or of an account
SHORTEST_KIND = 4  # letters of a word in a question that tells a kind; shorter ones are another word in another language
_LANGUAGES = frozenset(("en", "fr", "es", "pt", "de", "nl", "da", "it"))  # those of text2num
_SPACES = "\u00a0\u202f\u2009 "
_JOIN = "\ue000"  # stands for a space that groups digits
_QUOTES = "'\u2019"
_REACH = 48  # characters around a number in which its cues are looked for
_WIDE = {0x3000: " "} | {0xFF01 + offset: chr(0x21 + offset) for offset in range(94)}  # full-width forms, as long as they were
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
_SIGN = f"[{CURRENCY_SIGNS}]"
_WRITTEN = re.compile(
    rf"(?P<before>[*'\u2018\u2019~≈=:,.@&]*)(?P<hash>\#?)(?P<sign>[-+\u2212\u2013]?)(?P<money>(?:[A-Z]{{1,2}})?{_SIGN}|EUR|USD|GBP|CHF|eur|usd|gbp)?(?P<sign2>[-\u2212\u2013]?)"
    rf"(?P<numeral>[0-9]{{1,3}}(?:[.,'\u2019{_JOIN}][0-9]{{3}})+(?:[.,][0-9]+)?|[0-9]+(?:[.,][0-9]+)?)(?P<part>[½¼¾])?"
    rf"(?:(?P<money2>{_SIGN})(?P<minor>[0-9]{{2}})?|(?P<suffix>[^\W\d_]*{_SIGN}?))"
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
_LETTERS = re.compile(r"(?<![\w'\u2019.@-])([A-Za-z]{1,4})\s+$")
_NO_LETTERS = frozenset(  # words of two letters, and others without a vowel
    each(
        "ok no so to at is by in on up us uk eu am pm hi go do we me my it if an as or of be he oh pls plz thx txt mr mrs ms dr "
        "st nr vs gp sp cr hmm tbh btw brb fyi svp stp psst shh de la el un al su es yo si se te le lo mi tu ya va zu um im du "
        "er wo da ja je il et ne ce au ma sa ta ca hrs rs kr kg km cm mm ml mg lb"
    )
)
_GROUPED = re.compile(rf"(?<![\w.,])[0-9]{{1,3}}(?:[{_SPACES}][0-9]{{3}})+(?![0-9])(?:[.,][0-9]+)?(?![0-9])")
_GERMAN_HALF = re.compile(r"(?<!\w)(?:anderthalb|(\w{2,30}?)einhalb)(?:e[nrsm]?)?(?!\w)", re.IGNORECASE)
_WORDLESS = re.compile(r"[\W\d_]*")
_TOKEN = re.compile(r"[^\W\d_]+|\s+|.", re.DOTALL)
_SCALES = frozenset(map(Decimal, (100, 1000, 10**5, 10**6, 10**8, 10**9, 10**12)))
_ADJECTIVE = r"(?:(?:more|whole|full|long|working|business|other|different|small|ganze[nr]?|weitere[nr]?|volle[nr]?|autres)\s+)?"


class Amount(NamedTuple):
    """A number that a text says.

    Attributes:
        value: None where the text says a number whose value is not understood.
        kind: ``money`` where a currency says so, else the class of its unit or of what it identifies (``Cues``); empty when open.
    """

    start: int
    end: int
    value: Decimal | None
    kind: str


@dataclass(frozen=True, slots=True)
class _Number:
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


def find_amounts(text: str, locale: Locale) -> list[AmountSpan]:
    """``(start, end, value)`` of every amount; ordinals, times, percentages, identifiers, parts of codes and negatives are none."""
    return [(one.start, one.end, one.value) for one in find_numbers(text, locale) if one.value is not None and one.kind in ("", MONEY)]


def find_numbers(text: str, locale: Locale) -> list[Amount]:
    """Every number of a text in its order, with what its words say it is; also those whose value is not understood."""
    plain, language = text.translate(_WIDE), locale.language
    known, around = words(language), _around(language)
    numbers = _combined(plain, _raw_numbers(plain, locale), around)
    numbers = _with_minor(plain, numbers, around, known)
    numbers = _dozens(plain, numbers, around, known)
    numbers = _apart(plain, numbers, around, known)
    return [_judged(plain, one, around) for one in numbers]


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


# -- the numbers as they stand ------------------------------------------------------------------------


def _raw_numbers(text: str, locale: Locale) -> list[_Number]:
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


def _numerals(text: str, locale: Locale) -> Iterator[_Number]:
    decimal = _decimal_mark(locale)
    for chunk in _CHUNK.finditer(text):
        if not _HAS_DIGIT.search(chunk.group()):
            continue
        bare = chunk.group().strip(".,:'\u2019*")
        if bare in _PARTS:
            start = chunk.start() + chunk.group().index(bare)
            yield _Number(start, start + len(bare), None, True, part=_PARTS[bare])
            continue
        match = _WRITTEN.fullmatch(chunk.group())
        if match is None and (code := _CODE.fullmatch(bare)):
            yield _Number(chunk.start(), chunk.end(), Decimal(code[1]), True, kind="reference", is_code=True)
        elif match is None:
            yield _Number(chunk.start(), chunk.end(), None, True, is_code=not re.match(r"[-+\u2212\u2013]?[0-9]", bare))
        else:
            yield _numeral(chunk.start(), match, decimal, locale.language)


def _numeral(offset: int, match: re.Match[str], decimal: str, language: str) -> _Number:
    """A numeral with what is written right beside it: sign, currency, fraction, suffix."""
    value = _value(match["numeral"], decimal)
    if match["before"].endswith((".", ",")):  # ".50" is a part of one, and not fifty
        is_part = match["before"].endswith(".") and match["numeral"].isdecimal() and not match["before"].endswith("..")
        value = Decimal(f"0.{match['numeral']}") if is_part and len(match["numeral"]) <= DIGITS else None
    suffix = (match["suffix"] or "").rstrip(CURRENCY_SIGNS).lower()
    is_money = bool(match["money"] or match["money2"] or suffix != (match["suffix"] or "").lower())
    end = offset + match.end("part" if match["part"] else "numeral")
    if value is None or match["sign"] in ("-", "\u2212", "\u2013") or match["sign2"] or (match["sign"] and value >= 10**6):
        return _Number(offset + match.start("numeral"), offset + match.end(), None, True, is_money)
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
        is_word = re.fullmatch(_around(language).currency, suffix, re.IGNORECASE)
        is_money = is_money or bool(is_word)
        if not is_word and (suffix in _NO_SUFFIXES or len(suffix) > 3):
            value = None
    kind = "reference" if match["hash"] else ""
    return _Number(offset + match.start("numeral"), end, value, True, is_money, scale, kind=kind)


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


def _words_for_numbers(text: str, language: str) -> list[_Number]:
    found, shares = [], [match.span() for match in _around(language).percent.finditer(text)]
    for start, end, value in spoken_numbers(text, language):
        if any(start < last and first < end for first, last in shares):
            continue  # the "cent" of "pour cent"
        is_scale = value in _SCALES and not re.search(r"[\s-]", text[start:end]) and not _GERMAN_ONE.match(text[start:end])
        found.append(
            _Number(start, end, value, scale=int(value) if value in _SCALES else _last_scale(text[start:end], language), is_scale=is_scale)
        )
    if language == "de":
        for match in _GERMAN_HALF.finditer(text):
            whole = [one[2] for one in spoken_numbers(match[1] or "eins", language)]
            found.append(_Number(match.start(), match.end(), whole[0] + Decimal("0.5") if len(whole) == 1 else None))
    taken = [(one.start, one.end) for one in found]
    for pattern, power in _around(language).scales:
        for match in pattern.finditer(text):
            if not any(match.start() < end and start < match.end() for start, end in taken):
                found.append(_Number(match.start(), match.end(), Decimal(power), scale=power, is_scale=True))
    return found


_GERMAN_ONE = re.compile(r"ein\w", re.IGNORECASE)


def _last_scale(said: str, language: str) -> int:
    """The scale that the last of several number words names: a million for "two million", one for "two million five"."""
    *_, last = re.split(r"[\s-]+", said)
    values = [one[2] for one in spoken_numbers(last, language)]
    return int(values[0]) if len(values) == 1 and values[0] in _SCALES and values[0] >= 10**3 else 1


# -- what is said around a number ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Around:
    """The cues of a language, compiled."""

    currency: str
    scales: tuple[tuple[re.Pattern[str], int], ...]
    half_after: re.Pattern[str]
    half_before: re.Pattern[str]
    vague: re.Pattern[str]
    money_after: re.Pattern[str]
    money_before: re.Pattern[str]
    article_money: re.Pattern[str]
    minor: re.Pattern[str]
    minor_join: re.Pattern[str]
    minor_end: re.Pattern[str]
    not_before: re.Pattern[str]
    not_after: re.Pattern[str]
    touching: re.Pattern[str]
    percent: re.Pattern[str]
    clock_before: re.Pattern[str]
    clock_after: re.Pattern[str]
    unit: re.Pattern[str]
    identifier: re.Pattern[str]
    address_after: re.Pattern[str]
    pay: re.Pattern[str]


@lru_cache(maxsize=16)
def _around(language: str) -> _Around:
    known: Cues = cues(language)
    article = words(language).article

    def after(pattern: str) -> re.Pattern[str]:
        return re.compile(rf"[^\S\n]*(?:{pattern})(?!\w)", re.IGNORECASE)

    def before(pattern: str) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w)(?:{pattern})[^\S\n]*$", re.IGNORECASE)

    filler = "|".join((known.correction_fill, known.skipped, known.correction, known.minor_join))
    return _Around(
        currency=known.currency,
        scales=tuple((re.compile(rf"(?<!\w)(?:{name})(?!\w)", re.IGNORECASE), power) for name, power in known.scales.items()),
        half_after=after(rf"\s(?:{known.half_after})"),
        half_before=re.compile(rf"(?<!\w)(?:{known.half_before})[\s-]+$", re.IGNORECASE),
        vague=before(rf"(?:{known.vague})\s"),
        money_after=re.compile(rf"[^\S\n]*(?:{_SIGN}|-?(?:{known.currency})(?!\w))", re.IGNORECASE),
        money_before=re.compile(rf"(?:{_SIGN}|(?<!\w)(?:eur|usd|gbp|chf|euros?|dollars?))\s*$", re.IGNORECASE),
        article_money=re.compile(rf"(?<!\w)(?:{article})\s+(?:{known.currency})\s+$", re.IGNORECASE),
        minor=after(rf"{known.minor}|¢"),
        minor_join=re.compile(rf"\s+(?:(?:{known.minor_join})\s+)?", re.IGNORECASE),
        minor_end=re.compile(rf"\s*(?:$|[^\w\s%]|(?:{filler}|or|o|oder|ou)(?!\w))", re.IGNORECASE),
        not_before=before(rf"{known.negative}|(?:{known.point})|(?:{known.fraction})(?:\s+(?:of|de|von))?"),
        not_after=re.compile(rf"[\s-]*(?:%|‰|(?:{known.percent}|{known.fraction})(?!\w))", re.IGNORECASE),
        touching=re.compile(
            rf"[^\S\n]*(?:[-+\u2212\u2013*/x\u00d7=^]|\s(?:{known.negative}|{known.point}|times|plus|mal|por|fois)\s)?[^\S\n]*",
            re.IGNORECASE,
        ),
        percent=re.compile(rf"(?<!\w)(?:{known.percent})(?!\w)", re.IGNORECASE),
        clock_before=before(known.clock_before),
        clock_after=after(known.clock_after),
        unit=re.compile(rf"[\s-]+{_ADJECTIVE}(?:{_classes(known.units)})(?!\w)", re.IGNORECASE),
        identifier=_identifier(known),
        address_after=re.compile(
            r",?\s+(?:(?:[A-Z][\w'\u2019]*\.?\s+){1,2}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Way|Square)\b|(?:rue|avenue|boulevard|chemin)\b)"
        ),
        pay=re.compile(known.money_question, re.IGNORECASE),
    )


def _classes(patterns: Mapping[str, str]) -> str:
    """Patterns as one, each a group of its name; a pattern that matches nothing where there is none."""
    return "|".join(rf"(?P<{name}>{pattern})" for name, pattern in patterns.items()) or r"(?!)"


def _identifier(known: Cues) -> re.Pattern[str]:
    """What ends with the word for a thing that has a number, right before it. "To order 50" and "I order 50" buy instead."""
    verb = r"(?<!to\s)(?<!i\s)(?<!we\s)(?<!please\s)"
    no_price = r"(?!\s+(?:is|was)\s)"  # "my order was 64" tells what it cost
    before = {"order": verb, "place": verb}
    after = {"order": no_price, "parcel": no_price}
    names = {name: rf"{before.get(name, '')}(?:{pattern}){after.get(name, '')}" for name, pattern in known.ids.items()}
    link = rf"(?:(?:{known.id_link})(?!\w)[\s:#]*)*"
    return re.compile(rf"(?<!\w)(?:{_classes(names)})(?:'s)?(?:\s+|\s*[:#=(-]\s*|(?<=[.#°º])){link}$", re.IGNORECASE)


# -- what several numbers and their words say together -------------------------------------------------


def _combined(text: str, raw: list[_Number], around: _Around) -> list[_Number]:
    """ "two and a half", "5 hundred", "one and a half thousand", "half a million" as one number each."""
    combined: list[_Number] = []
    index = 0
    while index < len(raw):
        one = _halved(text, raw[index], around) if raw[index].is_scale else raw[index]
        while combined and combined[-1].start >= one.start:
            combined.pop()  # the "un" of "un demi-million"
        index += 1
        while True:
            grown = _grown(text, one, raw[index] if index < len(raw) else None, around)
            if grown is None:
                break
            one = grown
            while index < len(raw) and raw[index].start < one.end:
                index += 1
        combined.append(one)
    return combined


def _halved(text: str, one: _Number, around: _Around) -> _Number:
    before = text[max(0, one.start - _REACH) : one.start]
    half = around.half_before.search(before)
    if half and one.value is not None:
        return replace(one, start=one.start - len(before) + half.start(), value=_plain(one.value / 2), is_scale=False)
    if around.vague.search(before):
        return replace(one, value=None)
    return one


def _grown(text: str, one: _Number, following: _Number | None, around: _Around) -> _Number | None:
    """The number with a half or a scale that follows it; None when nothing does."""
    half = around.half_after.match(text, one.end)
    if half and not one.part:
        value = one.value
        if value is not None:
            value = (
                value + Decimal(one.scale) / 2
                if one.scale >= 10**6
                else value + Decimal("0.5")
                if one.scale == 1 and value == int(value)
                else None
            )
        return replace(one, end=half.end(), value=value, is_scale=False)
    if following is None or not re.fullmatch(r"[^\S\n]+|-", text[one.end : following.start]):
        return None
    if following.part is not None and one.part is None:
        is_whole = one.value is not None and one.value == int(one.value) and one.scale == 1
        return replace(one, end=following.end, value=one.value + following.part if one.value is not None and is_whole else None)
    if not following.is_scale or following.value is None or one.part is not None:
        return None
    value = _plain(one.value * following.value) if one.value is not None and following.scale > one.scale else None
    return replace(one, end=following.end, value=value, scale=following.scale, is_scale=False)


def _with_minor(text: str, numbers: list[_Number], around: _Around, known: Words) -> list[_Number]:
    """Sums of money: "36 euros fifty", "a pound fifty", "5 euros and 20 cents", "50 cents"."""
    found: list[_Number] = []
    index = 0
    while index < len(numbers):
        one = _in_money(text, numbers[index], around)
        following = numbers[index + 1] if index + 1 < len(numbers) else None
        index += 1
        money = around.money_after.match(text, one.end)
        joined = around.minor_join.fullmatch(text[money.end() : following.start]) if money and following else None
        if joined and following and (both := _major_and_minor(text, one, following, around, joined)):
            one, index = both, index + 1
        found.append(one)
    return found


def _in_money(text: str, one: _Number, around: _Around) -> _Number:
    if one.is_code:
        return one
    before = text[max(0, one.start - _REACH) : one.start]
    if around.minor.match(text, one.end):
        return replace(one, value=None if one.value is None or (one.is_money and not one.is_written) else one.value / 100, is_money=True)
    article = around.article_money.search(before)
    if article and not one.is_money and not around.money_after.match(text, one.end):
        value = one.value
        is_minor = value is not None and value == int(value) and 10 <= value <= 99 and around.minor_end.match(text, one.end)
        start = one.start - len(before) + article.start()
        return replace(one, start=start, value=1 + value / 100 if value is not None and is_minor else None, is_money=True)
    suffix = text[one.end : one.end + 3].lower()
    if one.is_written and one.value is not None and re.match(r"\s?k(?!\w)", suffix) and one.scale == 1:
        one = replace(one, value=one.value * 1000, end=one.end + suffix.index("k") + 1, scale=1000)
    is_money = one.is_money or bool(around.money_after.match(text, one.end) or around.money_before.search(before))
    if one.is_written and (short := re.match(r"\s+(m|b)(?!\w)", suffix)) and one.value is not None:
        power = 10**6 if short[1] == "m" else 10**9
        return replace(one, value=one.value * power if is_money else None, end=one.end + short.end(), is_money=is_money)
    return replace(one, is_money=is_money)


def _major_and_minor(text: str, one: _Number, minor: _Number, around: _Around, joined: re.Match[str]) -> _Number | None:
    """Both as one sum; of unknown value where it is not clear that they are one; None where they are two."""
    named = around.minor.match(text, minor.end)
    is_joined = bool(joined.group().strip())
    is_own = minor.is_money or around.money_after.match(text, minor.end) or (is_joined and not re.fullmatch(r"\s+con\s+", joined.group()))
    if is_own and not named:
        return None
    is_clear = named or (around.minor_end.match(text, minor.end) and not around.unit.match(text, minor.end))
    value, least = None, 1 if named else 10
    if is_clear and one.value is not None and one.value == int(one.value):
        hundredths = minor.value if minor.value is not None and minor.value == int(minor.value) else 0
        value = one.value + Decimal(hundredths) / 100 if least <= hundredths <= 99 else None
    return replace(one, end=minor.end, value=value, is_money=True)


def _dozens(text: str, found: list[_Number], around: _Around, known: Words) -> list[_Number]:
    """With "a dozen", "half a dozen" and "three dozen" as numbers; "dozens" are of unknown number."""
    half, article = rf"(?P<half>(?:{known.half})\s+)?", rf"(?P<article>(?:{known.article})\s+)?(?P<half2>(?:{known.half})\s+)?"
    pattern = rf"(?<!\w){half}{article}(?P<dozen>{known.dozen})(?!\w)"
    dozens = list(re.finditer(pattern, text, re.IGNORECASE))
    if not dozens:
        return found
    kept = list(found)
    for match in dozens:
        count = next(
            (one for one in kept if one.end == match.start() - 1 or (match["article"] and one.end == match.end("article") - 1)), None
        )
        is_half, is_counted = bool(match["half"] or match["half2"]), count is not None and count.start < match.start()
        kept = [one for one in kept if not (match.start() <= one.start < match.end())]
        if count is not None and is_counted and not is_half:
            kept.remove(count)
            kept.append(replace(count, end=match.end(), value=None if count.value is None else count.value * 12))
        else:
            is_open = (match["dozen"].lower().endswith("s") and not match["article"]) or is_counted
            is_open = is_open or around.half_after.match(text, match.end()) is not None
            kept.append(_Number(match.start(), match.end(), None if is_open else Decimal(6 if is_half else 12)))
    return sorted(kept, key=lambda one: one.start)


def _apart(text: str, numbers: list[_Number], around: _Around, known: Words) -> list[_Number]:
    """Without values of numbers that stand right beside each other ("7 7", "555 123", "nineteen eighty"), and without articles."""
    if known.is_one_article:
        numbers = [one for one in numbers if one.is_written or _is_one_meant(text, one, around, known)]
    beside = set()
    for index, (first, second) in enumerate(pairwise(numbers)):
        is_code = first.is_code or second.is_code
        if not is_code and around.touching.fullmatch(text[first.end : second.start]):
            beside |= {index, index + 1}
    numbers = [replace(one, value=None) if index in beside else one for index, one in enumerate(numbers)]
    return [one for one in numbers if one.is_written or _is_one_meant(text, one, around, known)]


def _is_one_meant(text: str, one: _Number, around: _Around, known: Words) -> bool:
    """Whether a number word is an amount; the word "one" often is not, and in many languages it is the article."""
    if one.value != 1 or around.money_after.match(text, one.end):
        return True
    before = re.findall(r"[^\W\d_]+|[.,;:!?]", text[: one.start].lower()[-_REACH:])[-1:]
    after = re.findall(r"[^\W\d_]+|[.,;:!?]", text[one.end : one.end + _REACH].lower())[:1]
    if known.is_one_article:
        return not [word for word in before + after if word.isalpha()]
    is_free = not before or not before[0].isalpha() or before[0] in known.one_beside
    return is_free and not known.one_after.intersection(after)


def _plain(value: Decimal) -> Decimal:
    """A computed value without the zeros that the computation left behind its decimal mark."""
    return Decimal(f"{value.normalize():f}")


def _judged(text: str, one: _Number, around: _Around) -> Amount:
    """The number with its kind, and without its value where its neighbours change it."""
    before = text[max(0, one.start - _REACH) : one.start]
    bare = re.sub(rf"(?:[A-Z]{{1,2}})?{_SIGN}\s*$", "", before)
    value = one.value
    if value is not None and (value >= MOST or around.not_before.search(bare) or around.not_after.match(text, one.end)):
        value = None
    if value is not None and re.search(r"(?:^|\s)[-\u2212\u2013]$", bare):
        value = None
    return Amount(one.start, one.end, value, MONEY if one.is_money else _kind(text, one, before, around))


def _kind(text: str, one: _Number, before: str, around: _Around) -> str:
    """What the words around a number that is no money say it is; empty when they leave it open."""
    if one.kind or one.value is None:
        return one.kind
    if around.clock_before.search(before) or around.clock_after.match(text, one.end):
        return "time"
    has_words = not _WORDLESS.fullmatch(before)
    letters = _LETTERS.search(before) if one.is_written else None
    if letters and _is_code(text, letters[1], text[one.start : one.end], before[: letters.start()], around):
        return "reference"
    found = (around.identifier.search(before) if has_words or "#" in before else None) or around.unit.match(text, one.end)
    if found:
        return str(found.lastgroup)
    if around.address_after.match(text, one.end):
        return "place"
    digits = text[one.start : one.end]
    if (
        one.is_written
        and re.fullmatch(r"(?:19|20)[0-9]{2}", digits)
        and re.search(r"(?<!\w)(?:in|en|im|since|jahr)\s+$", before, re.IGNORECASE)
    ):
        return "year"
    return "phone" if digits.isdecimal() and len(digits) >= PHONE_DIGITS else ""


def _is_code(text: str, letters: str, digits: str, before: str, around: _Around) -> bool:
    """Whether letters before a number are of one code with it: "ng 123456", "flight BA 117"; not "PAY 500", "EUR 500" and "of 500"."""
    word = letters.lower()
    if not digits.isdecimal() or len(digits) < 3 or word in _NO_LETTERS or letters.upper() in CURRENCIES:
        return False
    if re.fullmatch(around.currency, word, re.IGNORECASE):
        return False
    has_vowel = re.search(r"[aeiouy]", word) is not None
    if around.identifier.search(before) and (len(word) <= 2 or not has_vowel):
        return True
    is_shouted = letters.isupper() and not re.search(r"[a-z]", text) and len(re.findall(r"[A-Z]+", text)) > 1
    if letters.isupper() and not is_shouted:
        return len(word) == 2 or not has_vowel
    return len(digits) >= 4 and len(word) > 1 and not has_vowel


def wanted_kinds(question: str) -> frozenset[str]:
    """The kinds of number that a question asks for, by its words in any language: units, identifiers or money. Money when it tells none."""
    found: set[str] = set()
    for language in ("en", "es", "de", "fr"):
        known = cues(language)
        for name, pattern in ((MONEY, known.money_question), *known.units.items(), *known.ids.items()):
            told = re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", question, re.IGNORECASE)
            if any(len(match.group()) >= SHORTEST_KIND for match in told):
                found.add(name)
    return frozenset((MONEY,)) if MONEY in found or not found else frozenset(found)
