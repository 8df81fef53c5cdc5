"""Locale tags, currencies and what Babel knows of them."""

from __future__ import annotations

import babel.numbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.catalog.locales import canonical_tag, nearest_tag, parent_tags
from constrained.catalog.read import _FORMATTED
from constrained.catalog.render import CURRENCIES, can_format


@pytest.mark.parametrize(
    ("tag", "canonical"),
    [
        ("en", "en"),
        ("EN-us", "en-US"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-ch-1996", "de-CH-1996"),
        ("sl-rozaj-biske", "sl-rozaj-biske"),
        ("fil", "fil"),
        ("", None),
        ("e", None),
        ("english", None),
        ("xx", None),
        ("en_US", None),
        ("en-", None),
        ("en--US", None),
        ("en-US-", None),
        ("en-USA", None),
        ("en US", None),
        ("en\n", None),
        ("ｅｎ", None),  # noqa: RUF001  # full-width letters are the point
        ("i-klingon", None),
        ("en-u-nu-arab", None),
    ],
)
def test_canonical_tags(tag: str, canonical: str | None) -> None:
    assert canonical_tag(tag) == canonical


tags = st.builds(
    "-".join,
    st.tuples(st.sampled_from(["en", "zh", "sr", "fil"]), st.sampled_from(["Latn", "Hant"]), st.sampled_from(["GB", "TW", "419"])),
)


@given(tags, st.sets(st.sampled_from(["en", "zh", "zh-Hant", "sr-Latn", "fil-Latn-GB"])))
def test_the_nearest_tag_is_the_longest_parent(tag: str, known: set[str]) -> None:
    candidates = [one for one in known if tag == one or tag.startswith(one + "-")]
    assert nearest_tag(known, tag) == max(candidates, key=len, default=None)
    assert canonical_tag(tag.lower()) == tag
    assert list(parent_tags(tag))[-1] == tag.split("-")[0]


def test_a_parent_without_the_script_is_no_parent_when_the_script_matters() -> None:
    assert nearest_tag({"zh"}, "zh-Hant-TW") == "zh"
    assert nearest_tag({"zh"}, "zh-Hant-TW", same_script=True) is None
    assert nearest_tag({"zh-Hant"}, "zh-Hant-TW", same_script=True) == "zh-Hant"
    assert nearest_tag({"zh"}, "zh-TW", same_script=True) == "zh"
    assert nearest_tag({"de"}, "de-1996", same_script=True) == "de"


def test_languages_that_need_no_question_are_known_to_babel() -> None:
    assert all(can_format(language) for language in _FORMATTED)
    assert not can_format("tlh")


def test_currencies_are_known_to_babel() -> None:
    known = babel.numbers.list_currencies()
    assert {code for code in CURRENCIES if code not in known} <= {"XCG", "ZWG"}  # newer than some releases of Babel
    assert len(CURRENCIES) > 150
    assert "XXX" not in CURRENCIES
