"""What became of effects: told in the log after the turn, whether they ran, failed or were never run."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Dialogue, State, effect, policy, say
from constrained.catalog.load import load_catalog
from constrained.errors import AuditError, EffectError, OutcomeError
from constrained.records.log import MemoryLog
from constrained.records.record import Outcome
from constrained.testing import ScriptedEngine

CATALOG = {
    "catalog": "till", "version": 1, "locale": "en", "fallback": "pardon",
    "responses": {"pardon": {"text": "Pardon?", "when": "nothing else"}, "sold": {"text": "Sold.", "when": "the customer buys"}},
}  # fmt: skip


class Till(State):
    money: int = 10


@effect(requires=lambda state, price: state.money >= price)
def pay(state: Till, price: int) -> Till:
    return state.replace(money=state.money - price)


@effect
def ring(state: Till) -> Till:
    if state.money == 5:
        raise RuntimeError("the bell fell off")
    return state


@pytest.fixture(scope="session")
def begun(tmp_path_factory) -> Callable[[], Dialogue]:
    path = tmp_path_factory.mktemp("till") / "till.yaml"
    path.write_text(json.dumps(CATALOG))

    @policy(load_catalog(path))
    def till(state: Till):
        yield say("sold").then(pay, 3).then(ring).then(pay, 2)

    return lambda: Dialogue(till, engine=ScriptedEngine(lambda message: "sold"), log=MemoryLog())


@pytest.fixture
def talk(begun) -> Dialogue:
    return begun()


def told(talk):
    entries = [entry for entry in talk.log.entries if isinstance(entry, Outcome)]
    return [[(one.effect, one.status, one.detail) for one in entry.outcomes] for entry in entries]


def test_what_ran_is_told_after_the_turn(talk):
    turn = talk.reply("I'll take it", Till())
    assert told(talk) == []
    assert turn.apply(Till()) == Till(money=5)
    assert told(talk) == [[("pay(3)", "done", ""), ("ring()", "done", ""), ("pay(2)", "done", "")]]
    with pytest.raises(EffectError):
        turn.apply(Till())
    assert len(told(talk)) == 1
    assert [entry.turn_id for entry in talk.log.entries] == [turn.id] * 2


def test_an_effect_that_raises_is_told_with_those_that_did_not_run(talk):
    turn = talk.reply("I'll take it", Till(money=8))
    with pytest.raises(RuntimeError, match="the bell fell off"):
        turn.apply(Till(money=8))
    assert told(talk) == [[("pay(3)", "done", ""), ("ring()", "failed", "RuntimeError: the bell fell off"), ("pay(2)", "not_run", "")]]


def test_a_precondition_that_no_longer_holds_is_told(talk):
    turn = talk.reply("I'll take it", Till())
    with pytest.raises(EffectError):
        turn.apply(Till(money=1))
    (outcomes,) = told(talk)
    assert [status for _, status, _ in outcomes] == ["failed", "not_run", "not_run"]


def test_a_log_that_fails_after_the_effects_ran_gives_the_state_all_the_same(talk, monkeypatch):
    turn = talk.reply("I'll take it", Till())

    def fail(entry):
        raise AuditError("the disk is full")

    monkeypatch.setattr(talk.log, "append", fail)
    with pytest.raises(OutcomeError, match="ran, but the log could not tell: the disk is full") as caught:
        turn.apply(Till())
    assert caught.value.state == Till(money=5)


def test_a_turn_without_effects_tells_nothing(talk):
    talk.engine = ScriptedEngine(lambda message: "pardon")
    turn = talk.reply("hm", Till())
    assert turn.apply(Till()) == Till()
    assert len(talk.log.entries) == 1


def attempt(turn, how, money):
    """What a call returned or raised, as text."""
    try:
        return turn.failed("the till is shut") if how == "failed" else turn.apply(Till(money=money))
    except (EffectError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


calls = st.tuples(st.sampled_from(("apply", "failed")), st.sampled_from((1, 4, 8, 10)))  # refused, impossible after pay(3), raises, runs


@given(first=calls, later=st.lists(calls, min_size=1, max_size=4))
def test_once_the_effects_are_over_nothing_changes_any_more(begun, first, later):
    talk = begun()
    turn = talk.reply("I'll take it", Till())
    attempt(turn, *first)
    if first == ("apply", 1):  # a refused call leaves the next one free
        first, *later = later[0], *later[1:]
        attempt(turn, *first)
        if first == ("apply", 1):
            return
    entries, memory = list(talk.log.entries), talk.memory()
    for call in later:
        assert "EffectError: the effects of turn" in attempt(turn, *call)
        assert (list(talk.log.entries), talk.memory()) == (entries, memory)


def test_a_second_apply_whose_precondition_fails_is_no_failure(talk):
    turn = talk.reply("I'll take it", Till())
    turn.apply(Till())
    memory = talk.memory()
    with pytest.raises(EffectError, match="ran before"):
        turn.apply(Till(money=1))
    assert talk.memory() == memory
    assert memory.outcomes == ((1, "done"),)
    assert len(told(talk)) == 1


def test_a_turn_told_as_failed_is_not_run_and_not_told_again(talk):
    turn = talk.reply("I'll take it", Till())
    turn.failed("the till is shut")
    for call in (lambda: turn.failed("again"), lambda: turn.apply(Till()), lambda: turn.apply(Till(money=1))):
        with pytest.raises(EffectError, match="were told as failed before"):
            call()
    (outcomes,) = told(talk)
    assert [status for _, status, _ in outcomes] == ["failed", "not_run", "not_run"]


def test_the_log_shows_each_refused_call_and_then_the_one_that_ran(talk):
    turn = talk.reply("I'll take it", Till())
    for _ in range(2):
        with pytest.raises(EffectError, match="no longer holds"):
            turn.apply(Till(money=1))
    assert turn.apply(Till()) == Till(money=5)
    assert [entry[0][1] for entry in told(talk)] == ["failed", "failed", "done"]
    assert talk.memory().outcomes == ((1, "done"),)


def test_whatever_threads_apply_the_last_entry_tells_what_became_of_the_effects(talk):
    turn = talk.reply("I'll take it", Till())
    threads = [Thread(target=attempt, args=(turn, "apply", money)) for money in (1, 10, 1, 10, 1, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [entry[0][1] for entry in told(talk)]
    assert statuses[-1] == "done"
    assert statuses.count("done") == 1
    assert talk.memory().outcomes == ((1, "done"),)
