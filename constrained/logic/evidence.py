"""What a message gives to judge an act by: the open question and its values, and how the message answers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from constrained.catalog.render import render, render_each, resolve_locale
from constrained.catalog.response import Response
from constrained.errors import SlotError
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.logic.variants import said_last
from constrained.procedures.policy_procedures import ProcedurePosition
from constrained.procedures.run import MISSED
from constrained.understanding.answers import AnswerJudge, AnswerMeaning, AnswerReading, judge_answer
from constrained.understanding.corrections import follow_corrections

ACT_THRESHOLD = 0.75  # on golden and dev messages no right act of the small engine has between 0.65 and it; see docs/decisions.md
EFFECT_THRESHOLD = 0.5  # of an option with an effect of low risk: it is said where it has more than all else together
OFFER_THRESHOLD = 0.35  # an act that is less probable is not even offered; just above what abstains by default


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
        is_overtaken: something else was said since the open question was. is_other_act: what is true changed since, so that a yes would
            do something else than when it was asked. Records before these were known are replayed without them.
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
    is_overtaken: bool = False
    is_other_act: bool = False

    @property
    def followed(self) -> str:
        """The message as it stands after its own corrections."""
        return follow_corrections(self.message, self.locale)

    def agrees(self, option: Option) -> bool:
        """Whether a yes to what was asked chooses the option."""
        return not self.is_spent and not self.asked.isdisjoint(option.agrees_to)


def is_answered(option: Option, answer: AnswerMeaning | None, evidence: Evidence) -> bool:
    """Whether the message is the answer that the option is."""
    return (answer in ("yes", "no") and option.answer == answer) or (answer == "yes" and not option.answer and evidence.agrees(option))


def read_open_answer(options: Sequence[Option], evidence: Evidence, shares: Sequence[float]) -> AnswerReading | None:
    """The message as the answer to the open question; None where no option answers one. ``shares``: [option] of its intent."""
    if not any(option.answer or evidence.agrees(option) for option in options):
        return None
    if evidence.is_spent:
        return AnswerReading("other")
    affirming = [share for option, share in zip(options, shares, strict=True) if option.answer == "yes" or evidence.agrees(option)]
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
    as_kept: Callable[[str], str] = str,
) -> Evidence:
    """What a turn gives to judge acts by.

    Args:
        judge: called where an option is the answer to something. as_kept: a reply as the memory holds it, where it is masked there.
    """
    if is_spent:
        return Evidence(message, locale, act_threshold=act_threshold, is_spent=True, is_free=not memory.running)
    position = policy.serving(memory).procedures.position(memory)
    asked = frozenset(
        (*(one for one, number in memory.said.items() if number == memory.number), *((position.response_id,) if position else ()))
    )
    plain = Evidence(message, locale, act_threshold=act_threshold, asked=asked, is_free=not memory.running)
    if any(option.answer for option in options) or (position is not None and any(map(plain.agrees, options))):
        put = (position.response_id, position.again) if position is not None else ()
        is_overtaken = all(memory.said.get(one) != memory.number for one in put)
        question = _open_question(policy, position, locale, memory)
        values = tuple(position.slots.values()) if position is not None else ()
        is_other_act = any(_is_other_act(policy, memory, option) for option in options if option.answer == "yes")
        told = replace(plain, question=question, values=values, judge=judge())
        return replace(told, is_overtaken=is_overtaken, is_other_act=is_other_act)
    agreed = next(filter(plain.agrees, options), None)
    if agreed is None:
        return plain
    response = policy.catalog.responses.get(next(one for one in agreed.agrees_to if one in asked))
    spoken = resolve_locale(response, locale, policy.catalog.locale) if response is not None else None
    question = ""
    if response is not None and spoken is not None:
        asked_last = response.texts[spoken].each[said_last(memory, response, spoken)]
        question = f"{asked_last.source}\n{agreed.response.when}"
    told = replace(plain, question=question, values=tuple(agreed.slots.values()), judge=judge())
    now = _as_said_now(response, agreed, options, spoken) if response is not None and spoken is not None and memory.history else ()
    return replace(told, is_other_act=bool(now) and not any(as_kept(text) in memory.history[-1][1] for text in now))


def _as_said_now(response: Response, agreed: Option, options: Sequence[Option], locale: str) -> tuple[str, ...]:
    """What a yes would agree to, as it would be said now: with the values of the act, else as it is offered, if it is.

    Nothing of a response without slots: it says the same at any time.
    """
    slots = {name: agreed.slots[name] for name in response.slots if name in agreed.slots}
    if not response.slots:
        return ()
    if len(slots) == len(response.slots):
        with suppress(SlotError):  # a slot of that name is of another type there
            return render_each(response, slots, locale)
    return tuple(text for one in options if one.id == response.id for text in render_each(response, one.slots, one.locale))


def _is_other_act(policy: Policy, memory: Memory, option: Option) -> bool:
    """Whether the yes to the open question does something else now than it would have done when the question was put."""
    if not option.effects or not memory.running:
        return False
    depth, events = len(memory.running) - 1, memory.running[-1].events
    grown = option.running[depth].events[-1:] if option.running and len(option.running) > depth else None
    put = max((place for place, event in enumerate(events) if event.answer != MISSED), default=0)
    if grown is not None and all(event.state == "{}" for event in (*events[put + 1 :], *grown)):
        return False  # nothing changed
    return policy.serving(memory).procedures.agreed_effects(memory) != tuple(map(str, option.effects))


def _open_question(policy: Policy, position: ProcedurePosition | None, locale: str, memory: Memory) -> str:
    """The question at which a procedure waits, as it is said, and on a line of its own what it answers; empty where none waits.

    Values that cannot be said stay open slots.
    """
    response = policy.catalog.responses.get(position.response_id) if position is not None else None
    spoken = resolve_locale(response, locale, policy.catalog.locale) if response is not None else None
    if position is None or response is None or spoken is None:
        return ""
    variant = said_last(memory, response, spoken)
    try:
        text = render(response, position.slots, spoken, variant)
    except SlotError:
        text = response.texts[spoken].each[variant].source
    return f"{' '.join(text.split())}\n{response.when}"
