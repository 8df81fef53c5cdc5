"""A ferrywoman who carries whoever can pay: the whole of it, from the rules to silver that is spent."""

from constrained import Dialogue, State, Understanding, effect, policy, say
from constrained.hear import amount


class Traveller(State):  # what is true: only this program changes it
    silver: int = 3


class Heard(Understanding):  # what was said: the model picks among the numbers that the message names
    offer: int | None = amount("How much silver does the traveller offer?")


@effect(requires=lambda state, price: state.silver >= price)
def pay(state: Traveller, price: int) -> Traveller:
    return state.replace(silver=state.silver - price)


@policy("ferry.yaml")  # the words, in a file beside this one
def ferrywoman(state: Traveller, heard: Heard):
    """Maud takes what is offered, from two silver on."""
    price = max(heard.offer or 2, 2)
    yield say("river")
    if state.silver >= price:
        yield say("carry", price=price).then(pay, price)
    else:
        yield say("broke")


if __name__ == "__main__":
    maud = Dialogue(ferrywoman, model="small")
    state = Traveller(silver=3)
    for message in ("How deep is the river?", "I'll give you 3 silver to row me over.", "I have no money left, but I must cross."):
        turn = maud.reply(message, state)
        state = turn.apply(state)  # runs the effects of what was said, and gives the new state
        print(turn.text, "| silver:", state.silver)

# Deep, cold, and older than the king. | silver: 3
# 3 silver, and mind the rope. | silver: 0
# No silver, no crossing. | silver: 0
