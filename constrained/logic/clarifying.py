"""What a turn says in place of an option: it asks, goes on from a yes to what it asked, says a way out, or that it read too much.

An offer asks whether an option is meant. The memory keeps it as open for one turn. A clear yes in that turn chooses the option, if the
policy still allows it with the same slots for what was heard then; a clear no is answered; anything else is a message like any
other. All of it is a function of message, memory and what is allowed, so a record replays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from constrained.catalog.response import Catalog
from constrained.logic.allow import most_salient, rest_of
from constrained.logic.matching import RETURNED, TOO_LONG
from constrained.logic.objections import is_act
from constrained.logic.obligations import Schedule
from constrained.logic.options import Allowed, Option, with_it
from constrained.logic.policy import Policy
from constrained.logic.state import Memory, OpenOffer
from constrained.understanding.answers import JUDGE, AnswerJudge, AnswerMeaning, judge_answer

MISSES_BEFORE_WAY_OUT = 2
How = Literal["", "offered", "offered_again", "agreed", "declined", "tried", "two_wishes", "way_out", "too_long", "bark"]
"""How a reply came about, where it is no plain choice among the options: see ``Resolution``.

``offered``: the message was no clear evidence for an act. ``tried``: an open question spent a try on it. ``two_wishes``: parts of it want
two options. ``way_out``: nothing fitted. ``bark``: there was no message.
"""


@dataclass(frozen=True, slots=True)
class OfferReading:
    """A message as the answer to what the last turn offered.

    Attributes:
        meaning: ``yes`` to ``offer``, or to none in particular of several; ``no`` to all; anything else is no answer.
        judge: who read it.
    """

    meaning: AnswerMeaning
    offer: OpenOffer | None = None
    judge: str = JUDGE


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is said without a choice by an engine.

    Attributes:
        how: ``agreed``: a yes to an offer chose the option. ``offered_again``: a yes to two offers did not tell which.
            ``declined``: a no to an offer. ``too_long``: the message is over the limit.
        spoken: all that is said, where that is more than the chosen one. asks: places of the options that are asked about.
    """

    how: How
    chosen: Option
    why: str
    spoken: tuple[Option, ...] = ()
    asks: tuple[int, ...] = ()


def read_open_offers(memory: Memory, message: str, locale: str, judge: AnswerJudge | None = None) -> OfferReading | None:
    """The message as an answer to the open offers; None where none is open.

    Args:
        judge: of answers that the phrases leave open. It is believed of a single offer: of two it cannot tell which is meant.
    """
    offers = memory.open_offers
    if not offers:
        return None
    readings = [judge_answer(message, locale, one.text, judge=judge if len(offers) == 1 else None) for one in offers]
    meant = [one for one, reading in zip(offers, readings, strict=True) if reading.meaning == "yes"]
    if len(meant) == 1:
        return OfferReading("yes", meant[0], next(one.judge for one in readings if one.meaning == "yes"))
    if meant:
        return OfferReading("yes")
    named = _named_by_place(message, locale, len(offers))
    if named is not None:
        return OfferReading("yes", offers[named])
    if all(reading.meaning == "no" for reading in readings):
        return OfferReading("no", judge=readings[0].judge)
    return OfferReading("other")


def resolve(allowed: Allowed, catalog: Catalog, reading: OfferReading | None, offers: Sequence[OpenOffer]) -> Resolution | None:
    """What answers the answer to an offer; None where the message is to be taken like any other. ``offers``: those that are open."""
    if reading is None or reading.meaning not in ("yes", "no"):
        return None
    if reading.meaning == "no":
        spare = _tagged(allowed.spare, RETURNED, catalog) or rest_of(allowed.options, catalog.fallback)
        return Resolution("declined", spare, "the message is a clear no to the offer") if spare is not None else None
    if reading.offer is not None:
        place = _place_of(reading.offer, allowed.options)
        why = "the message is a clear yes to the offer"
        return Resolution("agreed", allowed.options[place], why) if place is not None else None
    found = [place for one in offers if (place := _place_of(one, allowed.options)) is not None]
    asked = [offer for place, offer in allowed.offers if place in found]
    if len(asked) < len(offers):
        return None
    return Resolution("offered_again", asked[0], "the message is a yes to more than one offer", tuple(asked), tuple(sorted(found)))


def resolve_too_long(allowed: Allowed, catalog: Catalog, said: Mapping[str, int]) -> Resolution | None:
    """What is said to a message over the limit, of which only a part was read: nothing that acts.

    None where the policy closed the set to words without effects: what it heard outranks that more was written.
    """
    rest = rest_of(allowed.options, catalog.fallback)
    if rest is None and not any(option.effects for option in allowed.options):
        return None
    chosen = _tagged(allowed.spare, TOO_LONG, catalog) or (rest if rest is not None and not is_act(rest) else None)
    if chosen is None:
        chosen = most_salient([option for option in allowed.options if not option.effects] or allowed.options, said)
    return Resolution("too_long", chosen, "the message is too long to be read as a whole")


def way_out_of(allowed: Allowed, catalog: Catalog, chosen: Option, memory: Memory) -> Option | None:
    """What is said in place of the fallback, or of an offer that is open already, when it would be said once more.

    None where it is not due. Where a procedure waits for an answer, its tries come to an end by themselves.
    """
    is_repeat = chosen.response.offer_of in {one.id for one in memory.open_offers}
    is_vain = is_repeat or (chosen.id == catalog.fallback and chosen.running is None)
    is_due = catalog.way_out and memory.n_missed >= MISSES_BEFORE_WAY_OUT and is_vain
    return next((one for one in allowed.spare if one.id == catalog.way_out), None) if is_due else None


def may_stand_together(
    policy: Policy, memory: Memory, allowed: Allowed, now: float | None, spoken: Sequence[Option], chosen: Option | None = None
) -> bool:
    """Whether these may be said in one turn, in this order, the chosen one (the first, when None) with its effects and obligations.

    None of the others acts, moves a procedure or needs more said than is said anyway, and no obligation of the conversation has a say
    in it, of whatever place. ``now``: seconds since the epoch.
    """
    chosen = spoken[0] if chosen is None else chosen
    others = [one for one in spoken if one is not chosen]
    around = with_it(chosen, allowed.obligations)
    known = {one.id for one in around}
    if any(one.effects or one.running is not None or not known.issuperset(added.id for added in one.obligations) for one in others):
        return False
    clauses = policy.terms.obligations
    if not clauses:
        return True
    responses = [one.response for one in around if not one.is_after] + [one.response for one in spoken]
    responses += [one.response for one in around if one.is_after]
    found = Schedule(clauses, policy.catalog, memory, now).of(responses, [effect.name for effect in chosen.effects])
    return not (found.before or found.after or found.broken)


def opened(allowed: Allowed, chosen: Option, asks: Sequence[int], heard: str) -> tuple[OpenOffer, ...]:
    """The offers that are open after a turn that asked about these options. ``heard``: JSON of what it heard.

    None are where something was said after them: a question there may be what the next message answers.
    """
    texts = {place: offer for place, offer in allowed.offers if place in asks}
    if any(one.is_after for one in with_it(chosen, allowed.obligations)):
        return ()
    return tuple(
        OpenOffer(id=allowed.options[place].id, slots=_json(allowed.options[place].slots), text=offer.text, heard=heard)
        for place, offer in texts.items()
    )


def _place_of(offer: OpenOffer, options: Sequence[Option]) -> int | None:
    """The option that was asked about, with the same slots; None where the policy does not allow it now."""
    return next((place for place, one in enumerate(options) if one.id == offer.id and _json(one.slots) == offer.slots), None)


def _tagged(spare: Sequence[Option], tag: str, catalog: Catalog) -> Option | None:
    return next((one for one in spare if tag in one.response.tags and one.id != catalog.way_out), None)


def _json(slots: Mapping[str, Any]) -> str:
    return json.dumps(to_jsonable_python(dict(slots), fallback=str), sort_keys=True, ensure_ascii=False)


_FIRST, _SECOND = 0, 1
_PLACES = {
    "en": (("the first", "the first one", "first", "first one", "1", "one", "option 1"),
           ("the second", "the second one", "second", "second one", "2", "two", "option 2", "the last one", "the latter")),
    "es": (("el primero", "la primera", "lo primero", "primero", "primera", "1", "uno"),
           ("el segundo", "la segunda", "lo segundo", "segundo", "segunda", "2", "dos", "el último", "la última")),
    "de": (("das erste", "die erste", "der erste", "ersteres", "1", "eins"),
           ("das zweite", "die zweite", "der zweite", "letzteres", "2", "zwei")),
    "fr": (("le premier", "la première", "1", "un"), ("le second", "la seconde", "le deuxième", "la deuxième", "2", "deux", "le dernier")),
}  # fmt: skip


def _named_by_place(message: str, locale: str, n: int) -> int | None:
    """Which of two offers a message names by its place and by nothing else ("the first one, please")."""
    if n < 2:
        return None
    words = " ".join(message.casefold().strip(" .!").split())
    for polite in (", please", " please", ", por favor", " por favor", ", bitte", " bitte", " s'il vous plaît"):
        words = words.removesuffix(polite)
    places = _PLACES.get(locale.split("-")[0], ((), ()))
    return next((number for number in (_FIRST, _SECOND) if words in places[number]), None)
