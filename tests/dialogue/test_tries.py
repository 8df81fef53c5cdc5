"""An open question ends, whatever is answered to it: a message that means nothing spends a try, though something interrupts it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


CONFIRMING = """
async def claim(state: Desk, heard: Heard):
    if await confirm("shall_i", sum=state.limit):
        await perform("filing").then(file_claim, 7)
    await tell("terms")
"""
STOPPING = """
def asides(state: Desk, heard: Heard):
    yield say("hours")
    if not state.stopped:
        yield say("stopped").then(stop)
"""


@pytest.fixture(scope="module")
def filing(tmp_path_factory):
    kept = {name: RESPONSES[name] for name in ("shall_i", "filing", "terms", "hours", "stopped")}
    kept["stopped"] = {"text": kept["stopped"], "offer": "Do you want me to stop the delivery?"}
    decorator = '@procedure("shop", interruptions=asides)'
    return claims_desk(tmp_path_factory.mktemp("filing"), CONFIRMING, decorator=decorator, responses=kept, interruptions=STOPPING)


SAYS = {"hello": {"shall_i": 0.9}, "the delivery": {"stopped": 0.5, "hours": 0.2}, "yes": {"filing": 0.97}, "no": {"terms": 0.97}}


def test_a_yes_to_an_offer_is_none_to_the_question_that_was_open_before(filing):
    dialogue = talk(filing, SAYS)
    assert dialogue.reply("hello").response_id == "shall_i"
    assert dialogue.reply("the delivery").text == "Do you want me to stop the delivery?"
    turn = dialogue.reply("yes", filing.state_type(stopped=True))  # it was stopped meanwhile: nothing is left to agree to
    assert turn.effects == ()
    assert [one.differences for one in replay(filing, dialogue.log.records)] == [()] * 3


def test_an_answer_to_an_offer_leaves_the_open_question_open(filing):
    for answer, said in (("yes", "stopped"), ("no", "pardon")):
        dialogue = talk(filing, SAYS)
        dialogue.reply("hello")
        dialogue.reply("the delivery")
        answered = dialogue.reply(answer)
        assert answered.response_id == said
        if "Shall I file" not in answered.text:  # something else was said since it was asked: a bare yes is asked back
            again = dialogue.reply("yes")
            assert again.effects == ()
            assert "Shall I file" in again.text
        assert [str(one) for one in dialogue.reply("yes").effects] == ["file_claim(7)"]
        assert memory_of(filing, dialogue.log.records).running == dialogue.memory().running
        assert [one.differences for one in replay(filing, dialogue.log.records)] == [()] * len(dialogue.log.records)


YESES = st.sampled_from(["yes", "yes please", "ok", "go ahead", "sure, thanks", "yes, I want that", "do it"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["when are you open", "the delivery"]), min_size=1, max_size=2), YESES)
def test_a_yes_behind_something_else_files_nothing_unless_it_names_the_act(filing, between, yes):
    says = SAYS | {"when are you open": {"hours": 0.9}, yes: {"filing": 0.97}, "yes, file it": {"filing": 0.97}}
    for message, is_done in ((yes, False), ("yes, file it", True)):
        dialogue = talk(filing, says)
        for one in ("hello", *between):
            assert dialogue.reply(one).effects == ()
        done = [str(one) for one in dialogue.reply(message).effects]
        assert ("file_claim(7)" in done) is is_done
        assert [one.differences for one in replay(filing, dialogue.log.records)] == [()] * (len(between) + 2)


def test_a_question_that_was_just_repeated_takes_a_bare_yes(filing):
    dialogue = talk(filing, SAYS)
    for message in ("hello", "blue"):
        dialogue.reply(message)
    assert [str(one) for one in dialogue.reply("yes").effects] == ["file_claim(7)"]


@pytest.fixture(scope="module")
def claiming(tmp_path_factory):
    """What is filed goes by the state of the turn that files it."""
    kept = {name: RESPONSES[name] for name in ("shall_i", "filing", "terms", "hours", "rate")}
    body = CONFIRMING.replace("file_claim, 7", "file_claim, state.limit")
    decorator = '@procedure("shop", interruptions=asides)'
    return claims_desk(tmp_path_factory.mktemp("claiming"), body, decorator=decorator, responses=kept, interruptions=ASIDES)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=1, max_size=2), st.booleans())
def test_a_yes_does_what_was_asked_about_or_nothing(claiming, asked, later, is_stopped):
    """The host changes what is true between the question and the yes: the other act is not done, however often it is agreed to."""
    dialogue = talk(claiming, {"hello": {"shall_i": 0.9}, "yes": {"filing": 0.6, "terms": 0.39}})
    dialogue.reply("hello", claiming.state_type(limit=asked))
    for limit in later:
        turn = dialogue.reply("yes", claiming.state_type(limit=limit, stopped=is_stopped))
        done = [str(one) for one in turn.effects]
        assert turn.response_id != "terms"  # nor is it taken for a no
        assert done == ([f"file_claim({asked})"] if limit == asked else [])
        if done:
            break
    records = dialogue.log.records
    assert [one.differences for one in replay(claiming, records)] == [()] * len(records)
