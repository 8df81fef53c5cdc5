"""A desk of a bank."""

from decimal import Decimal

from constrained import State, Understanding, effect, policy, say
from constrained.hear import amount


class Bank(State):
    is_blocked: bool = False
    sent: Decimal = Decimal(0)


class Heard(Understanding):
    sum: Decimal | None = amount("How much is to be sent?")


@effect
def cancel(state: Bank) -> Bank:
    return state.replace(is_blocked=True)


@effect
def send(state: Bank, sum: Decimal) -> Bank:
    return state.replace(sent=sum)


@policy("bank")
def bank(state: Bank, heard: Heard):
    yield say("greet")
    yield say("cancel_card").then(cancel)
    yield say("balance")
    yield say("hours")
    if heard.sum is None:
        yield say("which_sum")
    else:
        yield say("sent", sum=heard.sum).then(send, heard.sum)
