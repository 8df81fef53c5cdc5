"""Plural and select: what is said is one of the written forms, the right one by the locale's rules, and every misfit has its place."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from babel.core import Locale
from babel.localedata import locale_identifiers
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.analysis.review_lint import lint_review, longest
from constrained.approval.in_force import NO_LEDGER
from constrained.approval.sheets import rows
from constrained.approval.translations import to_xliff
from constrained.catalog.lint import lint
from constrained.catalog.load import catalog_from, load_catalog
from constrained.catalog.plurals import CATEGORIES, categories
from constrained.catalog.render import can_format, render, spoken
from constrained.catalog.response import Response, Source, version_hash
from constrained.catalog.template import MOST_FORMS, Hole, Selection, Template, TemplateSyntaxError, parse_template
from constrained.errors import CatalogError, SlotError, VerificationError
from constrained.logic.options import Allowed, Option
from constrained.verify import verify
from tests.catalog.catalogs import small

LOCALES = sorted({name.split("_")[0] for name in locale_identifiers()} & {name for name in locale_identifiers() if can_format(name)})
DAYS = "{n, plural, one {# day} other {# days}}"
numbers = st.integers(0, 130) | st.integers(-(10**6), 10**12) | st.decimals(0, 200, places=1) | st.sampled_from([Decimal("1.0")])


def said(text: str, **slots: Any) -> Response:
    return catalog_from(small(said={"text": text, "slots": slots, "when": "x"}))["said"]


@settings(max_examples=60)
@given(st.sampled_from(LOCALES), numbers)
def test_a_plural_says_the_form_of_its_category_in_every_locale(locale: str, number: int | Decimal) -> None:
    known = categories(locale)
    text = "It takes {n, plural, " + " ".join(f"{one} {{{one}: # d}}" for one in known) + "}."
    response = replace(said(DAYS, n="decimal"), texts={locale: parse_template(text)})
    shown = spoken("said", response.slots["n"], number, locale)
    forms = {one: f"It takes {one}: {shown} d." for one in known}
    assert render(response, {"n": number}, locale) == forms[Locale.parse(locale).plural_form(number)]


@pytest.mark.parametrize(
    ("locale", "number", "expected"),
    [
        ("en", 1, "1 day"),
        ("en", 0, "0 days"),
        ("en", 1_000_001, "1,000,001 days"),
        ("en", Decimal("1.0"), "1.0 days"),
        ("en-GB", 1, "1 day"),
    ],
)
def test_english_days(locale: str, number: int | Decimal, expected: str) -> None:
    response = replace(said(DAYS, n="decimal"), texts={locale: parse_template(DAYS)})
    assert render(response, {"n": number}, locale) == expected


def test_russian_and_arabic_tell_more_numbers_apart() -> None:
    assert categories("ru") == ("one", "few", "many", "other")
    assert categories("ar") == CATEGORIES
    assert categories("ja") == ("other",)
    text = "{n, plural, one {# день} few {# дня} many {# дней} other {# дня}}"
    response = replace(said(DAYS, n="integer"), texts={"ru": parse_template(text)})
    assert [render(response, {"n": n}, "ru") for n in (1, 3, 5, 21)] == ["1 день", "3 дня", "5 дней", "21 день"]


def test_a_number_of_its_own_comes_first_and_other_stands_for_what_is_missing() -> None:
    response = said("{n, plural, =0 {none, {name}} =2 {a pair} other {# of them, {name}}}", n="integer", name="text")
    assert [render(response, {"n": n, "name": "Ann"}, "en") for n in (0, 1, 2)] == ["none, Ann", "1 of them, Ann", "a pair"]


def test_a_select_goes_by_the_value_of_a_choice_and_says_its_hash_sign() -> None:
    size = {"type": "choice", "of": {"big": "large", "small": "little"}}
    response = said("Box #{n}: {size, select, big {# crates} other {a {size} box}}.", size=size, n="integer")
    assert render(response, {"size": "big", "n": 3}, "en") == "Box #3: # crates."
    assert render(response, {"size": "small", "n": 3}, "en") == "Box #3: a little box."
    with pytest.raises(SlotError, match="takes one of big, small"):
        render(response, {"size": "huge", "n": 3}, "en")


# -- templates -------------------------------------------------------------------------------------------

names = st.from_regex(r"[a-z][a-z0-9_]{0,4}", fullmatch=True)
plain = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
flats = st.lists(plain | names.map(Hole), max_size=3)


def written(part: str | Hole | Selection) -> str:
    if isinstance(part, str):
        return part.replace("{", "{{").replace("}", "}}")
    if isinstance(part, Hole):
        return "{" + part.name + "}"
    forms = " ".join(f"{selector} {{{''.join(map(written, form))}}}" for selector, form in part.forms)
    return f"{{{part.name}, {part.kind}, {forms}}}"


def joined(parts: list[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return tuple(found)


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    selectors = [*draw(st.lists(st.sampled_from(["a", "b2", "one", "few"]), max_size=2, unique=True)), "other"]
    return Selection(draw(names), "select", tuple((one, joined(draw(flats))) for one in selectors))


@given(st.lists(plain | names.map(Hole) | selections(), max_size=5))
def test_a_text_with_selections_is_read_as_it_was_written_and_flattens_to_each_form(parts: list[Any]) -> None:
    template = parse_template("".join(map(written, parts)))
    assert template.parts == joined(parts)
    n_forms = 1
    for one in template.selections:
        n_forms *= len(one.forms)
    flattened = list(template.flattened())
    assert len(flattened) == n_forms
    assert all(not isinstance(part, Selection) for flat in flattened for part in flat)
    assert template.slots == {part.name for flat in flattened for part in flat if isinstance(part, Hole)} | {
        one.name for one in template.selections
    }


@pytest.mark.parametrize(
    ("source", "column", "message"),
    [
        ("a {n, plural, one {# day}}", 3, "the plural of 'n' has no form 'other'"),
        ("{n, plural, one {a} one {b} other {c}}", 1, "the plural of 'n' has the form 'one' twice"),
        ("{n, plural, one {{m, plural, other {x}}} other {c}}", 18, "a plural or select stands inside the plural of 'n'"),
        ("{n, select, a {x} other {c}", 1, "the select of 'n' is not closed"),
        ("{n, plural, one x}", 1, "the plural of 'n' cannot be read"),
        ("{n, plural, one {}}} other {y}}", 20, "a single '}' closes nothing"),
        ("{n, plurl, other {a}}", 1, "'{n, plurl, other {a}' does not name a slot"),
        ("{n, plural}", 1, "'{n, plural}' does not name a slot"),
    ],
)
def test_a_misfit_says_where_it_is(source: str, column: int, message: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        parse_template(source)
    assert (caught.value.message, caught.value.column) == (message, column)
    assert caught.value.hint


def test_texts_whose_forms_multiply_are_refused() -> None:
    one = "{n, plural, one {a} two {b} few {c} other {d}}"
    n_most = 4
    assert 4**n_most == MOST_FORMS
    assert len(list(parse_template(one * n_most).flattened())) == MOST_FORMS
    with pytest.raises(TemplateSyntaxError, match="more than 256 texts"):
        parse_template(one * (n_most + 1))


# -- in a catalog ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "slot", "message", "hint"),
    [
        ("It is {n, plural, few {#} other {#}}.", "integer", "has the form 'few', which 'en' does not have", "'en' has one, other"),
        ("It is {n, plural, one {#}}.", "integer", "the plural of 'n' has no form 'other' (character 7)", "write other {...}"),
        ("It is {n, plural, other {#}}.", "text", "the plural of 'n' selects by a text slot", "an integer or a decimal"),
        ("It is {n, select, big {x} other {y}}.", "integer", "the select of 'n' selects by a integer slot", "a choice slot"),
        ("It is {n, select, huge {x} other {y}}.", "{type: choice, of: [big]}", "has the form 'huge', which is none of", "are big"),
        ("{n, plural, one {#} other {}}", "integer", "is empty", "write it"),
        ("{n, plural, one {<} other {#}}s>", "integer", "holds the chat marker '<s>'", "take it out"),
    ],
)
def test_what_a_catalog_refuses_it_names_with_its_line(tmp_path: Path, text: str, slot: str, message: str, hint: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "catalog: c\nversion: 1\nlocale: en\nfallback: pardon\nresponses:\n  pardon: {text: What?, when: never}\n"
        f"  days:\n    text: {text!r}\n    slots: {{n: {slot}}}\n    when: ever\n",
        encoding="utf-8",
    )
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    (problem,) = caught.value.problems
    assert problem.line == 8
    assert message in problem.message
    assert hint in problem.hint


def test_two_responses_that_share_one_form_clash() -> None:
    data = small(a={"text": "{n, plural, =0 {Nothing left.} other {# left.}}", "slots": {"n": "integer"}, "when": "a"})
    assert catalog_from(data)
    data["responses"]["b"] = {"text": "Nothing  left.", "when": "b"}
    with pytest.raises(CatalogError) as caught:
        catalog_from(data)
    assert [one.message for one in caught.value.problems] == ["'b' says in 'en' the same as 'a'"]


def test_a_category_that_is_left_out_gets_a_remark() -> None:
    text = {"en": DAYS, "ru": "{n, plural, one {# день} other {# дней}}"}
    data = small(a={"text": text, "slots": {"n": "integer"}, "when": "a", "examples": ["how long"]})
    found = [one.message for one in lint(catalog_from(data))]
    assert found == [f"the plural of 'n' in 'a' has no form {form!r}, which 'ru' tells apart" for form in ("few", "many")]


def test_every_form_is_signed_reviewed_and_measured() -> None:
    catalog = catalog_from(small(a={"text": DAYS, "slots": {"n": "integer"}, "when": "a"}))
    other = catalog_from(small(a={"text": DAYS.replace("days", "nights"), "slots": {"n": "integer"}, "when": "a"}))
    assert version_hash(catalog["a"], "en") != version_hash(other["a"], "en")
    (row,) = (one for one in rows(catalog, NO_LEDGER, dt.date(2026, 3, 2)) if one["response"] == "a")
    assert row["text"] == DAYS
    assert longest(catalog["a"], "en") == len("1,000,000 days")
    assert DAYS in to_xliff(catalog, "de").decode()


def test_a_form_that_differs_by_what_is_not_seen_is_no_other_text() -> None:
    for invisible in "\u200b\u00ad\u034f\ufe0f\u180e\u2060\u200e\u3164":
        twin = DAYS.replace("days", f"da{invisible}ys")
        slots = {"n": "integer"}
        with pytest.raises(CatalogError):
            catalog_from(small(a={"text": DAYS, "slots": slots, "when": "a"}, b={"text": twin, "slots": slots, "when": "b"}))


def test_review_looks_for_phrases_in_every_form() -> None:
    data = small(a={"text": "You win {n, plural, one {for certain} other {# times}}.", "slots": {"n": "integer"}, "when": "a"})
    data["review"] = {"forbidden": ["win for certain"]}
    assert [one.message for one in lint_review(catalog_from(data))] == [
        "the text of 'a' in 'en' holds the forbidden phrase 'win for certain'"
    ]


def test_what_is_released_is_the_form_of_the_value_and_no_other() -> None:
    catalog = catalog_from(small(a={"text": DAYS, "slots": {"n": "integer"}, "when": "a"}))
    today = dt.date(2026, 3, 2)
    for n, text in ((1, "1 day"), (2, "2 days")):
        option = Option(catalog["a"], {"n": n}, text, "en", Source())
        verify(text, option, Allowed((option,)), catalog, today)
        for wrong in ("1 days", "2 day", DAYS, "1 day" if n == 2 else "2 days"):
            with pytest.raises(VerificationError, match="not the approved rendering"):
                verify(wrong, option, Allowed((option,)), catalog, today)


def test_a_template_without_selections_flattens_to_itself() -> None:
    template: Template = parse_template("a {b} c")
    assert list(template.flattened()) == [template.parts]
