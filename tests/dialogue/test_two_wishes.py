"""Two wishes in one message: both are answered, or the second is offered, or kept; an act is never done on a part of a message."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue, load_policy
from constrained.logic.wishes import split_wishes
from constrained.records.record import FORMAT
from constrained.records.redecide import redecide
from constrained.records.replay import memory_of, replay
from constrained.testing import RandomEngine
from tests.dialogue.offers_desk import LOGIC, WeighingEngine, make_desk

HELLO, HOURS, BLOCK, CLOSE = ({one: 0.9} for one in ("hello", "hours", "block", "close"))


class PartsEngine(WeighingEngine):
    """Answers parts of a message, too, and hears nothing."""

    is_scripted = False


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return make_desk(tmp_path_factory.mktemp("desk"))


def said(desk, weights, message, state=None):
    dialogue = Dialogue(desk, engine=PartsEngine(weights))
    turn = dialogue.reply(message, state)
    records = dialogue.log.records
    assert [one.differences for one in replay(desk, records)] == [()]
    assert memory_of(desk, records) == dialogue.memory()
    assert {one.change for one in redecide(desk, records)} == {"same"}
    return dialogue, turn


@pytest.mark.parametrize(
    ("message", "locale", "parts"),
    [
        ("Block my card and tell me the hours.", "en", ("Block my card", "tell me the hours")),
        ("Good evening, Brom. A room, please!", "en", ("Good evening, Brom", "A room, please")),
        ("Bloquee mi tarjeta y dígame el horario", "es", ("Bloquee mi tarjeta", "dígame el horario")),
        ("Sperren Sie meine Karte und wann haben Sie offen?", "de", ("Sperren Sie meine Karte", "wann haben Sie offen")),
        ("Bloquez ma carte et vos horaires, svp", "fr", ("Bloquez ma carte", "vos horaires, svp")),
        ("fish and chips", "en", ()),
        ("Hello. Block my card", "en", ()),
        ("Block my card", "en", ()),
        ("one two. three four. five six. seven eight.", "en", ()),
        ("Pay 1.50 to Ann", "en", ()),
        ("I understand my card", "en", ()),
    ],
)
def test_a_message_is_cut_into_sentences_and_clauses(message, locale, parts):
    assert split_wishes(message, locale) == parts


def test_two_answers_are_both_said_in_the_order_of_the_message(desk):
    whole = "when are you open and good day to you"
    weights = {whole: HELLO, "when are you open": HOURS, "good day to you": HELLO}
    _, turn = said(desk, weights, whole)
    assert (turn.text, turn.said, turn.response_id) == ("From nine to five.\nHello.", ("hours", "hello"), "hello")
    assert (turn.record.decision.how, turn.pending, turn.offered) == ("two_wishes", (), ())


def test_an_act_beside_an_answer_is_offered_and_its_yes_does_it(desk):
    whole = "when are you open and block my card"
    weights = {whole: HOURS, "when are you open": HOURS, "block my card": BLOCK}
    dialogue, turn = said(desk, weights, whole)
    assert turn.text == "From nine to five.\nDo you want me to block card 7?"
    assert (turn.effects, turn.offered, turn.pending) == ((), ("block",), ("block",))
    assert [str(one) for one in dialogue.reply("yes").effects] == ["block_card(7)"]


def test_a_second_act_after_an_act_is_offered(desk):
    whole = "close my account and block my card"
    weights = {whole: CLOSE, "close my account": CLOSE, "block my card": BLOCK}
    _, turn = said(desk, weights, whole)
    assert (turn.response_id, [str(one) for one in turn.effects], turn.offered) == ("close", ["close_account()"], ("block",))


def test_nothing_is_said_beside_an_act(desk):
    whole = "close my account and when are you open"
    weights = {whole: CLOSE, "close my account": CLOSE, "when are you open": HOURS}
    _, turn = said(desk, weights, whole)
    assert turn.text == "Your account is closed.\nDo you want to know when we are open?"
    assert turn.pending == ("hours",)


def test_what_has_no_offer_is_kept(desk):
    whole = "when are you open and close my account"
    weights = {whole: HOURS, "when are you open": HOURS, "close my account": CLOSE}
    _, turn = said(desk, weights, whole)
    assert (turn.text, turn.effects, turn.pending) == ("From nine to five.", (), ("close",))
    assert turn.record.decision.pending == ("close",)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (HOURS, {"block": 0.7}),  # not clear enough
        (HOURS, HOURS),  # the same wish twice
        (HELLO, BLOCK),  # neither part wants what the whole does
        (HOURS, {}),
    ],
)
def test_one_clear_wish_is_answered_as_before(desk, first, second):
    whole = "when are you open and block my card"
    _, turn = said(desk, {whole: HOURS, "when are you open": first, "block my card": second}, whole)
    assert (turn.said, turn.pending, turn.record.format) == (("hours",), (), FORMAT)


def test_a_part_that_speaks_against_an_act_wants_nothing(desk):
    whole = "when are you open and do not block my card"
    _, turn = said(desk, {whole: HOURS, "when are you open": HOURS, "do not block my card": BLOCK}, whole)
    assert (turn.said, turn.pending) == (("hours",), ())


def test_an_obligation_that_forbids_the_second_keeps_it(tmp_path):
    logic = LOGIC.replace('@policy("shop")', '@policy("shop", obligations=(never_after("hours", "hello"),))')
    policy = make_desk(tmp_path, "from constrained.obligations import never_after\n" + logic)
    whole = "when are you open and good day to you"
    weights = {whole: HOURS, "when are you open": HOURS, "good day to you": HELLO}
    _, turn = said(policy, weights, whole)
    assert (turn.said, turn.pending) == (("hours",), ("hello",))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10_000), extra=st.sampled_from(["and block my card", "and nice weather today", ". Close it all", "but I like tea"])
)
def test_an_added_part_never_adds_an_act(desk, seed, extra):
    """Whatever an engine says of the parts, the effects are those of the option that the whole message chose."""
    turn = Dialogue(desk, engine=RandomEngine(seed)).reply(f"when are you open {extra}")
    whole = next(one for one in turn.decision.options if one.id == turn.response_id) if turn.effects else None
    assert turn.effects == (whole.effects if whole else ())
    assert not (turn.decision.how == "two_wishes" and turn.effects and turn.decision.ruling.chosen.effects != turn.effects)


CLAUSES = st.sampled_from(
    ["when are you open", "block my card", "I want a colleague", "a room please", "cancel my appointment", "yes please"]
)


@pytest.mark.parametrize("pack", ["tavern", "bank_disputes", "clinic_booking"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), messages=st.lists(st.lists(CLAUSES, min_size=1, max_size=3).map(" and ".join), min_size=1, max_size=4))
def test_whatever_is_wanted_a_pack_has_something_approved_to_say(pack, seed, messages):
    policy = load_policy(pack)
    dialogue = Dialogue(policy, engine=RandomEngine(seed), now=lambda: datetime(2026, 3, 16, 12, tzinfo=UTC), drafts=True)
    state = policy.state_type.default()
    for message in messages:
        turn = dialogue.reply(message, state)
        assert not any(one.effects or one.running for one in turn.decision.spoken if one is not turn.decision.chosen)
        state = turn.apply(state)
    records = dialogue.log.records
    assert [one.differences for one in replay(policy, records)] == [()] * len(records)
