"""Allowing: what a policy and its procedures put forward becomes options, obligations and blocked offers.

The set of options is never empty. Whatever may not be said (not approved today, no text in this locale, an effect
that could not run, a value that cannot be said, a claim that nothing bears out, an obligation of the conversation that would
be broken) is blocked with its reason. An obligation of the turn that may not be said stops the turn; one with a value that
cannot be said leaves nothing but the fallback, without it. ``run`` is one turn as a pure function: its options, and the memory
after each of them.

    turn = run(policy, state, heard, memory)
    for option in turn.allowed.options:
        after = turn.after(option)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from constrained.catalog.response import Catalog, Source
from constrained.errors import PolicyError
from constrained.logic.effects import risk_of
from constrained.logic.matching import is_bark
from constrained.logic.obligations import Audience, Schedule
from constrained.logic.option_builder import CATALOG_ONLY, ApprovalCheck, OptionBuilder, Outcome, builder_of, stopped, with_obligations
from constrained.logic.options import Allowed, Blocked, Obligation, Offer, Option, compose, with_it
from constrained.logic.policy import Policy
from constrained.logic.state import Memory, OpenOffer, State
from constrained.logic.variants import counted, vary
from constrained.understanding.hearing import Understanding

_ASKING = frozenset("?\uff1f\u061f\u037e")  # full-width, Arabic and Greek ones, too


def allow(
    policy: Policy,
    state: State,
    heard: Understanding | None,
    memory: Memory,
    *,
    locale: str,
    today: date,
    approvals: ApprovalCheck = CATALOG_ONLY,
    now: float | None = None,
    place: Audience | None = None,
) -> Allowed:
    """All that the policy allows now, after what ``memory`` holds.

    Args:
        locale: of the turn, BCP 47. today: decides which approvals are in force.
        approvals: the signed approvals of the moment; by default the catalog's own approval lines alone decide.
        now: seconds since the epoch, for what is said every so many minutes. place: of the conversation; of ``approvals``
            when None.

    Raises:
        PolicyError: the policy failed, named an unknown response, or obliges to say what may not be said.
        ProcedureError: a running procedure cannot go on.
        ApprovalError: nothing that may be said, or that must be said, is approved.
        SlotError: a slot that is missing, or that the response does not have.
    """
    policy = policy.serving(memory)
    builder = builder_of(policy, locale, today, approvals)
    sorter = _OfferSorter(memory)
    known, say, is_claiming = builder.known, sorter.says.append, builder.is_claiming
    for offer in policy(state, heard, memory):
        entry = known.get(id(offer))
        outcome = entry[1] if entry is not None else builder.outcome(offer, state)
        if type(outcome) is Option and offer.kind == "say" and not offer.is_once and not is_claiming:  # by far the most
            say(outcome)
        else:
            sorter.add(offer, outcome)
    clauses = policy.terms.obligations
    if clauses:
        place = place or Audience(approvals.channel, approvals.jurisdiction)
        clauses = tuple(clause for clause in clauses if clause.holds_at(place))
    allowed = sorter.allowed(builder, Schedule(clauses, policy.catalog, memory, now) if clauses else None)
    return vary(allowed, memory) if memory.seed else allowed


def most_salient(options: Sequence[Option], said: Mapping[str, int]) -> Option:
    """What the rules alone choose: the most specific option, then the least recently said, then the first yielded.

    They believe no answer that nobody heard: an option that assumes one is chosen when there is no other.
    """
    if not options:
        raise PolicyError("there is no option to choose from", hint="allow() always gives one")
    options = [option for option in options if not option.is_assumed] or options
    highest = max([option.specificity for option in options])
    best = [option for option in options if option.specificity == highest]
    return min(best, key=lambda option: said.get(option.response.id, 0)) if said else best[0]


def bark_of(allowed: Allowed, catalog: Catalog, memory: Memory) -> Option | None:
    """What the rules choose of the barks: not the text said last, nor one that asks while a question is open. None: none is left."""
    said = memory.said
    last = max((one for one in said if is_bark(one, catalog)), key=said.__getitem__, default="")
    barks = [one for one in allowed.barks if one.id != last] or [one for one in allowed.barks if one.response.texts[one.locale].variants]
    if memory.open_offers or memory.running:
        barks = [one for one in barks if not _ASKING.intersection(compose(one, allowed.obligations))]
    return most_salient(barks, said) if barks else None


def likeliest(options: Sequence[Option], probabilities: Sequence[float]) -> tuple[Option, float]:
    """What a model's probabilities choose, and how probable its intent is; see ``pooled``."""
    best, share = pooled([option.id for option in options], list(map(intent_of, options)), probabilities)
    return options[best], share


def intent_of(option: Option) -> str:
    """Responses that answer the same, by the same words in ``when``, have one intent."""
    return option.response.when.strip().casefold() or option.id


def pooled(ids: Sequence[str], intents: Sequence[str], probabilities: Sequence[float]) -> tuple[int, float]:
    """Index of the option that is said, and the probability of its intent.

    The probabilities of responses of one intent add up, so that several ways to say one thing do not lose against one way to say
    another; of a response with several fillings of its slots only the most probable one counts, since these say different things. The most
    probable option of the intent is said; the first of equals.
    """
    shares = intent_shares(ids, intents, probabilities)
    best = max(range(len(ids)), key=lambda index: (shares[intents[index]], probabilities[index]))
    return best, shares[intents[best]]


def intent_shares(ids: Sequence[str], intents: Sequence[str], probabilities: Sequence[float]) -> dict[str, float]:
    """Intent -> its probability; see ``pooled``."""
    ways: dict[tuple[str, str], float] = {}
    for name, intent, probability in zip(ids, intents, probabilities, strict=True):
        ways[intent, name] = max(ways.get((intent, name), 0.0), probability)
    shares: dict[str, float] = {}
    for (intent, _), probability in ways.items():
        shares[intent] = shares.get(intent, 0.0) + probability
    return shares


def option_shares(options: Sequence[Option], probabilities: Sequence[float]) -> tuple[float, ...]:
    """[option] the probability of its intent; see ``pooled``."""
    intents = list(map(intent_of, options))
    shares = intent_shares([option.id for option in options], intents, probabilities)
    return tuple(shares[intent] for intent in intents)


def rest_of(options: Sequence[Option], fallback: str) -> Option | None:
    """What is said when the model abstains: a procedure's own words for it, else the fallback, where it is allowed."""
    return next((one for one in options if one.is_no_match), None) or next((one for one in options if one.id == fallback), None)


@dataclass(slots=True)
class _OfferSorter:
    """Offers of one turn by what becomes of them, each in the order of yield."""

    memory: Memory
    says: list[Option] = field(default_factory=list)
    onlys: list[Option] = field(default_factory=list)
    obligations: list[Obligation] = field(default_factory=list)
    blocked: list[Blocked] = field(default_factory=list)
    closed_by: Source | None = None
    unsaid: Blocked | None = None

    def add(self, offer: Offer, outcome: Outcome) -> None:
        said = self.memory.said
        if offer.kind == "only" and self.closed_by is None:
            self.closed_by = offer.source
        if offer.is_once and offer.response_id in said:
            self.blocked.append(Blocked(offer.response_id, offer.source, f"said once already, in turn {said[offer.response_id]}"))
        elif not isinstance(outcome, Blocked) and (claim := _unsupported_claim(outcome, self.memory.done)):
            self._refuse_claim(outcome, claim)
        elif type(outcome) is Option:
            (self.onlys if offer.kind == "only" else self.says).append(outcome)
        elif type(outcome) is Obligation:
            self.obligations.append(outcome)
        elif type(outcome) is Blocked:
            self.blocked.append(outcome)
            if offer.kind == "must":
                self.unsaid = self.unsaid or outcome

    def allowed(self, builder: OptionBuilder, schedule: Schedule | None = None) -> Allowed:
        obligations, barks = tuple(self._distinct_obligations()), list[Option]()
        if self.unsaid is not None:
            reason = f"{self.unsaid.source} obliges to say {self.unsaid.response_id!r}, which {self.unsaid.reason}"
            for one in (*self.says, *self.onlys):
                self._block(one, reason)
            for obligation in obligations:
                self._block(obligation, reason)
            options, obligations = [builder.last_resort()], ()
        elif self.closed_by is None:
            if builder.barks:
                barks = [with_obligations(one, ()) for one in self.says if one.id in builder.barks]  # without an open question put again
            says = [one for one in self.says if one.id not in builder.barks] if barks else self.says
            options = self._with_fallback(says, obligations, builder.fallback)
        else:
            reason = f"{self.closed_by} allows only what it names"
            self.blocked += [Blocked(option.id, option.source, reason) for option in self.says]
            options = self._distinct(self.onlys, obligations)
        if schedule is not None:
            options = self._scheduled(options, obligations, builder, schedule)
            barks = self._scheduled(barks, obligations, builder, schedule)
        if not options:
            last = [builder.last_resort()]
            options = last if schedule is None else self._scheduled(last, obligations, builder, schedule)
            if not options:
                raise builder.nothing_left(self.blocked[-1])
        blocked = tuple(self.blocked)  # what may not be said in place of an option or of the fallback is no offer of the policy
        offers, spare = builder.offers(options) if builder.offered else [], builder.spare
        if spare and obligations:  # what is said anyway is not said in place of anything
            spare = tuple(one for one in spare if one.id not in {obligation.id for obligation in obligations})
        if schedule is not None and (offers or spare):
            fitting = [(place, self._scheduled([offer], obligations, builder, schedule)) for place, offer in offers]
            offers = [(place, found[0]) for place, found in fitting if found]
            spare = tuple(self._scheduled(spare, obligations, builder, schedule))
        resort = self._resort(options, obligations, builder, schedule)
        return Allowed(tuple(options), obligations, blocked, tuple(offers), spare, resort, tuple(barks))

    def _resort(
        self, options: Sequence[Option], obligations: tuple[Obligation, ...], builder: OptionBuilder, schedule: Schedule | None
    ) -> Option | None:
        """The fallback, where every option of a closed set is an act: so that a message which asks for none of them is answered."""
        fallback = builder.fallback
        if self.closed_by is None or isinstance(fallback, Blocked) or not all(risk_of(one.effects) == "high" for one in options):
            return None
        if any(one.text == fallback.text for one in options):
            return None
        n_blocked = len(self.blocked)
        kept = [fallback] if schedule is None else self._scheduled([fallback], obligations, builder, schedule)
        del self.blocked[n_blocked:]  # nobody offered it
        return kept[0] if kept else None

    def _scheduled(
        self, options: Sequence[Option], obligations: tuple[Obligation, ...], builder: OptionBuilder, schedule: Schedule
    ) -> list[Option]:
        """The options with what the obligations of the conversation add to each; those that would break one are blocked."""
        kept = []
        for option in options:
            around = with_it(option, obligations)
            spoken = [*(one.response for one in around if not one.is_after), option.response]
            spoken += [one.response for one in around if one.is_after]
            found = schedule.of(spoken, [effect.name for effect in option.effects])
            added = [
                builder.obligation(clause, is_after) for is_after in (False, True) for clause in (found.after if is_after else found.before)
            ]
            unsaid = next((one for one in added if isinstance(one, Blocked)), None)
            if found.broken is not None:
                self._block(option, f"{found.broken} at {found.broken.source} forbids it: {found.reason}")
            elif unsaid is not None:
                self._block(option, f"{unsaid.source} demands {unsaid.response_id!r}, which {unsaid.reason}")
            elif added:
                around = (*option.obligations, *[one for one in added if isinstance(one, Obligation)])
                kept.append(with_obligations(option, around))
            else:
                kept.append(option)
        return kept

    def _refuse_claim(self, outcome: Option | Obligation, claim: str) -> None:
        """A claim that nothing supports is not made; where it would have to be, nothing is said."""
        reason = f"claims {claim!r}, which was not committed in this conversation"
        if type(outcome) is Obligation:
            raise stopped(outcome.source, f"the obligation {outcome.id!r} {reason}", "say it once the host has told that it was done")
        self._block(outcome, reason)

    def _distinct_obligations(self) -> list[Obligation]:
        kept: dict[str, Obligation] = {}
        for obligation in self.obligations:
            if obligation.text in kept:  # it may be the very same object: what became of a plain offer is kept
                self._block(obligation, _same(obligation, kept[obligation.text]))
            else:
                kept[obligation.text] = obligation
        return list(kept.values())

    def _with_fallback(self, options: list[Option], obligations: Sequence[Obligation], fallback: Option | Blocked) -> list[Option]:
        """Distinct options and the fallback, last unless it was yielded. Nothing else may read the same as it.

        Where a procedure has something of its own to say to what is no answer, that takes the fallback's place.
        """
        if isinstance(fallback, Blocked) or any(option.is_no_match for option in options):
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
            if obliged and any(one.id in obliged for one in option.obligations):
                rest = tuple(one for one in option.obligations if one.id not in obliged)
                option = with_obligations(option, rest)
            if option.id in obliged:
                self._block(option, f"said anyway: {obliged[option.id].source} obliges to say it")
            elif option.text not in kept:
                kept[option.text] = option
            elif not _is_step(kept[option.text], option):
                self._block(option, _same(option, kept[option.text]))
        return list(kept.values())

    def _block(self, what: Option | Obligation, reason: str) -> None:
        self.blocked.append(Blocked(what.id, what.source, reason))


def _unsupported_claim(said: Option | Obligation, done: Sequence[str]) -> str:
    """The first event that a response, or one said with it, claims and that was not committed; empty when there is none."""
    responses = [said.response, *(one.response for one in said.obligations)] if type(said) is Option else [said.response]
    return next((one.claims for one in responses if one.claims and one.claims not in done), "")


def _is_step(first: Option, later: Option) -> bool:
    """Whether a procedure's own words come to the very same as what is offered beside it: nothing is lost."""
    is_alike = (first.id, first.effects, first.running) == (later.id, later.effects, later.running)
    return is_alike and first.running is not None


def _same(later: Option | Obligation, first: Option | Obligation) -> str:
    if later.id == first.id:
        return f"offered already by {first.source}"
    return f"reads the same as {first.id!r} from {first.source}"


# -- one turn as a pure function -----------------------------------------------------------------------------------

KEPT_OUTCOMES = 8  # turns whose outcome a procedure may still ask for
NO_DAY = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """What may be said in one turn.

    Attributes:
        policy: the one that serves the conversation: the present version, or the one that it began with.
    """

    policy: Policy
    memory: Memory
    allowed: Allowed
    now: float | None

    def said(self, option: Option, spoken: tuple[Option, ...] = ()) -> tuple[Option | Obligation, ...]:
        """Everything that is said when the option is chosen, in order. ``spoken``: as for ``compose``."""
        around = with_it(option, self.allowed.obligations)
        before = [one for one in around if not one.is_after]
        return (*before, *(spoken or (option,)), *around[len(before) :])

    def is_performing(self, option: Option) -> bool:
        """Whether a procedure goes on, without a message, once the host has told what became of the option's effects."""
        if not option.effects or not option.running:
            return False
        position = self.policy.procedures.position(Memory(running=option.running))
        return position is not None and position.kind == "perform"

    def after(
        self,
        option: Option,
        spoken: tuple[Option, ...] = (),
        open_offers: tuple[OpenOffer, ...] = (),
        *,
        is_tried: bool = False,
    ) -> Memory:
        """The memory once the option is chosen and committed; what became of its effects is added by ``with_outcomes``.

        After a bark what was said last counts as said last still, and what was asked is open.

        Args:
            spoken: as for ``compose``. open_offers: what the turn asked with that.
            is_tried: the open question spends a try, though the option leaves it as it is.
        """
        memory, number, is_unasked = self.memory, self.memory.number + 1, any(one is option for one in self.allowed.barks)
        if is_unasked:
            catalog, last = self.policy.catalog, memory.number
            kept = {one: number if turn == last and not is_bark(one, catalog) else turn for one, turn in memory.said.items()}
            memory, open_offers = memory.model_copy(update={"said": kept}), memory.open_offers
        everything = self.said(option, spoken)
        said, times = [one.id for one in everything], counted(memory, everything)
        changes: dict[str, object] = {"number": number, "said": memory.said | dict.fromkeys(said, number), "open_offers": open_offers}
        changes |= {"times": times} if times else {}
        if self.policy.catalog.way_out and not is_unasked:
            is_missed = option.is_no_match or option.id == self.policy.catalog.fallback or bool(option.response.offer_of)
            changes["n_missed"] = memory.n_missed + 1 if is_missed else 0
        rest = rest_of(self.allowed.options, self.policy.catalog.fallback) if is_tried and option.running is None else None
        running = rest.running if rest is not None else option.running
        if running is not None:
            changes["running"] = running
        timed = {clause.response_id for clause in self.policy.terms.obligations if clause.minutes}
        if timed and self.now is not None:
            clock = {"": self.now} | dict(memory.clock) | {name: self.now for name in said if name in timed}
            changes["clock"] = tuple(sorted(clock.items()))
        return memory.model_copy(update=changes)


def run(
    policy: Policy,
    state: State,
    heard: Understanding | None = None,
    memory: Memory | None = None,
    *,
    now: float | None = None,
    place: Audience | None = None,
    locale: str | None = None,
    today: date | None = None,
    approvals: ApprovalCheck = CATALOG_ONLY,
) -> TurnOptions:
    """What may be said now, and what follows from each.

    Args:
        memory: of the conversation so far; a new one's when None. now: seconds since the epoch.
        locale: the catalog's when None. today: the day for approvals that are written in the catalog; see ``in_force_on``
            when None. approvals, place: as for ``allow``.
    """
    memory = Memory() if memory is None else memory
    policy = policy.serving(memory)
    allowed = allow(
        policy,
        state,
        heard,
        memory,
        locale=locale or policy.catalog.locale,
        today=today or in_force_on(policy),
        approvals=approvals,
        now=now,
        place=place,
    )
    return TurnOptions(policy, memory, allowed, now)


def in_force_on(policy: Policy) -> date:
    """A day on which every approval written in the catalog has begun: for those who look at the logic alone."""
    days = [response.approval.on for response in policy.catalog.responses.values() if response.approval]
    return max(days, default=NO_DAY)


def with_outcomes(memory: Memory, done: Collection[str] = (), failed: Collection[str] = (), *, number: int | None = None) -> Memory:
    """The memory after the host told what became of the effects of a turn (the last one): names of those done, and of the others."""
    outcome = (memory.number if number is None else number, "failed" if failed else "done")
    outcomes = (*[one for one in memory.outcomes if one[0] != outcome[0]], outcome)[-KEPT_OUTCOMES:]
    return memory.model_copy(update={"outcomes": outcomes, "done": with_events(memory, done).done})


def with_events(memory: Memory, events: Collection[str]) -> Memory:
    """The memory after the host told of events that were committed."""
    new = [name for name in dict.fromkeys(events) if name not in memory.done]
    return memory.model_copy(update={"done": (*memory.done, *new)}) if new else memory
