"""A message after the speaker's own corrections, and the values of a question in its answer."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.understanding.answers import read_answer
from constrained.understanding.corrections import follow_corrections


@pytest.mark.parametrize(
    ("locale", "message", "followed"),
    [
        ("en", "forty, no, fifty for the key", "fifty for the key"),
        ("en", "I'll give you 30... no, 50", "I'll give you 50"),
        ("en", "not 78, 77", "77"),
        ("en", "it's 77 sorry 78", "it's 78"),
        ("en", "send 50, no wait, 60 to Ann", "send 60 to Ann"),
        ("en", "Monday, no, Tuesday", "Tuesday"),
        ("en", "not Tuesday, Friday please", "Friday please"),
        ("en", "the pelt, no, the ring", "the ring"),
        ("es", "el lunes, no, el martes", "el martes"),
        ("es", "cuarenta, no, cincuenta", "cincuenta"),
        ("de", "Montag, nein, Dienstag", "Dienstag"),
        ("fr", "lundi, non, mardi", "mardi"),
        ("fr", "40, non, 50", "50"),
        ("en", "I'll give you thirty. no, hang it all, no, forty", "I'll give you thirty. no, hang it all, no, forty"),
        ("en", "thirty for the lot. no, blast it, thirty-five", "thirty-five"),
        ("en", "a pie for me - no, scratch that, a soup", "a soup"),
        ("en", "pie please. no wait, I'm not hungry at all", "I'm not hungry at all"),
        ("en", "book it, hold on, no, leave it open", "leave it open"),
        ("es", "una sopa. no, espera, quiero pan", "quiero pan"),
    ],
)
def test_what_is_taken_back_is_left_out(locale, message, followed):
    assert follow_corrections(message, locale) == followed


@pytest.mark.parametrize(
    "message",
    [
        "no, 78", "between 3 and 5", "I have 60 gold and want two ales", "I don't want 30, I want 50", "don't cancel it",
        "not today", "I lost the card, no the bank didn't call", "no, the other one", "", "Monday and Tuesday",
    ],
)  # fmt: skip
def test_what_takes_nothing_back_stays(message):
    assert follow_corrections(message, "en") == message


@given(st.text(max_size=60), st.sampled_from(["en", "es", "de", "fr", "pl"]))
def test_any_text_may_be_followed_and_nothing_is_added(message, locale):
    followed = iter(message.encode("utf-8", "replace").decode("utf-8"))
    assert all(char in followed for char in follow_corrections(message, locale))


WEEKDAY = "I can move your visit to March 10, 2026 at 3:30 PM. Would you like that?"
VALUES = (dt.date(2026, 3, 10), dt.time(15, 30))


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ("yes, Tuesday", "yes"), ("yes, the 10th", "yes"), ("yes, 3:30 pm", "yes"), ("yes, March 10", "yes"), ("yes at 15:30", "yes"),
        ("yes, Tuesday the 10th at 3:30", "yes"), ("yes, Wednesday", "undecided"),
        ("yes, the 11th", "undecided"), ("yes, 3:30 am", "undecided"),
        ("yes, 4 pm", "undecided"), ("yes, April 10", "undecided"), ("yes 10:30", "undecided"),
    ],
)  # fmt: skip
def test_days_and_times_of_the_question_may_be_repeated(message, meaning):
    assert read_answer(message, "en", WEEKDAY, VALUES) == meaning


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ("yes, 129 is right", "yes"), ("yes, 129.00", "yes"), ("yes, €129", "yes"), ("yes 129 euros", "yes"), ("yes, $129", "undecided"),
        ("yes, 128", "undecided"), ("yes, 1290", "undecided"), ("yes, one hundred and twenty nine", "yes"), ("yes, a hundred", "undecided"),
        ("yes, Kestrel Shoes", "yes"), ("yes, Osteria Romana", "undecided"), ("129", "other"),
    ],
)  # fmt: skip
def test_sums_and_names_of_the_question_may_be_repeated(message, meaning):
    question = "I can dispute the payment of €129.00 to Kestrel Shoes. Shall I file the dispute?"
    assert read_answer(message, "en", question, (Decimal("129.00"), "Kestrel Shoes")) == meaning


@given(st.integers(2, 9999), st.integers(2, 9999))
def test_another_number_is_never_a_yes(asked, said):
    meaning = read_answer(f"yes, {said}", "en", f"Shall I file a claim of {asked}?", (asked,))
    assert meaning == ("yes" if asked == said else "undecided")


@pytest.mark.parametrize(
    ("locale", "message", "meaning"),
    [("es", "sí, el martes", "yes"), ("es", "sí, el jueves", "undecided"), ("de", "ja, Dienstag", "yes"),
     ("de", "ja, Freitag", "undecided"),
     ("fr", "oui, mardi", "yes"), ("fr", "oui, jeudi", "undecided")],
)  # fmt: skip
def test_days_in_other_languages(locale, message, meaning):
    assert read_answer(message, locale, "", VALUES) == meaning
