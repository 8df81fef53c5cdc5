"""Speakers in a game: replies beside the frames, scenes, barks, visits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.errors import AuditError, MessageError, PolicyError, SceneError
from constrained.games import Scene
from constrained.records.log import MemoryLog, read_log
from constrained.records.redecide import redecide
from constrained.records.replay import memory_of, replay
from constrained.testing import RandomEngine, ScriptedEngine
from tests.dialogue.offers_desk import WeighingEngine
from tests.dialogue.tavern_scene import SMITH, SMITH_LOGIC, make_guard, make_policy, make_smith

CANCELLED = (concurrent.futures.CancelledError, asyncio.CancelledError)


@pytest.fixture(scope="module")
def smith(tmp_path_factory):
    return make_smith(tmp_path_factory.mktemp("smith"), speaker="Ben, the smith", way_out="hello")


@pytest.fixture(scope="module")
def guard(tmp_path_factory):
    return make_guard(tmp_path_factory.mktemp("guard"))


def scripted(answers):
    return ScriptedEngine(lambda message: answers)


def replays(dialogue):
    records = dialogue.log.records
    assert [one.differences for one in replay(dialogue.policy, records)] == [()] * len(records)
    assert {one.change for one in redecide(dialogue.policy, records)} <= {"same"}
    assert memory_of(dialogue.policy, records) == dialogue.memory()


class Held(ScriptedEngine):
    """Answers once it is released."""

    def __init__(self, answer="hello"):
        super().__init__(lambda message: answer)
        self.is_asked, self.is_released, self.n_asked = threading.Event(), threading.Event(), 0

    def choose(self, choices, scene, deadline=None):
        self.n_asked += 1
        self.is_asked.set()
        assert self.is_released.wait(30)
        return super().choose(choices, scene, deadline)


# -- replies beside the caller ---------------------------------------------------------------------------------------


def test_a_started_reply_is_polled_and_never_waited_for(smith):
    engine = Held()
    dialogue = Dialogue(smith, engine=engine)
    pending = dialogue.start_reply("good day")
    assert engine.is_asked.wait(30)
    assert (pending.poll(), pending.done) == (None, False)
    with pytest.raises(TimeoutError):
        pending.result(0)
    engine.is_released.set()
    turn = pending.result(30)
    assert turn is pending.poll() is asyncio.run(_awaited(pending))
    assert (turn.response_id, pending.done, pending.cancel()) == ("hello", True, False)
    assert [one.turn_id for one in dialogue.log.records] == [turn.id]


async def _awaited(pending):
    return await pending


def test_a_reply_that_is_cancelled_in_time_leaves_no_trace(smith):
    engine = Held()
    dialogue = Dialogue(smith, engine=engine)
    running, waiting = dialogue.start_reply("one"), dialogue.start_reply("two")
    assert engine.is_asked.wait(30)
    assert all(one.cancel() for one in (running, waiting, running))
    for pending in (running, waiting):
        assert pending.done
        with pytest.raises(CANCELLED):
            pending.poll()
        with pytest.raises(CANCELLED):
            asyncio.run(_awaited(pending))
    engine.is_released.set()
    third = dialogue.start_reply("three").result(30)
    assert [one.turn_id for one in dialogue.log.records] == [third.id]
    assert (third.record.number, dialogue.memory().history[0]) == (1, ("user", "three"))


class HeldLog(MemoryLog):
    """Takes a record once it is released."""

    def __init__(self):
        super().__init__()
        self.is_asked, self.is_released = threading.Event(), threading.Event()

    def append(self, entry):
        self.is_asked.set()
        assert self.is_released.wait(30)
        return super().append(entry)


def test_a_reply_whose_commit_has_begun_cannot_be_cancelled(smith):
    log = HeldLog()
    pending = Dialogue(smith, engine=scripted("hello"), log=log).start_reply("good day")
    assert log.is_asked.wait(30)
    assert not pending.cancel()
    log.is_released.set()
    assert pending.result(30).record == log.records[0]


def test_what_a_turn_raises_is_raised_by_its_handle_and_the_next_turn_is_taken(smith):
    class Full(MemoryLog):
        def append(self, entry):
            raise AuditError("full")

    dialogue = Dialogue(smith, engine=scripted("hello"), log=Full())
    pending, other = dialogue.start_reply("good day"), dialogue.start_reply(None)
    for one, error in ((pending, AuditError), (other, MessageError)):
        with pytest.raises(error):
            one.result(30)
        assert one.done
        with pytest.raises(error):
            one.poll()
    assert dialogue.memory().number == 0


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=25))
@settings(max_examples=30)
def test_whatever_is_cancelled_each_conversation_keeps_the_order_of_the_rest(smith, plan):
    dialogues = [Dialogue(smith, engine=RandomEngine(seed)) for seed in range(3)]
    started = []
    for number, (at, is_cancelled) in enumerate(plan):
        pending = dialogues[at].start_reply(f"message {number}")
        started.append((at, f"message {number}", pending, is_cancelled and pending.cancel()))
    for *_, pending, is_gone in started:
        if not is_gone:
            pending.result(30)
    for at, dialogue in enumerate(dialogues):
        kept = [message for one, message, _, is_gone in started if one == at and not is_gone]
        assert [one.message for one in dialogue.log.records] == kept
        assert [one.number for one in dialogue.log.records] == list(range(1, len(kept) + 1))


def test_a_deadline_counts_from_the_call_and_a_turn_runs_in_the_callers_context(smith):
    seen, name = [], contextvars.ContextVar("name", default="")

    class Looking(ScriptedEngine):
        def choose(self, choices, scene, deadline=None):
            seen.append(name.get())
            return super().choose(choices, scene, deadline)

    dialogue = Dialogue(smith, engine=Looking(lambda message: "hello"))
    name.set("frame")
    dialogue.start_reply("good day").result(30)
    assert set(seen) == {"frame"}
    assert dialogue.start_reply("good day", within=0).result(30).decision.is_late


ENDING = """
import concurrent.futures, contextlib, sys, threading
from pathlib import Path
from constrained import Dialogue
from constrained.records.jsonl import JsonLinesLog
from constrained.testing import ScriptedEngine
from tests.dialogue.tavern_scene import make_smith

class Stuck(ScriptedEngine):
    is_concurrent = True  # it does not compute here

    def choose(self, choices, scene, deadline=None):
        stuck.set()
        threading.Event().wait()

class Slow(JsonLinesLog):
    def append(self, entry):
        committing.set()
        with contextlib.suppress(concurrent.futures.CancelledError):
            pending[3].result(30)  # until the end of the program has given up the turn behind this one
        return super().append(entry)

stuck, committing = threading.Event(), threading.Event()
folder = Path(sys.argv[1])
smith = make_smith(folder)
first = Dialogue(smith, engine=Stuck(lambda message: "hello"), log=folder / "stuck.jsonl")
second = Dialogue(smith, engine=ScriptedEngine(lambda message: "hello"), log=Slow(folder / "slow.jsonl"))
pending = [first.start_reply("one"), first.start_reply("two"), second.start_reply("three"), second.start_reply("four")]
stuck.wait(30), committing.wait(30)
"""


def test_a_program_that_ends_waits_for_commits_and_for_nothing_else(tmp_path):
    """Of four replies one is stuck in its engine, one is being committed, and two wait behind them."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", ENDING, tmp_path], cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert [one.message for one in read_log(tmp_path / "slow.jsonl")] == ["three"]
    assert list(read_log(tmp_path / "stuck.jsonl")) == []


# -- scenes ------------------------------------------------------------------------------------------------------------


def scene(smith, guard, **weights):
    """Both hear what is in ``weights``: message -> who has something to say to it."""

    def engine(name, response):
        return WeighingEngine({message: {response: 0.9} for message, who in weights.items() if name in who})

    npcs = {"ben": Dialogue(smith, engine=engine("ben", "hello")), "ada": Dialogue(guard, engine=engine("ada", "halt"))}
    return Scene(npcs, called={"ada": ["sergeant", "captain of the gate"]})


CALLS = {
    "ada": [
        *("Ada!", "ada, let me in", "Good day, Ada.", "Let me in, Ada!", "hey sergeant", "Halt! Guard!", "*waves* Ada?"),
        *("good morning ada", "What now?! Captain of the gate, speak", "«x» - ¡hola, Ada!"),
    ],
    "ben": ["Ben, where is Ada?", "smith! Ada sent me", "Ada sent me, smith!"],
    "": ["Where is Ada?", "Ada is late", "I hate Ada", "the guard sent me", "Adapt!", "Canada, my home", ""],
}


@pytest.mark.parametrize(("who", "message"), [(who, message) for who, messages in CALLS.items() for message in messages])
def test_a_name_calls_where_it_is_set_off_and_not_where_somebody_is_spoken_of(smith, guard, who, message):
    answer = scene(smith, guard).reply(message)
    assert (answer.who, answer.why) == ((who, "addressed") if who else ("ben", "nobody"))


def test_else_the_one_who_is_faced_then_who_spoke_last_then_who_has_something_to_say(smith, guard):
    both, ada = ("ben", "ada"), ("ada",)
    place = scene(smith, guard, a=both, b=ada, c=())
    told = [place.reply("a"), place.reply("b"), place.reply("a"), place.reply("c"), place.reply("a", facing="ben")]
    told += [place.reply("b", facing="ben"), place.reply("c", facing="ben"), place.reply("c", present=["ada"])]
    assert [(one.who, one.why, one.asked) for one in told] == [
        ("ben", "fits", ("ben",)),
        ("ada", "fits", ("ben", "ada")),
        ("ada", "spoke_last", ("ada",)),
        ("ada", "nobody", ("ada", "ben")),
        ("ben", "faced", ("ben",)),
        ("ada", "fits", ("ben", "ada")),
        ("ben", "nobody", ("ben", "ada")),
        ("ada", "alone", ("ada",)),
    ]
    assert [one.turn.response_id for one in told] == ["hello", "halt", "halt", "pardon", "hello", "halt", "pardon", "pardon"]
    for name, npc in place.npcs.items():
        assert [one.turn_id for one in npc.log.records] == [one.turn.id for one in told if one.who == name]
        replays(npc)


PLACES = st.tuples(st.sampled_from([None, "ben", "ada"]), st.sampled_from([None, ("ben",), ("ada",), ("ada", "ben")]))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "Ada!", "Ben, a", "hm"]), PLACES), max_size=8))
def test_a_scene_is_decided_by_its_messages_and_only_who_speaks_has_a_turn(smith, guard, plan):
    one, other = (scene(smith, guard, a=("ben", "ada"), b=("ada",), c=("ben",)) for _ in range(2))
    for message, (facing, present) in plan:
        before = {name: npc.memory() for name, npc in one.npcs.items()}
        answer = one.reply(message, facing=facing, present=present)
        again = other.start_reply(message, facing=facing, present=present).result(30)
        assert (answer.who, answer.why, answer.asked, answer.turn.text) == (again.who, again.why, again.asked, again.turn.text)
        assert present is None or answer.who in present
        assert {name for name, npc in one.npcs.items() if npc.memory() != before[name]} == {answer.who}
    for npc in one.npcs.values():
        replays(npc)


def test_where_the_conversation_goes_on_meanwhile_the_answer_is_taken_anew(smith, guard):
    place = scene(smith, guard, a=("ben",))
    ben = place.npcs["ben"]

    class Meddling(WeighingEngine):
        def choose(self, choices, scene, deadline=None):
            if scene.message == "a" and ben.memory is not None and not self.is_over:
                self.is_over = True
                ben._memory = ben._memory.model_copy(update={"number": 7})
            return super().choose(choices, scene, deadline)

    place.npcs["ben"].engine = engine = Meddling({"a": {"hello": 0.9}})
    engine.is_over, ben.memory = False, lambda: ben._memory  # it asks while the lock is held
    assert place.reply("a").turn.record.number == 8


def test_a_scene_that_is_cancelled_leaves_no_trace(smith, guard):
    engine = Held("pardon")
    place = Scene({"ben": Dialogue(smith, engine=engine), "ada": Dialogue(guard, engine=engine)})
    pending = place.start_reply("hm", within=60)
    assert engine.is_asked.wait(30)
    assert pending.cancel()
    engine.is_released.set()
    assert place.reply("Ada!").who == "ada"
    assert [len(npc.log.records) for npc in place.npcs.values()] == [0, 1]


def test_names_that_nobody_has_are_told(smith, guard):
    place = scene(smith, guard)
    for wrong in ({"facing": "bem"}, {"present": ["bem"]}, {"present": []}):
        with pytest.raises(SceneError):
            place.reply("a", **wrong)
        with pytest.raises(SceneError):
            place.start_reply("a", **wrong)
    with pytest.raises(SceneError, match="bem"):
        Scene(place.npcs, called={"bem": ["x"]})
    with pytest.raises(MessageError):
        place.reply(None)


# -- barks -------------------------------------------------------------------------------------------------------------


def test_a_bark_is_the_most_specific_one_and_never_the_one_said_last(smith):
    dialogue, rain = Dialogue(smith), smith.state_type(is_raining=True)
    told = [dialogue.bark(state) for state in (None, None, None, None, rain, rain, rain)]
    assert [one and one.response_id for one in told] == [
        "bark_fire", "bark_cold", "bark_fire", None, "bark_rain", "bark_fire", "bark_rain",
    ]  # fmt: skip
    assert all(one is None or (one.effects, one.decision.how, one.decision.mode) == ((), "bark", "rules") for one in told)
    assert dialogue.bark(smith.state_type(is_shut=True)) is None
    assert dialogue.bark(smith.state_type(is_strict=True)).text == "No credit.\nMind the fire."
    assert dialogue.memory().history == ()
    replays(dialogue)


STEPS = st.lists(st.sampled_from(["bark", "rain", "strict", "hi", "buy", "yes", "no"]), max_size=12)


@given(STEPS, st.integers(0, 1_000))
def test_barks_are_recorded_and_replayed_and_no_message_gets_one(smith, steps, seed):
    dialogue, last = Dialogue(smith, engine=RandomEngine(seed)), None
    for step in steps:
        before = dialogue.memory()
        if step in ("bark", "rain", "strict"):
            turn = dialogue.bark(smith.state_type(is_raining=step == "rain", is_strict=step == "strict"))
            assert turn is None or (turn.response_id.startswith("bark") and turn.response_id != last)
            last = turn.response_id if turn is not None else last
            after = dialogue.memory()
            for name in ("history", "running", "open_offers", "n_missed", "outcomes", "done"):
                assert getattr(after, name) == getattr(before, name)
        else:
            turn = dialogue.reply(step)
            assert not any(one.startswith("bark") for one in (*turn.said, *(option.id for option in turn.decision.options)))
    replays(dialogue)


def test_an_open_offer_and_an_open_question_outlive_a_bark(smith):
    weights = {"buy": {"sold": 0.5}, "bargain": {"sure": 0.9}}
    for message, barks in (("buy", 1), ("bargain", 1), ("buy", 0)):
        dialogue = Dialogue(smith, engine=WeighingEngine(weights))
        assert dialogue.reply(message).effects == ()
        assert all(dialogue.bark() is not None for _ in range(barks))
        assert dialogue.reply("yes").response_id == "sold"
        replays(dialogue)


@pytest.mark.parametrize("message", ["buy", "bargain"])
def test_no_bark_asks_while_a_question_is_open(smith, message):
    dialogue = Dialogue(smith, engine=WeighingEngine({"buy": {"sold": 0.5}, "bargain": {"sure": 0.9}}))
    dialogue.reply(message)
    assert dialogue.bark().response_id == "bark_fire"
    assert dialogue.bark() is None  # "Cold, is it not?" - "yes" would buy
    assert dialogue.reply("yes").response_id == "sold"
    assert dialogue.bark().response_id == "bark_cold"
    replays(dialogue)


def test_a_bark_with_variants_says_one_after_the_other(tmp_path):
    texts = ["Rain again.", "Wet, all of it.", "My bones knew it."]
    smith = make_policy(tmp_path, "smith", SMITH | {"bark_rain": {"variants": texts, "tags": ["bark"]}}, SMITH_LOGIC)
    dialogue, rain = Dialogue(smith), smith.state_type(is_raining=True)
    told = [dialogue.bark(rain).text for _ in range(6)]
    assert {*told[::2]} == {*texts}
    replays(dialogue)


LONELY = """
from constrained import State, policy, say

class Forge(State):
    gold: int = 0

@policy("smith")
def smith(state: Forge):
    yield say("bark_rain")
"""


@pytest.mark.parametrize(("words", "n_said"), [({"variants": ["Rain again.", "Wet, all of it."]}, 4), ({"text": "Rain again."}, 1)])
def test_the_only_bark_is_said_again_in_other_words_or_not_at_all(tmp_path, words, n_said):
    dialogue = Dialogue(make_policy(tmp_path, "smith", {"bark_rain": words | {"tags": ["bark"]}}, LONELY))
    told = [one.text for _ in range(4) if (one := dialogue.bark())]
    assert len(told) == n_said
    assert all(one != other for one, other in pairwise(told))
    replays(dialogue)


def test_nobody_barks_while_a_reply_is_under_way(smith):
    engine = Held()
    dialogue = Dialogue(smith, engine=engine)
    pending = dialogue.start_reply("good day")
    assert engine.is_asked.wait(30)
    assert dialogue.bark() is None
    engine.is_released.set()
    pending.result(30)


MISUSES = [
    'only("bark_fire")',
    'must("bark_fire")',
    *(f'say("bark_fire").{link}' for link in ("then(sell)", "ends()", 'on_yes_to("price")')),
]


@pytest.mark.parametrize("line", MISUSES)
def test_a_bark_answers_nothing_and_does_nothing(tmp_path, line):
    with pytest.raises(PolicyError, match="bark_fire"):
        make_smith(tmp_path, SMITH_LOGIC.replace('say("bark_fire")', line))


# -- visits ------------------------------------------------------------------------------------------------------------


def test_the_next_visit_remembers_what_was_said_and_done_and_nothing_that_was_under_way(smith):
    dialogue = Dialogue(smith, engine=WeighingEngine({"bargain": {"sure": 0.9}, "buy": {"sold": 0.5}}))
    dialogue.with_events("sell")
    dialogue.reply("buy")
    dialogue.reply("bargain")
    before = dialogue.memory()
    dialogue.resume(before.next_visit())
    after = dialogue.memory()
    assert (after.running, after.history, after.open_offers, after.n_missed) == ((), (), (), 0)
    assert (set(after.said), after.done, after.number) == (set(before.said), before.done, before.number)
    assert dialogue.reply("yes").effects == ()
    assert all(one.is_same for one in replay(smith, dialogue.log.records))
