"""Allowing: what a policy yields becomes options, obligations and blocked offers. Knows no message and no model.

The set of options is never empty. Whatever may not be said (not approved today, no text in this locale, an effect
that could not run) is blocked with its reason; an obligation that may not be said stops the turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from constrained.approval.in_force import OPEN, Standing
from constrained.catalog.render import render, resolve_locale
from constrained.catalog.response import Approval, Response, Source
from constrained.errors import ApprovalError, ConstrainedError, PolicyError, Problem, SlotError
from constrained.logic.effects import first_failing
from constrained.logic.options import Allowed, Blocked, Obligation, Offer, Option
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.logic.understanding import Understanding
from constrained.logic.values import closest

LAST = -1  # specificity of the fallback that nobody yielded: said when nothing else is left
_MOST_DAYS = 16  # (locale, today, standing) whose outcomes a policy keeps
_MOST_OFFERS = 100_000  # outcomes kept for one of them

Outcome = Option | Obligation | Blocked


def allow(
    policy: Policy,
    state: State,
    heard: Understanding | None,
    *,
    said: Mapping[str, int],
    locale: str,
    today: date,
    standing: Standing = OPEN,
) -> Allowed:
    """All that the policy allows now.

    Args:
        said: response id -> number of the turn that last said it, in this conversation.
        locale: of the turn, BCP 47. today: decides which approvals are in force.
        standing: the signed approvals of the moment; where no ledger is kept, the catalog's own approval lines decide.

    Raises:
        PolicyError: the policy failed, named an unknown response, or obliges to say what may not be said.
        ApprovalError: nothing that may be said, or that must be said, is approved.
        SlotError: a slot value that may not be said.
    """
    desk = _desk(policy, locale, today, standing)
    sorted_out = _SortedOut()
    known, say = desk.known, sorted_out.says.append
    for offer in policy(state, heard):
        entry = known.get(id(offer))
        outcome = entry[1] if entry is not None else desk.outcome(offer, state)
        if type(outcome) is Option and offer.kind == "say" and not offer.is_once:  # by far the most
            say(outcome)
        else:
            sorted_out.add(offer, outcome, said)
    return sorted_out.allowed(desk)


def most_salient(options: Sequence[Option], said: Mapping[str, int]) -> Option:
    """What the rules alone choose: the most specific option, then the least recently said, then the first yielded."""
    if not options:
        raise PolicyError("there is no option to choose from", hint="allow() always gives one")
    highest = max([option.specificity for option in options])
    best = [option for option in options if option.specificity == highest]
    return min(best, key=lambda option: said.get(option.response.id, 0)) if said else best[0]


@dataclass(slots=True)
class _SortedOut:
    """Offers of one turn by what becomes of them, each in the order of yield."""

    says: list[Option] = field(default_factory=list)
    onlys: list[Option] = field(default_factory=list)
    obligations: list[Obligation] = field(default_factory=list)
    blocked: list[Blocked] = field(default_factory=list)
    closed_by: Source | None = None

    def add(self, offer: Offer, outcome: Outcome, said: Mapping[str, int]) -> None:
        if offer.kind == "only" and self.closed_by is None:
            self.closed_by = offer.source
        if offer.is_once and offer.response_id in said:
            self.blocked.append(Blocked(offer.response_id, offer.source, f"said once already, in turn {said[offer.response_id]}"))
        elif type(outcome) is Option:
            (self.onlys if offer.kind == "only" else self.says).append(outcome)
        elif type(outcome) is Obligation:
            self.obligations.append(outcome)
        elif type(outcome) is Blocked:
            self.blocked.append(outcome)

    def allowed(self, desk: _Desk) -> Allowed:
        obligations = self._distinct_obligations()
        if self.closed_by is None:
            options = self._with_fallback(self.says, obligations, desk.fallback)
        else:
            reason = f"{self.closed_by} allows only what it names"
            self.blocked += [Blocked(option.id, option.source, reason) for option in self.says]
            options = self._distinct(self.onlys, obligations)
        return Allowed(tuple(options or [desk.last_resort()]), tuple(obligations), tuple(self.blocked))

    def _distinct_obligations(self) -> list[Obligation]:
        kept: dict[str, Obligation] = {}
        for obligation in self.obligations:
            if obligation.text in kept:  # it may be the very same object: what became of a plain offer is kept
                self._block(obligation, _same(obligation, kept[obligation.text]))
            else:
                kept[obligation.text] = obligation
        return list(kept.values())

    def _with_fallback(self, options: list[Option], obligations: Sequence[Obligation], fallback: Option | Blocked) -> list[Option]:
        """Distinct options and the fallback, last unless it was yielded. Nothing else may read the same as it."""
        if isinstance(fallback, Blocked):
            return self._distinct(options, obligations)
        alike = [option for option in options if option.text == fallback.text]
        if not alike:
            return self._distinct([*options, fallback], obligations)
        yielded = next((option for option in alike if option.id == fallback.id), None)
        for option in alike:
            if option.id != fallback.id:
                self._block(option, _same(option, yielded or fallback))
        options = [option for option in options if option.text != fallback.text or option.id == fallback.id]
        return self._distinct(options if yielded else [*options, fallback], obligations)

    def _distinct(self, options: list[Option], obligations: Sequence[Obligation]) -> list[Option]:
        """Options that a reader can tell apart; of two with one text the first stays. What is said anyway is no option."""
        if not obligations and len({option.text for option in options}) == len(options):
            return options
        kept: dict[str, Option] = {}
        obliged = {obligation.id: obligation for obligation in obligations}
        for option in options:
            if option.id in obliged:
                self._block(option, f"said anyway: {obliged[option.id].source} obliges to say it")
            elif option.text in kept:
                self._block(option, _same(option, kept[option.text]))
            else:
                kept[option.text] = option
        return list(kept.values())

    def _block(self, what: Option | Obligation, reason: str) -> None:
        self.blocked.append(Blocked(what.id, what.source, reason))


@dataclass(slots=True)
class _Desk:
    """A policy's catalog on one day in one locale and place: what may be said, and what became of plain offers before.

    Attributes:
        known: id(offer) -> (the offer, its outcome), for offers without slots and effects, which ``options`` makes once.
            The offer is kept, so that its id stays its own.
    """

    policy: Policy
    locale: str
    today: date
    standing: Standing
    known: dict[int, tuple[Offer, Outcome]] = field(default_factory=dict)
    fallback: Option | Blocked = field(init=False)

    def __post_init__(self) -> None:
        response = self.policy.catalog[self.policy.catalog.fallback]
        source = Source(self.policy.file, self.policy.line)
        reason = self._unsayable(response)
        self.fallback = Blocked(response.id, source, reason) if reason else self._option(response, {}, source, (), LAST)

    def outcome(self, offer: Offer, state: State) -> Outcome:
        outcome = self._outcome(offer, state)
        if not offer.slots and not offer.effects and len(self.known) < _MOST_OFFERS:
            self.known[id(offer)] = (offer, outcome)
        return outcome

    def last_resort(self) -> Option:
        """The fallback, when nothing else may be said. Raises ApprovalError or PolicyError when it may not be said either."""
        if isinstance(self.fallback, Blocked):
            response = self.policy.catalog[self.fallback.response_id]
            message = f"nothing may be said: the fallback {response.id!r} {self.fallback.reason}"
            raise self._withheld(response, self.fallback.source, message)
        return self.fallback

    def _outcome(self, offer: Offer, state: State) -> Outcome:
        response = self._response(offer)
        unsayable = self._unsayable(response)
        if offer.kind == "must" and response.id == self.policy.catalog.fallback:
            raise _stopped(offer.source, f"the fallback {response.id!r} cannot be an obligation", "it is an option of every turn")
        if unsayable and offer.kind == "must":
            raise self._withheld(response, offer.source, f"the obligation {response.id!r} {unsayable}; nothing is said without it")
        reason = unsayable or _effect_fails(offer, state)
        if reason:
            return Blocked(offer.response_id, offer.source, reason)
        if offer.kind == "must":
            locale, text = self._rendered(response, offer.slots, offer.source)
            return Obligation(response, offer.slots, text, locale, offer.source, offer.is_after)
        here = offer.source.file == self.policy.file
        return self._option(response, offer.slots, offer.source, offer.effects, self.policy.specificity(offer.source.line) if here else 0)

    def _response(self, offer: Offer) -> Response:
        response = self.policy.catalog.responses.get(offer.response_id)
        if response is None:
            hint = closest(str(offer.response_id), self.policy.catalog.responses) or f"add it to the catalog {self.policy.catalog.name!r}"
            raise _stopped(offer.source, f"the catalog {self.policy.catalog.name!r} has no response {offer.response_id!r}", hint)
        return response

    def _option(self, response: Response, slots: Mapping[str, Any], source: Source, effects: Any, specificity: int) -> Option:
        locale, text = self._rendered(response, slots, source)
        return Option(response, slots, text, locale, source, effects, specificity)

    def _rendered(self, response: Response, slots: Mapping[str, Any], source: Source) -> tuple[str, str]:
        locale = resolve_locale(response, self.locale, self.policy.catalog.locale)
        try:
            return locale or "", render(response, slots, locale or "")
        except SlotError as error:
            raise SlotError(
                f"{source}: {error.message}", response=error.response, slot=error.slot, value=error.value, hint=error.hint
            ) from error

    def _unsayable(self, response: Response) -> str:
        locale = resolve_locale(response, self.locale, self.policy.catalog.locale)
        if locale is None:
            return f"has no text in {self.locale!r}"
        ended = _not_in_force(response.approval, self.today) if response.approval else ""
        return ended or self.standing.why_not(response, locale, self.today)

    def _withheld(self, response: Response, source: Source, message: str) -> ConstrainedError:
        """The error for what would have to be said, and may not: ApprovalError where the ledger or a changed document is why."""
        locale = resolve_locale(response, self.locale, self.policy.catalog.locale)
        if locale is None or not self.standing.why_not(response, locale, self.today):
            return _stopped(source, message, _RENEW)
        hint = f"see what is open with: constrained approve {self.policy.catalog.name}"
        return ApprovalError(message, file=source.file, line=source.line, hint=hint)


_RENEW = "renew the approval, or add the text, in the catalog"


def _desk(policy: Policy, locale: str, today: date, standing: Standing) -> _Desk:
    desk: _Desk | None = policy.cache.get((locale, today, standing))
    if desk is None:
        if len(policy.cache) >= _MOST_DAYS:
            policy.cache.clear()
        desk = policy.cache[locale, today, standing] = _Desk(policy, locale, today, standing)
    return desk


def _not_in_force(approval: Approval, today: date) -> str:
    if today < approval.on:
        return f"is approved from {approval.on} only, and today is {today}"
    if approval.until is not None and today > approval.until:
        return f"was approved until {approval.until}, and today is {today}"
    return ""


def _effect_fails(offer: Offer, state: State) -> str:
    try:
        failing = first_failing(offer.effects, state)
    except ConstrainedError:
        raise
    except Exception as error:  # a precondition is the host's code; its failure is told with the line that named it
        names = ", ".join(map(str, offer.effects))
        raise _stopped(
            offer.source, f"the precondition of {names} failed: {type(error).__name__}: {error}", "requires=(state, *arguments) -> bool"
        ) from error
    return f"could not be carried out: the precondition of {failing} does not hold" if failing else ""


def _same(later: Option | Obligation, first: Option | Obligation) -> str:
    if later.id == first.id:
        return f"offered already by {first.source}"
    return f"reads the same as {first.id!r} from {first.source}"


def _stopped(source: Source, message: str, hint: str) -> PolicyError:
    return PolicyError(message, [Problem(source.file, source.line, 0, message, hint)], hint=hint)
