"""Saved games: back as they were, into edited catalogs and logic, and what a made-up save cannot do."""

from __future__ import annotations

import concurrent.futures
import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.errors import SaveError
from constrained.games import Scene, load, save
from constrained.records.replay import replay
from constrained.testing import RandomEngine
from tests.dialogue.offers_desk import WeighingEngine
from tests.dialogue.tavern_scene import SMITH, SMITH_LOGIC, make_guard, make_policy, make_smith
from tests.strategies import HOSTILE

WEIGHTS = {"bargain": {"sure": 0.9}, "buy": {"sold": 0.5}, "hi": {"hello": 0.9}}
CONFIRM = 'await confirm("sure")'


@pytest.fixture(scope="module")
def smith(tmp_path_factory):
    return make_smith(tmp_path_factory.mktemp("smith"))


@pytest.fixture(scope="module")
def guard(tmp_path_factory):
    return make_guard(tmp_path_factory.mktemp("guard"))


def as_file(value):
    return json.loads(json.dumps(value))


def talk(policy, *messages):
    dialogue = Dialogue(policy, engine=WeighingEngine(WEIGHTS))
    for message in messages:
        dialogue.reply(message)
    return dialogue


def goes_on(value, policy, **also):
    """The dialogue that a save of ``ben`` goes on as, and what was noted."""
    dialogue = talk(policy)
    return dialogue, load(as_file(value), {"ben": dialogue} | also).notes


# -- as it was ---------------------------------------------------------------------------------------------------------

STEPS = st.lists(st.sampled_from(["hi", "buy", "bargain", "yes", "no", "bark", "x"]), max_size=8)


@given(STEPS, st.integers(0, 99))
def test_a_game_goes_on_from_its_save_as_if_nothing_had_been(smith, guard, steps, seed):
    def scene():
        return Scene({"ben": Dialogue(smith, engine=RandomEngine(seed)), "ada": Dialogue(guard, engine=WeighingEngine({}))})

    first, second = scene(), scene()
    for step in steps:
        if step == "bark":
            first.npcs["ben"].bark()
        else:
            first.reply(step)
    states = {"ben": smith.state_type(gold=7, is_raining=True)}
    game = load(as_file(save(first, states)), second)
    assert (dict(game.states), game.notes) == (states, ())
    assert {name: npc.memory() for name, npc in second.npcs.items()} == {name: npc.memory() for name, npc in first.npcs.items()}
    assert [npc.conversation for npc in second.npcs.values()] == [npc.conversation for npc in first.npcs.values()]
    assert second.last_speaker == first.last_speaker
    assert save(second, game.states) == save(first, states)


def test_who_is_not_in_the_save_begins_anew_and_who_is_not_here_is_told(smith, guard):
    saved = save({"ben": talk(smith, "hi"), "gone": talk(smith)})
    ada = talk(guard, "hi")
    _, notes = goes_on(saved, smith, ada=ada)
    assert ada.memory().number == 0
    assert sorted(note.partition(":")[0] for note in notes) == ["ada", "gone"]


def test_a_reply_that_is_pending_does_not_outlive_the_load(smith):
    dialogue = talk(smith, "hi")
    saved = save({"ben": dialogue})
    with dialogue._lock:
        pending = dialogue.start_reply("hi")
        assert save({"ben": dialogue}) == saved  # it does not wait
        dialogue._turns.cancel()
    load(saved, {"ben": dialogue})
    with pytest.raises(concurrent.futures.CancelledError):
        pending.result(30)
    assert dialogue.memory().number == 1


# -- edited meanwhile --------------------------------------------------------------------------------------------------


def test_a_turn_that_runs_ends_under_the_name_of_its_own_conversation(smith):
    dialogue, names = Dialogue(smith, conversation="now"), []

    class Watched:  # the lock that a turn holds until its record is written
        def __enter__(self):
            names.append(dialogue.conversation)

        def __exit__(self, *_):
            names.append(dialogue.conversation)

    saved = save({"ben": Dialogue(smith, conversation="then")})
    dialogue._lock = Watched()
    load(as_file(saved), {"ben": dialogue})
    assert names == ["now", "then"]


def test_what_a_turn_did_before_the_load_did_not_happen_in_the_game_that_was_loaded(smith):
    saved = as_file(save({"ben": talk(smith, "hi", "buy")}))
    dialogue, _ = goes_on(saved, smith)
    turn = dialogue.reply("yes")
    load(saved, {"ben": dialogue})
    turn.apply(smith.state_type())
    assert (dialogue.memory().done, dialogue.memory().outcomes) == ((), ())
    assert goes_on(save({"ben": dialogue}), smith)[1] == ()
    dialogue.reply("yes").apply(smith.state_type())
    assert dialogue.memory().done == ("sell",)


def test_ids_that_were_renamed_are_mapped_and_those_that_are_gone_are_told(smith, tmp_path):
    saved = save({"ben": talk(smith, "hi", "buy")})
    logic = SMITH_LOGIC.replace('"hello"', '"greet"').replace('"sold"', '"deal"').replace('    yield say("price", price=5)\n', "")
    saved["npcs"]["ben"]["memory"]["said"]["price"] = 1
    edited = {
        "greet": {"text": "Good day.", "aliases": ["hello"]},
        "deal": {"text": "Done.", "offer": "Shall I sell it to you?", "aliases": ["sold"]},
    }
    responses = {one: response for one, response in SMITH.items() if one not in ("hello", "sold", "price")} | edited
    dialogue, notes = goes_on(saved, make_policy(tmp_path, "smith", responses, logic))
    assert notes == ("ben: the response 'price' is gone",)
    assert dialogue.memory().said == {"greet": 1, "deal.offer": 2}
    turn = dialogue.reply("yes")
    assert (turn.response_id, list(map(str, turn.effects))) == ("deal", ["sell()"])


def test_a_yes_to_what_the_catalog_does_not_ask_does_nothing(smith):
    saved = as_file(save({"ben": talk(smith, "buy")}))
    assert goes_on(saved, smith)[0].reply("yes").effects
    saved["npcs"]["ben"]["memory"]["open_offers"][0]["text"] = "Shall I tell you of the weather?"
    assert goes_on(saved, smith)[0].reply("yes").effects == ()


@pytest.mark.parametrize("changed", [CONFIRM.replace(")", ", tries=5)"), CONFIRM + " and state.gold"])
def test_a_procedure_whose_code_is_another_now_is_over(smith, tmp_path, changed):
    saved = save({"ben": talk(smith, "bargain")})
    same, notes = goes_on(saved, smith)
    assert (notes, same.reply("yes").response_id) == ((), "sold")
    edited = make_smith(tmp_path, SMITH_LOGIC.replace(CONFIRM, changed))
    dialogue, notes = goes_on(saved, edited)
    assert notes == ("ben: the procedure 'bargain' is over: it cannot go on from where it stood",)
    assert dialogue.memory().running == ()
    assert dialogue.reply("yes").effects == ()
    assert dialogue.reply("bargain").response_id == "sure"


def test_a_procedure_without_a_name_is_over_too(smith):
    saved = as_file(save({"ben": talk(smith, "bargain")}))
    saved["npcs"]["ben"]["memory"]["running"][0]["name"] = ""
    assert goes_on(saved, smith)[0].reply("yes").effects == ()


# -- what is no save ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [None, [], {}, "save", 3, {"format": None}, {"format": True}, {"format": 0}, {"format": 1}, {"format": "1"}]
)
def test_what_is_no_save_is_told(smith, wrong):
    with pytest.raises(SaveError):
        goes_on(wrong, smith)


def test_a_save_of_a_newer_format_is_told(smith):
    with pytest.raises(SaveError, match="format 2") as caught:
        goes_on({**save({"ben": talk(smith)}), "format": 2, "more": 1}, smith)
    assert caught.value.format == 2


IMPOSSIBLE = [
    *({"number": 10**30}, {"said": {"hello": 9}}, {"clock": [["", "inf"]]}, {"n_missed": -1}),
    *({"times": {"hello": -1}}, {"outcomes": [[7, "done"]]}),
]


@pytest.mark.parametrize("wrong", IMPOSSIBLE)
def test_what_no_conversation_can_remember_is_told(smith, wrong):
    saved = save({"ben": talk(smith, "hi")})
    saved["npcs"]["ben"]["memory"] |= wrong
    with pytest.raises(SaveError):
        load(saved, {"ben": talk(smith)})


def test_where_approvals_are_required_no_save_says_what_was_agreed_to(smith, tmp_path):
    desk = make_smith(tmp_path, approvals="required")
    dialogue = Dialogue(desk, drafts=True)
    dialogue.reply("hi")
    with pytest.raises(SaveError, match="requires approvals"):
        load(as_file(save({"ben": talk(smith, "bargain")})), {"ben": dialogue})
    assert (dialogue.memory().number, dialogue.memory().running) == (1, ())


def test_where_a_state_does_not_fit_nothing_is_loaded(smith, guard):
    saved = as_file(save({"ada": talk(guard), "ben": talk(smith)}, {"ben": smith.state_type()}))
    saved["npcs"]["ben"]["state"]["gold"] = "much"
    ada = talk(guard, "hi")
    with pytest.raises(SaveError, match="ben"):
        goes_on(saved, smith, ada=ada)
    assert ada.memory().number == 1


NAMES = ["sold", "sure", "bargain", "began", "picked yes", "heard", "done", "{}", '{"gold": -1}', "[]", "\ud800", "", "user"]
HOSTILE_JSON = st.recursive(
    st.sampled_from([*NAMES, 10**30, *(text[:80] for text in HOSTILE)]) | st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sold", "x", "memory", "said"]), inner, max_size=3),
    max_leaves=5,
)
ALIKE = {str: st.sampled_from(NAMES), int: st.integers(-1, 6), list: st.just([])}


def paths(value, at=()):
    yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*at, key))


def parent_of(value, at):
    for key in at[:-1]:
        value = value[key]
    return value


@pytest.fixture(scope="module")
def whole_saves(smith):
    """In the middle of a bargain, with an open offer, and with all kinds of entries."""
    saves = [
        save({"ben": talk(smith, *messages)}) for messages in (("hi", "bargain"), ("buy",), ("bargain", "x"), ("bargain", "yes", "hi"))
    ]
    saves[3]["npcs"]["ben"]["memory"] |= {
        "clock": [["hello", 1.0]],
        "outcomes": [[2, "done"]],
        "done": ["sell"],
        "seed": "abc",
        "times": {"hello": 1},
    }
    return as_file(saves)


TEXTS = {one: given if isinstance(given, str) else given["text"]["en"].replace("{price}", "5") for one, given in SMITH.items()}
TEXTS |= {"pardon": "Pardon?", "sold.offer": "Shall I sell it to you?"}


@given(st.data())
@settings(max_examples=250)
def test_a_made_up_save_is_told_or_goes_on_within_the_catalog(smith, whole_saves, data):
    saved = copy.deepcopy(data.draw(st.sampled_from(whole_saves)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from([path for path in paths(saved) if path]))
        parent = parent_of(saved, at)
        parent[at[-1]] = data.draw(HOSTILE_JSON if data.draw(st.booleans()) else ALIKE.get(type(parent[at[-1]]), HOSTILE_JSON))
    dialogue = talk(smith)
    try:
        load(saved, {"ben": dialogue})
    except SaveError:
        assert dialogue.memory().number == 0
        return
    for message in ("yes", "bargain", "hm"):
        turn = dialogue.reply(message)
        assert turn.text == "\n".join(TEXTS[one] for one in turn.said)
        assert all(str(effect) == "sell()" for effect in turn.effects)
    assert all(one.is_same for one in replay(smith, dialogue.log.records))
