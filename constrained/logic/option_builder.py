"""Builds options, obligations and blocked offers out of what a policy yields: each is checked, and its text rendered.

Whatever may not be said is blocked with its reason: not approved today, no text in this locale, an effect that could not run, a value of
the host that cannot be said. An obligation of the turn that may not be said stops the turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from threading import Lock
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from constrained._values import closest
from constrained.catalog.box import misfit
from constrained.catalog.render import render_each, resolve_locale
from constrained.catalog.response import Approval, Catalog, Response, Source
from constrained.errors import ApprovalError, ConstrainedError, PolicyError, Problem, SlotError, SlotValueError
from constrained.logic.effects import Effect, first_failing
from constrained.logic.matching import BARK, is_said_by_catalog
from constrained.logic.obligations import Clause
from constrained.logic.options import Blocked, Obligation, Offer, Option, ProcedureMove
from constrained.logic.policy import Policy
from constrained.logic.state import State

LAST = -1  # specificity of the fallback that nobody yielded: said when nothing else is left
_MOST_DAYS = 16  # (locale, today, approvals) whose outcomes a policy keeps
_MOST_OFFERS = 100_000  # outcomes kept for one of them

Outcome = Option | Obligation | Blocked


class ApprovalCheck(Protocol):
    """The approvals in force in one place at one moment. Hashable: outcomes are kept for each.

    Attributes:
        channel, jurisdiction: the place; None: not told.
    """

    @property
    def channel(self) -> str | None: ...

    @property
    def jurisdiction(self) -> str | None: ...

    def why_not(self, response: Response, locale: str, today: date, /) -> str:
        """Why this response may not be said, as the end of a sentence; empty when it may."""
        ...


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity, which is quick
class CatalogApprovals:
    """Blocks nothing beyond the approval lines of the catalog, which are checked in any case."""

    channel: str | None = None
    jurisdiction: str | None = None

    def why_not(self, response: Response, locale: str, today: date, /) -> str:
        return ""


CATALOG_ONLY = CatalogApprovals()


@dataclass(slots=True)
class OptionBuilder:
    """Makes options, obligations and blocked offers from what a policy yields, for one locale, day and set of approvals; keeps plain ones.

    Attributes:
        origin: file and first line of the policy. conditions_by_line: of the policy.
        known: id(offer) -> (the offer, its outcome), for offers without slots and effects, which ``options`` makes once.
            The offer is kept, so that its id stays its own.
    """

    catalog: Catalog
    origin: Source
    conditions_by_line: Mapping[int, int]
    locale: str
    today: date
    approvals: ApprovalCheck
    known: dict[int, tuple[Offer, Outcome]] = field(default_factory=dict)
    fallback: Option | Blocked = field(init=False)
    is_claiming: bool = field(init=False)
    offered: frozenset[str] = field(init=False)
    spare: tuple[Option, ...] = field(init=False)
    barks: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.is_claiming = any(response.claims for response in self.catalog.responses.values())
        response = self.catalog[self.catalog.fallback]
        reason = self._unsayable(response)
        self.fallback = Blocked(response.id, self.origin, reason) if reason else self._option(response, {}, self.origin, (), LAST)
        self.offered = frozenset(one.offer_of for one in self.catalog.responses.values() if one.offer_of)
        self.barks = frozenset(one.id for one in self.catalog.responses.values() if BARK in one.tags)
        own = [one for one in self.catalog.responses.values() if is_said_by_catalog(one, self.catalog)]
        self.spare = tuple(self._option(one, {}, self.origin, (), LAST) for one in own if not self._unsayable(one))

    def outcome(self, offer: Offer, state: State) -> Outcome:
        outcome = self._outcome(offer, state)
        if not (offer.slots or offer.effects or offer.is_end or offer.move) and len(self.known) < _MOST_OFFERS:
            self.known[id(offer)] = (offer, outcome)
        return outcome

    def offers(self, options: Sequence[Option]) -> list[tuple[int, Option]]:
        """For the options that have one, what asks whether they are meant: in the language in which they would be said.

        Where two options would be asked about in the same words, neither is: nobody could tell to which of them a yes was given.
        """
        found: list[tuple[int, Option]] = []
        for place, option in enumerate(options):
            asks = self.catalog.offer(option.id) if option.id in self.offered else None
            if asks is None or self._unsayable(asks) or resolve_locale(asks, self.locale, self.catalog.locale) != option.locale:
                continue
            slots = {name: option.slots[name] for name in asks.slots}
            with suppress(SlotValueError):  # it would not fit the box: nobody asks
                found.append((place, self._option(asks, slots, option.source, (), LAST)))
        n_times = Counter(offer.text for _, offer in found)
        return [(place, offer) for place, offer in found if n_times[offer.text] == 1]

    def last_resort(self) -> Option:
        """The fallback, when nothing else may be said. Raises ApprovalError or PolicyError when it may not be said either."""
        if isinstance(self.fallback, Blocked):
            response = self.catalog[self.fallback.response_id]
            message = f"nothing may be said: the fallback {response.id!r} {self.fallback.reason}"
            raise self._withheld(response, self.fallback.source, message)
        return self.fallback

    def _outcome(self, offer: Offer, state: State) -> Outcome:
        try:
            return self._of_offer(offer, state)
        except SlotValueError as error:
            return Blocked(offer.response_id, offer.source, self._refused_value(error))

    def _of_offer(self, offer: Offer, state: State) -> Outcome:
        response = self._response(offer)
        unsayable = self._unsayable(response)
        if offer.kind == "must" and response.id == self.catalog.fallback:
            raise stopped(offer.source, f"the fallback {response.id!r} cannot be an obligation", "it is an option of every turn")
        if unsayable and offer.kind == "must":
            raise self._withheld(response, offer.source, f"the obligation {response.id!r} {unsayable}; nothing is said without it")
        if offer.move is not None:
            return self._of_procedure(offer, offer.move, unsayable, state)
        reason = unsayable or _effect_fails(offer.source, offer.effects, state)
        if reason:
            return Blocked(offer.response_id, offer.source, reason)
        if offer.kind == "must":
            locale, text = self._rendered(response, offer.slots, offer.source)
            return Obligation(response, offer.slots, text, locale, offer.source, offer.is_after)
        option = self._option(response, offer.slots, offer.source, offer.effects, self._n_conditions(offer.source))
        return replace(option, agrees_to=offer.agrees_to) if offer.agrees_to else option

    def _of_procedure(self, offer: Offer, move: ProcedureMove, unsayable: str, state: State) -> Outcome:
        """What a procedure says as one option: its first response, and with it those that follow in the same turn."""
        effects = (*offer.effects, *(effect for one in move.follows for effect in one.effects))
        reason = move.flaw or unsayable or _effect_fails(offer.source, effects, state)
        for one in move.follows if not reason else ():
            why_not = self._unsayable(self._response(one))
            reason = reason or (f"goes on with {one.response_id!r}, which {why_not}" if why_not else "")
        if reason:
            return Blocked(offer.response_id, offer.source, reason)
        specificity = self._n_conditions(offer.source) + move.weight
        option = self._option(self._response(offer), offer.slots, offer.source, effects, specificity)
        follows = tuple(self._follow(one) for one in move.follows)
        return with_obligations(option, follows, move)

    def _follow(self, offer: Offer) -> Obligation:
        response = self._response(offer)
        locale, text = self._rendered(response, offer.slots, offer.source)
        return Obligation(response, offer.slots, text, locale, offer.source, True)

    def obligation(self, clause: Clause, is_after: bool) -> Obligation | Blocked:
        """What an obligation of the conversation puts into the turn."""
        response, slots = self.catalog[clause.response_id], dict(clause.slots)
        reason = self._unsayable(response)
        if reason:
            return Blocked(response.id, clause.source, reason)
        try:
            locale, text = self._rendered(response, slots, clause.source)
        except SlotValueError as error:
            return Blocked(response.id, clause.source, self._refused_value(error))
        return Obligation(response, slots, text, locale, clause.source, is_after, str(clause))

    def nothing_left(self, blocked: Blocked) -> ConstrainedError:
        """The error for a turn in which every option would break an obligation of the conversation, the fallback too."""
        hint = "obligations that forbid the fallback conflict; see constrained prove"
        return stopped(blocked.source, f"nothing may be said: {blocked.response_id!r}: {blocked.reason}", hint)

    def _n_conditions(self, source: Source) -> int:
        """Number of conditions on the way to a line of the policy; 0 for a line elsewhere."""
        return self.conditions_by_line.get(source.line, 0) if source.file == self.origin.file else 0

    def _response(self, offer: Offer) -> Response:
        response = self.catalog.responses.get(offer.response_id)
        if response is None:
            hint = closest(str(offer.response_id), self.catalog.responses) or f"add it to the catalog {self.catalog.name!r}"
            raise stopped(offer.source, f"the catalog {self.catalog.name!r} has no response {offer.response_id!r}", hint)
        if response.offer_of:
            raise stopped(offer.source, f"{response.id!r} is an offer; no policy yields it", f"yield {response.offer_of!r}")
        return response

    def _option(self, response: Response, slots: Mapping[str, Any], source: Source, effects: Any, specificity: int) -> Option:
        locale, text = self._rendered(response, slots, source)
        return Option(response, slots, text, locale, source, effects, specificity)

    def _rendered(self, response: Response, slots: Mapping[str, Any], source: Source) -> tuple[str, str]:
        locale = resolve_locale(response, self.locale, self.catalog.locale)
        try:
            texts = render_each(response, slots, locale or "")  # a variant that may not be said, or does not fit, blocks them all
            self._check_fit(response, texts)
            return locale or "", texts[0]
        except SlotError as error:
            if isinstance(error, SlotValueError):
                raise
            raise SlotError(
                f"{source}: {error.message}", response=error.response, slot=error.slot, value=error.value, hint=error.hint
            ) from error

    def _check_fit(self, response: Response, texts: Sequence[str]) -> None:
        box = self.catalog.box
        why = next(filter(None, (misfit(text, box) for text in texts)), "") if box is not None else ""
        if why:
            slot = next(iter(response.slots), "")
            hint = "shorten the text, or the values of its slots"
            raise SlotValueError(f"{response.id!r} does not fit the box: it {why}", response=response.id, slot=slot, value=None, hint=hint)

    def _refused_value(self, error: SlotValueError) -> str:
        """Why a response with such a value is blocked, as the end of a sentence. What is sensitive is not told."""
        if self.catalog[error.response].slots[error.slot].is_sensitive:
            return f"cannot be said: the slot {error.slot!r} of {error.response!r} has a value that may not be said"
        return f"cannot be said: {error.message}"

    def _unsayable(self, response: Response) -> str:
        locale = resolve_locale(response, self.locale, self.catalog.locale)
        if locale is None:
            return f"has no text in {self.locale!r}"
        ended = _not_in_force(response.approval, self.today) if response.approval else ""
        if self.catalog.box is not None and not response.slots:
            each = (misfit(one.literal or "", self.catalog.box) for one in response.texts[locale].each)
            ended = ended or next((f"does not fit the box: it {why}" for why in each if why), "")
        return ended or self.approvals.why_not(response, locale, self.today)

    def _withheld(self, response: Response, source: Source, message: str) -> ConstrainedError:
        """The error for what would have to be said, and may not: ApprovalError where the ledger or a changed document is why."""
        locale = resolve_locale(response, self.locale, self.catalog.locale)
        if locale is None or not self.approvals.why_not(response, locale, self.today):
            return stopped(source, message, _RENEW)
        hint = f"see what is open with: constrained approve {self.catalog.name}"
        return ApprovalError(message, file=source.file, line=source.line, hint=hint)


_RENEW = "renew the approval, or add the text, in the catalog"


# Beside the policies and not in them, since a policy is immutable. An entry goes with its policy: no builder may refer to one.
_BUILDERS: WeakKeyDictionary[Policy, dict[tuple[str, date, ApprovalCheck], OptionBuilder]] = WeakKeyDictionary()
_BUILDERS_LOCK = Lock()


def builder_of(policy: Policy, locale: str, today: date, approvals: ApprovalCheck) -> OptionBuilder:
    kept, key = _BUILDERS.get(policy), (locale, today, approvals)
    builder = kept.get(key) if kept is not None else None  # needs no lock: entries are added and dropped, never changed
    if builder is None:
        builder = OptionBuilder(policy.catalog, Source(policy.file, policy.line), policy.conditions_by_line, locale, today, approvals)
        with _BUILDERS_LOCK:
            kept = _BUILDERS.setdefault(policy, {})
            if len(kept) >= _MOST_DAYS:
                kept.clear()
            builder = kept.setdefault(key, builder)
    return builder


def _not_in_force(approval: Approval, today: date) -> str:
    if today < approval.on:
        return f"is approved from {approval.on} only, and today is {today}"
    if approval.until is not None and today > approval.until:
        return f"was approved until {approval.until}, and today is {today}"
    return ""


def with_obligations(option: Option, obligations: tuple[Obligation, ...], move: ProcedureMove | None = None) -> Option:
    """The option with other obligations, and what ``move`` says of the procedures: several times as fast as ``dataclasses.replace``."""
    after = option if move is None else move
    return Option(
        option.response, option.slots, option.text, option.locale, option.source, option.effects, option.specificity,
        obligations, after.running, after.is_no_match, after.is_assumed, after.answer, after.agrees_to or option.agrees_to, after.value,
        option.variant,
    )  # fmt: skip


def _effect_fails(source: Source, effects: Sequence[Effect], state: State) -> str:
    try:
        failing = first_failing(effects, state)
    except ConstrainedError:
        raise
    except Exception as error:  # a precondition is the host's code; its failure is told with the line that named it
        names = ", ".join(map(str, effects))
        raise stopped(
            source, f"the precondition of {names} failed: {type(error).__name__}: {error}", "requires=(state, *arguments) -> bool"
        ) from error
    return f"could not be carried out: the precondition of {failing} does not hold" if failing else ""


def stopped(source: Source, message: str, hint: str) -> PolicyError:
    return PolicyError(message, [Problem(source.file, source.line, 0, message, hint)], hint=hint)
