"""Advice: a good catalog gets none, and each weakness gets one line that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from constrained.catalog.lint import LONG_TEXT, lint
from constrained.catalog.load import catalog_from, load_catalog
from tests.catalog.catalogs import TAVERN, TODAY, small

GOOD: dict[str, Any] = {"text": "A.", "when": "the player greets", "examples": ["hi", "good evening"]}
OTHER: dict[str, Any] = {"text": "B.", "when": "the player leaves", "examples": ["bye", "I'm off"]}


def test_a_good_catalog_gets_no_advice(tmp_path: Path) -> None:
    path = tmp_path / "tavern.yaml"
    path.write_text(TAVERN, encoding="utf-8")
    assert lint(load_catalog(path, today=TODAY)) == ()
    assert lint(catalog_from(small(a=GOOD, b=OTHER))) == ()


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ({"examples": []}, {}, "'a' has no examples"),
        ({"examples": {"es": []}}, {}, "'a' has no examples"),
        ({"examples": ["hi", "bye", " HI "]}, {"examples": ["ciao"]}, "'a' has the example 'HI' twice in 'en'"),
        ({}, {"examples": ["bye", "Good  evening"]}, "the example 'Good  evening' of 'b' stands under 'a' too"),
        ({}, {"examples": ["bye", "HI", "Good evening"]}, "the example 'HI' and 1 more of 'b' stand under 'a' too"),
        ({}, {"when": "The player greets."}, "'when' of 'b' is nearly that of 'a'"),
        ({"when": "player: greets the"}, {"when": "greets a player"}, "'when' of 'b' is nearly that of 'a'"),
        ({"text": "A" * (LONG_TEXT + 1)}, {}, f"the text of 'a' in 'en' has {LONG_TEXT + 1} characters"),
        ({"key": "hello"}, {"key": "Hello"}, "'key' of 'b' is nearly that of 'a'"),
    ],
)
def test_each_weakness_gets_one_line(a: dict[str, Any], b: dict[str, Any], message: str) -> None:
    found = lint(catalog_from(small(a=GOOD | a, b=OTHER | b)))
    assert [problem.message for problem in found] == [message]
    assert found[0].hint


def test_the_same_example_in_two_locales_or_the_same_text_at_its_longest_is_fine() -> None:
    longest = {"text": "A" * LONG_TEXT, "examples": {"en": ["hi"], "de": ["hi"]}}
    assert lint(catalog_from(small(a=GOOD | longest, b=OTHER))) == ()


def test_a_fallback_whose_approval_ends() -> None:
    data = small()
    data["responses"]["pardon"]["approval"] = {"by": "me", "on": "2026-01-01", "until": "2026-12-31"}
    assert [one.message for one in lint(catalog_from(data, today=TODAY))] == ["the approval of the fallback 'pardon' ends on 2026-12-31"]


def test_advice_stands_at_the_response(tmp_path: Path) -> None:
    path = tmp_path / "tavern.yaml"
    path.write_text(TAVERN.replace('["here\'s the money for the key", "I\'ll pay you fifty"]', "[]"), encoding="utf-8")
    assert [str(one).split("\n")[0] for one in lint(load_catalog(path, today=TODAY))] == [f"{path}:11:3: 'sell_key' has no examples"]


def test_responses_that_are_never_offered_together_need_no_telling_apart() -> None:
    catalog = catalog_from(small(a=GOOD | {"key": "hello"}, b=GOOD | {"text": "B.", "key": "Hello"}, c=GOOD | {"text": "C."}))
    assert lint(catalog, together=lambda one, other: False) == ()
    found = [problem.message for problem in lint(catalog, together=lambda one, other: {one, other} == {"b", "c"})]
    assert found == ["'when' of 'c' is nearly that of 'b'", "the example 'hi' and 1 more of 'c' stand under 'b' too"]


def test_what_nobody_picks_needs_no_examples() -> None:
    catalog = catalog_from(small(a=GOOD | {"examples": []}, b=OTHER | {"examples": []}))
    assert [problem.message for problem in lint(catalog, picked={"b"})] == ["'b' has no examples"]
