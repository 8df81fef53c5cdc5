"""A smith."""

from constrained import State, Understanding, effect, policy, say
from constrained.hear import amount, entity

PRICES = {"dagger": 20, "shield": 30, "axe": 40}


class Forge(State):
    items: tuple[str, ...] = ("dagger", "shield", "axe")
    gold: int = 100


class Heard(Understanding):
    item: str | None = entity("Which thing is meant?", among="items")
    offer: int | None = amount("How much gold is offered?")


@effect
def buy(state: Forge, item: str, price: int) -> Forge:
    return state.replace(items=tuple(one for one in state.items if one != item), gold=state.gold - price)


@policy("smith")
def smith(state: Forge, heard: Heard):
    yield say("greet")
    yield say("wares")
    yield say("insulted")
    yield say("rats")
    if heard.item:
        price = PRICES[heard.item]
        yield say("price", item=heard.item, price=price)
        if heard.offer is not None and heard.offer < price:
            yield say("too_little")
        else:
            yield say("sold", item=heard.item).then(buy, heard.item, price)
