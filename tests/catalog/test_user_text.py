"""What a user wrote is said back in its declared form, or not at all."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.catalog.load import catalog_from
from constrained.catalog.render import render
from constrained.catalog.response import Response, version_hash
from constrained.catalog.user_text import FORMS, POSTCODES
from constrained.errors import CatalogError, SlotError
from tests.catalog.catalogs import small
from tests.strategies import naughty_strings

PHONES = ("0800666123", "+44 20 7946 0958", "0044-20-7946-0958", "212-555-0100", "1-800-FLOWERS1")
INJECTED = "you are owed 5000. call 0800 666"


def response(**slot: Any) -> Response:
    return catalog_from(small(said={"text": "Order {x} is on its way.", "slots": {"x": {"type": "user_text", **slot}}, "when": "x"}))[
        "said"
    ]


def said(value: Any, **slot: Any) -> str:
    """What stands in the slot; empty where the value is refused."""
    try:
        return render(response(**slot), {"x": value}, "en").removeprefix("Order ").removesuffix(" is on its way.")
    except SlotError as error:
        return "" if (error.slot, bool(error.hint)) == ("x", True) else "an error that does not name the slot"


@pytest.mark.parametrize(
    ("value", "slot"),
    [
        ("AB-123456", {"form": "reference"}),
        ("123456789", {"form": "reference"}),
        ("INVOICE-2026-0031", {"form": "reference"}),
        ("550e8400-e29b-41d4-a716-446655440000", {"form": "reference"}),
        ("Ann", {"form": "name"}),
        ("Jean-Luc O'Neill de Vries", {"form": "name"}),
        ("Zoë", {"form": "name"}),
        ("山田 花子", {"form": "name"}),
        ("Мария", {"form": "name"}),
        ("محمد علی", {"form": "name"}),
        ("ราชา", {"form": "name"}),
        ("SW1A 1AA", {"form": "postcode"}),
        ("sw1a 1aa", {"form": "postcode", "country": "GB"}),
        ("80331", {"form": "postcode", "country": "DE"}),
        ("12345-6789", {"form": "postcode"}),
    ],
)
def test_what_keeps_its_form_is_said_as_it_is(value: str, slot: dict[str, str]) -> None:
    assert said(value, **slot) == value


@pytest.mark.parametrize(
    ("value", "slot"),
    [
        *((INJECTED, {"form": form}) for form in FORMS),
        *((link, {"form": form}) for form in FORMS for link in ("evil.example", "https://evil.example/1", "www.evil.com", "a@b.example")),
        *((phone, {"form": "reference"}) for phone in PHONES),
        ("call-0800666123", {"form": "reference"}),
        ("you-are-owed-5000", {"form": "reference"}),
        ("ABCDEF", {"form": "reference"}),
        ("AB--12", {"form": "reference"}),
        ("a-1-b-2-c-3", {"form": "reference"}),
        ("please call the other number", {"form": "name"}),
        ("Ann 2", {"form": "name"}),
        ("\u0410nn", {"form": "name"}),  # the first letter is Cyrillic
        ("Ann, hello", {"form": "name"}),
        ("Ann! Pay", {"form": "name"}),
        ("a" * 41, {"form": "name"}),
        ("Ann  Lee", {"form": "name"}),
        ("8033", {"form": "postcode", "country": "DE"}),
        ("CALL NOW", {"form": "postcode"}),
        ("", {"form": "name"}),
        (12345, {"form": "reference"}),
        (None, {"form": "name"}),
    ],
)
def test_what_does_not_keep_it_is_refused(value: Any, slot: dict[str, str]) -> None:
    assert said(value, **slot) == ""


def test_wide_letters_are_said_as_plain_ones() -> None:
    assert said("\uff21\uff22\uff0d\uff11\uff12\uff13", form="reference") == "AB-123"


@given(st.text(st.sampled_from("Aa0 9-.'!?:/@é漢ж\u2019") | st.characters(exclude_categories=["Cs"]), max_size=50), st.sampled_from(FORMS))
def test_whatever_is_said_is_short_and_holds_no_sentence_link_or_number_to_call(value: str, form: str) -> None:
    text = said(value, form=form)
    assert text in ("", unicodedata.normalize("NFKC", value).strip())
    assert len(text) <= 40
    assert not re.search(r"[.!?:;,/@\n\r\t\\<>\[\]{}()+=]", text)
    assert len(text.split()) <= 4
    if form == "name":
        assert not re.search(r"\d", text)
    else:
        assert len(text.split()) <= 2


@pytest.mark.parametrize("value", naughty_strings(), ids=lambda value: ascii(value)[:30])
def test_naughty_strings_are_references_only_where_they_look_like_one(value: str) -> None:
    text = said(value, form="reference")
    assert not text or re.fullmatch(r"(?=.*\d)[A-Za-z0-9-]{1,40}", text)


def test_every_country_takes_a_postcode() -> None:
    from constrained.catalog.user_text import form_misfit

    drawn = {"[0-9]": "1", "[A-Z]": "A", "[A-Z0-9]": "1", "[0-9W]": "1"}
    for country, pattern in POSTCODES.items():
        plain = re.sub(r"\(\?:.*?\)\?| \?|-\?|\[A-Z0-9\]\?", "", pattern)
        plain = re.sub(r"\{1,2\}", "{1}", plain)
        example = re.sub(r"(\[[^\]]*\])(?:\{(\d)\})?", lambda match: drawn[match[1]] * int(match[2] or 1), plain)
        assert form_misfit(example, "postcode", country) == "", (country, example)
        assert form_misfit(example + "1" * 6, "postcode", country)


@pytest.mark.parametrize(
    ("slot", "message"),
    [
        ({}, "'slots.x.form' of 'said' is missing"),
        ({"form": "sentence"}, "must be 'reference', 'name' or 'postcode', not 'sentence'"),
        ({"form": "name", "max_length": 41}, "must be at most 40"),
        ({"form": "name", "country": "GB"}, "is a name, and only postcodes have a country"),
        ({"form": "postcode", "country": "XX"}, "has no postcodes of 'XX'"),
        ({"form": "name", "pattern": ".*"}, "unknown key"),
    ],
)
def test_a_slot_that_is_no_form_is_refused(slot: dict[str, Any], message: str) -> None:
    with pytest.raises(CatalogError) as caught:
        response(**slot)
    assert any(message in problem.message for problem in caught.value.problems), caught.value.problems


def test_the_form_and_the_leave_for_free_text_are_signed() -> None:
    def version(slots: Any, **more: Any) -> str:
        return version_hash(catalog_from(small(said={"text": "{x}", "slots": {"x": slots}, "when": "x", **more}))["said"], "en")

    forms = [{"type": "user_text", "form": form} for form in FORMS] + [{"type": "user_text", "form": "postcode", "country": "GB"}]
    assert len({version(one) for one in forms} | {version("text"), version("text", free_text="they dictate it")}) == len(forms) + 2
