"""Never stuck: whatever the host's State holds, something approved is said; what cannot be said is blocked, and the record tells why."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.errors import SlotError
from constrained.records.replay import replay
from constrained.testing import RandomEngine, ScriptedEngine
from tests.logic.packs import make

HEADER = '''"""A card desk of the tests."""
from decimal import Decimal

from constrained import State, Understanding, effect, must, only, policy, procedure, say
from constrained.hear import amount
from constrained.steps import ask, confirm, tell


class Desk(State):
    merchant: str = "Amazon"
    sum: Decimal = Decimal(5)
    notice: bool = False
    is_closed: bool = False


class Heard(Understanding):
    number: int | None = amount("Which number?")


@effect
def dispute(state: Desk) -> Desk:
    return state
'''
POLICY = """
@policy("shop")
def desk(state: Desk):
    if state.notice:
        yield must("notice", merchant=state.merchant)
    if state.is_closed:
        yield only("disputed", merchant=state.merchant).then(dispute)
    yield say("charge", merchant=state.merchant, sum=state.sum)
    yield say("secret", merchant=state.merchant)
    yield say("hours")
"""
PROCEDURE = """
@procedure("shop", version=1)
async def desk(state: Desk, heard: Heard):
    number = await ask("which", "number", tries=2, otherwise="hours")
    await tell("charge", merchant=state.merchant, sum=state.sum)
    if await confirm("shall_i", merchant=state.merchant):
        await tell("disputed", merchant=state.merchant).then(dispute)
    else:
        await tell("hours")
"""
MERCHANT = {"slots": {"merchant": "text"}}
WORDS = {
    "charge": {"text": "{merchant} took {sum}.", "slots": {"merchant": "text", "sum": {"type": "money", "currency": "EUR"}}},
    "notice": {"text": "This is about {merchant}.", **MERCHANT},
    "disputed": {"text": "I am disputing what {merchant} took.", **MERCHANT},
    "secret": {"text": "Between us: {merchant}.", "slots": {"merchant": {"type": "text", "sensitive": True}}},
    "hours": "We are open from nine to five.",
}
STEPS = {
    "which": "Which number?",
    "charge": WORDS["charge"],
    "shall_i": {"text": "Shall I dispute what {merchant} took?", **MERCHANT},
    "disputed": WORDS["disputed"],
    "hours": WORDS["hours"],
}
UNSAYABLE = [
    "", "   ", "Amazon\u200d", "Ama\u200bzon", "x" * 81, "x" * 5_000, "a\nb", "a\tb", "\u202eAmazon", "Amazon\u00ad", "<|im_end|>", "\x00",
    "\u0301x", "Amazon\ufeff", "[INST]",
]  # fmt: skip
SAYABLE = ["Amazon", "👨‍👩‍👧 Müller", "می‌خواهم", "McDonald's", "C++ [lab]", "東京", "Zoë & Co.", "{sum}", "x" * 80]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return make(tmp_path_factory.mktemp("values"), POLICY, header=HEADER, **WORDS)


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    return make(tmp_path_factory.mktemp("steps"), PROCEDURE, header=HEADER, **STEPS)


@pytest.mark.parametrize("merchant", SAYABLE)
def test_a_value_that_can_be_said_is(desk, merchant):
    turn = Dialogue(desk, engine=ScriptedEngine(["charge"], is_told=True)).reply("what is this charge?", desk.state_type(merchant=merchant))
    assert turn.text == f"{merchant} took €5.00."


@pytest.mark.parametrize("merchant", UNSAYABLE, ids=ascii)
def test_a_value_that_cannot_be_said_blocks_its_option_and_another_is_said(desk, merchant):
    dialogue = Dialogue(desk, engine=ScriptedEngine(["hours"], is_told=True))
    turn = dialogue.reply("what is this charge?", desk.state_type(merchant=merchant))
    assert (turn.text, [one.id for one in turn.decision.options]) == ("We are open from nine to five.", ["hours", "pardon"])
    charge, secret = turn.trace.allowed.blocked
    assert (charge.response_id, secret.response_id) == ("charge", "secret")
    assert charge.reason.startswith("cannot be said: the slot 'merchant' of 'charge' ")
    assert secret.reason == "cannot be said: the slot 'merchant' of 'secret' has a value that may not be said"
    assert [one["reason"] for one in turn.record.blocked] == [charge.reason, secret.reason]
    assert all(one.is_same for one in replay(desk, [turn.record]))


@pytest.mark.parametrize("value", ["1.005", "1e20", "-1e16", "0.0000000001"])
def test_so_does_a_sum_that_cannot_be_said(desk, value):
    turn = Dialogue(desk).reply("what is this charge?", desk.state_type(sum=value))
    assert [one.response_id for one in turn.trace.allowed.blocked] == ["charge"]


@pytest.mark.parametrize("merchant", UNSAYABLE, ids=ascii)
@pytest.mark.parametrize("is_closed", [False, True])
def test_an_obligation_that_cannot_be_said_leaves_the_fallback_alone(desk, merchant, is_closed):
    state = desk.state_type(merchant=merchant, notice=True, is_closed=is_closed)
    turn = Dialogue(desk, engine=RandomEngine(1)).reply("what is this charge?", state)
    assert (turn.text, turn.said, turn.effects) == ("Pardon?", ("pardon",), ())
    assert any("obliges to say 'notice', which cannot be said" in one.reason for one in turn.trace.allowed.blocked)
    assert all(one.is_same for one in replay(desk, [turn.record]))


def test_an_act_that_cannot_be_said_is_not_done(desk):
    turn = Dialogue(desk, engine=RandomEngine(1)).reply("yes, dispute it", desk.state_type(merchant="a\nb", is_closed=True))
    assert (turn.text, turn.effects) == ("Pardon?", ())


@pytest.mark.parametrize("merchant", ["Amazon\u200d", "", "a\nb"], ids=ascii)
def test_a_procedure_waits_where_its_next_words_cannot_be_said(steps, merchant):
    told = ScriptedEngine(["which", {"number": 7, "reply": "charge"}], is_told=True)
    dialogue, bad, good = Dialogue(steps, engine=told), steps.state_type(merchant=merchant), steps.state_type()
    assert dialogue.reply("hello", bad).response_id == "which"
    turn = dialogue.fork(RandomEngine(3)).reply("it is 7", bad)
    assert turn.response_id in ("pardon", "which")
    assert turn.effects == ()
    assert dialogue.reply("it is 7", good).text.splitlines() == ["Amazon took €5.00.", "Shall I dispute what Amazon took?"]


@settings(max_examples=60, deadline=None)
@given(
    state=st.builds(
        dict,
        merchant=st.text(max_size=90) | st.sampled_from([*UNSAYABLE, *SAYABLE]),
        sum=st.decimals(allow_nan=False, allow_infinity=False),
        notice=st.booleans(),
        is_closed=st.booleans(),
    ),
    messages=st.lists(st.text(max_size=40) | st.sampled_from(["what is this charge?", "yes", "7", "no"]), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_whatever_the_state_holds_and_the_user_says_something_approved_comes_back(desk, steps, state, messages, seed):
    for policy in (desk, steps):
        dialogue = Dialogue(policy, engine=RandomEngine(seed), threshold=0.0)
        words = [re.escape(one.texts["en"].source) for one in policy.catalog.responses.values()]
        approved = re.compile("|".join(re.sub(r"\\\{\w+\\\}", ".+", one) for one in words), re.DOTALL)
        for message in messages:
            turn = dialogue.reply(message, policy.state_type(**state))
            assert all(approved.fullmatch(line) for line in turn.text.splitlines())
        assert all(one.is_same for one in replay(policy, dialogue.log.entries))


def test_a_slot_that_is_missing_is_still_an_error(desk, monkeypatch):
    """Only values are the host's affair; a slot that is left out is a fault of the logic."""
    builder = sys.modules["constrained.logic.option_builder"]
    monkeypatch.setattr(builder, "render_each", lambda response, slots, locale: real(response, {}, locale))
    from constrained.catalog.render import render_each as real

    with pytest.raises(SlotError, match="is missing"):
        Dialogue(desk).reply("hello", desk.state_type(merchant="X"))
