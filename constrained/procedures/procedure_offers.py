"""What a policy and its procedures put forward in one turn: the next words of each, as offers.

A policy that starts no procedure is the case of one step: its offers are what it yields, and nothing runs after them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from constrained.catalog.response import Source
from constrained.logic.memory import Event, Frame, Memory
from constrained.logic.options import Offer, Way
from constrained.logic.state import State
from constrained.procedures.procedure_run import (
    BEGAN,
    DONE,
    FAILED,
    GAVE_UP,
    HEARD,
    MISSED,
    PICKED,
    Body,
    ProcedureRun,
    Utterance,
    course_at,
    heard_text,
    keep,
    state_text,
    step_at,
)
from constrained.procedures.steps import STARTS, Step
from constrained.understanding.hearing import Understanding

if TYPE_CHECKING:
    from constrained.logic.policy import Policy


Run = Callable[[tuple[str, ...]], tuple[Utterance, Frame]]
ANSWERED, ASKED = 100, 50  # weights: an answer that was heard goes before all else, a question before what stands beside it


def offers_at(policy: Policy, state: State, heard: Understanding | None, memory: Memory) -> tuple[Offer, ...]:
    """Everything that may be said now, the procedure's words first. Raises PolicyError."""
    beside = policy.beside(state, heard)
    if not policy.bodies:
        return beside
    heard = policy.heard_type() if heard is None and policy.heard_type is not None else heard
    moment = ProcedureOfferBuilder(policy, state, heard, memory, policy.frames(memory))
    found = moment.of_procedure()
    return (*found.moves, *(one for offer in beside for one in moment.of_policy(offer, found)), *found.rest)


@dataclass(slots=True)
class ProcedureOffers:
    """What the running procedure puts forward.

    Attributes:
        moves: its next words. rest: what is said to a message that is no answer. asks: the question that is open.
        is_alone: the policy beside may only interrupt it; is_shut: only with ``only``.
    """

    moves: list[Offer] = field(default_factory=list)
    rest: list[Offer] = field(default_factory=list)
    asks: Offer | None = None
    is_alone: bool = False
    is_shut: bool = False


@dataclass(slots=True)
class ProcedureOfferBuilder:
    """One turn of a policy with procedures: what is true and heard, and the procedures that run, ``frames``."""

    policy: Policy
    state: State
    heard: Understanding | None
    memory: Memory
    frames: tuple[Frame, ...]
    spare: list[ProcedureRun] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def of_procedure(self) -> ProcedureOffers:
        """The running procedure's offers; those of the main one's beginning, where none runs."""
        if self.frames:
            return self._at_step(self._course(self.frames[-1]))
        main = self.policy.bodies.get(self.policy.main)
        return ProcedureOffers(self._begun(main) if main is not None else [])

    def of_policy(self, offer: Offer, found: ProcedureOffers) -> list[Offer]:
        """An offer of the policy that stands beside: as it is, or what it means for the procedures."""
        if offer.kind == "say" and (found.is_shut or (found.is_alone and not offer.is_end)):
            return []
        if offer.response_id.startswith(STARTS):
            name = offer.response_id.removeprefix(STARTS)
            is_running = any(frame.name == name for frame in self.frames)
            return [] if is_running else self._begun(self.policy.body(name, offer.source))
        return [self._beside(offer, found.asks)]

    def _beside(self, offer: Offer, asks: Offer | None) -> Offer:
        """What leaves the step as it is, or ends it all."""
        if offer.is_end:
            return offer.goes(Way(running=()))
        if self.policy.is_reminding and asks is not None and offer.kind == "say":
            return offer.goes(Way(follows=(asks,)))
        return offer

    # -- a step ------------------------------------------------------------------------------------------

    def _at_step(self, course: ProcedureRun) -> ProcedureOffers:
        waits = course.waits
        if waits is None:  # of a running procedure there is one
            raise course.diverged("it is over")
        if waits.kind == "perform":
            return self._at_effects(course, waits)
        found, is_last = ProcedureOffers(asks=asked_again(waits), is_alone=waits.is_alone), course.n_missed + 1 >= waits.tries
        is_answered = course.answer(self.heard) is not None
        self.spare.append(course)
        if is_answered:
            found.moves += self._moved(waits, HEARD, weight=ANSWERED)
        for label, _ in waits.among:
            found.moves += self._moved(waits, PICKED + label, is_assumed=True)
        found.moves += [self._beside(offer, found.asks) for offer in waits.beside]
        found.rest.append(self._given_up(waits) if is_last else self._missed(waits))
        return found

    def _at_effects(self, course: ProcedureRun, waits: Step) -> ProcedureOffers:
        """The host was told to do something: what became of it?"""
        outcome = dict(self.memory.outcomes).get(self.frames[-1].events[-1].number)
        if outcome is not None:
            self.spare.append(course)
            moved = self._moved(waits, DONE if outcome == DONE else FAILED, weight=ANSWERED)
            return ProcedureOffers([_rest(one) for one in moved], is_shut=True)
        said = waits.again or self._fallback(waits)
        return ProcedureOffers(rest=[said.goes(Way(is_no_match=True, weight=ASKED))])

    def _begun(self, body: Body) -> list[Offer]:
        def run(picks: tuple[str, ...]) -> tuple[Utterance, Frame]:
            course = ProcedureRun.begun(body, self.state, self.heard)
            utterance = course.go_on(BEGAN, self.state, self.heard, picks)
            event = self._event("", BEGAN, None, picks)
            frame = Frame.model_construct(name=body.name, version=body.version, code=body.code, events=(event,))
            keep(frame, course)
            return utterance, frame

        way = Way(weight=ASKED if body.name == self.policy.main else 0)
        return self._forked(run, self.frames, way)

    def _moved(self, waits: Step, answer: str, *, is_assumed: bool = False, weight: int = 0) -> list[Offer]:
        def run(picks: tuple[str, ...]) -> tuple[Utterance, Frame]:
            course, frame = self._fresh(), self._grown(waits, answer, picks)
            utterance = course.go_on(answer, self.state, self.heard, picks)
            keep(frame, course)
            return utterance, frame

        return self._forked(run, self.frames[:-1], Way(is_assumed=is_assumed, weight=weight))

    def _forked(self, run: Run, under: tuple[Frame, ...], way: Way, picks: tuple[str, ...] = ()) -> list[Offer]:
        """The offer of one way on; of all its ways where something is to be chosen first."""
        utterance, frame = run(picks)
        if utterance.forks is None:
            return [self._uttered(utterance, under, frame, way)]
        way = replace(way, is_assumed=True, weight=0)
        return [one for label, _ in utterance.forks.among for one in self._forked(run, under, way, (*picks, label))]

    def _given_up(self, waits: Step) -> Offer:
        utterance = self._fresh().go_on(GAVE_UP, self.state, self.heard)
        first = [waits.otherwise] if waits.otherwise else [] if utterance.offers else [self._fallback(waits)]
        utterance = Utterance((*first, *utterance.offers), utterance.waits)
        return self._uttered(utterance, self.frames[:-1], self._grown(waits, GAVE_UP), Way(is_no_match=True, weight=ASKED))

    def _missed(self, waits: Step) -> Offer:
        running = (*self.frames[:-1], self._grown(waits, MISSED))
        if waits.again is not None:
            return waits.again.goes(Way(running=running, is_no_match=True, weight=ASKED))
        return self._fallback(waits).goes(Way((asked_again(waits),), running, is_no_match=True, weight=ASKED))

    def _uttered(self, utterance: Utterance, under: tuple[Frame, ...], frame: Frame, way: Way) -> Offer:
        """What is said as one offer: the first response stands for all, and the others follow it."""
        offers, running = utterance.offers, (*under, frame)
        if utterance.waits is None:
            offers, running = (*offers, *self._resumed(under)), under
        if not offers or utterance.forks is not None:
            body = self.policy.bodies[frame.name]
            flaw = f"the procedure {body.name!r} is over without a word"
            return Offer("say", self.policy.catalog.fallback, {}, Source(body.file, body.line), way=replace(way, flaw=flaw))
        way = Way(offers[1:], running, way.is_no_match, way.is_assumed, way.weight)
        return offers[0].goes(way)

    def _resumed(self, under: tuple[Frame, ...]) -> tuple[Offer, ...]:
        """The open question of the procedure that an interruption held up."""
        if not under:
            return ()
        waits = step_at(self.policy.bodies[under[-1].name], under[-1])
        return (asked_again(waits),) if waits.kind != "perform" else ()

    def _grown(self, waits: Step, answer: str, picks: tuple[str, ...] = ()) -> Frame:
        """The running frame with one event more."""
        frame = self.frames[-1]
        events = (*frame.events, self._event(waits.id, answer, frame, picks))
        return Frame.model_construct(name=frame.name, version=frame.version, code=frame.code, events=events)

    def _event(self, step: str, answer: str, frame: Frame | None, picks: tuple[str, ...]) -> Event:
        """This turn as an event of a frame; what was true and heard is written once for all of them."""
        if " heard" not in self.texts:
            self.texts[" heard"] = heard_text(self.heard)
        name = frame.name if frame is not None else ""
        if name not in self.texts:
            self.texts[name] = state_text(self.state, frame)
        number, heard, state = self.memory.number + 1, self.texts[" heard"], self.texts[name]
        return Event.model_construct(number=number, step=step, answer=answer, picks=picks, heard=heard, state=state)

    def _course(self, frame: Frame) -> ProcedureRun:
        return course_at(self.policy.bodies[frame.name], frame)

    def _fresh(self) -> ProcedureRun:
        """The running procedure at its step; a coroutine goes on once, so each answer needs one of its own."""
        return self.spare.pop() if self.spare else self._course(self.frames[-1])

    def _fallback(self, waits: Step) -> Offer:
        return Offer("say", self.policy.catalog.fallback, {}, waits.offer.source)


def _rest(offer: Offer) -> Offer:
    """The same, said when the model abstains: there is nothing else to say."""
    return offer.goes(replace(offer.way, is_no_match=True)) if offer.way is not None else offer


def asked_again(waits: Step) -> Offer:
    """The question once more: in its words for that, or the same; its effects ran when it was put first."""
    return waits.again or (replace(waits.offer, effects=()) if waits.offer.effects else waits.offer)
