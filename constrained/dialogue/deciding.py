"""Stage 4 of a turn: one of the options is chosen, or what is said in place of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from constrained.catalog.response import Catalog
from constrained.dialogue.context import TurnContext, make_candidate
from constrained.dialogue.listening import HeardNow
from constrained.dialogue.turn import Decision
from constrained.engines import loading
from constrained.engines.protocol import Choice, Distribution, Engine, Told
from constrained.errors import DeadlineError
from constrained.logic.acts import choose_late, choose_option
from constrained.logic.allow import TurnOptions, bark_of, likeliest, most_salient, rest_of
from constrained.logic.clarifying import OfferReading, Resolution, may_stand_together, resolve, resolve_too_long, way_out_of
from constrained.logic.evidence import Evidence, evidence_of
from constrained.logic.options import Allowed, Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.logic.wishes import WISH_THRESHOLD, Wish, answer_wishes, split_wishes
from constrained.understanding.corrections import follow_corrections

Ask = Callable[[list[Choice], TurnContext], list[Distribution]]
"""Puts choices to the engine. Raises DeadlineError when the time is over."""


@dataclass(frozen=True, slots=True)
class DecisionTerms:
    """What a conversation decides by; the thresholds as ``Dialogue`` describes them. ``as_kept``: a reply as its memory holds it."""

    policy: Policy
    threshold: float
    act_threshold: float
    as_kept: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class PreparedTurn:
    """A turn before its commit: nobody has heard of it. ``memory``: of the conversation when it was prepared."""

    context: TurnContext
    heard: HeardNow
    options: TurnOptions
    decision: Decision
    text: str
    memory: Memory

    @property
    def is_missed(self) -> bool:
        """Whether it has nothing to say to the message but that."""
        decision, fallback = self.decision, self.options.policy.catalog.fallback
        return decision.chosen.id == fallback or decision.chosen.is_no_match or decision.how in ("way_out", "too_long")


def decide_bark(allowed: Allowed, catalog: Catalog, memory: Memory, threshold: float) -> Decision | None:
    """The bark that is due by the rules; None where none is."""
    chosen = bark_of(allowed, catalog, memory)
    if chosen is None:
        return None
    why = "unasked; the most specific bark, then the least recently said, and not the one said last"
    return Decision(allowed.options, (), chosen, "rules", 1.0, False, threshold, why, how="bark")


def is_judged(engine: Engine | None) -> bool:
    """Whether what an engine chooses is held against the message: not where people told what the messages mean, nor without one."""
    return engine is not None and not (isinstance(engine, Told) and engine.is_told)


@dataclass(frozen=True, slots=True)
class Decider:
    """One decision. ``memory``: of the conversation before the turn."""

    terms: DecisionTerms
    engine: Engine | None
    memory: Memory
    context: TurnContext
    allowed: Allowed
    ask: Ask

    @property
    def options(self) -> tuple[Option, ...]:
        return self.allowed.options

    def decide(self, reading: OfferReading | None, *, is_late: bool) -> Decision:
        """The decision. ``reading``: the message as the answer to what the last turn offered."""
        catalog, said = self.terms.policy.catalog, self.memory.said
        resolution = resolve(self.allowed, catalog, reading, self.memory.open_offers)
        if self.context.is_too_long and is_judged(self.engine):
            resolution = resolve_too_long(self.allowed, catalog, said)
        if resolution is not None:
            return self._resolved(resolution, reading)
        decision = self._chosen(is_late, is_spent=reading is not None and reading.meaning == "yes")
        way_out = way_out_of(self.allowed, catalog, decision.chosen, self.memory)
        if way_out is None or (self.engine is not None and not is_judged(self.engine)):
            return decision
        why = f"{decision.why}; nothing fitted {self.memory.n_missed} times before, so the way out is said"
        return replace(decision, chosen=way_out, how="way_out", why=why, spoken=(), asks=())

    def _chosen(self, is_late: bool, *, is_spent: bool) -> Decision:
        """One of the options: by the model and what the message is evidence for, or by the rules where there is no choice or no model."""
        options = self.options
        if len(options) == 1:
            return self._of_sole(options[0])
        if self.engine is None:
            return self._by_rules("no model; the most specific option, then the least recently said")
        if is_late:
            return self._in_time()
        try:
            answer = self.ask([self._choice()], self._followed(self.context))[0]
        except DeadlineError:
            return self._in_time()
        return self._by_model(options, answer, is_spent=is_spent) if is_judged(self.engine) else self._as_told(answer)

    def _by_model(self, options: tuple[Option, ...], answer: Distribution, *, is_spent: bool = False) -> Decision:
        """The most probable option that the message is evidence enough for; the fallback where that is not probable enough."""
        terms, context = self.terms, self.context
        message, locale, judge = context.message, context.locale, loading.load_answer_judge
        evidence = evidence_of(
            terms.policy, self.memory, options, message, locale, terms.act_threshold, judge, is_spent=is_spent, as_kept=terms.as_kept
        )
        resort, probabilities = self.allowed.resort, answer.probabilities
        ruling = choose_option(
            options,
            probabilities,
            fallback=terms.policy.catalog.fallback,
            threshold=terms.threshold,
            evidence=evidence,
            offers=self.allowed.offers,
            may_pair=partial(may_stand_together, terms.policy, self.memory, self.allowed, context.now.timestamp()),
            resort=resort,
        )
        if resort is not None and ruling.chosen is resort:
            options, probabilities = self.allowed.with_resort().options, (*probabilities, 0.0)
        decision = Decision(
            options,
            probabilities,
            ruling.chosen,
            answer.mode,
            answer.margin,
            ruling.abstained,
            terms.threshold,
            ruling.why,
            answer.decoding,
            ruling,
            how="offered" if ruling.asks else "tried" if ruling.is_tried else "",
            spoken=ruling.spoken,
            asks=ruling.asks,
        )
        return decision if is_spent or decision.how else self._with_wishes(decision)

    def _with_wishes(self, decision: Decision) -> Decision:
        """The same decision; with what a second part of the message wants, said or offered or kept, where one clearly wants something."""
        rest, context = rest_of(self.options, self.terms.policy.catalog.fallback), self.context
        is_open = rest is not None and decision.chosen is not rest and not self.memory.running
        parts = split_wishes(context.message, context.locale) if is_open and not getattr(self.engine, "is_scripted", False) else ()
        choice = self._choice() if parts else None
        wishes = tuple(wish for part in parts if choice and (wish := self._wish(replace(context, message=part), choice)) is not None)
        if len(wishes) < 2:
            return decision
        now = context.now.timestamp()
        found = answer_wishes(self.terms.policy, self.memory, self.allowed, decision.chosen, wishes, now)
        if found is None:
            return decision
        resolution, pending = found
        why = f"{decision.why}; {resolution.why}"
        return replace(decision, why=why, how="two_wishes", spoken=resolution.spoken, asks=resolution.asks, pending=pending, wishes=wishes)

    def _wish(self, part: TurnContext, choice: Choice) -> Wish | None:
        """What a part of the message clearly wants, and nothing in it speaks against; None where it does not, or the time is over."""
        options, terms = self.options, self.terms
        try:
            answer = self.ask([choice], self._followed(part))[0]
        except DeadlineError:
            return None
        best, share = likeliest(options, answer.probabilities)
        if share < WISH_THRESHOLD or best.answer:
            return None
        evidence = Evidence(part.message, part.locale, act_threshold=terms.act_threshold)
        fallback = terms.policy.catalog.fallback
        ruling = choose_option(options, answer.probabilities, fallback=fallback, threshold=terms.threshold, evidence=evidence)
        place = next(place for place, option in enumerate(options) if option is best)
        return Wish(place, share) if ruling.chosen is best and not ruling.abstained else None

    def _followed(self, context: TurnContext) -> TurnContext:
        """The turn with the message as it stands after its own corrections; as it is where people told what it means."""
        if getattr(self.engine, "is_scripted", False):
            return context
        return replace(context, message=follow_corrections(context.message, context.locale))

    def _choice(self) -> Choice:
        """The choice among all options, as the engine sees it."""
        catalog, locale = self.terms.policy.catalog, self.context.locale
        no_match = rest_of(self.options, catalog.fallback)
        candidates = [make_candidate(option, index, catalog, locale, option is no_match) for index, option in enumerate(self.options)]
        return Choice("reply", "option", tuple(candidates))

    def _as_told(self, answer: Distribution) -> Decision:
        """The most probable option; the fallback where that is less probable than the threshold."""
        options, threshold = self.options, self.terms.threshold
        best, probability = likeliest(options, answer.probabilities)
        fallback = rest_of(options, self.terms.policy.catalog.fallback)
        abstained = fallback is not None and best is not fallback and probability < threshold
        chosen = fallback if abstained and fallback is not None else best
        why = f"{best.id} has {probability:.0%}" + (f", less than the threshold {threshold:.0%}" if abstained else "")
        return Decision(options, answer.probabilities, chosen, answer.mode, answer.margin, abstained, threshold, why, answer.decoding)

    def _of_sole(self, option: Option) -> Decision:
        """The only option; where it would take the message for a yes or no that it is not, the last resort, or ApprovalError."""
        if option.answer and is_judged(self.engine):
            decision = self._by_model((option,), Distribution((1.0,), "exact"))
            if decision.chosen is self.allowed.resort:
                return decision
        return self._by_rules("it is the only option")

    def _by_rules(self, why: str) -> Decision:
        options = self.options
        return Decision(options, (), most_salient(options, self.memory.said), "rules", 1.0, False, self.terms.threshold, why)

    def _in_time(self) -> Decision:
        """What a late turn says. Nobody chose it: so it is the fallback, or asks for a moment, and never an act."""
        options = self.allowed.with_resort().options
        chosen, why = choose_late(options, self.terms.policy.catalog.fallback, self.memory.said), "the deadline was over"
        return Decision(options, (), chosen, "rules", 1.0, False, self.terms.threshold, why, is_late=True)

    def _resolved(self, found: Resolution, reading: OfferReading | None) -> Decision:
        answer, judge = (reading.meaning, reading.judge) if reading is not None else ("", "")
        return Decision(
            self.options,
            (),
            found.chosen,
            "rules",
            1.0,
            False,
            self.terms.threshold,
            found.why,
            how=found.how,
            spoken=found.spoken,
            asks=found.asks,
            answer=answer,
            judge=judge,
        )
