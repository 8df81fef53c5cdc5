"""A lending desk: the pack that the tests talk to. It uses every kind of question, offer and effect."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Literal

from pydantic import NonNegativeInt

from constrained import State, Understanding, effect, must, only, policy, say
from constrained.understanding.hearing import amount, choice, date, entity, question, score

MOST = 3


class Shelf(Enum):
    NOVELS = "novels"
    MAPS = "maps"
    POEMS = "poems"
    PLAYS = "plays"
    COMICS = "comics"


class Library(State):
    today: dt.date = dt.date(2026, 3, 2)
    owed: Decimal = Decimal(0)
    at_home: tuple[str, ...] = ()
    shelf: tuple[str, ...] = ("Emma", "Dracula", "Middlemarch")
    cards: frozenset[Shelf] = frozenset()
    visits: NonNegativeInt = 0


class Heard(Understanding):
    threat: bool = question("Is the reader loud or threatening?", yes=["I'll burn this place down"], no=["good morning"])
    wish: Literal["borrow", "pay", "ask"] | None = choice(
        "What does the reader want?", borrow=["can I borrow this?"], pay=["here is the money"], ask=["when do you close?"]
    )
    shelf: Shelf | None = choice("Which shelf is meant?", novels=["a novel"], maps=["a map"])
    hurry: int = score("How much of a hurry is the reader in?", low=1, high=3)
    book: str | None = entity("Which book is meant?", among="shelf")
    offer: Decimal | None = amount("How much does the reader pay?")
    day: dt.date | None = date("Until which day is the book wanted?")


@effect(requires=lambda state, title: title in state.shelf and len(state.at_home) < MOST)
def lend(state: Library, title: str) -> Library:
    """The book goes home with the reader."""
    return state.replace(shelf=tuple(book for book in state.shelf if book != title), at_home=(*state.at_home, title))


@effect(requires=lambda state, money: 0 < money <= state.owed)
def settle(state: Library, money: Decimal) -> Library:
    """Takes money off what is owed."""
    return state.replace(owed=state.owed - money)


@effect
def count(state: Library) -> Library:
    """Counts a visit."""
    return state.replace(visits=state.visits + 1)


@policy("library")
def librarian(state: Library, heard: Heard):
    """Ada lends what is on the shelf, to quiet readers with fewer than three books at home."""
    yield must("recorded")
    if heard.threat:
        yield only("quiet").then(count)
        return
    yield say("welcome").once()
    yield say("hours", closing=dt.time(18))
    if heard.hurry == 3:
        yield must("goodbye").after()
    if heard.book is not None:
        yield say("lend", title=heard.book, due=heard.day or state.today + dt.timedelta(days=28)).then(lend, heard.book)
    if len(state.at_home) >= MOST:
        yield say("too_many", count=len(state.at_home))
    if heard.wish == "pay" and heard.offer:
        yield say("paid", fine=heard.offer).then(settle, heard.offer).then(count)
    if state.owed:
        yield say("fine", fine=state.owed)
    if heard.shelf is Shelf.MAPS or Shelf.MAPS in state.cards:
        yield say("secret").once()
    yield say("amnesty")
