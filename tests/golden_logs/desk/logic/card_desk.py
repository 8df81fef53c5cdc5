"""A desk whose State, Heard and slots are marked sensitive, for records that may only be kept sealed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from constrained import State, Understanding, effect, must, policy, say
from constrained.hear import question
from constrained.obligations import every

Marked = Field(json_schema_extra={"sensitive": True})


class Holder(State):
    """The holder of a card."""

    card: Annotated[str, Marked] = "Quixotic-4711"
    is_blocked: bool = False


class Heard(Understanding):
    """What the holder says."""

    lost: bool = question("Is the card lost?")
    ill: Annotated[bool, Marked] = question("Does the person say that they are ill?")


@effect(requires=lambda state, card: not state.is_blocked)
def block(state: Holder, card: str) -> Holder:
    """Blocks the card."""
    return state.model_copy(update={"is_blocked": True})


@policy("card_desk", obligations=[every("reminder", minutes=10)])
def desk(state: Holder, heard: Heard):
    """Blocks a lost card; says which card it speaks of."""
    yield must("notice", card=state.card)
    if heard.lost and not state.is_blocked:
        yield say("blocked", card=state.card).then(block, state.card)
    if heard.ill:
        yield say("well")
