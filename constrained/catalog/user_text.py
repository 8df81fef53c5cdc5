"""What a user wrote, said back to them: short texts of a declared form, so that nobody makes a desk say sentences of their own.

Each form is a closed list of shapes and leaves no room for links, phone numbers or sentences. A value that does not keep its form is
refused, never cleaned into it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal, get_args

Form = Literal["reference", "name", "postcode"]
FORMS: tuple[Form, ...] = get_args(Form)
LONGEST = 40  # characters of such a value
NAME_WORDS = 4
_GROUPS = 5  # of a reference, between hyphens: a UUID has so many
_WORD_LETTERS = 10  # of the one word that a reference may hold, such as INVOICE-2026-0031

_REFERENCE = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f-]+")
_PHONE = re.compile(r"\+?0[0-9-]{8,}|(?:1-)?[2-9][0-9]{2}-[0-9]{3}-[0-9]{4}|1?-?8[0-9]{2}-[A-Za-z0-9-]{4,}")
_NAME_MARKS = frozenset("'\u2019-\u2010\u00b7")  # apostrophes, hyphens, the middle dot of Catalan
_CJK = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"})  # Japanese mixes them in one name
_JOINERS = frozenset("\u200c\u200d")  # the caller refuses those that stand where no script needs them

# Formats of the Universal Postal Union's members, letters in upper case; one blank may stand where the format has it.
POSTCODES: Mapping[str, str] = {
    **dict.fromkeys(("DE", "ES", "FR", "IT", "FI"), r"[0-9]{5}"),
    **dict.fromkeys(("AT", "AU", "BE", "CH", "DK", "NO", "NZ", "HU", "LU"), r"[0-9]{4}"),
    **dict.fromkeys(("SE", "CZ", "SK", "GR"), r"[0-9]{3} ?[0-9]{2}"),
    "BR": r"[0-9]{5}-?[0-9]{3}",
    "CA": r"[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]",
    "GB": r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}",
    "IE": r"[A-Z][0-9][0-9W] ?[A-Z0-9]{4}",
    "IN": r"[0-9]{3} ?[0-9]{3}",
    "JP": r"[0-9]{3}-?[0-9]{4}",
    "MX": r"[0-9]{5}",
    "NL": r"[0-9]{4} ?[A-Z]{2}",
    "PL": r"[0-9]{2}-?[0-9]{3}",
    "PT": r"[0-9]{4}-?[0-9]{3}",
    "US": r"[0-9]{5}(?:-[0-9]{4})?",
}
_ANY_POSTCODE = r"(?=.*[0-9])[A-Z0-9]{2,8}(?:[ -][A-Z0-9]{2,4})?"


def form_misfit(text: str, form: str, country: str = "") -> str:
    """Why a text is not of the form, as what follows "the slot"; empty when it is.

    Args:
        form: one of ``FORMS``. country: ISO 3166 code, for a postcode; that of any country when empty.
    """
    if form == "reference":
        return _reference_misfit(text)
    if form == "name":
        return _name_misfit(text)
    if re.fullmatch(POSTCODES[country] if country else _ANY_POSTCODE, text.upper(), re.ASCII) is None:
        return f"takes a postcode{f' of {country}' if country else ''}"
    return ""


def _reference_misfit(text: str) -> str:
    if not _REFERENCE.fullmatch(text) or not any(character.isdigit() for character in text):
        return "takes a reference: letters, digits and single hyphens between them, with a digit"
    if _PHONE.fullmatch(text) or re.search(r"(?<![0-9])0[0-9]{8,}", text):
        return "takes a reference, and this may be a phone number"
    words = [] if _HEXADECIMAL.fullmatch(text) else re.findall(r"[A-Za-z]{3,}", text)
    if text.count("-") >= _GROUPS or len(words) > 1 or any(len(word) > _WORD_LETTERS for word in words):
        return f"takes a reference: at most {_GROUPS} groups, and one word of at most {_WORD_LETTERS} letters"
    return ""


def _name_misfit(text: str) -> str:
    words = text.split(" ")
    if len(words) > NAME_WORDS or not all(word and word[0].isalpha() for word in words):
        return f"takes a name: at most {NAME_WORDS} words, one blank between two, each with a letter first"
    letters = [character for character in text if character.isalpha()]
    others = [one for one in text if not one.isalpha() and one != " " and one not in _NAME_MARKS | _JOINERS and not _is_mark(one)]
    if others:
        return f"takes a name: letters, blanks, apostrophes and hyphens, no {others[0]!r}"
    if len({_script(letter) for letter in letters}) > 1:
        return "takes a name in the letters of one script"
    return "takes a name, with its hyphens and apostrophes between letters" if re.search(r"['\u2019\u2010-]{2}|-(?: |$)", text) else ""


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Mc")


def _script(letter: str) -> str:
    """The script of a letter, as the first word of its Unicode name tells it; those of Japanese names as one."""
    first = unicodedata.name(letter, "").partition(" ")[0]
    return "CJK" if first in _CJK else first
