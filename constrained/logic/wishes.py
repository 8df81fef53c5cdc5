"""Two wishes in one message: its parts, and what is said where two of them clearly want two different things."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from constrained.logic.allow import intent_of, rest_of
from constrained.logic.clarifying import Resolution, may_stand_together
from constrained.logic.objections import is_act
from constrained.logic.options import Allowed, Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory

WISH_THRESHOLD = 0.8  # a part wants an option clearly only from here on: a second reply that nobody asked for is worse than one missed
MOST_PARTS = 3  # each costs a choice of the engine
LONGEST = 400  # characters; a long message tells a story, whose parts are no wishes
_FEWEST_WORDS = 2
_ENDS = r"[.!?\u2026;\n]+(?=\s|$)"
_JOINTS = {
    "en": r"and also|and then|and|but also|but|also|plus",
    "es": r"y tambi\u00e9n|y adem\u00e1s|y|adem\u00e1s|tambi\u00e9n|pero",
    "de": r"und au\u00dferdem|und auch|und|au\u00dferdem|aber",
    "fr": r"et aussi|et puis|et|en plus|mais",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What one part of a message clearly wants: the place of the option, and how probable it is for that part."""

    place: int
    probability: float


def split_wishes(message: str, locale: str) -> tuple[str, ...]:
    """The sentences and clauses of a message, in order; none where it is one only, or has more than a few.

    A part of one word is left out: it belongs to its neighbour ("fish and chips"), or greets.
    """
    if len(message) > LONGEST:
        return ()
    joints = _JOINTS.get(locale.split("-")[0])
    cut = rf"{_ENDS}|,?\s+(?:{joints})\s+" if joints else _ENDS
    parts = [part.strip(" ,.!") for part in re.split(cut, message, flags=re.IGNORECASE)]
    parts = [part for part in parts if len(part.split()) >= _FEWEST_WORDS]
    return tuple(parts) if 2 <= len(parts) <= MOST_PARTS else ()


def answer_wishes(
    policy: Policy, memory: Memory, allowed: Allowed, chosen: Option, wishes: Sequence[Wish], now: float | None
) -> tuple[Resolution, tuple[str, ...]] | None:
    """What is said to two wishes, and the ids of what stays open; None where the message has but one.

    Args:
        chosen: what the message as a whole chooses; one of the wishes is for it. wishes: in the order of the message.
        now: seconds since the epoch.

    Both are said where neither acts and nothing forbids it. Else the chosen one is said, and the other one is offered, or kept.
    """
    options, rest = allowed.options, rest_of(allowed.options, policy.catalog.fallback)
    wanted = {intent_of(options[wish.place]): wish.place for wish in reversed(wishes) if options[wish.place] is not rest}
    others = sorted((place for intent, place in wanted.items() if intent != intent_of(chosen)), key=[one.place for one in wishes].index)
    if intent_of(chosen) not in wanted or not others or chosen is rest:
        return None
    second, pending = options[others[0]], tuple(options[place].id for place in others)
    order = [intent_of(options[wish.place]) for wish in wishes]
    both = sorted((chosen, second), key=lambda one: order.index(intent_of(one)))
    is_plain = not (is_act(chosen) or chosen.effects or chosen.is_no_match or chosen.running is not None)
    if is_plain and may_stand_together(policy, memory, allowed, now, both, chosen):
        why = f"two parts of the message want {both[0].id} and {both[1].id}"
        return Resolution("two_wishes", chosen, why, tuple(both)), pending[1:]
    offer, why = allowed.offer_of(second), f"the message wants {second.id}, too"
    if offer is None or not may_stand_together(policy, memory, allowed, now, (chosen, offer)):
        return Resolution("two_wishes", chosen, why), pending
    return Resolution("two_wishes", chosen, f"{why}, which is offered", (chosen, offer), (others[0],)), pending
