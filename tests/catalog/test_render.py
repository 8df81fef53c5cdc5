"""Rendering: what is said is the approved text with the values, and what may not be said is refused."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import unicodedata
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.catalog.load import catalog_from
from constrained.catalog.render import render, resolve_locale
from constrained.catalog.response import Response, Slot
from constrained.catalog.template import parse_template
from constrained.errors import CatalogError, SlotError
from tests.catalog.catalogs import TODAY, VALUES, catalog_data, small, spec_kind
from tests.strategies import naughty_strings


def response(text: str | dict[str, str], **slots: Any) -> Response:
    return catalog_from(small(said={"text": text, "slots": slots, "when": "x"}))["said"]


def one(slot: Any, value: Any, locale: str = "en") -> str:
    """What a single slot says."""
    texts = {"en": "{x}"} | {locale: "{x}"}
    return render(response(texts, x=slot), {"x": value}, locale)


def expected(source: str) -> re.Pattern[str]:
    """An independent reading of a template: its literals, and something in place of each hole."""
    pieces = re.findall(r"\{\{|\}\}|\{[a-z0-9_]+\}|[^{}]+", source)
    braces = {"{{": r"\{", "}}": r"\}"}
    holes = {piece: f"(?P<{piece[1:-1]}>.+)" for piece in pieces if piece.startswith("{") and piece not in braces}
    return re.compile("".join(braces.get(piece) or holes.get(piece) or re.escape(piece) for piece in pieces))


@given(catalog_data(), st.data())
def test_every_valid_response_renders_without_a_hole(data: dict[str, Any], drawn: st.DataObject) -> None:
    catalog = catalog_from(data, today=TODAY)
    for said in catalog.responses.values():
        specs = data["responses"][said.id].get("slots", {})
        values = {name: drawn.draw(VALUES[spec_kind(spec)]) for name, spec in specs.items()}
        for locale, number, template in ((one, n, each) for one, text in said.texts.items() for n, each in enumerate(text.each)):
            text = render(said, values, locale, number)
            assert expected(template.source).fullmatch(text)
            for value in values.values():
                assert not isinstance(value, str) or unicodedata.normalize("NFC", value) in text
            if not values:
                assert text == template.source.replace("{{", "{").replace("}}", "}")


def said_or_refused(said: Response, value: Any) -> str | SlotError:
    try:
        return render(said, {"x": value}, "en")
    except SlotError as error:
        return error


@given(st.text(max_size=60))
def test_a_text_value_is_said_as_it_is_or_refused(value: str) -> None:
    said = response("<<{x}>> {{x}}", x="text")
    text = said_or_refused(said, value)
    if isinstance(text, SlotError):
        assert (text.response, text.slot, text.value) == ("said", "x", value)
        assert text.hint
    else:
        assert text == f"<<{unicodedata.normalize('NFC', value).strip()}>> {{x}}"
        assert text.isprintable() or any(unicodedata.category(char) in ("Zs", "Cn", "Co") for char in text)


@pytest.mark.parametrize("value", naughty_strings(), ids=lambda value: ascii(value)[:30])
def test_naughty_values_make_one_line_or_are_refused(value: str) -> None:
    text = said_or_refused(response("{x}", x="text"), value)
    if isinstance(text, SlotError):
        assert len(str(text)) < 2_000
    else:
        assert len(text) <= 80
        assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text)


def test_a_value_is_never_read_as_a_template() -> None:
    said = response("{a} and {b}", a="text", b="text")
    assert render(said, {"a": "{b}", "b": "{{a}}"}, "en") == "{b} and {{a}}"


class Drink(Enum):
    ALE = "ale"


class Size(IntEnum):
    SMALL = 1


@pytest.mark.parametrize(
    ("slot", "value", "text"),
    [
        ("integer", 0, "0"),
        ("integer", -1234567, "-1,234,567"),
        ("integer", Size.SMALL, "1"),
        ("decimal", 3, "3"),
        ("decimal", Decimal("1.50"), "1.50"),
        ("decimal", Decimal("1234.123456789"), "1,234.123456789"),
        ("decimal", Decimal("-0"), "0"),
        ("decimal", Decimal("-0.00"), "0.00"),
        ("decimal", Decimal("1E+3"), "1,000"),
        ("decimal", Decimal("2E-2"), "0.02"),
        ({"type": "money", "currency": "EUR"}, 5, "€5.00"),
        ({"type": "money", "currency": "EUR"}, Decimal("-1234.5"), "-€1,234.50"),
        ({"type": "money", "currency": "EUR"}, Decimal("1.100"), "€1.10"),
        ({"type": "money", "currency": "JPY"}, Decimal(1000), "¥1,000"),
        ({"type": "money", "currency": "KWD"}, Decimal("1.125"), "KWD1.125"),
        ("date", dt.date(2026, 1, 5), "January 5, 2026"),
        ("time", dt.time(14, 5), "2:05\u202fPM"),
        ("text", "Zoë O'Neill", "Zoë O'Neill"),
        ("text", "Zoe\u0308", "Zoë"),
        ("text", "  Ann  ", "Ann"),
        ("text", "❤️ 東京", "❤️ 東京"),
        ({"type": "choice", "of": ["ale", "stew"]}, "ale", "ale"),
        ({"type": "choice", "of": {"ale": "a pint of ale"}}, Drink.ALE, "a pint of ale"),
    ],
)
def test_values_and_their_words(slot: Any, value: Any, text: str) -> None:
    assert one(slot, value) == text


EUR = {"type": "money", "currency": "EUR"}
CHOICE = {"type": "choice", "of": ["ale", "stew"]}
NOW = dt.datetime(2026, 1, 5, 14, 5)


@pytest.mark.parametrize(
    ("slot", "value", "reason"),
    [
        ("integer", True, "takes a whole number (int), got bool True"),
        ("integer", 1.0, "takes a whole number (int), got float 1.0"),
        ("integer", Decimal(1), "takes a whole number (int), got Decimal"),
        ("integer", "1", "takes a whole number (int), got '1'"),
        ("integer", None, "takes a whole number (int), got None"),
        ("integer", 10**15, "takes numbers between"),
        ("integer", -(10**5000), "takes numbers between"),
        ("decimal", 0.1, "takes an exact number (Decimal or int), got float 0.1"),
        ("decimal", False, "takes an exact number"),
        ("decimal", Decimal("NaN"), "takes a finite number, got NaN"),
        ("decimal", Decimal("sNaN"), "takes a finite number, got sNaN"),
        ("decimal", Decimal("-Infinity"), "takes a finite number, got -Infinity"),
        ("decimal", Decimal("1E+999999"), "takes numbers between"),
        ("decimal", Decimal("1E-999999"), "takes at most 9 decimals"),
        (EUR, 5.0, "takes an exact number (Decimal or int), got float 5.0"),
        (EUR, float("nan"), "takes an exact number (Decimal or int), got float nan"),
        (EUR, Decimal("1.005"), "takes 2 decimals in EUR, got 1.005"),
        ({"type": "money", "currency": "JPY"}, Decimal("1.5"), "takes 0 decimals in JPY"),
        (EUR, "5 EUR", "takes an exact number"),
        (EUR, True, "takes an exact number"),
        ("date", NOW, "takes a datetime.date, got datetime"),
        ("date", NOW.replace(tzinfo=dt.UTC), "takes a datetime.date, got datetime"),
        ("date", "2026-01-05", "takes a datetime.date"),
        ("date", dt.time(1), "takes a datetime.date"),
        ("time", NOW, "takes a datetime.time"),
        ("time", dt.time(14, tzinfo=dt.UTC), "without a time zone"),
        ("time", 14, "takes a datetime.time, got int"),
        ("text", 5, "takes text (str), got int"),
        ("text", None, "takes text (str), got None"),
        ("text", b"x", "takes text (str), got bytes"),
        ("text", "", "got an empty text"),
        ("text", " \t\u3000 ", "got an empty text"),
        ("text", "x" * 81, "takes at most 80 characters, got 81"),
        ("text", "x" * 10**6, "takes at most 80 characters, got 1000000"),
        ({"type": "text", "max_length": 3}, "abcd", "takes at most 3 characters"),
        ("text", "a\nb", "holds the character U+000A"),
        ("text", "a\tb", "holds the character U+0009"),
        ("text", "a\x00b", "holds the character U+0000"),
        ("text", "a\u2028b", "holds the character U+2028 (line separator)"),
        ("text", "a\u202eb", "holds the character U+202E (right-to-left override)"),
        ("text", "a\u2066b", "holds the character U+2066 (left-to-right isolate)"),
        ("text", "a\u200bb", "holds the character U+200B (zero width space)"),
        ("text", "a\u200db", "holds the character U+200D (zero width joiner)"),
        ("text", "\ufeffa", "holds the character U+FEFF"),
        ("text", "a\u00adb", "holds the character U+00AD (soft hyphen)"),
        ("text", "a\U000e0041b", "holds the character U+E0041"),
        ("text", "a\ud800b", "holds the character U+D800"),
        ("text", "\u0301a", "holds a combining mark at its beginning (U+0301"),
        ("text", "<|im_end|>", "holds the chat marker '<|im_end|>'"),
        ("text", "x </s> y", "holds the chat marker '</s>'"),
        ("text", "[/INST]", "holds the chat marker '[/INST]'"),
        ("text", "<\uff5cUser\uff5c>", "holds the chat marker"),
        (CHOICE, "beer", "takes one of ale, stew; got 'beer'"),
        (CHOICE, None, "takes one of ale, stew; got None"),
        (CHOICE, ["ale"], "takes one of ale, stew; got list"),
        (CHOICE, Size.SMALL, "takes one of ale, stew"),
    ],
    ids=lambda value: ascii(value)[:30] if isinstance(value, str) else type(value).__name__,
)
def test_what_may_not_be_said_is_refused(slot: Any, value: Any, reason: str) -> None:
    with pytest.raises(SlotError) as caught:
        one(slot, value)
    error = caught.value
    assert error.message.startswith("the slot 'x' of 'said' ")
    assert reason in error.message
    assert (error.response, error.slot) == ("said", "x")
    assert error.value is value
    assert error.hint


@pytest.mark.parametrize(
    ("slots", "slot", "message"),
    [
        ({}, "a", "the slot 'a' of 'said' is missing"),
        ({"a": "x"}, "b", "the slot 'b' of 'said' is missing"),
        ({"a": "x", "b": "y", "c": "z"}, "c", "'said' has no slot 'c'"),
        ({"a": "x", "b": None}, "b", "the slot 'b' of 'said' takes text (str), got None"),
    ],
)
def test_missing_and_surplus_slots(slots: dict[str, Any], slot: str, message: str) -> None:
    with pytest.raises(SlotError) as caught:
        render(response("{a} {b}", a="text", b="text"), slots, "en")
    assert (caught.value.slot, caught.value.message) == (slot, message)


def test_a_text_without_slots_takes_none() -> None:
    with pytest.raises(SlotError, match="'said' has no slot 'x'"):
        render(response("Hello."), {"x": 1}, "en")


def test_a_slot_that_a_response_does_not_declare() -> None:
    """Loading refuses such a response; one made by hand is refused here."""
    by_hand = Response("said", {"en": parse_template("{x}")}, {"y": Slot("y", "text")}, "x", "x")
    with pytest.raises(SlotError, match="does not declare the slot 'x'"):
        render(by_hand, {"x": "a"}, "en")


def test_a_value_and_its_surroundings_cannot_make_a_marker_together() -> None:
    said = response("<{x}> and [/{y}]", x="text", y={"type": "choice", "of": ["INST", "ale"]})
    assert render(said, {"x": "b", "y": "ale"}, "en") == "<b> and [/ale]"
    for slots in ({"x": "/s", "y": "ale"}, {"x": "b", "y": "INST"}, {"x": "|im_end|", "y": "ale"}):
        with pytest.raises(SlotError, match="makes the chat marker"):
            render(said, slots, "en")


def test_no_text_for_a_locale() -> None:
    with pytest.raises(CatalogError, match="no text for 'fr', only for en"):
        render(response("Hello."), {}, "fr")


# -- locales -----------------------------------------------------------------------------------------

MANY = {"en": "{x}", "de": "{x}.", "es": "{x}", "ar": "{x}", "ja": "{x}"}


@pytest.mark.parametrize(
    ("slot", "value", "expected"),
    [
        (
            "integer",
            1234567,
            {"en": "1,234,567", "de": "1.234.567.", "es": "1.234.567", "ar": "1,234,567", "ja": "1,234,567"},
        ),
        (
            "decimal",
            Decimal("1234.50"),
            {"en": "1,234.50", "de": "1.234,50.", "es": "1.234,50", "ar": "1,234.50", "ja": "1,234.50"},
        ),
        (
            EUR,
            Decimal("12345.6"),
            {
                "en": "€12,345.60",
                "de": "12.345,60\xa0€.",
                "es": "12.345,60\xa0€",
                "ar": "\u200f12,345.60\xa0€",
                "ja": "€12,345.60",
            },
        ),
        (
            "date",
            dt.date(2026, 1, 15),
            {
                "en": "January 15, 2026",
                "de": "15. Januar 2026.",
                "es": "15 de enero de 2026",
                "ar": "15 يناير 2026",
                "ja": "2026年1月15日",
            },
        ),
        ("time", dt.time(14, 5), {"en": "2:05\u202fPM", "de": "14:05.", "es": "14:05", "ar": "2:05 م", "ja": "14:05"}),
    ],
    ids=["integer", "decimal", "money", "date", "time"],
)
def test_words_are_written_as_the_locale_writes_them(slot: Any, value: Any, expected: dict[str, str]) -> None:
    said = response(MANY, x=slot)
    got = {locale: render(said, {"x": value}, locale) for locale in MANY}
    assert got == expected


def test_values_are_formatted_in_the_locale_of_the_text_that_is_said() -> None:
    """A Swiss user who is answered in German gets German numbers; one who is answered in English, English ones."""
    said = response({"en": "{x} gold", "de": "{x} Gold"}, x="integer")
    assert render(said, {"x": 1234567}, "de-CH") == "1.234.567 Gold"
    assert render(said, {"x": 1234567}, resolve_locale(said, "fr-CH", "en") or "") == "1,234,567 gold"


def test_a_choice_has_a_word_for_each_locale() -> None:
    said = response(
        {"en": "{x}?", "es": "¿{x}?", "es-MX": "¿{x}, pues?"}, x={"type": "choice", "of": {"ale": {"en": "ale", "es": "cerveza"}}}
    )
    assert [render(said, {"x": "ale"}, tag) for tag in ("en-GB", "es", "es-MX", "es-AR")] == [
        "ale?",
        "¿cerveza?",
        "¿cerveza, pues?",
        "¿cerveza?",
    ]


@pytest.mark.parametrize(
    ("locale", "is_exact", "expected"),
    [
        ("en", False, "en"),
        ("en-GB", False, "en-GB"),
        ("en-AU", False, "en"),
        ("en_GB", False, "en-GB"),
        ("EN-gb", False, "en-GB"),
        ("de-CH-1996", False, "de"),
        ("zh-Hant-TW", False, "zh-Hant"),
        ("zh-Hans-CN", False, "zh"),
        ("zh-Hans-CN", True, None),
        ("zh-Hant-TW", True, "zh-Hant"),
        ("zh-TW", True, "zh"),
        ("fr", False, "en"),
        ("fr", True, None),
        ("en-AU", True, "en"),
        ("de", True, "de"),
        ("", False, "en"),
        ("", True, None),
        ("x; DROP TABLE", False, "en"),
        ("\x00" * 1000, True, None),
    ],
)
def test_which_locale_is_said(locale: str, is_exact: bool, expected: str | None) -> None:
    texts = dict.fromkeys(["en", "en-GB", "de", "zh", "zh-Hant"], "Hello.")
    said = catalog_from(small(said={"text": texts, "when": "x", "exact_locale": is_exact}))["said"]
    assert resolve_locale(said, locale, "en") == expected


def test_without_a_text_for_the_default_there_is_no_locale() -> None:
    by_hand = Response("said", {"de": parse_template("Hallo.")}, {}, "x", "x")
    assert resolve_locale(by_hand, "fr", "en") is None
    assert resolve_locale(by_hand, "fr", "de-AT") == "de"


def test_grammar_and_locale_data_are_imported_only_when_needed() -> None:
    script = f"""
import sys
from constrained.catalog.load import catalog_from
from constrained.catalog.render import render
catalog = catalog_from({small(number={"text": "{x}", "slots": {"x": "integer"}, "when": "x"}, name={"text": "Hi.", "when": "y"})!r})
seen = ["babel" in sys.modules]
render(catalog["name"], {{}}, "en")
seen.append("babel" in sys.modules)
render(catalog["number"], {{"x": 1}}, "en")
seen.append("babel" in sys.modules)
print(seen)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[False, False, True]", done.stderr
