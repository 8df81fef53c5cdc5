"""The choice among the options of a turn by an engine's probabilities, where an act needs more than the best of them.

An act is an option with an effect of high risk. It is eligible only where the message is clear evidence for it: the yes to an open
question by a clear yes, any other by a probability above a threshold of its own, and never where the message speaks against it
or names another amount. The rest is a pure function of the message, the locale, the open question and the probabilities, so a
record replays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from constrained.catalog.render import render, resolve_locale
from constrained.errors import ApprovalError, SlotError
from constrained.logic.allow import intent_of, intent_shares, likeliest, most_salient, rest_of
from constrained.logic.effects import risk_of
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.procedures.run import MISSED
from constrained.understanding.answer_values import OTHER, SAME, mark_values
from constrained.understanding.answers import JUDGE, AnswerJudge, AnswerMeaning, AnswerReading, judge_answer, leads_with_no
from constrained.understanding.corrections import follow_corrections
from constrained.understanding.denied_wishes import denies_wish
from constrained.understanding.stance import is_bid, prices_in, stance_of

ACT_THRESHOLD = 0.75  # on golden and dev messages no right act of the small engine has between 0.65 and it; see docs/decisions.md
EFFECT_THRESHOLD = 0.5  # of an option with an effect of low risk: it is said where it has more than all else together
FEW_DENIALS = 5  # one example in as many that denies something makes an option one that answers denials
OFFER_THRESHOLD = 0.35  # an act that is less probable is not even offered; just above what abstains by default
CLOSE = 0.1  # of two candidates: both are offered
CLOSE_THRESHOLD = 0.25  # of the second of two close ones: together they have half of all
ASIDE_THRESHOLD = 0.5  # what interrupts an open question is meant for sure only where it has more than all else together
CORRECTION_WORDS = 10  # a message with more words that names another value may be about something else
_VALUES = {"heard": "the value that was asked for was heard", "corrected": "the message names another value"}
MOMENT = "moment"  # tag of a response that asks for a moment: said when the time is over
_NUMBERS = frozenset(("integer", "decimal", "money"))
_AGAINST = {
    "negation": "the message speaks against it",
    "question": "the message only asks about it",
    "supposition": "the message only supposes it",
    "instruction": "the message instructs the machine",
    "report": "the message tells of somebody else, or of what was",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a turn gives to judge an act by.

    Attributes:
        message: cleaned. locale: BCP 47. question: the open question as it was said; empty where none is open.
        act_threshold: the least probability of an act that answers no question. offer_threshold: the least of one to be offered.
        values: those that the question shows. judge: of answers that the phrases leave open; None where there is none.
        asked: ids of what was said last, and of the step that waits: what an option may agree to.
        is_spent: the message answered an offer, so it answers no other question.
        counts_tries: a try of an open question is spent on an unclear aside; records before format 7 knew no such thing.
        is_free: no procedure is running, so one may begin.
    """

    message: str
    locale: str
    question: str = ""
    act_threshold: float = ACT_THRESHOLD
    offer_threshold: float = OFFER_THRESHOLD
    values: tuple[object, ...] = ()
    judge: AnswerJudge | None = None
    asked: frozenset[str] = frozenset()
    is_spent: bool = False
    counts_tries: bool = True
    is_free: bool = False

    @property
    def followed(self) -> str:
        """The message as it stands after its own corrections."""
        return follow_corrections(self.message, self.locale)

    def agrees(self, option: Option) -> bool:
        """Whether a yes to what was asked chooses the option."""
        return not self.is_spent and not self.asked.isdisjoint(option.agrees_to)


@dataclass(frozen=True, slots=True)
class Objection:
    """What is against an act.

    Attributes:
        kind: ``answer`` (the message is no clear answer to the open question), ``stance`` (it speaks against the act), ``amount``
            (it names another one) or ``probability`` (nothing but that is against it, so it may be offered).
        text: for a reader; no words of the message, for it may be sealed.
    """

    kind: Literal["answer", "stance", "amount", "probability"]
    text: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """The choice of one turn.

    Attributes:
        best: what the probabilities alone choose; ``probability`` is that of its intent.
        abstained: the fallback is said because nothing that is eligible is likely enough.
        objections: for each option why it is not eligible; None where it is.
        is_tried: an open question was not answered, though something else than its own words for that may be said: see ``_is_unclear``.
        asks: places of the options that the turn asks about: then ``chosen`` is the offer of the first.
        spoken: all that is said, where that is more than the chosen one: the offers of both.
        answer: how the message was read as an answer; None where no option answers a question.
        judge: who read the message. is_changed: the choice is another than the probabilities and the threshold alone give.
    """

    chosen: Option
    best: Option
    probability: float
    abstained: bool
    objections: tuple[Objection | None, ...]
    answer: AnswerMeaning | None
    judge: str
    is_changed: bool
    act_threshold: float
    why: str
    asks: tuple[int, ...] = ()
    spoken: tuple[Option, ...] = ()
    is_tried: bool = False

    @property
    def withheld(self) -> tuple[str, ...]:
        """The objections as texts; empty where there is none."""
        return tuple(one.text if one is not None else "" for one in self.objections)


def is_act(option: Option) -> bool:
    """Whether choosing the option by mistake would cost something."""
    return risk_of(option.effects) == "high"


def choose_option(
    options: Sequence[Option],
    probabilities: Sequence[float],
    *,
    fallback: str,
    threshold: float,
    evidence: Evidence,
    ruled: tuple[AnswerMeaning | None, tuple[str, ...]] | None = None,
    offers: Sequence[tuple[int, Option]] = (),
    may_pair: Callable[[Sequence[Option]], bool] = lambda offers: True,
    resort: Option | None = None,
) -> Ruling:
    """The option that is said, or the offers that are.

    Args:
        probabilities: of an engine, one per option. fallback: id of the catalog's fallback.
        threshold: the fallback is said where the best eligible option's intent is less probable.
        ruled: answer and reasons as another judge gave them, in place of what would be found now.
        offers: (place of an option, what asks whether it is meant). may_pair: whether two of them may be said in one turn.
        resort: chosen where no option may be; see ``Allowed``.

    Where a policy offers acts alone, the most probable one that the message does not speak against is said. Where it speaks against
    all of them, ``resort`` is, by the ruling over the options with it; without one that is an ApprovalError.
    """
    best, probability = likeliest(options, probabilities)
    rest = rest_of(options, fallback)
    reading = None if ruled else read_open_answer(options, evidence, probabilities)
    answer = ruled[0] if ruled else reading.meaning if reading is not None else None
    judge = reading.judge if reading is not None else JUDGE
    objections = _read(ruled[1], evidence) if ruled else _objections(options, probabilities, rest, answer, evidence)
    plain = rest if rest is not None and best is not rest and probability < threshold else best
    answers = [place for place, option in enumerate(options) if not objections[place] and _is_answered(option, answer, evidence)]
    answers = answers or _by_value(options, objections, answer, evidence)
    eligible = answers or [place for place, objection in enumerate(objections) if objection is None]
    asks = () if answers or not eligible else _asked(options, probabilities, objections, evidence, [place for place, _ in offers])
    if len(asks) > 1 and not may_pair([offer for place, offer in offers if place in asks]):
        asks = tuple(place for place in asks if options[place] is best and _is_unsure(objections[place]))
    if asks:
        asked, why = [offer for place, offer in offers if place in asks], _why_asked(options, probabilities, asks, evidence)
        return Ruling(asked[0], best, probability, False, objections, answer, judge, True, evidence.act_threshold, why, asks, tuple(asked))
    if rest is not None and not answers and _is_unsure(objections[options.index(best)]) and not is_act(best):
        eligible = [options.index(rest)]  # what is less likely than an option that is not likely enough is no better answer
    if not eligible:  # the policy closed the set (``only``): one of its acts is due, unless the message speaks against all of them
        eligible = [place for place, objection in enumerate(objections) if objection is not None and objection.kind == "probability"]
    if not eligible and resort is not None:
        return choose_option((*options, resort), (*probabilities, 0.0), fallback=fallback, threshold=threshold, evidence=evidence)
    if not eligible:
        raise ApprovalError(
            "nothing may be said: every option is an act that the message is no clear evidence for",
            hint="let the policy offer something without an effect of high risk beside it; the fallback, as a rule",
        )
    chosen, share = likeliest([options[place] for place in eligible], [probabilities[place] for place in eligible])
    why = f"{chosen.id} has {share:.0%}"
    if answers:
        why = f"the message is a clear {answer}" if answer in ("yes", "no") else _VALUES[chosen.value or "heard"]
    abstained = not answers and rest is not None and chosen is not rest and share < threshold
    if abstained and rest is not None:
        chosen, why = rest, f"{why}, less than the threshold {threshold:.0%}"
    is_tried = evidence.counts_tries and rest is not None and not answers and _is_unclear(chosen, share, rest)
    if is_tried and rest is not None and not is_missed(rest):
        chosen, abstained, why = rest, True, f"{why}, less than {ASIDE_THRESHOLD:.0%}, and no try is left"
    abstained = abstained or (chosen is rest and plain is rest and best is not rest)  # as the probabilities alone would have
    against = next(objection for option, objection in zip(options, objections, strict=True) if option is best)
    if against is not None and chosen is not best:
        why = f"{best.id} has {probability:.0%} and {'is an act' if is_act(best) else 'does something'}: {against.text}; {why}"
    changed = chosen is not plain
    return Ruling(chosen, best, probability, abstained, objections, answer, judge, changed, evidence.act_threshold, why, is_tried=is_tried)


def is_missed(rest: Option) -> bool:
    """Whether this is what a procedure says to a message that is no answer while tries are left: the question stays open."""
    running = rest.running or ()
    return rest.is_no_match and bool(running) and running[-1].events[-1].answer == MISSED


def _is_unclear(chosen: Option, share: float, rest: Option) -> bool:
    """Whether an interruption of an open question is said without clear evidence that it is meant: then a try is spent.

    Otherwise a message that means nothing would be answered by the nearest interruption on and on, and the question never ends.
    """
    is_aside = rest.is_no_match and rest.running is not None and chosen is not rest and chosen.running is None
    return is_aside and not chosen.effects and share < ASIDE_THRESHOLD


def _asked(
    options: Sequence[Option],
    probabilities: Sequence[float],
    objections: Sequence[Objection | None],
    evidence: Evidence,
    offered: Sequence[int],
) -> tuple[int, ...]:
    """Places, in their order, of the options that are asked about: of an act that is likely and not sure, or of two close candidates."""
    if not offered:
        return ()
    intents = [intent_of(option) for option in options]
    shares = intent_shares([option.id for option in options], intents, probabilities)
    by_likelihood = sorted(range(len(options)), key=lambda place: (-shares[intents[place]], -probabilities[place], place))
    likeliest_of: dict[str, int] = {}
    for place in by_likelihood:
        likeliest_of.setdefault(intents[place], place)
    ranked = list(likeliest_of.values())
    possible = [place for place in ranked[:2] if place in offered and (objections[place] is None or _is_unsure(objections[place]))]
    if not possible or possible[0] != ranked[0]:
        return ()
    first, share = possible[0], shares[intents[possible[0]]]
    if len(possible) > 1 and any(is_act(options[place]) for place in possible):
        other = shares[intents[possible[1]]]
        if other >= CLOSE_THRESHOLD and share - other <= CLOSE:
            return tuple(sorted(possible))
    return (first,) if _is_unsure(objections[first]) and share >= evidence.offer_threshold else ()


def _is_unsure(objection: Objection | None) -> bool:
    return objection is not None and objection.kind == "probability"


def _why_asked(options: Sequence[Option], probabilities: Sequence[float], asks: Sequence[int], evidence: Evidence) -> str:
    shares = intent_shares([one.id for one in options], [intent_of(one) for one in options], probabilities)
    told = " and ".join(f"{options[place].id} has {shares[intent_of(options[place])]:.0%}" for place in asks)
    if len(asks) > 1:
        return f"{told}: too close to tell apart, so both are offered"
    least = evidence.act_threshold if is_act(options[asks[0]]) else EFFECT_THRESHOLD
    return f"{told}: less than {least:.0%} and at least {evidence.offer_threshold:.0%}, so it is offered"


def read_open_answer(options: Sequence[Option], evidence: Evidence, probabilities: Sequence[float]) -> AnswerReading | None:
    """The message as the answer to the open question; None where no option answers one."""
    if not any(option.answer or evidence.agrees(option) for option in options):
        return None
    if evidence.is_spent:
        return AnswerReading("other")
    intents = [intent_of(option) for option in options]
    shares = intent_shares([option.id for option in options], intents, probabilities)
    is_affirming = [option.answer == "yes" or evidence.agrees(option) for option in options]
    affirming = [shares[intent] for intent, affirms in zip(intents, is_affirming, strict=True) if affirms]
    agreeing = [option for option in options if not option.answer and evidence.agrees(option)]
    return judge_answer(
        evidence.message,
        evidence.locale,
        evidence.question,
        evidence.values,
        evidence.judge,
        is_proposal=any(option.running is None for option in agreeing),
        awaits_done=any(option.running is not None for option in agreeing),
        agreement=max(affirming, default=0.0),
    )


def evidence_of(
    policy: Policy,
    memory: Memory,
    options: Sequence[Option],
    message: str,
    locale: str,
    act_threshold: float = ACT_THRESHOLD,
    judge: Callable[[], AnswerJudge | None] = lambda: None,
    *,
    is_spent: bool = False,
) -> Evidence:
    """What a turn gives to judge acts by. ``judge`` is called where an option is the answer to something."""
    if is_spent:
        return Evidence(message, locale, act_threshold=act_threshold, is_spent=True, is_free=not memory.running)
    position = policy.serving(memory).procedures.position(memory)
    asked = frozenset(
        (*(one for one, number in memory.said.items() if number == memory.number), *((position.response_id,) if position else ()))
    )
    plain = Evidence(message, locale, act_threshold=act_threshold, asked=asked, is_free=not memory.running)
    if any(option.answer for option in options) or (position is not None and any(map(plain.agrees, options))):
        return replace(plain, question=open_question(policy, memory, locale), values=open_values(policy, memory), judge=judge())
    agreed = next(filter(plain.agrees, options), None)
    if agreed is None:
        return plain
    response = policy.catalog.responses.get(next(one for one in agreed.agrees_to if one in asked))
    spoken = resolve_locale(response, locale, policy.catalog.locale) if response is not None else None
    question = f"{response.texts[spoken].source}\n{agreed.response.when}" if response is not None and spoken is not None else ""
    return replace(plain, question=question, values=tuple(agreed.slots.values()), judge=judge())


def open_question(policy: Policy, memory: Memory, locale: str) -> str:
    """The question at which a procedure waits, as it is said, and on a line of its own what it answers; empty where none waits.

    Values that cannot be said stay open slots.
    """
    position = policy.serving(memory).procedures.position(memory)
    response = policy.catalog.responses.get(position.response_id) if position is not None else None
    spoken = resolve_locale(response, locale, policy.catalog.locale) if response is not None else None
    if position is None or response is None or spoken is None:
        return ""
    try:
        text = render(response, position.slots, spoken)
    except SlotError:
        text = response.texts[spoken].source
    return f"{' '.join(text.split())}\n{response.when}"


def open_values(policy: Policy, memory: Memory) -> tuple[object, ...]:
    """The values that the open question shows; none where none is open."""
    position = policy.serving(memory).procedures.position(memory)
    return tuple(position.slots.values()) if position is not None else ()


def choose_late(options: Sequence[Option], fallback: str, said: Any) -> Option:
    """What is said when the time is over: nobody chose it, so it asks for a moment, or is the fallback, and never an act."""
    moment = next((option for option in options if MOMENT in option.response.tags and not option.effects), None)
    rest = moment or rest_of(options, fallback)
    if rest is not None and not is_act(rest):
        return rest
    harmless = [option for option in options if not option.effects]
    return most_salient(harmless or options, said)


def _read(reasons: Sequence[str], evidence: Evidence) -> tuple[Objection | None, ...]:
    """Objections as a record tells them: the text of the one kind that matters is known."""
    unsure = {one.text: one for one in map(_improbable, (evidence.act_threshold, EFFECT_THRESHOLD))}
    return tuple(unsure.get(text, Objection("stance", text)) if text else None for text in reasons)


def _improbable(least: float) -> Objection:
    return Objection("probability", f"less than {least:.0%}")


def _answers_denials(option: Option) -> bool:
    """Whether users who deny something are among those that the option answers ("I won't need it after all")."""
    stances = [stance_of(example, locale) for locale, examples in option.response.examples.items() for example in examples]
    return stances.count("negation") * FEW_DENIALS >= max(len(stances), 1)


def _is_answered(option: Option, answer: AnswerMeaning | None, evidence: Evidence) -> bool:
    """Whether the message is the answer that the option is."""
    return (answer in ("yes", "no") and option.answer == answer) or (answer == "yes" and not option.answer and evidence.agrees(option))


def _by_value(
    options: Sequence[Option], objections: Sequence[Objection | None], answer: AnswerMeaning | None, evidence: Evidence
) -> list[int]:
    """The options that the message answers or corrects by a value: before topics, unless it asks something or orders the machine.

    A long message that names another value may be about something else: then its meaning decides.
    """
    is_found = [bool(option.value) or _names_day(option, evidence) for option in options]
    found = [index for index, is_value in enumerate(is_found) if is_value and objections[index] is None]
    if not found or "?" in evidence.message or stance_of(evidence.message, evidence.locale) in ("question", "supposition", "instruction"):
        return []
    is_short = len(evidence.message.split()) <= CORRECTION_WORDS
    return [index for index in found if options[index].value == "heard" or (is_short and answer in ("other", "undecided", "not_now", None))]


def _names_day(option: Option, evidence: Evidence) -> bool:
    """Whether an answer to the open question is about the day that the message names, where the question proposes another one."""
    days = [value for value in option.slots.values() if isinstance(value, dt.date) and value not in evidence.values]
    is_proposed = any(isinstance(value, dt.date) for value in evidence.values)
    if not days or not is_proposed or option.answer or option.running is None or option.is_no_match or is_act(option):
        return False
    marked = mark_values(evidence.followed, "", tuple(option.slots.values()), evidence.locale)
    return SAME in marked.text.split() and OTHER not in marked.text.split() and not marked.has_other


def _objections(
    options: Sequence[Option], probabilities: Sequence[float], rest: Option | None, answer: AnswerMeaning | None, evidence: Evidence
) -> tuple[Objection | None, ...]:
    intents = [intent_of(option) for option in options]
    shares = intent_shares([option.id for option in options], intents, probabilities)
    is_undecided = answer in ("undecided", "conditional") and evidence.followed == evidence.message

    def found(option: Option, share: float) -> Objection | None:
        if option is rest:
            return None
        if is_act(option):
            return _objection(option, share, answer, evidence)
        if option.answer and is_undecided:
            return Objection("answer", "the message is neither yes nor no")
        return _plain_objection(option, share, answer, evidence, is_closed=rest is None)

    return tuple(found(option, shares[intent]) for option, intent in zip(options, intents, strict=True))


def _plain_objection(
    option: Option, share: float, answer: AnswerMeaning | None, evidence: Evidence, *, is_closed: bool
) -> Objection | None:
    """Why an option that is no act is not said; None where it may be, and always where the policy closed the set or it is an answer.

    A denied wish begins no procedure and has no effect, unless denials are what the option answers. An effect needs EFFECT_THRESHOLD;
    a procedure that begins asks further.
    """
    is_begun = bool(evidence.is_free and option.running)
    if is_closed or option.answer or option.value or not (option.effects or is_begun) or _is_answered(option, answer, evidence):
        return None
    if denies_wish(evidence.followed, evidence.locale) and not _answers_denials(option):
        return Objection("stance", _AGAINST["negation"])
    return _improbable(EFFECT_THRESHOLD) if not is_begun and share < EFFECT_THRESHOLD else None


def _objection(option: Option, share: float, answer: AnswerMeaning | None, evidence: Evidence) -> Objection | None:
    """Why the message is not enough for an act; None where it is."""
    if (option.answer == "yes" or option.agrees_to) and leads_with_no(evidence.followed, evidence.locale):
        return Objection("answer", "the message begins with a no")
    if not option.answer and answer in ("yes", "no") and evidence.agrees(option):
        return None if answer == "yes" else Objection("answer", "the message is a clear no")
    stance = "" if option.answer and option.answer == answer else stance_of(evidence.followed, evidence.locale)
    is_refusal = option.answer == "no" and stance == "negation"
    if option.answer and not is_refusal:
        return None if option.answer == answer else Objection("answer", f"the message is no clear {option.answer}")
    against = "" if is_refusal else _AGAINST.get(stance, "")
    if against:
        return Objection("stance", against)
    if not is_refusal and _is_other_amount(option, evidence):
        return Objection("amount", "the message names another amount")
    return _improbable(evidence.act_threshold) if share < evidence.act_threshold else None


def _is_other_amount(option: Option, evidence: Evidence) -> bool:
    """Whether the message names another price than the option is about; a bid above it is none."""
    slots = option.response.slots
    own = {Decimal(str(value)) for name, value in option.slots.items() if name in slots and slots[name].kind in _NUMBERS}
    other = prices_in(evidence.followed, evidence.locale) - own if own else ()
    return any(price < max(own) or not is_bid(evidence.followed, evidence.locale) for price in other)
