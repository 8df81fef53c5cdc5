"""Finds amounts in a text: what its ``numerals`` and number words say together, and of which kind the words around them make them.

A number is read as a whole or not at all: where a part of it is not understood ("5m", "two thirds", "555 123"), nothing is found.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from constrained.catalog.render import CURRENCIES
from constrained.understanding.number_cues import SIGN, NumberCues, number_cues
from constrained.understanding.numerals import AmountSpan, Number, raw_numbers
from constrained.understanding.value_cues import cues
from constrained.understanding.value_words import Words, each, words

if TYPE_CHECKING:
    from babel import Locale

MONEY = "money"
MOST = 10**15  # numbers of this size and more cannot be said either
PHONE_DIGITS = 9  # a plain numeral of as many digits is a number to call, or of an account
SHORTEST_KIND = 4  # letters of a word in a question that tells a kind; shorter ones are another word in another language
_REACH = 48  # characters around a number in which its cues are looked for
_WIDE = {0x3000: " "} | {0xFF01 + offset: chr(0x21 + offset) for offset in range(94)}  # full-width forms, as long as they were
_LETTERS = re.compile(r"(?<![\w'\u2019.@-])([A-Za-z]{1,4})\s+$")
_NO_LETTERS = frozenset(  # words of two letters, and others without a vowel
    each(
        "ok no so to at is by in on up us uk eu am pm hi go do we me my it if an as or of be he oh pls plz thx txt mr mrs ms dr "
        "st nr vs gp sp cr hmm tbh btw brb fyi svp stp psst shh de la el un al su es yo si se te le lo mi tu ya va zu um im du "
        "er wo da ja je il et ne ce au ma sa ta ca hrs rs kr kg km cm mm ml mg lb"
    )
)
_WORDLESS = re.compile(r"[\W\d_]*")


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


def find_amounts(text: str, locale: Locale) -> list[AmountSpan]:
    """``(start, end, value)`` of every amount; ordinals, times, percentages, identifiers, parts of codes and negatives are none."""
    return [(one.start, one.end, one.value) for one in find_numbers(text, locale) if one.value is not None and one.kind in ("", MONEY)]


def find_numbers(text: str, locale: Locale) -> list[Amount]:
    """Every number of a text in its order, with what its words say it is; also those whose value is not understood."""
    plain, language = text.translate(_WIDE), locale.language
    known, around = words(language), number_cues(language)
    numbers = _combined(plain, raw_numbers(plain, locale), around)
    numbers = _with_minor(plain, numbers, around, known)
    numbers = _dozens(plain, numbers, around, known)
    numbers = _apart(plain, numbers, around, known)
    return [_judged(plain, one, around) for one in numbers]


# -- what several numbers and their words say together -------------------------------------------------


def _combined(text: str, raw: list[Number], around: NumberCues) -> list[Number]:
    """ "two and a half", "5 hundred", "one and a half thousand", "half a million" as one number each."""
    combined: list[Number] = []
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


def _halved(text: str, one: Number, around: NumberCues) -> Number:
    before = text[max(0, one.start - _REACH) : one.start]
    half = around.half_before.search(before)
    if half and one.value is not None:
        return replace(one, start=one.start - len(before) + half.start(), value=_plain(one.value / 2), is_scale=False)
    if around.vague.search(before):
        return replace(one, value=None)
    return one


def _grown(text: str, one: Number, following: Number | None, around: NumberCues) -> Number | None:
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


def _with_minor(text: str, numbers: list[Number], around: NumberCues, known: Words) -> list[Number]:
    """Sums of money: "36 euros fifty", "a pound fifty", "5 euros and 20 cents", "50 cents"."""
    found: list[Number] = []
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


def _in_money(text: str, one: Number, around: NumberCues) -> Number:
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


def _major_and_minor(text: str, one: Number, minor: Number, around: NumberCues, joined: re.Match[str]) -> Number | None:
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


def _dozens(text: str, found: list[Number], around: NumberCues, known: Words) -> list[Number]:
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
            kept.append(Number(match.start(), match.end(), None if is_open else Decimal(6 if is_half else 12)))
    return sorted(kept, key=lambda one: one.start)


def _apart(text: str, numbers: list[Number], around: NumberCues, known: Words) -> list[Number]:
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


def _is_one_meant(text: str, one: Number, around: NumberCues, known: Words) -> bool:
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


def _judged(text: str, one: Number, around: NumberCues) -> Amount:
    """The number with its kind, and without its value where its neighbours change it."""
    before = text[max(0, one.start - _REACH) : one.start]
    bare = re.sub(rf"(?:[A-Z]{{1,2}})?{SIGN}\s*$", "", before)
    value = one.value
    if value is not None and (value >= MOST or around.not_before.search(bare) or around.not_after.match(text, one.end)):
        value = None
    if value is not None and re.search(r"(?:^|\s)[-\u2212\u2013]$", bare):
        value = None
    return Amount(one.start, one.end, value, MONEY if one.is_money else _kind(text, one, before, around))


def _kind(text: str, one: Number, before: str, around: NumberCues) -> str:
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


def _is_code(text: str, letters: str, digits: str, before: str, around: NumberCues) -> bool:
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


@lru_cache(maxsize=256)  # a policy's questions stay the same
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
