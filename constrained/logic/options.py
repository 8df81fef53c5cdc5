"""What a policy yields (Offer) and what becomes of it (Option, Obligation, Blocked).

A policy yields *offers*: ``say("sell_key", price=50).then(pay, 50)``. Allowing (``logic.allow``) checks
each offer against the catalog and turns it into an Option whose final text is known, an Obligation, or a
Blocked with its reason.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, Literal

from constrained.catalog.response import Response, Source
from constrained.errors import PolicyError, Problem
from constrained.logic.effects import Effect, EffectKind
from constrained.logic.state import Frame

OfferKind = Literal["say", "only", "must"]
HeardValue = Literal["", "heard", "corrected"]


@dataclass(frozen=True, slots=True)
class ProcedureMove:
    """Where a procedure goes when an offer is chosen, and what is said with it.

    Attributes:
        follows: what it says after the offer, in the same turn.
        running: the procedures after it; None: as they are.
        is_no_match: said when the model abstains. is_assumed: to choose it is to believe an answer.
        weight: added to its specificity; what was heard to be an answer goes before all else.
        flaw: why it cannot be chosen. answer: ``yes`` or ``no``, where it is that answer to the open question.
        agrees_to: the question whose only answer it is.
        value: ``heard``: the value that was asked for was heard. ``corrected``: the open question with a value that was heard now.
    """

    follows: tuple[Offer, ...] = ()
    running: tuple[Frame, ...] | None = None
    is_no_match: bool = False
    is_assumed: bool = False
    weight: int = 0
    flaw: str = ""
    answer: str = ""
    agrees_to: tuple[str, ...] = ()
    value: HeardValue = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one ``yield`` puts forward: a response id, the values of its slots, what follows.

    Attributes:
        kind: ``say`` (may be said), ``only`` (closes the set: just these compete), ``must`` (is said anyway).
        is_once: not offered again in a conversation in which it was said.
        is_after: for ``must``: said after the chosen response instead of before it.
        is_end: the running procedures are over when it is chosen.
        move: what it means for a procedure; None for an offer of a policy that stands for itself.
        agrees_to: responses to which a yes chooses it, in the turn after they were said.
    """

    kind: OfferKind
    response_id: str
    slots: Mapping[str, Any]
    source: Source
    effects: tuple[Effect, ...] = ()
    is_once: bool = False
    is_after: bool = False
    is_end: bool = False
    move: ProcedureMove | None = None
    agrees_to: tuple[str, ...] = ()

    def once(self) -> Offer:
        """At most once in a conversation."""
        return self._with(is_once=True)

    def after(self) -> Offer:
        """For ``must``: said after the chosen response."""
        if self.kind != "must":
            raise self._misused(f".after() on {self.kind}()", "only an obligation has a place: must(...).after()")
        return self._with(is_after=True)

    def ends(self) -> Offer:
        """The running procedures are over when it is chosen: an interruption that is not come back from."""
        if self.kind == "must":
            raise self._misused(".ends() on must()", "put it on the option that is chosen")
        return replace(self, is_end=True)

    def on_yes_to(self, *response_ids: str) -> Offer:
        """A clear yes chooses it in the turn after one of these was said, and a clear no withholds it if it is an act.

        ``say("rent_room", price=5).then(rent_room).on_yes_to("quote_room")``: what else is said is chosen by its meaning, as without it.
        """
        if self.kind == "must":
            raise self._misused(".on_yes_to() on must()", "put it on the option that is chosen")
        return replace(self, agrees_to=(*self.agrees_to, *response_ids))

    def with_move(self, move: ProcedureMove) -> Offer:
        """The same, with what it means for a procedure."""
        return Offer(
            self.kind,
            self.response_id,
            self.slots,
            self.source,
            self.effects,
            self.is_once,
            self.is_after,
            self.is_end,
            move,
            self.agrees_to,
        )

    def then(self, effect: EffectKind, *args: Any, **kwargs: Any) -> Offer:
        """Adds an effect that the host runs, once, if this option is chosen and committed."""
        if self.kind == "must":
            raise self._misused(".then() on must()", "an obligation has no effects; put them on the option that is chosen")
        if not isinstance(effect, EffectKind):
            raise self._misused(f".then({effect!r:.60})", "decorate the function with @effect and pass it, not its result")
        return replace(self, effects=(*self.effects, effect.call(*args, **kwargs)))

    def _with(self, *, is_once: bool = False, is_after: bool = False) -> Offer:
        is_once, is_after = is_once or self.is_once, is_after or self.is_after
        if self.slots or self.effects or self.is_end or self.agrees_to:
            return replace(self, is_once=is_once, is_after=is_after)
        return _plain(self.kind, self.response_id, self.source.file, self.source.line, is_once, is_after)

    def _misused(self, what: str, hint: str) -> PolicyError:
        return PolicyError(f"{what} means nothing", [Problem(self.source.file, self.source.line, 0, what, hint)], hint=hint)


def say(response_id: str, **slots: Any) -> Offer:
    """This response may be said now."""
    return _offer("say", response_id, slots, sys._getframe(1))


def only(response_id: str, **slots: Any) -> Offer:
    """Nothing but the responses yielded with ``only`` may be said now."""
    return _offer("only", response_id, slots, sys._getframe(1))


def must(response_id: str, **slots: Any) -> Offer:
    """This response is said this turn, before (or ``.after()``) the chosen one."""
    return _offer("must", response_id, slots, sys._getframe(1))


def _offer(kind: OfferKind, response_id: str, slots: Mapping[str, Any], caller: FrameType) -> Offer:
    """The offer of one call. ``caller`` is the yielding frame, for the trace: far cheaper than ``inspect.stack()``."""
    code = caller.f_code
    if slots:
        return Offer(kind, response_id, slots, source_of(code, caller))
    made = _MADE.get((kind, response_id, id(code), caller.f_lasti))
    if made is None:
        source = source_of(code, caller)
        made = code, _plain(kind, response_id, source.file, source.line, False, False)
        if len(_MADE) >= _MOST_MADE:
            _MADE.clear()
        _MADE[kind, response_id, id(code), caller.f_lasti] = made
    return made[1]


def source_of(code: CodeType, caller: FrameType) -> Source:
    """Where a call stands. Looked up by instruction: a frame finds its line by walking the function's line table."""
    place = _PLACES.get((id(code), caller.f_lasti))
    if place is None:
        place = code, Source(code.co_filename, caller.f_lineno)
        if len(_PLACES) >= _MOST_MADE:
            _PLACES.clear()
        _PLACES[id(code), caller.f_lasti] = place
    return place[1]


_MOST_MADE = 1 << 16
_PLACES: dict[tuple[int, int], tuple[CodeType, Source]] = {}  # the code is kept, so that its id stays its own
_MADE: dict[tuple[OfferKind, str, int, int], tuple[CodeType, Offer]] = {}


@lru_cache(maxsize=_MOST_MADE)
def _plain(kind: OfferKind, response_id: str, file: str, line: int, is_once: bool, is_after: bool) -> Offer:
    """An offer without slots and effects: one object a yield, so that what became of it can be looked up."""
    return Offer(kind, response_id, {}, Source(file, line), (), is_once, is_after)


@dataclass(frozen=True, slots=True)
class Option:
    """A response that the policy allows now; its final ``text`` is known before the model is asked.

    Attributes:
        specificity: number of conditions on the way to the yield; the ``rules`` mode prefers more.
        source: the line of logic that allowed it.
        obligations: what is said with this option only: what a procedure goes on with, what the obligations of the
            conversation demand. running: the procedures after it; None: as they are.
        is_no_match: said when the model abstains. is_assumed: to choose it is to believe an answer, so the rules alone
            choose it only when nothing else is left.
        answer: ``yes`` or ``no``, where choosing it takes the message for that answer to an open question; empty else.
        agrees_to: what was asked or said before, where a clear yes to that chooses it; its meaning may choose it as well.
        value: of the message, by which it answers or corrects the open question; see ``ProcedureMove``.
        variant: the number, from 0, of the one that ``text`` is, where the response has several; see ``logic.variants``.
    """

    response: Response
    slots: Mapping[str, Any]
    text: str
    locale: str
    source: Source
    effects: tuple[Effect, ...] = ()
    specificity: int = 0
    obligations: tuple[Obligation, ...] = ()
    running: tuple[Frame, ...] | None = None
    is_no_match: bool = False
    is_assumed: bool = False
    answer: str = ""
    agrees_to: tuple[str, ...] = ()
    value: HeardValue = ""
    variant: int = 0

    @property
    def id(self) -> str:
        return self.response.id


@dataclass(frozen=True, slots=True)
class Obligation:
    """A response that must be said this turn, before or after the chosen one. ``rule``: the obligation of the conversation behind it."""

    response: Response
    slots: Mapping[str, Any]
    text: str
    locale: str
    source: Source
    is_after: bool = False
    rule: str = ""
    variant: int = 0

    @property
    def id(self) -> str:
        return self.response.id


@dataclass(frozen=True, slots=True)
class Blocked:
    """An offer that did not become an option, and why."""

    response_id: str
    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """All that a policy allows this turn.

    Attributes:
        options: among these an engine chooses; never empty.
        offers: (place of an option, what asks whether it is meant), for the options that have such a text. Without effects.
        spare: what the catalog itself may say in place of the fallback: its way out, what follows a no to an offer, what is said
            to a message that is too long. Without effects.
        barks: what may be said unasked, in a turn without a message; none of the options. Without effects.
        resort: the fallback, where the policy closed the set and left only acts in it: said where the message is evidence for none of them.
    """

    options: tuple[Option, ...]
    obligations: tuple[Obligation, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    offers: tuple[tuple[int, Option], ...] = ()
    spare: tuple[Option, ...] = ()
    resort: Option | None = None
    barks: tuple[Option, ...] = ()

    @property
    def sayable(self) -> tuple[Option, ...]:
        """Everything that may be chosen, by the logic of the turn if not by an engine; the options first."""
        if not (self.offers or self.spare or self.resort or self.barks):
            return self.options
        offers = (offer for _, offer in self.offers)
        return (*self.options, *([self.resort] if self.resort else []), *offers, *self.spare, *self.barks)

    def offer_of(self, option: Option) -> Option | None:
        """What asks whether an option is meant; None where nothing may."""
        return next((offer for place, offer in self.offers if self.options[place] is option), None)

    def with_resort(self) -> Allowed:
        """The same with the last resort among the options, behind all others; itself where there is none."""
        return self if self.resort is None else replace(self, options=(*self.options, self.resort), resort=None)


def with_it(chosen: Option, obligations: tuple[Obligation, ...]) -> tuple[Obligation, ...]:
    """Everything that is said besides the chosen option, in order; ``is_after`` tells on which side of it."""
    every = (*chosen.obligations, *obligations)
    return (*[one for one in every if not one.is_after], *[one for one in every if one.is_after])


SEPARATOR = "\n"


def compose(chosen: Option, obligations: tuple[Obligation, ...], spoken: tuple[Option, ...] = ()) -> str:
    """The text of a turn: obligations before, the chosen option, obligations after, one a line; first the option's own.

    ``spoken``: where more than the chosen option is said, all of that, in order, the chosen one among them.
    """
    around = with_it(chosen, obligations)
    before = [obligation.text for obligation in around if not obligation.is_after]
    after = [obligation.text for obligation in around if obligation.is_after]
    return SEPARATOR.join([*before, *(one.text for one in spoken or (chosen,)), *after])
