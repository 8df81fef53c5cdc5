"""The engines for tests: they answer as scripted, say clearly when they cannot, and look like any other engine."""

from __future__ import annotations

import enum
import math
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.engines.protocol import Candidate, Choice, Engine, PromptContext
from constrained.errors import EngineError
from constrained.testing import SABOTAGES, RandomEngine, SabotagedEngine, ScriptedEngine

SCENE = PromptContext("x", "", "", "", (), (), "{}", (), "Good day", "en")


class Shelf(enum.Enum):
    OLD_MAPS = 7


class Level(enum.IntEnum):
    LOW = 1


def choice(*keys, name="wish", kind="heard", rest=""):
    return Choice(name, kind, tuple(Candidate(key, key, no_match=key == rest) for key in keys))


def picked(engine, *choices, message="Good day"):
    scene = PromptContext("x", "", "", "", (), (), "{}", (), message, "en")
    return [one.candidates[answer.best].key for one, answer in zip(choices, engine.choose(choices, scene), strict=True)]


@pytest.mark.parametrize("engine", [ScriptedEngine({}), RandomEngine(), SabotagedEngine("nan")])
def test_they_are_engines(engine):
    assert isinstance(engine, Engine)
    assert all(isinstance(value, str) for value in engine.identity.values())


@pytest.mark.parametrize(
    ("answer", "keys", "expected"),
    [
        (True, ("yes", "no"), "yes"),
        (False, ("yes", "no"), "no"),
        (None, ("ale", "none"), "none"),
        ("ale", ("stew", "ale", "none"), "ale"),
        ("cellar_key", ("rope", "cellar key", "none"), "cellar key"),
        (60, ("6", "60", "none"), "60"),
        (Decimal("60"), ("6.0", "60.00", "none"), "60.00"),
        ("60", ("6", "60"), "60"),
        (3, ("1", "2", "3"), "3"),
        (date(2026, 3, 2), ("2026-03-01", "2026-03-02", "none"), "2026-03-02"),
        (Shelf.OLD_MAPS, ("novels", "old maps", "none"), "old maps"),
        (Level.LOW, ("low", "high"), "low"),
    ],
)
def test_answers_are_given_by_value_or_by_key(answer, keys, expected):
    assert picked(ScriptedEngine({"Good day": {"wish": answer}}), choice(*keys, rest="none")) == [expected]


@pytest.mark.parametrize(
    ("keys", "rest", "expected"),
    [(("yes", "no"), "no", "no"), (("1", "2"), "1", "1"), (("ale", "none"), "none", "none"), (("a", "b"), "", "a")],
)
def test_a_question_that_is_not_scripted_is_answered_with_its_way_out(keys, rest, expected):
    assert picked(ScriptedEngine({"Good day": {}}), choice(*keys, rest=rest)) == [expected]


OPTIONS = choice("0:greet", "1:sell_key", "2:greet", name="reply", kind="option")


@pytest.mark.parametrize("answer", ["sell_key", "1:sell_key", {"reply": "sell_key"}])
def test_a_reply_is_named_by_its_response(answer):
    (distribution,) = ScriptedEngine({"Good day": answer}).choose([OPTIONS], SCENE)
    assert distribution.probabilities == pytest.approx((0.05, 0.9, 0.05))
    assert distribution.mode == "exact"


@pytest.mark.parametrize(
    ("script", "match"),
    [
        ({}, "no answers for 'Good day'"),
        ({"Good evening": "greet"}, "it knows 'Good evening'"),
        ({"Good day": {}}, "does not say what to reply to 'Good day'"),
        ({"Good day": "farewell"}, r"'farewell' is no candidate of 'reply'.*\n.*'greet', 'sell_key'"),
        ([], "the script ends after 0 turns"),
    ],
)
def test_what_the_script_does_not_know_is_an_engine_error_with_a_hint(script, match):
    with pytest.raises(EngineError, match=match) as caught:
        ScriptedEngine(script).choose([OPTIONS], SCENE)
    assert caught.value.hint


def test_a_script_may_be_a_function_of_the_message():
    engine = ScriptedEngine(lambda message: {"reply": "greet" if "day" in message else "sell_key"})
    assert picked(engine, OPTIONS) == ["0:greet"]
    assert picked(engine, OPTIONS, message="Key!") == ["1:sell_key"]


def test_messages_of_a_script_are_cleaned_like_those_of_users():
    assert picked(ScriptedEngine({" Cafe\u0301\n": "greet"}), OPTIONS, message="Café") == ["0:greet"]


def test_a_list_is_one_entry_a_turn(library):
    script = ["welcome", {"wish": "ask", "reply": "hours"}, {"threat": True}, {"reply": "sorry"}]
    dialogue = Dialogue(library, engine=ScriptedEngine(script))
    said = [dialogue.reply(message).response_id for message in ("hello", "hello", "hello", "hello")]
    assert said == ["welcome", "hours", "quiet", "sorry"]
    with pytest.raises(EngineError, match="the script ends after 4 turns"):
        dialogue.reply("hello")


@given(st.integers(), st.integers(1, 60))
def test_random_answers_are_probabilities_and_the_same_for_the_same_seed(seed, n):
    question = choice(*map(str, range(n)))
    (first,), (again,) = (RandomEngine(seed).choose([question], SCENE) for _ in range(2))
    assert first == again
    assert len(first.probabilities) == n
    assert all(0 <= probability <= 1 for probability in first.probabilities)
    assert math.fsum(first.probabilities) == pytest.approx(1)


@pytest.mark.parametrize("how", SABOTAGES)
def test_every_sabotage_does_something(how):
    engine, asked = SabotagedEngine(how), choice("a", "b")
    sound = RandomEngine(0).choose([choice("a", "b")], SCENE)
    try:
        answers = engine.choose([asked], PromptContext("x", "", "", "", (), (), "{}", (), "Good day", "en"))
        assert engine.identity
    except Exception:
        return
    assert answers != sound or type(answers[0]) is not type(sound[0]) or asked != choice("a", "b")
