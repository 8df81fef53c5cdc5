"""The choice among the options of a turn by an engine's probabilities, where an act needs more than the best of them.

An act is an option with an effect of high risk. It is eligible only where the message is clear evidence for it: the yes to an open
question by a clear yes, any other by a probability above a threshold of its own, and never where the message speaks against it
or names another amount. The rest is a pure function of the message, the locale, the open question and the probabilities, so a
record replays.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from constrained.errors import ApprovalError
from constrained.logic.allow import intent_of, likeliest, most_salient, option_shares, rest_of
from constrained.logic.evidence import EFFECT_THRESHOLD, Evidence, is_answered, read_open_answer
from constrained.logic.objections import Objection, find_objections, is_act, read_objections
from constrained.logic.options import Option
from constrained.procedures.run import MISSED
from constrained.understanding.answer_values import OTHER, SAME, mark_values
from constrained.understanding.answers import JUDGE, AnswerMeaning
from constrained.understanding.stance import stance_of

CLOSE = 0.1  # of two candidates: both are offered
CLOSE_THRESHOLD = 0.25  # of the second of two close ones: together they have half of all
ASIDE_THRESHOLD = 0.5  # what interrupts an open question is meant for sure only where it has more than all else together
CORRECTION_WORDS = 10  # a message with more words that names another value may be about something else
_VALUES = {"heard": "the value that was asked for was heard", "corrected": "the message names another value"}
MOMENT = "moment"  # tag of a response that asks for a moment: said when the time is over


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
    rest, shares = rest_of(options, fallback), option_shares(options, probabilities)
    reading = None if ruled else read_open_answer(options, evidence, shares)
    answer = ruled[0] if ruled else reading.meaning if reading is not None else None
    objections = read_objections(ruled[1], evidence) if ruled else find_objections(options, shares, rest, answer, evidence)
    ruling = partial(
        Ruling, best=best, probability=probability, objections=objections, answer=answer, act_threshold=evidence.act_threshold,
        judge=reading.judge if reading is not None else JUDGE,
    )  # fmt: skip
    answers = [place for place, option in enumerate(options) if not objections[place] and is_answered(option, answer, evidence)]
    answers = answers or _by_value(options, objections, answer, evidence)
    eligible = answers or [place for place, objection in enumerate(objections) if objection is None]
    if evidence.is_overtaken or evidence.is_other_act:  # a yes that may not act is no "no"
        eligible = [place for place in eligible if not (answer == "yes" and options[place].answer == "no")]
    asks = () if answers or not eligible else _asked(options, probabilities, shares, objections, evidence, dict(offers), may_pair)
    if asks:
        asked, why = tuple(offer for place, offer in offers if place in asks), _why_asked(options, shares, asks, evidence)
        return ruling(asked[0], abstained=False, is_changed=True, why=why, asks=asks, spoken=asked)
    if rest is not None and not answers and not is_act(best) and _is_unsure(objections[options.index(best)]):
        eligible = [options.index(rest)]  # what is less likely than an option that is not likely enough is no better answer
    if not eligible:  # the policy closed the set (``only``): one of its acts is due, unless the message speaks against all of them
        eligible = [place for place, objection in enumerate(objections) if _is_unsure(objection)]
    if not eligible and resort is not None:
        return choose_option((*options, resort), (*probabilities, 0.0), fallback=fallback, threshold=threshold, evidence=evidence)
    if not eligible:
        raise ApprovalError(
            "nothing may be said: every option is an act that the message is no clear evidence for",
            hint="let the policy offer something without an effect of high risk beside it; the fallback, as a rule",
        )
    chosen, share = likeliest([options[place] for place in eligible], [probabilities[place] for place in eligible])
    why = _why_answered(chosen, answer) if answers else f"{chosen.id} has {share:.0%}"
    chosen, reason, is_tried = (chosen, "", False) if answers else _sure_enough(chosen, share, rest, threshold, evidence)
    plain = rest if rest is not None and best is not rest and probability < threshold else best
    abstained = bool(reason) or (chosen is rest and plain is rest and best is not rest)  # as the probabilities alone would have
    against = objections[next(place for place, option in enumerate(options) if option is best)]
    told = _why_not_best(best, probability, against) if against is not None and chosen is not best else ""
    return ruling(chosen, abstained=abstained, is_changed=chosen is not plain, why=told + why + reason, is_tried=is_tried)


def _why_not_best(best: Option, probability: float, against: Objection) -> str:
    return f"{best.id} has {probability:.0%} and {'is an act' if is_act(best) else 'does something'}: {against.text}; "


def _why_answered(chosen: Option, answer: AnswerMeaning | None) -> str:
    return f"the message is a clear {answer}" if answer in ("yes", "no") else _VALUES[chosen.value or "heard"]


def _sure_enough(chosen: Option, share: float, rest: Option | None, threshold: float, evidence: Evidence) -> tuple[Option, str, bool]:
    """The chosen option, or ``rest`` and the reason where it is not likely enough; and whether an open question spends a try."""
    if rest is None or chosen is rest:
        return chosen, "", False
    if share < threshold:
        return rest, f", less than the threshold {threshold:.0%}", False
    is_tried = evidence.counts_tries and _is_unclear(chosen, share, rest)
    if is_tried and not is_missed(rest):
        return rest, f", less than {ASIDE_THRESHOLD:.0%}, and no try is left", True
    return chosen, "", is_tried


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
    shares: Sequence[float],
    objections: Sequence[Objection | None],
    evidence: Evidence,
    offers: Mapping[int, Option],
    may_pair: Callable[[Sequence[Option]], bool],
) -> tuple[int, ...]:
    """Places, in their order, of the options that are asked about: of an act that is likely and not sure, or of two close candidates."""
    if not offers:
        return ()
    likeliest_of: dict[str, int] = {}
    for place in sorted(range(len(options)), key=lambda place: (-shares[place], -probabilities[place], place)):
        likeliest_of.setdefault(intent_of(options[place]), place)
    first, *others = likeliest_of.values()
    if not _may_be_asked(first, objections, offers):
        return ()
    second = next((place for place in others[:1] if _may_be_asked(place, objections, offers)), None)
    if second is not None and (is_act(options[first]) or is_act(options[second])):
        both = tuple(sorted((first, second)))
        is_close = shares[second] >= CLOSE_THRESHOLD and shares[first] - shares[second] <= CLOSE
        if is_close and may_pair([offers[place] for place in both]):
            return both
    return (first,) if _is_unsure(objections[first]) and shares[first] >= evidence.offer_threshold else ()


def _may_be_asked(place: int, objections: Sequence[Objection | None], offers: Mapping[int, Option]) -> bool:
    return place in offers and (objections[place] is None or _is_unsure(objections[place]))


def _is_unsure(objection: Objection | None) -> bool:
    return objection is not None and objection.kind == "probability"


def _why_asked(options: Sequence[Option], shares: Sequence[float], asks: Sequence[int], evidence: Evidence) -> str:
    told = " and ".join(f"{options[place].id} has {shares[place]:.0%}" for place in asks)
    if len(asks) > 1:
        return f"{told}: too close to tell apart, so both are offered"
    least = evidence.act_threshold if is_act(options[asks[0]]) else EFFECT_THRESHOLD
    return f"{told}: less than {least:.0%} and at least {evidence.offer_threshold:.0%}, so it is offered"


def choose_late(options: Sequence[Option], fallback: str, said: Any) -> Option:
    """What is said when the time is over: nobody chose it, so it asks for a moment, or is the fallback, and never an act."""
    moment = next((option for option in options if MOMENT in option.response.tags and not option.effects), None)
    rest = moment or rest_of(options, fallback)
    if rest is not None and not is_act(rest):
        return rest
    harmless = [option for option in options if not option.effects]
    return most_salient(harmless or options, said)


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
