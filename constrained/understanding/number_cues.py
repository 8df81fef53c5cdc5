"""The cues around a number in a language, compiled: currencies, units, scales, what makes it a time, a share or an identifier."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from constrained.understanding.mentions import CURRENCY_SIGNS
from constrained.understanding.value_cues import Cues, cues
from constrained.understanding.value_words import words

SIGN = f"[{CURRENCY_SIGNS}]"
_ADJECTIVE = r"(?:(?:more|whole|full|long|working|business|other|different|small|ganze[nr]?|weitere[nr]?|volle[nr]?|autres)\s+)?"


@dataclass(frozen=True, slots=True)
class NumberCues:
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
def number_cues(language: str) -> NumberCues:
    known: Cues = cues(language)
    article = words(language).article

    def after(pattern: str) -> re.Pattern[str]:
        return re.compile(rf"[^\S\n]*(?:{pattern})(?!\w)", re.IGNORECASE)

    def before(pattern: str) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w)(?:{pattern})[^\S\n]*$", re.IGNORECASE)

    filler = "|".join((known.correction_fill, known.skipped, known.correction, known.minor_join))
    return NumberCues(
        currency=known.currency,
        scales=tuple((re.compile(rf"(?<!\w)(?:{name})(?!\w)", re.IGNORECASE), power) for name, power in known.scales.items()),
        half_after=after(rf"\s(?:{known.half_after})"),
        half_before=re.compile(rf"(?<!\w)(?:{known.half_before})[\s-]+$", re.IGNORECASE),
        vague=before(rf"(?:{known.vague})\s"),
        money_after=re.compile(rf"[^\S\n]*(?:{SIGN}|-?(?:{known.currency})(?!\w))", re.IGNORECASE),
        money_before=re.compile(rf"(?:{SIGN}|(?<!\w)(?:eur|usd|gbp|chf|euros?|dollars?))\s*$", re.IGNORECASE),
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
