"""Catalogs for the tests of the catalog part: one small one as YAML, random ones as data. Knows no test."""

from __future__ import annotations

import copy
import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

TODAY = dt.date(2026, 3, 2)

TAVERN = """\
catalog: tavern
version: 3
locale: en
speaker: Brom, the innkeeper
persona: Gruff, fair, hates haggling.
fallback: pardon
responses:
  pardon:
    text: {en: "Come again?", es: "¿Cómo dices?"}
    when: nothing else fits
  sell_key:
    text:
      en: "{price} gold, and the cellar key is yours. Mind the third step."
      es: "{price} de oro, y la llave de la bodega es tuya."
    slots: {price: integer}
    when: the player wants to buy the cellar key
    examples: ["here's the money for the key", "I'll pay you fifty"]
    tags: [trade]
    voice: brom_sell_key
    approval: {by: "Writers' room", on: 2026-01-15, until: 2027-12-31}
"""

SMALL: dict[str, Any] = {
    "catalog": "small",
    "version": 1,
    "locale": "en",
    "fallback": "pardon",
    "responses": {"pardon": {"text": "Pardon?", "when": "nothing else fits"}},
}


def small(**responses: Any) -> dict[str, Any]:
    """A valid catalog as data, with these responses besides the fallback."""
    data = copy.deepcopy(SMALL)
    data["responses"] |= responses
    return data


# -- random valid catalogs ---------------------------------------------------------------------------

identifiers = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in ("is", "in", "if", "or", "as"))
letters = st.characters(categories=["Lu", "Ll", "Lo", "Nd", "Zs", "Po"], exclude_characters="<[")
literals = st.text(letters | st.sampled_from("{}é漢ع"), max_size=20).map(lambda text: text.replace("{", "{{").replace("}", "}}"))
words = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=1, max_size=8)
locales = st.sampled_from(["de", "es", "ar", "ja", "en-GB", "zh-Hant"])

slot_specs = st.one_of(
    st.sampled_from(["integer", "decimal", "date", "time", "text", {"type": "integer"}]),
    st.builds(lambda code: {"type": "money", "currency": code}, st.sampled_from(["EUR", "JPY", "KWD"])),
    st.builds(lambda most: {"type": "text", "max_length": most}, st.integers(13, 200)),
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(10**12), 10**12),
    "decimal": st.decimals(-(10**9), 10**9, places=3),
    "money": st.integers(-(10**9), 10**9).map(Decimal),
    "date": st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
    "time": st.times(),
    "text": words | st.sampled_from(["{price}", "{{x}}", "%s", "{0.__class__}"]),
}


@st.composite
def responses(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """One response in the shape of the file format; ``number`` in its text keeps it apart from others."""
    slots = draw(st.dictionaries(identifiers, slot_specs, max_size=3))
    tags = draw(st.sets(locales, max_size=3)) | {"en"}

    def text(variant: str = "") -> str:
        return f"{number}{variant}: " + "".join(draw(literals) + "{" + name + "}" for name in slots) + draw(literals)

    response: dict[str, Any] = {"text": {tag: text() for tag in tags}, "when": draw(words)}
    optional = {
        "slots": slots,
        "examples": draw(st.lists(words, max_size=3)),
        "tags": draw(st.lists(words, max_size=2)),
        "voice": draw(words),
        "approval": {"by": draw(words), "on": draw(st.dates(dt.date(2000, 1, 1), TODAY))},
        "exact_locale": draw(st.booleans()),
        "aliases": ["was_" + "x" * (number + 1)],
    }
    if draw(st.booleans()):
        response["variants"] = {tag: [text(letter) for letter in "ab"[: draw(st.integers(1, 2))]] for tag in sorted(tags)[:2]}
    return response | {key: value for key, value in optional.items() if key == "slots" or draw(st.booleans())}


@st.composite
def catalog_data(draw: st.DrawFn) -> dict[str, Any]:
    """A valid catalog as data."""
    ids = draw(st.lists(identifiers.filter(lambda name: name != "pardon"), max_size=4, unique=True))
    return small(**{response_id: draw(responses(number)) for number, response_id in enumerate(ids)})


def spec_kind(spec: Any) -> str:
    return spec if isinstance(spec, str) else spec["type"]
