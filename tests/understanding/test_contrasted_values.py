"""Values of a ``choice`` that a message sets against each other: what it rules out is not heard, in every language that has cues."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Literal

import pytest

from constrained import State, Understanding
from constrained.engines.protocol import Distribution
from constrained.hear import choice
from constrained.understanding.hearing import ask, understand

TODAY = dt.date(2026, 3, 18)


class Room(Enum):
    HALL = "hall"
    OLD_CELLAR = "old cellar"
    ATTIC = "attic"


class House(State):
    pass


class Where(Understanding):
    room: Room | None = choice(
        "Which room?", hall=["light in the hall"], old_cellar=["light in the old cellar"], attic=["light in the attic"]
    )


class Always(Understanding):
    size: Literal["small", "large"] = choice("Which size?")


def heard(kind: type[Understanding], message: str, locale: str = "en", best: int = 0) -> tuple[object, str]:
    """What is heard where an engine takes the candidate at ``best``, and why no engine was asked."""
    asked = ask(kind, House(), message, today=TODAY, locale=locale)
    answers = [
        Distribution(tuple(float(at == best) for at in range(len(one.choice.candidates))), "exact") for one in asked if not one.answer
    ]
    found, hearings = understand(kind, asked, answers)
    return getattr(found, next(iter(kind.model_fields))), hearings[0].how if hearings else ""


@pytest.mark.parametrize(
    ("message", "locale", "room"),
    [
        ("Lights on in the hall, no, the attic.", "en", Room.ATTIC),
        ("the attic... sorry, I mean the old cellar", "en", Room.OLD_CELLAR),
        ("Not the hall, the attic please", "en", Room.ATTIC),
        ("the attic instead of the hall", "en", Room.ATTIC),
        ("I don't want the attic, I want the OLD CELLAR!", "en", Room.OLD_CELLAR),
        ("hall, no, mejor attic", "es", Room.ATTIC),
        ("nicht hall, sondern attic", "de", Room.ATTIC),
        ("pas hall, attic", "fr", Room.ATTIC),
    ],
)
def test_the_value_that_is_left_is_heard_without_a_model(message: str, locale: str, room: Room) -> None:
    assert heard(Where, message, locale) == (room, "the message names it")


@pytest.mark.parametrize(("message", "locale"), [("not the hall", "en"), ("any room but not the hall", "en"), ("nicht hall", "de")])
def test_what_is_ruled_out_is_no_candidate(message: str, locale: str) -> None:
    (asked,) = ask(Where, House(), message, today=TODAY, locale=locale)
    assert asked.answer is None
    assert [one.key for one in asked.choice.candidates] == ["old cellar", "attic", "none"]


@pytest.mark.parametrize("message", ["light in the hall", "the hall or the attic", "is the hall not warm?", "what a lovely day"])
def test_a_value_that_is_only_named_is_left_to_the_engine(message: str) -> None:
    (asked,) = ask(Where, House(), message, today=TODAY, locale="en")
    assert asked.answer is None
    assert len(asked.choice.candidates) == 4


def test_nothing_is_heard_where_every_value_is_ruled_out() -> None:
    assert heard(Where, "not the hall, not the attic, not the old cellar") == (None, "")


def test_a_field_without_none_keeps_all_its_values() -> None:
    assert heard(Always, "not small") == ("small", "")
