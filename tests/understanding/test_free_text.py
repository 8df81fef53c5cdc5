"""Patterns that admit free text are told from those that do not, by another reading of the texts that they take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.understanding.free_text import free_text

CLASSES = ["[A-Z]", "[a-z0-9]", "[0-9]", "[A-Za-z]", r"\d", r"\w", "[ ]", r"\.", "-", r"[.:/ ]", r"[^,]", "[A-Z ]", "[.]"]
COUNTS = ["", "?", "{1,3}", "{2}", "{4,7}", "+", "*", "{1,50}"]
pieces = st.builds("{}{}".format, st.sampled_from(CLASSES), st.sampled_from(COUNTS))
sequences = st.lists(pieces, min_size=1, max_size=3).map("".join)
# Little is nested and repeated: Python's own matcher, which judges here, would take for ever.
patterns = sequences | st.builds("(?:{}|{}){}".format, sequences, pieces, st.sampled_from(["", "?", "{2}"]))


def is_free(text: str) -> bool:
    """Three words, a host, six digits and a word with a blank, or over 40 characters with a word: read off the text itself."""
    n_words = sum(re.search(r"[^\W\d_]{2}", token) is not None for token in text.split())
    is_phone = re.search(r"\s", text) and re.search(r"[^\W\d_]{4}", text) and re.search(r"(?:\d[\W\d_]*){6}", text)
    is_long = len(text) > 40 and re.search(r"[^\W\d_]{3}", text)
    return n_words >= 3 or bool(re.search(r"[^\W\d_]{2}\.[^\W\d_]{2}", text)) or bool(is_phone) or bool(is_long)


@settings(max_examples=80)
@given(patterns, st.data())
def test_what_a_pattern_takes_is_free_text_only_where_it_was_said_to_admit_some(pattern: str, data: st.DataObject) -> None:
    witness = free_text(pattern)
    if witness:
        assert re.fullmatch(pattern, witness)
        assert is_free(witness)
    else:
        assert not is_free(data.draw(st.from_regex(pattern, fullmatch=True)))


@pytest.mark.parametrize(
    "pattern",
    [
        r"[A-Za-z0-9:/. ]{1,80}",
        r".+",
        r"[^,]{1,30}",
        r"(?:\D|\d){12}",
        r"[A-Z0-9]{4}(?: [A-Z0-9]{4}){5}",
        r"[a-z0-9_-]{1,80}",
        r"[a-z]{3,}\.[a-z]{2,3}",
        r"[A-Za-z]{4} [0-9]{6}",
        r"(?:[\u0436-\u044f]{2} ){3}",
        r"(?:[a-i]|[j-r]|[s-z]| ){20}",
        r"(?:[a-i]{2}|[j-r]{2}|[s-z]{2}| ){20}",
        r"(?>[a-z]+ )+[a-z]+",
        r"(a)\1 ",
    ],
)
def test_free_text_is_found(pattern: str) -> None:
    assert free_text(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[A-Z]{2}-[0-9]{6}",
        r"[A-Z]{1,3}-[A-Z]{1,2} [0-9]{1,4}",
        r"(?:red|blue) (?:big|small) car",
        r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        r"[0-9 ]{5,20}",
        r"[A-Z]{3} ?[0-9]{6}",
        r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}",
        r"(?:you|are|owed|nothing| ){1,30}",
    ],
)
def test_references_plates_postcodes_and_closed_lists_are_none(pattern: str) -> None:
    assert free_text(pattern) == ""


def test_a_pattern_that_takes_too_long_to_follow_is_taken_for_free_text() -> None:
    nested = "[0-9a]"
    for _ in range(5):
        nested = f"(?:{nested}{{1,400}}-?){{3,400}}"
    assert free_text(nested) == nested
