"""Effects: named with their arguments, run later, once their precondition holds; and the offers that carry them."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import State, effect, must, only, say
from constrained.errors import EffectError, PolicyError
from constrained.logic.effects import first_failing


class Item(Enum):
    KEY = "key"


class Purse(State):
    gold: int = 0


@effect(requires=lambda state, gold: state.gold >= gold)
def pay(state: Purse, gold: int) -> Purse:
    """Takes gold."""
    return state.replace(gold=state.gold - gold)


@effect
def give(state: Purse, item: Item, *, to: str = "Ann") -> Purse:
    return state


@effect
def forget(state: Purse) -> None:
    """Returns nothing, by mistake."""


@given(st.integers(0, 100), st.integers(0, 100))
def test_an_effect_runs_only_when_its_precondition_holds(gold: int, price: int) -> None:
    state, one = Purse(gold=gold), pay.call(price)
    assert one.holds(state) == (gold >= price)
    assert first_failing((give.call(Item.KEY), one), state) == (None if gold >= price else one)
    if gold >= price:
        assert one.apply(state) == pay(state, price) == Purse(gold=gold - price)
    else:
        with pytest.raises(EffectError, match=rf"the precondition of pay\({price}\) does not hold") as caught:
            one.apply(state)
        assert caught.value.effect == f"pay({price})"
    assert state == Purse(gold=gold)


def test_an_effect_reads_as_its_call() -> None:
    assert [str(pay.call(50)), str(give.call(Item.KEY, to="Bo"))] == ["pay(50)", "give(KEY, to='Bo')"]
    assert (pay.name, pay.doc) == ("pay", "Takes gold.")


def test_effects_keep_their_order() -> None:
    offer = say("hello").then(pay, 1).once().then(give, Item.KEY)
    assert list(map(str, offer.effects)) == ["pay(1)", "give(KEY)"]


def test_an_effect_that_returns_no_state_is_told() -> None:
    with pytest.raises(EffectError, match=r"forget\(\) returned None, not a Purse\n    hint: .*return state\.replace"):
        forget(Purse())


async def wait(state: Purse) -> Purse:
    return state


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: effect(3), "an effect is a plain function, not 3"),
        (lambda: effect(wait), "an effect is a plain function"),
        (lambda: effect(requires=True)(lambda state: state), "requires is a plain function, not True"),
        (lambda: effect(requires=wait)(lambda state: state), "requires is a plain function"),
        (lambda: say("hello").then(print), "means nothing"),
        (lambda: must("hello").then(pay, 3), r"\.then\(\) on must\(\) means nothing"),
        (lambda: say("hello").after(), r"\.after\(\) on say\(\) means nothing"),
        (lambda: only("hello").after(), r"\.after\(\) on only\(\) means nothing"),
    ],
)
def test_what_is_no_effect_or_takes_none_is_refused(make: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        make()


def test_an_offer_knows_its_line_and_a_plain_one_is_made_once() -> None:
    def offers() -> list[Any]:
        return [
            say("hello"),
            say("hello").once(),
            must("hello").after().once(),
            say("hello", n=1).once(),
            say("hello").then(pay, 1).once(),
        ]

    first, again = offers(), offers()
    line = offers.__code__.co_firstlineno + 2
    assert [offer.source.line for offer in first] == list(range(line, line + 5))
    assert first == again
    assert [one is other for one, other in zip(first, again, strict=True)] == [True, True, True, False, False]
    assert [(offer.is_once, offer.is_after) for offer in first[1:]] == [(True, False), (True, True), (True, False), (True, False)]
    assert {say(name).response_id for name in ("a", "b", "a")} == {"a", "b"}
