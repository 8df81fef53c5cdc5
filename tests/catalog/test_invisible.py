"""Characters that are not seen: no two responses differ by them alone, and they stand only where a script or an emoji needs them."""

# ruff: noqa: RUF001
from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.catalog.invisible import INVISIBLE, look, misplaced, without_invisible
from constrained.catalog.lint import lint
from constrained.catalog.load import catalog_from, load_catalog
from constrained.catalog.render import render
from constrained.errors import CatalogError, SlotValueError
from tests.catalog.catalogs import TODAY, small

HEAD = "catalog: small\nversion: 1\nlocale: en\nfallback: pardon\nresponses:\n  pardon: {text: Pardon., when: nothing fits}\n"
TWINS = [
    chr(code)
    for code in (
        0x200B, 0xAD, 0x34F, 0xFE0F, 0x180E, 0x2060, 0x200E, 0x200F, 0x3164, 0x200C, 0x200D, 0xFEFF, 0x115F,
        0x61C, 0x2064, 0xFE00, 0xFFF0, 0xE0101, 0xE0041
    )
]  # fmt: skip
TEXTS = {"en": "Hello there, friend.", "es": "Buenos días, amigo.", "de": "Grüß Gott, schön!", "fr": "Ça va très bien."}


def written(folder: Path, text: str, twin: str) -> Path:
    path = folder / "small.yaml"
    path.write_text(f'{HEAD}  one: {{text: "{text}", when: x}}\n  two: {{text: "{twin}", when: y}}\n', encoding="utf-8")
    return path


@pytest.mark.parametrize("invisible", TWINS, ids=lambda one: f"U+{ord(one):04X}")
@pytest.mark.parametrize("locale", TEXTS)
@pytest.mark.parametrize("place", [3, -1])
def test_a_response_that_differs_by_what_is_not_seen_is_refused_with_its_line(tmp_path, invisible, locale, place):
    text = TEXTS[locale]
    path = written(tmp_path, text, text[:place] + invisible + text[place:])
    with pytest.raises(CatalogError) as caught:
        load_catalog(path, today=TODAY)
    assert {(one.file, one.line) for one in caught.value.problems} == {(str(path), 8)}


EVERY = [chr(code) for code in range(0x110000) if INVISIBLE.fullmatch(chr(code))]


@given(st.sampled_from(sorted(TEXTS.values())), st.sampled_from(EVERY), st.integers(0, 16))
def test_no_invisible_character_makes_a_response_of_its_own(text, invisible, place):
    data = small(one={"text": text, "when": "x"}, two={"text": text[:place] + invisible + text[place:], "when": "y"})
    with pytest.raises(CatalogError):
        catalog_from(data, today=TODAY)


def test_every_character_that_unicode_calls_a_format_character_and_every_filler_is_invisible():
    """Format characters that are seen are left out: signs of Arabic, Kaithi, Egyptian and shorthand that stand around a number."""
    seen = [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0xFFF9, 0xFFFC), *range(0x13430, 0x13440)]
    formats = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf" and code not in seen]
    assert [f"U+{ord(one):04X}" for one in formats if not INVISIBLE.fullmatch(one)] == []


SHOWN = [
    "می‌خواهم", "نمی‌دانم", "کتاب‌ها", "क्‍ष", "क्‌ष", "ක්‍ර", "👨‍👩‍👧 Müller", "❤️‍🔥", "🏳️‍🌈", "☎️ 112", "1️⃣", "👍🏽", "👩‍⚕️",
    "ه‍.ق",
]  # fmt: skip
HIDDEN = [
    "Amazon\u200d",
    "\u200dAmazon",
    "Ama\u200czon",
    "a\ufe0f",
    "\ufe0f",
    "دا\u200cر",
    "می\u200dخ",
    "1\ufe0f",
    "👨\u200d",
    "👨\u200da",
    "क\u200dि",
]


@pytest.mark.parametrize("text", SHOWN)
def test_what_a_script_or_an_emoji_needs_may_be_said(text):
    catalog = catalog_from(
        small(written={"text": text, "when": "x"}, filled={"text": "For {x}.", "slots": {"x": "text"}, "when": "y"}), today=TODAY
    )
    assert render(catalog["filled"], {"x": text}, "en") == f"For {unicodedata.normalize('NFC', text)}."


@pytest.mark.parametrize("text", HIDDEN, ids=ascii)
def test_elsewhere_it_may_not(text):
    with pytest.raises(CatalogError, match=r"1 problem"):
        catalog_from(small(written={"text": f"x {text}.", "when": "x"}), today=TODAY)
    with pytest.raises(SlotValueError, match=r"(?:character|beginning \()\s?U\+"):
        render(catalog_from(small(filled={"text": "{x}", "slots": {"x": "text"}, "when": "y"}), today=TODAY)["filled"], {"x": text}, "en")


@given(st.text(st.sampled_from("ab ی\u200c\u200d\ufe0f👨👧ि क्"), max_size=12))
def test_no_text_is_too_odd_to_be_judged(text):
    found = misplaced(text)
    assert found is None or found[0] in "\u200c\u200d\ufe0f"
    assert not INVISIBLE.search(without_invisible(text))


ALIKE = [
    ("We open at nine.", "WE OPEN AT NINE."), ("We don't sell it.", "We don\u2019t sell it."), ('Say "yes".', "Say \u201cyes\u201d."),
    ("Call us - now.", "Call us \u2013 now."), ("Come on, ace.", "Come on, \u0430ce."), ("No parking.", "N\u03bf parking."),
    ("Press 0.", "Press O."), ("Wait...", "Wait\u2026"), ("Full width.", "\uff26ull width."), ("Pay the bill.", "Pay the bi11."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "other"), ALIKE)
def test_texts_that_a_reader_takes_for_one_are_told_of(text, other):
    shape = {"when": "x", "examples": ["a"]}
    data = small(one={"text": text, "key": "one", **shape}, two={"text": other, "key": "two", "when": "y", "examples": ["b"]})
    assert [one.message for one in lint(catalog_from(data, today=TODAY)) if "text" in one.message] == [
        "the text in 'en' of 'two' is nearly that of 'one'"
    ]


@pytest.mark.parametrize(("text", "other"), [("We open at nine.", "We open at ten."), ("Sí.", "Si."), ("It is red.", "Is it red?")])
def test_texts_that_differ_for_a_reader_are_not(text, other):
    assert look(text) != look(other)
