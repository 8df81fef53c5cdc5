"""What became of effects: told in the log after the turn, whether they ran, failed or were never run."""

from __future__ import annotations

from typing import Any

import pytest

from constrained import Dialogue, EffectError, MemoryLog, OutcomeError, State, effect, policy, say
from constrained.audit.record import Outcome
from constrained.errors import AuditError
from constrained.testing import ScriptedEngine

CATALOG = {
    "catalog": "till", "version": 1, "locale": "en", "fallback": "pardon",
    "responses": {"pardon": {"text": "Pardon?", "when": "nothing else"}, "sold": {"text": "Sold.", "when": "the customer buys"}},
}  # fmt: skip


class Till(State):
    money: int = 10


@effect(requires=lambda state, price: state.money >= price)
def pay(state: Till, price: int) -> Till:
    return state.but(money=state.money - price)


@effect
def ring(state: Till) -> Till:
    if state.money == 5:
        raise RuntimeError("the bell fell off")
    return state


@pytest.fixture
def talk(tmp_path) -> Any:
    import json

    from constrained import load_catalog

    path = tmp_path / "till.yaml"
    path.write_text(json.dumps(CATALOG))
    catalog = load_catalog(path)

    @policy(catalog)
    def till(state: Till):
        yield say("sold").then(pay, 3).then(ring).then(pay, 2)

    log = MemoryLog()
    return Dialogue(till, engine=ScriptedEngine(lambda message: "sold"), log=log)


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
