"""Characters that are not seen: where they belong in a text, what is left without them, and what two texts look like to a reader.

Source: the joiners follow Unicode Standard Annex 31, section 2.3 (rules A1, A2 and B), with the joining letters of Arabic taken from
their presentation forms; emoji sequences follow Unicode Technical Standard 51. Of emoji, sequences of tags (flags of regions) are
refused: their characters can spell any hidden text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_PLACED = re.compile("[\u200c\u200d\ufe00-\ufe0f]")  # they belong beside some characters, and beside others they only hide
_EMOJI = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297"
    "\u3299\U0001f000-\U0001faff]"
)
_KEYCAP = "\u20e3"
_VIRAMA = 9  # canonical combining class of the mark that takes a consonant's vowel away
_DEPENDENT_VOWELS = ("Mn", "Mc")
_CYRILLIC = (
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u043a\u043c\u0442\u0432\u043d",
    "aeopcyxljshdqwkmtbh",
)
_GREEK = "\u03b1\u03bf\u03c1\u03bd\u03c4\u03c5\u03b9\u03ba\u03c7\u03b5", "aopvtulkxe"
_STROKES = "01|i\u0131", "o" + "l" * 4
_QUOTES = "\u2018\u2019\u201a\u201b`\u00b4\u201c\u201d\u201e\u00ab\u00bb", "'" * 6 + '"' * 5
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212", "-" * 6
_ALIKE = str.maketrans(*("".join(half) for half in zip(_CYRILLIC, _GREEK, _STROKES, _QUOTES, _DASHES, strict=True)))


def misplaced(text: str) -> re.Match[str] | None:
    """The first joiner or variation selector that stands where no script and no emoji needs it; None where there is none."""
    return next((match for match in _PLACED.finditer(text) if not _belongs(text, match.start())), None)


def without_invisible(text: str) -> str:
    """What a reader sees of a text: without the characters that are not seen."""
    return INVISIBLE.sub("", text)


def look(text: str) -> str:
    """A text as a reader may mistake it for another: without case, with plain quotes and dashes, look-alike letters as one."""
    plain = unicodedata.normalize("NFKC", without_invisible(text)).casefold()
    return " ".join(plain.translate(_ALIKE).split())


def _belongs(text: str, at: int) -> bool:
    before, after = text[:at], text[at + 1 : at + 2]
    if text[at] not in (_NON_JOINER, _JOINER):
        return bool(before) and (_EMOJI.match(before[-1]) is not None or (before[-1] in "0123456789#*" and after == _KEYCAP))
    if text[at] == _JOINER and after and _EMOJI.match(after):
        base = before.removesuffix("\ufe0f")
        return bool(base) and _EMOJI.match(base[-1]) is not None
    if before and unicodedata.combining(before[-1]) == _VIRAMA:
        if text[at] == _NON_JOINER:
            return bool(after) and unicodedata.category(after).startswith("L")
        return not after or unicodedata.category(after) not in _DEPENDENT_VOWELS
    letter = re.sub("[\u064b-\u065f\u0670]+$", "", before)[-1:]
    is_joining = letter in _dual_joining() and bool(letter)
    is_joined = bool(after) and unicodedata.name(after, "").startswith("ARABIC LETTER")
    return is_joining and (is_joined if text[at] == _NON_JOINER else not is_joined)


@cache
def _dual_joining() -> frozenset[str]:
    """Arabic letters that join to the next one: those that have an initial form."""
    forms = (unicodedata.decomposition(chr(code)).split() for block in ((0xFB50, 0xFE00), (0xFE70, 0xFEFF)) for code in range(*block))
    return frozenset(chr(int(form[1], 16)) for form in forms if len(form) == 2 and form[0] == "<initial>")
