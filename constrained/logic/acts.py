"""The choice among the options of a turn by an engine's probabilities, where an act needs more than the best of them.

An act is an option with an effect of high risk. It is eligible only where the message is clear evidence for it: the yes to an open
question by a clear yes, any other by a probability above a threshold of its own, and never where the message speaks against it
or names another amount. The rest is a pure function of the message, the locale, the open question and the probabilities, so a
record replays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from constrained.catalog.render import render, resolve_locale
from constrained.errors import ApprovalError, SlotError
from constrained.logic.allow import intent_of, intent_shares, likeliest, most_salient, rest_of
from constrained.logic.effects import risk_of
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.understanding.answers import JUDGE, AnswerJudge, AnswerMeaning, AnswerReading, judge_answer
from constrained.understanding.corrections import follow_corrections
from constrained.understanding.stance import is_bid, prices_in, stance_of

ACT_THRESHOLD = 0.65  # of the acts that the default model chose on the golden dialogues, all 27 right ones have more; see docs/decisions.md
CORRECTION_WORDS = 10  # a message with more words that names another value may be about something else
_VALUES = {"heard": "the value that was asked for was heard", "corrected": "the message names another value"}
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
        message: cleaned. locale: BCP 47. question: the open question as it was said; empty where none is open.
        act_threshold: the least probability of an act that answers no question.
        values: those that the question shows. judge: of answers that the phrases leave open; None where there is none.
        asked: ids of what was said last, and of the step that waits: what an option may agree to.
    """

    message: str
    locale: str
    question: str = ""
    act_threshold: float = ACT_THRESHOLD
    values: tuple[object, ...] = ()
    judge: AnswerJudge | None = None
    asked: frozenset[str] = frozenset()

    @property
    def followed(self) -> str:
        """The message as it stands after its own corrections."""
        return follow_corrections(self.message, self.locale)

    def agrees(self, option: Option) -> bool:
        """Whether a yes to what was asked chooses the option."""
        return not self.asked.isdisjoint(option.agrees_to)


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
) -> Ruling:
    """The option that is said.

    Args:
        probabilities: of an engine, one per option. fallback: id of the catalog's fallback.
        threshold: the fallback is said where the best eligible option's intent is less probable.
        ruled: answer and reasons as another judge gave them, in place of what would be found now.

    Where a policy offers acts alone, the most probable one that the message does not speak against is said. Raises ApprovalError
    where it speaks against all of them.
    """
    best, probability = likeliest(options, probabilities)
    rest = rest_of(options, fallback)
    reading = None if ruled else read_open_answer(options, evidence)
    answer = ruled[0] if ruled else reading.meaning if reading is not None else None
    withheld = ruled[1] if ruled else _reasons(options, probabilities, rest, answer, evidence)
    plain = rest if rest is not None and best is not rest and probability < threshold else best
    answers = [index for index, option in enumerate(options) if not withheld[index] and _is_answered(option, answer, evidence)]
    answers = answers or _by_value(options, withheld, answer, evidence)
    eligible = answers or [index for index, reason in enumerate(withheld) if not reason]
    if not eligible:  # the policy closed the set (``only``): one of its acts is due, unless the message speaks against all of them
        eligible = [index for index, reason in enumerate(withheld) if reason.startswith(_UNSURE)]
    if not eligible:
        raise ApprovalError(
            "nothing may be said: every option is an act that the message is no clear evidence for",
            hint="let the policy offer something without an effect of high risk beside it; the fallback, as a rule",
        )
    chosen, share = likeliest([options[index] for index in eligible], [probabilities[index] for index in eligible])
    why = f"{chosen.id} has {share:.0%}"
    if answers:
        why = _VALUES[chosen.value] if chosen.value and answer != "yes" else f"the message is a clear {answer}"
    abstained = not answers and rest is not None and chosen is not rest and share < threshold
    if abstained and rest is not None:
        chosen, why = rest, f"{why}, less than the threshold {threshold:.0%}"
    abstained = abstained or (chosen is rest and plain is rest and best is not rest)  # as the probabilities alone would have
    place = next(index for index, option in enumerate(options) if option is best)
    if withheld[place] and chosen is not best:
        why = f"{best.id} has {probability:.0%} and is an act: {withheld[place]}; {why}"
    judge = reading.judge if reading is not None else JUDGE
    return Ruling(chosen, best, probability, abstained, withheld, answer, judge, chosen is not plain, evidence.act_threshold, why)


def read_open_answer(options: Sequence[Option], evidence: Evidence) -> AnswerReading | None:
    """The message as the answer to the open question; None where no option answers one."""
    if not any(option.answer or evidence.agrees(option) for option in options):
        return None
    agreeing = [option for option in options if not option.answer and evidence.agrees(option)]
    return judge_answer(
        evidence.message,
        evidence.locale,
        evidence.question,
        evidence.values,
        evidence.judge,
        is_proposal=any(option.running is None for option in agreeing),
        awaits_done=any(option.running is not None for option in agreeing),
    )


def evidence_of(
    policy: Policy,
    memory: Memory,
    options: Sequence[Option],
    message: str,
    locale: str,
    act_threshold: float = ACT_THRESHOLD,
    judge: Callable[[], AnswerJudge | None] = lambda: None,
) -> Evidence:
    """What a turn gives to judge acts by. ``judge`` is called where an option is the answer to something."""
    position = policy.serving(memory).procedures.position(memory)
    asked = frozenset(
        (*(one for one, number in memory.said.items() if number == memory.number), *((position.response_id,) if position else ()))
    )
    plain = Evidence(message, locale, act_threshold=act_threshold, asked=asked)
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


def _is_answered(option: Option, answer: AnswerMeaning | None, evidence: Evidence) -> bool:
    """Whether the message is the answer that the option is."""
    return (answer in ("yes", "no") and option.answer == answer) or (answer == "yes" and not option.answer and evidence.agrees(option))


def _by_value(options: Sequence[Option], withheld: Sequence[str], answer: AnswerMeaning | None, evidence: Evidence) -> list[int]:
    """The options that the message answers or corrects by a value: before topics, unless it asks something or orders the machine.

    A long message that names another value may be about something else: then its meaning decides.
    """
    found = [index for index, option in enumerate(options) if option.value and not withheld[index]]
    if not found or "?" in evidence.message or stance_of(evidence.message, evidence.locale) in ("question", "supposition", "instruction"):
        return []
    is_short = len(evidence.message.split()) <= CORRECTION_WORDS
    return [index for index in found if options[index].value == "heard" or (is_short and answer in ("other", "not_now", None))]


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
    if not option.answer and answer in ("yes", "no") and evidence.agrees(option):
        return "" if answer == "yes" else "the message is a clear no"
    stance = "" if option.answer and option.answer == answer else stance_of(evidence.followed, evidence.locale)
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
    other = prices_in(evidence.followed, evidence.locale) - own if own else ()
    return any(price < max(own) or not is_bid(evidence.followed, evidence.locale) for price in other)
