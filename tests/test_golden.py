"""Golden dialogues: a file is read with all its problems, a turn that is not as intended says so."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import State
from constrained._values import with_members
from constrained.errors import GoldenError, Problem, StateError
from constrained.logic.effects import effect
from constrained.packs import load_policy
from constrained.quality.golden import GoldenDialogue, load_golden, run_golden
from constrained.testing import RandomEngine, ScriptedEngine
from tests.conftest import DESK

FILE = load_golden(DESK / "dialogues" / "library.yaml")


@pytest.mark.parametrize("dialogue", FILE.dialogues, ids=lambda dialogue: dialogue.name)
def test_the_small_desk_does_as_intended(library, dialogue):
    results = list(run_golden(library, dialogue))
    assert len(results) == len(dialogue.turns)
    assert [problem for result in results for problem in result.problems] == []


def one(library, state=None, **turn):
    return list(run_golden(library, GoldenDialogue.model_validate({"name": "x", "state": state, "turns": [turn]})))


@pytest.mark.parametrize(
    ("turn", "problem"),
    [
        ({"says": "hi", "expects": "quiet"}, "'quiet' is not allowed; allowed are welcome, hours, sorry"),
        ({"says": "hi", "expects": "amnesty"}, "allowed are welcome, hours, sorry (is approved from 2090-01-01 only"),
        ({"says": "hi", "expects": "welcome", "heard": {"threat": True}}, "'welcome' is not allowed; allowed are quiet"),
        ({"says": "hi", "expects": "sorry", "heard": {"offer": 3}}, "heard offer=None, not Decimal('3')"),
        ({"says": "hi", "expects": "sorry", "heard": {"temper": 3}}, "Heard refuses temper: no such field"),
        ({"says": "hi", "expects": "sorry", "obliged": []}, "obliged to say ('recorded',), not ()"),
        ({"says": "hi", "expects": "sorry", "obliged": ["goodbye"]}, "obliged to say ('recorded',), not ('goodbye',)"),
        ({"says": "hi", "expects": "sorry", "blocked": ["hours"]}, "'hours' is an option, though it should be blocked"),
        ({"says": "hi", "expects": "sorry", "effects": ["count()"]}, "the effects are (), not ('count()',)"),
        ({"says": "hi", "expects": "sorry", "then": {"owed": 1}}, "then owed=Decimal('0'), not Decimal('1')"),
        ({"says": "hi", "expects": "sorry", "then": {"gold": 1}}, "refuses gold: no such field"),
    ],
)
def test_a_turn_that_is_not_as_intended_says_so(library, turn, problem):
    (result,) = one(library, **turn)
    assert problem in "\n".join(result.problems)


def test_what_is_left_out_is_not_compared(library):
    assert one(library, {"owed": 3}, says="2 euros", expects="paid", heard={"wish": "pay", "offer": 2})[0].problems == ()


def test_a_dialogue_ends_at_a_turn_that_cannot_be_taken(library):
    turns = [{"says": "hi", "expects": "sorry", "heard": {"book": "Emil"}}, {"says": "hi", "expects": "sorry"}]
    assert len(list(run_golden(library, GoldenDialogue.model_validate({"name": "x", "turns": turns})))) == 1


def test_a_state_that_is_none_is_a_state_error(library):
    with pytest.raises(StateError, match="gold"):
        one(library, {"gold": 3}, says="hi", expects="sorry")


def test_an_engine_under_test_is_told_apart_and_does_not_lead(library):
    engine = ScriptedEngine(lambda message: {"hurry": 2, "reply": "sorry"})
    results = list(run_golden(library, FILE.dialogues[0], engine))
    assert [result.picked.response_id for result in results] == ["sorry"] * 3
    assert [result.is_right for result in results] == [False] * 3
    assert [result.problems for result in results] == [()] * 3
    assert [result.n_options for result in results] == [4, 4, 4]
    assert results[1].misheard == ("wish", "hurry", "book", "day")
    assert all(result.is_right for result in run_golden(library, FILE.dialogues[1], ScriptedEngine(lambda message: {"threat": True})))
    assert len(list(run_golden(library, FILE.dialogues[0], RandomEngine(1)))) == 3


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 0, "the file"),
        ("dialogues: a: b", 1, "not valid YAML"),
        ("pack: library\n", 1, "'dialogues'"),
        ("pack: library\ndialogues:\n  - name: x\n    turns:\n      - says: hi\n", 5, "expects"),
        ("pack: library\ndialogues:\n  - name: x\n    turns:\n      - says: hi\n        expects: sorry\n        mood: bad\n", 7, "mood"),
        ("pack: library\ndialogues:\n  - name: x\n    turns:\n      - says: [hi]\n        expects: sorry\n", 5, "says"),
        ("pack: library\npack: other\ndialogues: []\n", 2, "'pack' stands twice"),
    ],
)
def test_a_file_that_is_none_is_refused_with_file_and_line(tmp_path, text, line, message):
    path = tmp_path / "library.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GoldenError) as caught:
        load_golden(path)
    found = [problem for problem in caught.value.problems if message in problem.message]
    assert found, str(caught.value)
    assert (found[0].file, found[0].line) == (str(path), line)
    assert isinstance(found[0], Problem)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, content):
    path = tmp_path / "library.yaml"
    if content:
        path.write_bytes(content)
    with pytest.raises(GoldenError, match="cannot be read"):
        load_golden(path)


class Item(enum.Enum):
    LONG_SWORD = "long sword"
    AXE = "axe"


class Hand(State):
    item: Item | None = None
    belt: frozenset[Item] = frozenset()
    pair: tuple[Item, int] = (Item.AXE, 1)


@effect
def buy(state: Any, a: Any = None, b: Any = None, c: Any = None, to: Any = None, by: Any = None) -> Any:
    return state


PLAIN = st.lists(st.sampled_from(Item) | st.integers(-(10**17), 10**17) | st.booleans(), max_size=2)
TEXTS = st.sampled_from(["a", "a, b", "it's", "(", "a), (b", 'a"b'])
CALLS = st.builds(
    lambda text, rest, named: buy.call(*text, *rest, **named),
    st.lists(TEXTS, max_size=1),
    PLAIN,
    st.dictionaries(st.sampled_from(["to", "by"]), st.integers(0, 9)),
)


@given(st.lists(CALLS), st.booleans())
def test_effects_are_read_as_they_are_printed(tmp_path_factory, calls, has_quotes):
    printed = [str(call) for call in calls]
    written = ", ".join(f"'{one.replace(chr(39), chr(39) * 2)}'" if has_quotes else one for one in printed)
    path = tmp_path_factory.getbasetemp() / "effects.yaml"
    head = "pack: library\ndialogues:\n  - name: x\n    turns:\n      - says: hi\n        expects: sorry\n"
    path.write_text(f"{head}        effects: [{written}]\n", encoding="utf-8")
    assert load_golden(path).dialogues[0].turns[0].effects == tuple(printed)


@pytest.mark.parametrize("effects", ["[buy(AXE]", "[buy(AXE, 65]", "[buy, AXE]", "['buy(f(2)']"])
def test_an_effect_that_is_not_closed_is_refused_with_its_line(tmp_path, effects):
    path = tmp_path / "effects.yaml"
    path.write_text(f"pack: a\ndialogues:\n  - name: x\n    turns:\n      - says: hi\n        expects: no\n        effects: {effects}\n")
    with pytest.raises(GoldenError, match="is no effect: write NAME") as caught:
        load_golden(path)
    assert caught.value.problems[0].line == 7


@given(st.sampled_from(Item) | st.none(), st.frozensets(st.sampled_from(Item)), st.sampled_from(Item), st.booleans())
def test_members_are_named_as_effects_print_them_or_by_value(item, belt, first, by_name):
    def written(one: Item) -> str:
        return one.name if by_name else one.value

    data = {"item": item and written(item), "belt": [written(one) for one in belt], "pair": [written(first), 3]}
    assert Hand.from_json(with_members(Hand, data)) == Hand(item=item, belt=belt, pair=(first, 3))


def test_what_is_no_member_and_no_value_is_refused_with_all_that_are():
    with pytest.raises(StateError, match="item: 'AXES' is neither a member nor a value of Item") as caught:
        with_members(Hand, {"item": "AXES"})
    assert "LONG_SWORD (long sword), AXE (axe)" in str(caught.value)


def test_a_golden_dialogue_of_a_pack_names_members_everywhere():
    """The key of the tavern has the value "cellar key"; effects print CELLAR_KEY."""
    turn = {"says": "Sixty gold", "heard": {"offer": 60}, "expects": "sell_key", "then": {"belt": ["CELLAR_KEY"]}}
    dialogue = GoldenDialogue.model_validate({"name": "x", "state": {"gold": 80, "belt": []}, "turns": [turn]})
    assert [result.problems for result in run_golden(load_policy("tavern"), dialogue)] == [()]
