"""Courtesies are taken off a message, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.engines.small.courtesies import FEWEST_WORDS, without_courtesies
from constrained.engines.small.respell import make_speller

SPEAKER = "Brom, the innkeeper"
REQUESTS = ["which day is mine?", "I lost my card", "no, I don't want it", "una cerveza para mí", "ein Bier bitte", "cancel it now"]
OPENINGS = [
    "Good morning! ",
    "hello there, hope you are well. ",
    "oi brom ",
    "Thanks for that, now ",
    "Buenas tardes, ",
    "Hallo Herr Wirt, ",
    "Bonjour monsieur, ",
]
CLOSINGS = ["", ", Herr Wirt", ". Thank you so much!", ", gracias", ", mate"]


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("closing", CLOSINGS)
def test_what_is_left_is_the_request(opening, closing):
    for request in REQUESTS:
        assert without_courtesies(opening + request.rstrip("?") + closing, SPEAKER) == request.rstrip("?")


@pytest.mark.parametrize(
    "message",
    [
        "Hello",
        "Good evening, Brom!",
        "no thanks",
        "Thank you, goodbye",
        "hola, buenas",
        "Hi there, how are you?",
        "morning visits only, is that right",
    ],
)
def test_a_message_that_is_only_that_stays(message):
    assert without_courtesies(message, SPEAKER) == message


@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from([*OPENINGS, *REQUESTS, *CLOSINGS]), max_size=5).map("".join)))
def test_what_is_left_is_a_part_of_the_message_or_all_of_it(message):
    rest = without_courtesies(message, SPEAKER)
    assert rest == message or (rest.rstrip("?") in message and len(rest.split()) <= len(message.split()))
    assert rest == message or len(rest.split()) >= 1 <= FEWEST_WORDS


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("c4ncel my appntmnt", "cancel my appointment"),
        ("hw mch is the rm 2nite", "how much is the rm tonight"),
        ("meet at 5pm on the 2nd", "meet at 5pm on the 2nd"),
    ],
)
def test_digits_for_letters_and_dropped_vowels_are_read(typed, meant):
    assert make_speller(["please cancel my appointment", "meet me at five on the second"], "en").mend(typed) == meant
