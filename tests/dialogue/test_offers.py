"""Between an act and the fallback: the act is offered, and only a yes that the answer reader reads brings it about."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.analysis.prover.proofs import prove
from constrained.analysis.prover.properties import always
from constrained.dialogue.context import MESSAGE_LIMIT, clean_message
from constrained.engines.loading import load_answer_judge
from constrained.records.record import ASKED_FORMAT, FORMAT, Record
from constrained.records.redecide import redecide
from constrained.records.replay import memory_of, replay
from constrained.testing import RandomEngine, ScriptedEngine
from constrained.understanding.answers import judge_answer
from constrained.verify import verify
from tests.dialogue.offers_desk import WeighingEngine, make_desk, saved, talk
from tests.strategies import naughty_strings

OFFER = "Do you want me to block card 7?"
UNSURE = {"my card": {"block": 0.5, "hello": 0.2}}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return make_desk(tmp_path_factory.mktemp("desk"), way_out="human")


def replays(policy, dialogue):
    """Every record comes out again, and so does the memory."""
    records = dialogue.log.records
    assert [one.differences for one in replay(policy, records)] == [()] * len(records)
    assert memory_of(policy, records) == dialogue.memory()
    assert [Record.model_validate(json.loads(one.model_dump_json())) for one in records] == list(records)
    assert {one.change for one in redecide(policy, records)} == {"same"}


def states(policy, **fields):
    return policy.state_type(**fields)


# -- the offer ---------------------------------------------------------------------------------------


def test_an_act_that_is_likely_and_not_sure_is_offered(desk):
    dialogue = talk(desk, UNSURE)
    turn = dialogue.reply("my card")
    assert (turn.text, turn.response_id, turn.effects, turn.offered) == (OFFER, "block.offer", (), ("block",))
    assert turn.decision.why == "block has 50%: less than 75% and at least 35%, so it is offered"
    assert turn.record.format == ASKED_FORMAT
    assert (turn.record.decision.how, turn.record.decision.asks) == ("offered", (2,))
    assert [one.text for one in dialogue.memory().open_offers] == [OFFER]
    replays(desk, dialogue)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"block": 0.8}, "block"),  # sure enough
        ({"block": 0.34, "hello": 0.33}, "hello"),  # not even likely
        ({"close": 0.5, "hello": 0.4}, "hello"),  # nobody wrote an offer
        ({"hello": 0.5, "block": 0.2}, "hello"),  # something else is meant
    ],
)
def test_nothing_is_offered_where_it_need_not_or_must_not_be(desk, weights, said):
    dialogue = talk(desk, {"my card": weights})
    turn = dialogue.reply("my card")
    assert (turn.response_id, turn.offered, dialogue.memory().open_offers) == (said, (), ())


@pytest.mark.parametrize("message", ["do not block my card", "why was my card blocked?", "my brother blocked his card"])
def test_what_the_message_speaks_against_is_not_offered(desk, message):
    turn = talk(desk, {message: {"block": 0.5}}).reply(message)
    assert (turn.response_id, turn.offered) == ("pardon", ())


def test_an_offer_is_said_in_the_language_of_its_option(desk):
    assert talk(desk, UNSURE, locale="es").reply("my card").text == "¿Quiere que bloquee la tarjeta 7?"
    close = {"my card": {"hours": 0.4, "block": 0.35}}
    assert talk(desk, close, locale="es").reply("my card").response_id == "hours"  # its offer is not written in Spanish


@pytest.mark.parametrize("message", ["yes", "yes please", "Yes, block it!", "ok", "👍"])
def test_a_yes_chooses_what_was_offered(desk, message):
    dialogue = talk(desk, UNSURE)
    dialogue.reply("my card")
    n_asked = len(dialogue.engine.asked)
    turn = dialogue.reply(message)
    assert (turn.response_id, [str(one) for one in turn.effects]) == ("block", ["block_card(7)"])
    assert (turn.record.decision.how, turn.record.decision.answer, turn.record.decision.judge[:7]) == ("agreed", "yes", "answers")
    assert len(dialogue.engine.asked) == n_asked  # nothing is left to choose
    assert dialogue.memory().open_offers == ()
    replays(desk, dialogue)


@pytest.mark.parametrize(("message", "said"), [("no", "nothing"), ("no thanks", "nothing"), ("👎", "nothing")])
def test_a_no_is_answered(desk, message, said):
    dialogue = talk(desk, UNSURE)
    dialogue.reply("my card")
    turn = dialogue.reply(message)
    assert (turn.response_id, turn.effects, turn.record.decision.how) == (said, (), "declined")
    assert dialogue.memory().open_offers == ()
    replays(desk, dialogue)


def test_what_was_heard_with_the_offer_counts_with_its_yes(desk):
    dialogue = talk(desk, {"50 perhaps": {"pay": 0.5}}, heard={"50 perhaps": {"amount": 50}})
    assert dialogue.reply("50 perhaps").text == "Shall I pay 50?"
    turn = dialogue.reply("yes")
    assert [str(one) for one in turn.effects] == ["transfer(50)"]
    assert turn.heard.amount == 50
    assert {one.name: one.value for one in turn.record.heard}["amount"] == 50
    assert turn.trace.heard[0].how == "heard in turn 1, before the yes to its offer"
    replays(desk, dialogue)


def test_a_yes_does_nothing_where_the_state_has_another_card_by_now(desk):
    dialogue = talk(desk, UNSURE)
    dialogue.reply("my card")
    for changed in (states(desk, card=8), states(desk, is_blocked=True)):
        turn = Dialogue(desk, engine=WeighingEngine({"yes": {"block": 0.9}}), memory=saved(dialogue)).reply("yes", changed)
        assert turn.record.decision.how == ""
        if changed.is_blocked:
            assert turn.effects == ()


def test_a_yes_is_only_good_in_the_next_turn(desk):
    dialogue = talk(desk, UNSURE | {"hi": {"hello": 0.9}})
    dialogue.reply("my card")
    dialogue.reply("hi")
    assert dialogue.reply("yes").effects == ()
    replays(desk, dialogue)


def test_nothing_is_open_where_something_is_said_after_the_offer(desk):
    dialogue = talk(desk, UNSURE)
    turn = dialogue.reply("my card", states(desk, is_noisy=True))
    assert turn.text == f"{OFFER}\nCall 555."
    assert dialogue.memory().open_offers == ()
    assert dialogue.reply("yes", states(desk, is_noisy=True)).effects == ()
    replays(desk, dialogue)


def test_an_offer_lives_on_in_a_saved_memory_and_in_a_log(desk):
    dialogue = talk(desk, UNSURE)
    dialogue.reply("my card")
    for memory in (saved(dialogue), memory_of(desk, dialogue.log.records)):
        turn = Dialogue(desk, engine=WeighingEngine({}), memory=memory).reply("yes")
        assert turn.response_id == "block"


def test_without_a_model_nothing_is_offered_or_agreed_to(desk):
    dialogue = talk(desk, UNSURE)
    dialogue.reply("my card")
    for engine in (None, ScriptedEngine({"yes": "hello"}, is_told=True)):
        turn = Dialogue(desk, engine=engine, memory=saved(dialogue)).reply("yes")
        assert (turn.record.decision.how, turn.offered) == ("", ())


def test_a_cancelled_reply_leaves_no_offer(desk):
    class Waiting(WeighingEngine):
        def choose(self, choices, scene, deadline=None):
            task.cancel()
            return super().choose(choices, scene, deadline)

    async def cancelled():
        nonlocal task
        loop = asyncio.get_running_loop()
        inner = loop.create_task(dialogue.areply("my card"))
        task = _Cancelling(loop, inner)
        with pytest.raises(asyncio.CancelledError):
            await inner

    task = None
    dialogue = Dialogue(desk, engine=Waiting(UNSURE))
    asyncio.run(cancelled())
    with dialogue._lock:
        pass
    assert (dialogue.memory().open_offers, dialogue.log.records) == ((), ())


class _Cancelling:
    """Cancels a task of a loop from the engine's thread, and returns once that was done; later calls do nothing, the loop may be closed."""

    def __init__(self, loop, task):
        self._loop, self._task = loop, task

    def cancel(self):
        if self._task.cancelling():
            return

        async def now():
            self._task.cancel()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(now(), self._loop).result()


YES = st.sampled_from(["yes", "Yes!", "yes please", "ok", "sure", "do it", "block it", "yes, block it", "that is right", "👍"])
WORDS = st.sampled_from(
    ["block", "card", "7", "not", "don't", "yes", "no", "ok", "please", "if", "later", "the", "my", "sure", "why", "but"]
)
MESSAGES = (
    st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
    | st.text(max_size=30)
    | st.sampled_from([text[:200] for text in naughty_strings()])
    | YES
)


@settings(max_examples=300, deadline=None)
@given(message=MESSAGES, seed=st.integers(0, 99))
def test_no_message_turns_an_offer_into_its_act_but_a_yes(desk, message, seed):
    before = talk(desk, UNSURE)
    before.reply("my card")
    dialogue = Dialogue(desk, engine=RandomEngine(seed), memory=before.memory(), act_threshold=1.01)  # nothing but the offer can act
    turn = dialogue.reply(message)
    is_yes = judge_answer(clean_message(message), "en", OFFER, judge=load_answer_judge()).meaning == "yes"
    assert bool(turn.effects) is is_yes
    assert (turn.record.decision.how == "agreed") is is_yes
    replays(desk, dialogue) if turn.record.memory.get("open_offers") is None else None


# -- two close candidates --------------------------------------------------------------------------------

CLOSE = {"that card": {"block": 0.42, "hours": 0.38}, "50": {"pay": 0.4, "block": 0.4}}


def test_two_close_candidates_are_both_offered(desk):
    dialogue = talk(desk, CLOSE)
    turn = dialogue.reply("that card")
    assert turn.text == f"Do you want to know when we are open?\n{OFFER}"
    assert (turn.offered, turn.said, turn.effects) == (("hours", "block"), ("hours.offer", "block.offer"), ())
    replays(desk, dialogue)


@pytest.mark.parametrize(
    ("message", "said", "how"),
    [
        ("yes", "hours.offer", "offered_again"),
        ("the second one, please", "block", "agreed"),
        ("first", "hours", "agreed"),
        ("yes, block it", "block", "agreed"),
        ("no", "nothing", "declined"),
        ("hmm", "pardon", ""),
    ],
)
def test_the_next_message_tells_which_of_two(desk, message, said, how):
    dialogue = talk(desk, CLOSE)
    dialogue.reply("that card")
    turn = dialogue.reply(message)
    assert (turn.response_id, turn.record.decision.how) == (said, how)
    assert bool(turn.effects) is (said == "block")
    assert len(dialogue.memory().open_offers) == (2 if how == "offered_again" else 0)
    replays(desk, dialogue)


# -- the way out -----------------------------------------------------------------------------------------


def test_a_third_fallback_in_a_row_is_the_way_out(desk):
    dialogue = talk(desk, {"hi": {"hello": 0.9}})
    said = [dialogue.reply(message).response_id for message in ("x", "y", "z", "x", "hi", "x", "y", "z")]
    assert said == ["pardon", "pardon", "human", "pardon", "hello", "pardon", "pardon", "human"]
    assert dialogue.log.records[2].decision.how == "way_out"
    replays(desk, dialogue)


def test_an_offer_that_nobody_answers_ends_in_the_way_out(desk):
    dialogue = talk(desk, UNSURE)
    said = [dialogue.reply("my card").response_id for _ in range(4)]
    assert said == ["block.offer", "block.offer", "human", "block.offer"]
    assert dialogue.reply("yes").response_id == "block"
    replays(desk, dialogue)


def test_no_message_whatsoever_makes_an_endless_loop_of_fallbacks(desk):
    dialogue = talk(desk, {})
    said = [dialogue.reply(text).response_id for text in naughty_strings()[:60]]
    assert "pardon, pardon, pardon" not in ", ".join(said)


def test_a_catalog_without_a_way_out_says_the_fallback_on_and_on(tmp_path):
    policy = make_desk(tmp_path)
    dialogue = talk(policy, {})
    assert {dialogue.reply(message).response_id for message in "abcd"} == {"pardon"}
    assert {one.format for one in dialogue.log.records} == {FORMAT}


# -- too long --------------------------------------------------------------------------------------------


def test_nothing_is_decided_on_a_part_of_a_message(desk):
    message = "block my card " + "and so on " * 400
    dialogue = Dialogue(desk, engine=WeighingEngine({clean_message(message): {"block": 0.99}}))
    turn = dialogue.reply(message)
    assert (turn.response_id, turn.effects, turn.record.decision.how) == ("long", (), "too_long")
    assert len(turn.record.message) <= MESSAGE_LIMIT
    replays(desk, dialogue)


def test_a_message_at_the_limit_is_read_as_a_whole(desk):
    message = "a" * MESSAGE_LIMIT
    assert talk(desk, {message: {"hello": 0.9}}).reply(f"  {message}\n").response_id == "hello"
    assert talk(desk, {message: {"hello": 0.9}}).reply(message + "a").response_id == "long"
    assert talk(desk, {}).reply("\u200b" * MESSAGE_LIMIT * 5).response_id == "long"  # it is not read to its end


def test_what_closes_the_set_is_said_to_a_long_message_too(desk):
    message = "help " * 1000
    dialogue = Dialogue(desk, engine=WeighingEngine({}, {clean_message(message): {"distress": "yes"}}))
    assert dialogue.reply(message).response_id == "human"
    replays(desk, dialogue)


# -- proofs, closure ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), messages=st.lists(st.sampled_from(["yes", "no", "my card", "50", "hm", "first"]), max_size=6))
def test_whatever_an_engine_answers_only_approved_words_are_said(desk, seed, messages):
    dialogue, state = Dialogue(desk, engine=RandomEngine(seed)), states(desk)
    for message in messages:
        turn = dialogue.reply(message, state)
        allowed, decision = turn.trace.allowed, turn.decision
        verify(turn.text, decision.chosen, allowed, desk.catalog, dialogue._now().date(), spoken=decision.spoken)
        assert not turn.offered or not turn.effects
        state = turn.apply(state)
    records = dialogue.log.records
    assert [one.differences for one in replay(desk, records)] == [()] * len(records)


def test_the_prover_takes_an_offer_for_words_without_an_effect(desk):
    proof = prove(
        desk,
        [
            always(lambda turn: not (turn.chosen.endswith(".offer") and turn.effects)).named("an offer does nothing"),
            always(lambda turn: turn.chosen != "pay.offer").named("an offer is never said"),
            always(lambda turn: turn.chosen != "long").named("a long message is never told"),
            always(lambda turn: "pay.offer" not in turn.options).named("an offer is no option"),
        ],
    )
    status = {one.name: one.status for one in proof.verdicts if not one.is_built_in}
    assert [*status.values()] == ["held", "violated", "violated", "held"]
    assert {one.status for one in proof.verdicts if one.is_built_in} == {"held"}
