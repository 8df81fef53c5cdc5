"""Whom the ferrywoman carries."""

from constrained import State, effect, policy, say

PRICE = 2


class Traveller(State):
    silver: int = 3


@effect(requires=lambda state, price: state.silver >= price)
def pay(state, price):
    return state.but(silver=state.silver - price)


@policy("ferry")
def ferrywoman(state: Traveller):
    """Maud rows over whoever can pay."""
    yield say("river")
    if state.silver >= PRICE:
        yield say("carry", price=PRICE).then(pay, PRICE)
    else:
        yield say("broke")
