"""The choice among the options of a turn by an engine's probabilities, where an act needs more than the best of them.

An act is an option with an effect of high risk. It is eligible only where the message is clear evidence for it: the yes to an open
question by a clear yes, any other by a probability above a threshold of its own, and never where the message speaks against it
or names another amount. The rest is a pure function of the message, the locale, the open question and the probabilities, so a
record replays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from constrained.catalog.render import resolve_locale
from constrained.errors import ApprovalError
from constrained.logic.allow import intent_of, intent_shares, likeliest, most_salient, rest_of
from constrained.logic.effects import risk_of
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.understanding.answers import JUDGE, AnswerMeaning, read_answer
from constrained.understanding.stance import is_bid, prices_in, stance_of

ACT_THRESHOLD = 0.65  # of the acts that the default model chose on the golden dialogues, all 27 right ones have more; see docs/decisions.md
MOMENT = "moment"  # tag of a response that asks for a moment: said when the time is over
_UNSURE = "less than "  # how the reason begins where nothing but the probability is against an act
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
        message: cleaned. locale: BCP 47. question: the text of the open question; empty where none is open.
        act_threshold: the least probability of an act that answers no question.
    """

    message: str
    locale: str
    question: str = ""
    act_threshold: float = ACT_THRESHOLD


@dataclass(frozen=True, slots=True)
class Ruling:
    """The choice of one turn.

    Attributes:
        best: what the probabilities alone choose; ``probability`` is that of its intent.
        abstained: the fallback is said because nothing that is eligible is likely enough.
        withheld: for each option why it is not eligible; empty where it is.
        answer: how the message was read as an answer; None where no option answers a question.
        judge: who read the message. is_changed: the choice is another than the probabilities and the threshold alone give.
    """

    chosen: Option
    best: Option
    probability: float
    abstained: bool
    withheld: tuple[str, ...]
    answer: AnswerMeaning | None
    judge: str
    is_changed: bool
    act_threshold: float
    why: str


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
    resort: Option | None = None,
) -> Ruling:
    """The option that is said.

    Args:
        probabilities: of an engine, one per option. fallback: id of the catalog's fallback.
        threshold: the fallback is said where the best eligible option's intent is less probable.
        ruled: answer and reasons as another judge gave them, in place of what would be found now.
        resort: chosen where no option may be; see ``Allowed``.

    Where a policy offers acts alone, the most probable one that the message does not speak against is said. Where it speaks against
    all of them, ``resort`` is, by the ruling over the options with it; without one that is an ApprovalError.
    """
    best, probability = likeliest(options, probabilities)
    rest = rest_of(options, fallback)
    answer = ruled[0] if ruled else read_open_answer(options, evidence)
    withheld = ruled[1] if ruled else _reasons(options, probabilities, rest, answer, evidence)
    plain = rest if rest is not None and best is not rest and probability < threshold else best
    answers = [index for index, option in enumerate(options) if answer in ("yes", "no") and option.answer == answer and not withheld[index]]
    eligible = answers or [index for index, reason in enumerate(withheld) if not reason]
    if not eligible:  # the policy closed the set (``only``): one of its acts is due, unless the message speaks against all of them
        eligible = [index for index, reason in enumerate(withheld) if reason.startswith(_UNSURE)]
    if not eligible and resort is not None:
        return choose_option((*options, resort), (*probabilities, 0.0), fallback=fallback, threshold=threshold, evidence=evidence)
    if not eligible:
        raise ApprovalError(
            "nothing may be said: every option is an act that the message is no clear evidence for",
            hint="let the policy offer something without an effect of high risk beside it; the fallback, as a rule",
        )
    chosen, share = likeliest([options[index] for index in eligible], [probabilities[index] for index in eligible])
    why = f"the message is a clear {answer}" if answers else f"{chosen.id} has {share:.0%}"
    abstained = not answers and rest is not None and chosen is not rest and share < threshold
    if abstained and rest is not None:
        chosen, why = rest, f"{why}, less than the threshold {threshold:.0%}"
    abstained = abstained or (chosen is rest and plain is rest and best is not rest)  # as the probabilities alone would have
    place = next(index for index, option in enumerate(options) if option is best)
    if withheld[place] and chosen is not best:
        why = f"{best.id} has {probability:.0%} and is an act: {withheld[place]}; {why}"
    return Ruling(chosen, best, probability, abstained, withheld, answer, JUDGE, chosen is not plain, evidence.act_threshold, why)


def read_open_answer(options: Sequence[Option], evidence: Evidence) -> AnswerMeaning | None:
    """The message as the answer to the open question; None where no option answers one."""
    if not any(option.answer for option in options):
        return None
    return read_answer(evidence.message, evidence.locale, evidence.question)


def open_question(policy: Policy, memory: Memory, locale: str) -> str:
    """The text, with its slots open, of the question at which a procedure waits; empty where none does."""
    position = policy.serving(memory).procedures.position(memory)
    response = policy.catalog.responses.get(position.response_id) if position is not None else None
    if response is None:
        return ""
    spoken = resolve_locale(response, locale, policy.catalog.locale)
    return response.texts[spoken].source if spoken is not None else ""


def choose_late(options: Sequence[Option], fallback: str, said: Any) -> Option:
    """What is said when the time is over: nobody chose it, so it asks for a moment, or is the fallback, and never an act."""
    moment = next((option for option in options if MOMENT in option.response.tags and not option.effects), None)
    rest = moment or rest_of(options, fallback)
    if rest is not None and not is_act(rest):
        return rest
    harmless = [option for option in options if not option.effects]
    return most_salient(harmless or options, said)


def _reasons(
    options: Sequence[Option], probabilities: Sequence[float], rest: Option | None, answer: AnswerMeaning | None, evidence: Evidence
) -> tuple[str, ...]:
    intents = [intent_of(option) for option in options]
    shares = intent_shares([option.id for option in options], intents, probabilities)
    return tuple(
        "" if option is rest or not is_act(option) else _why_not(option, shares[intent], answer, evidence)
        for option, intent in zip(options, intents, strict=True)
    )


def _why_not(option: Option, share: float, answer: AnswerMeaning | None, evidence: Evidence) -> str:
    """Why the message is not enough for an act; empty where it is. No words of the message: it may be sealed."""
    stance = "" if option.answer and option.answer == answer else stance_of(evidence.message, evidence.locale)
    is_refusal = option.answer == "no" and stance == "negation"
    if option.answer and not is_refusal:
        return "" if option.answer == answer else f"the message is no clear {option.answer}"
    against = "" if is_refusal else _AGAINST.get(stance, "")
    if not against and not is_refusal and _is_other_amount(option, evidence):
        against = "the message names another amount"
    return against or (f"{_UNSURE}{evidence.act_threshold:.0%}" if share < evidence.act_threshold else "")


def _is_other_amount(option: Option, evidence: Evidence) -> bool:
    """Whether the message names another price than the option is about; a bid above it is none."""
    slots = option.response.slots
    own = {Decimal(str(value)) for name, value in option.slots.items() if name in slots and slots[name].kind in _NUMBERS}
    other = prices_in(evidence.message, evidence.locale) - own if own else ()
    return any(price < max(own) or not is_bid(evidence.message, evidence.locale) for price in other)
