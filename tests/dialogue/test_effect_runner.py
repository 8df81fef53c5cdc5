"""The effect runner, and that a turn and a server after a crash get the same from it."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from constrained.dialogue.turn import Turn, run_effects
from constrained.errors import EffectError
from constrained.logic.effects import Effect, effect, first_failing
from constrained.serve.journal import recover_effects


@dataclass(frozen=True)
class Till:
    money: int


@effect(requires=lambda till, price: till.money >= price)
def pay(till: Till, price: int) -> Till:
    return Till(till.money - price)


@effect
def jam(till: Till) -> Till:
    raise RuntimeError("the user wrote: 4111")


@effect
def forget(till: Till) -> None:
    """Returns nothing, by mistake."""


calls = st.lists(st.one_of(st.integers(0, 3).map(pay.call), st.sampled_from([jam.call(), forget.call()])), min_size=1, max_size=4).map(
    tuple
)
tills = st.integers(0, 6).map(Till)


@given(effects=calls, till=tills)
def test_effects_run_in_order_up_to_the_first_that_fails(effects: tuple[Effect, ...], till: Till) -> None:
    ran = run_effects(effects, till)
    done, rest = effects[: ran.n_done], effects[ran.n_done :]
    assert ran.state.money == till.money - sum(one.args[0] for one in done)
    assert (ran.error is None) == (not rest)
    if rest and rest[0].name == "jam":
        assert (type(ran.error), ran.refused) == (RuntimeError, None)
    elif rest and rest[0].name == "forget":
        assert (type(ran.error), ran.refused) == (EffectError, None)
        assert "forget() returned None, not a Till" in str(ran.error)
    elif rest:
        assert ran.state.money < rest[0].args[0]
        assert (type(ran.error), ran.refused) == (EffectError, rest[0])
    entries = ran.outcomes("why")
    assert [one.effect for one in entries] == list(map(str, effects))
    assert [one.status for one in entries] == (["done"] * len(done) + ["failed", *["not_run"] * len(rest)])[: len(effects)]
    assert [one.detail for one in entries if one.detail] == ["why"] * bool(rest)


@given(effects=calls, till=tills)
def test_a_turn_and_a_server_after_a_crash_do_the_same(effects: tuple[Effect, ...], till: Till) -> None:
    told: list[tuple[object, ...]] = []
    turn = Turn("t", "", "", (), (), effects, *[None] * 4, _tell=told.append)  # type: ignore[arg-type]
    after, error = None, None
    try:
        after = turn.apply(till)
    except Exception as raised:
        error = raised
    ran, why = recover_effects(effects, till)
    assert [(one.effect, one.status) for one in told[0]] == [(one.effect, one.status) for one in ran.outcomes(why)]
    assert bool(why) == (error is not None)
    assert "4111" not in why
    if error is None:
        assert ran.state == after
    elif first_failing(effects, till) is not None:
        assert (ran.n_done, ran.state) == (0, till)
