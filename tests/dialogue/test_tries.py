"""An open question ends, whatever is answered to it: a message that means nothing spends a try, though something interrupts it."""

from __future__ import annotations

import pytest

from constrained.records.replay import memory_of, replay
from tests.dialogue.offers_desk import talk
from tests.logic.claims_desk import RESPONSES, claims_desk

BODY = """
async def claim(state: Desk, heard: Heard):
    await ask("which", "number", again="which_again", tries=3, otherwise="no_number")
    await tell("terms")
"""
ASIDES = """
def asides(state: Desk, heard: Heard):
    yield say("hours")
    yield say("rate")
"""
KEPT = ("which", "which_again", "no_number", "hours", "rate", "terms")
NOISE = {"blue": {"hours": 0.4, "rate": 0.35}}


@pytest.fixture(scope="module")
def claims(tmp_path_factory):
    kept = {name: RESPONSES[name] for name in KEPT}
    decorator = '@procedure("shop", interruptions=asides)'
    return claims_desk(tmp_path_factory.mktemp("claims"), BODY, decorator=decorator, responses=kept, interruptions=ASIDES)


def said(claims, weights, messages, **given):
    dialogue = talk(claims, weights | {"hello": {"which": 0.9}}, **given)
    replies = [dialogue.reply(message).response_id for message in messages]
    records = dialogue.log.records
    assert [one.differences for one in replay(claims, records)] == [()] * len(records)
    assert memory_of(claims, records) == dialogue.memory()
    return replies


def test_an_interruption_that_nothing_speaks_for_spends_a_try(claims):
    replies = said(claims, NOISE, ["hello", *["blue"] * 3, "hello"])
    assert replies == ["which", "hours", "hours", "no_number", "which"]


def test_a_clear_interruption_spends_none(claims):
    replies = said(claims, {"when are you open": {"hours": 0.8}}, ["hello", *["when are you open"] * 5])
    assert replies == ["which", *["hours"] * 5]


def test_what_fits_nothing_spends_a_try(claims):
    assert said(claims, {}, ["hello", *["blue"] * 3, "hello"]) == ["which", "which_again", "which_again", "no_number", "which"]


def test_an_answer_after_an_unclear_interruption_still_counts(claims):
    replies = said(claims, NOISE | {"77": {"terms": 0.9}}, ["hello", "blue", "77"], heard={"77": {"number": 77}})
    assert replies == ["which", "hours", "terms"]
