"""Whether a message denies a wish: "I do not want to change my plan", "please don't book anything", "no quiero cancelar".

Narrower than a negation (``stance``): "nothing came, and I did not get it back" complains, and wishes for what is to be done about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MOST_WORDS = 20  # of a message that is about what it denies; a longer one tells a story
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "en": re.compile(
        r"\b(?:do not|don['\u2019]?t|did not|didn['\u2019]?t|no longer|never)\s+(?:really\s+|even\s+)?(?:want|wish|need|intend"
        r"|plan)(?:ed)?\s+(?:to\b|any|the\b|my\b|a\b|that\b|your\b)"
        r"|\b(?:am not|['\u2019]m not)\s+(?:here to|going to|buying|selling|renting|booking|asking (?:for|to))\b"
        r"|\bplease\s+(?:do not|don['\u2019]?t)\b|^\W*(?:do not|don['\u2019]?t|never)\s+(?!you\b|know\b|think\b|have\b|see\b)\w+"
        r"|\b(?:there is |there['\u2019]s )?no need to\b|\bi will not (?:take|buy|pay|do)\b|\bi won['\u2019]?t (?:take|buy|pay|do)\b",
        re.I,
    ),
    "es": re.compile(
        r"\bno\s+(?:quiero|quisiera|deseo|necesito|pienso|voy a|vengo a)\b(?!\s+(?:perder|esperar))"
        r"|\bno hace falta\b|\bpor favor,?\s+no\s+\w+|^\W*no\s+(?:me\s+|la\s+|lo\s+)?(?:cancel|anul|reserv|bloque|cambi|pid)\w+",
        re.I,
    ),
    "de": re.compile(
        r"\b(?:will|möchte|brauche|wollte)\b[^.!?;]{0,40}\b(?:nicht|kein\w*)\b|\bbitte\s+(?:\w+\s+){0,4}(?:nicht|kein\w*)\b"
        r"|\bnicht nötig\b",
        re.I,
    ),
    "fr": re.compile(
        r"\bje ne (?:veux|voudrais|souhaite|compte) (?:pas|plus|rien)\b|\bpas besoin (?:de|d['\u2019])|\bne \w+ (?:pas"
        r"|rien),? s['\u2019]il",
        re.I,
    ),
}


def denies_wish(message: str, locale: str) -> bool:
    """By authored patterns for en, es, de and fr; never in other languages or in more than MOST_WORDS words."""
    pattern = _PATTERNS.get(locale.split("-")[0])
    return pattern is not None and len(message.split()) <= MOST_WORDS and pattern.search(message) is not None
