"""A card desk."""

import datetime as dt

from constrained import State, Understanding, effect, procedure, say
from constrained.hear import amount, date
from constrained.steps import ask, tell


class Card(State):
    today: dt.date = dt.date(2026, 11, 27)
    n_complaints: int = 0


class Heard(Understanding):
    born: dt.date | None = date("When was the customer born?", prefer="past")
    reference: int | None = amount("What is the reference number?")


@effect
def log_complaint(state: Card) -> Card:
    return state.replace(n_complaints=state.n_complaints + 1)


@effect
def hand_over(state: Card) -> Card:
    return state


def interruptions(state: Card, heard: Heard):
    yield say("complaint").then(log_complaint)
    yield say("colleague").then(hand_over)
    yield say("hours")
    yield say("why_needed")


@procedure("card", version=1, interruptions=interruptions)
async def card(state: Card, heard: Heard):
    born = await ask("which_birth", "born", tries=3, otherwise="gave_up")
    reference = await ask("which_reference", "reference", tries=3, otherwise="gave_up")
    await tell("thanks", born=born, reference=reference)
