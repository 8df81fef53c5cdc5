"""What speaks against an option in a message: it denies or only asks, names another amount, is no clear answer, or is not likely enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from constrained.catalog.response import Response
from constrained.logic.effects import risk_of
from constrained.logic.evidence import EFFECT_THRESHOLD, Evidence, is_answered
from constrained.logic.options import Option
from constrained.understanding.answers import AnswerMeaning, leads_with_no, names_act
from constrained.understanding.denied_wishes import denies_wish
from constrained.understanding.stance import is_bid, prices_in, stance_of

FEW_DENIALS = 5  # one example in as many that denies something makes an option one that answers denials
_NUMBERS = frozenset(("integer", "decimal", "money"))
OVERTAKEN = "something else was said since the question was put, and the message does not name the act"
OTHER_ACT = "what is true changed since the question was put, and the act would be another one"
_AGAINST = {
    "negation": "the message speaks against it",
    "question": "the message only asks about it",
    "supposition": "the message only supposes it",
    "instruction": "the message instructs the machine",
    "report": "the message tells of somebody else, or of what was",
}


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


def is_act(option: Option) -> bool:
    """Whether choosing the option by mistake would cost something."""
    return risk_of(option.effects) == "high"


def read_objections(reasons: Sequence[str], evidence: Evidence) -> tuple[Objection | None, ...]:
    """Objections as a record tells them: the text of the one kind that matters is known."""
    unsure = {one.text: one for one in map(_improbable, (evidence.act_threshold, EFFECT_THRESHOLD))}
    return tuple(unsure.get(text, Objection("stance", text)) if text else None for text in reasons)


def _improbable(least: float) -> Objection:
    return Objection("probability", f"less than {least:.0%}")


@lru_cache(maxsize=1024)
def _answers_denials(response: Response) -> bool:
    """Whether users who deny something are among those that the response answers ("I won't need it after all")."""
    stances = [stance_of(example, locale) for locale, examples in response.examples.items() for example in examples]
    return stances.count("negation") * FEW_DENIALS >= max(len(stances), 1)


def find_objections(
    options: Sequence[Option], shares: Sequence[float], rest: Option | None, answer: AnswerMeaning | None, evidence: Evidence
) -> tuple[Objection | None, ...]:
    """[option] what is against it; None where it may be chosen, and always for ``rest``. ``shares``: [option] of its intent."""
    is_undecided = answer in ("undecided", "conditional") and evidence.followed == evidence.message

    def found(option: Option, share: float) -> Objection | None:
        if option is rest:
            return None
        if is_act(option):
            return _objection(option, share, answer, evidence)
        if option.answer and is_undecided:
            return Objection("answer", "the message is neither yes nor no")
        return _plain_objection(option, share, answer, evidence, is_closed=rest is None)

    return tuple(map(found, options, shares))


def _plain_objection(
    option: Option, share: float, answer: AnswerMeaning | None, evidence: Evidence, *, is_closed: bool
) -> Objection | None:
    """Why an option that is no act is not said; None where it may be, and always where the policy closed the set or it is an answer.

    A denied wish begins no procedure and has no effect, unless denials are what the option answers. An effect needs EFFECT_THRESHOLD;
    a procedure that begins asks further.
    """
    is_begun = bool(evidence.is_free and option.running)
    if is_closed or option.answer or option.value or not (option.effects or is_begun) or is_answered(option, answer, evidence):
        return None
    if denies_wish(evidence.followed, evidence.locale) and not _answers_denials(option.response):
        return Objection("stance", _AGAINST["negation"])
    return _improbable(EFFECT_THRESHOLD) if not is_begun and share < EFFECT_THRESHOLD else None


def _objection(option: Option, share: float, answer: AnswerMeaning | None, evidence: Evidence) -> Objection | None:
    """Why the message is not enough for an act; None where it is."""
    if (option.answer == "yes" or option.agrees_to) and leads_with_no(evidence.followed, evidence.locale):
        return Objection("answer", "the message begins with a no")
    if not option.answer and answer in ("yes", "no") and evidence.agrees(option):
        if answer == "no":
            return Objection("answer", "the message is a clear no")
        return Objection("answer", OTHER_ACT) if evidence.is_other_act else None
    stance = "" if option.answer and option.answer == answer else stance_of(evidence.followed, evidence.locale)
    is_refusal = option.answer == "no" and stance == "negation"
    if option.answer and not is_refusal:
        if option.answer != answer:
            return Objection("answer", f"the message is no clear {option.answer}")
        if evidence.is_other_act and answer == "yes":
            return Objection("answer", OTHER_ACT)
        is_bare = evidence.is_overtaken and answer == "yes" and not names_act(evidence.followed, evidence.locale, evidence.question)
        return Objection("answer", OVERTAKEN) if is_bare else None
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
