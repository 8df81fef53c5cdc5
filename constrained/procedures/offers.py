"""What the procedures of a policy put forward in one turn: the next words of each, as offers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from constrained.catalog.response import Source
from constrained.logic.options import Offer, ProcedureMove
from constrained.logic.state import Event, Frame, Memory, State
from constrained.procedures.amending import amend
from constrained.procedures.policy_procedures import PolicyProcedures
from constrained.procedures.run import (
    BEGAN,
    COROUTINES,
    DONE,
    FAILED,
    GAVE_UP,
    HEARD,
    MISSED,
    PICKED,
    ProcedureDefinition,
    ProcedureRun,
    Utterance,
    heard_text,
    state_text,
)
from constrained.procedures.steps import STARTS, Step
from constrained.understanding.hearing import Understanding

GoOn = Callable[[tuple[str, ...]], tuple[Utterance, Frame]]  # by the labels picked at each ``choose`` on the move
ANSWERED, ASKED = 100, 50  # weights: an answer that was heard goes before all else, a question before what interrupts it


def procedure_offers(
    procedures: PolicyProcedures, state: State, heard: Understanding | None, memory: Memory, interruptions: Sequence[Offer]
) -> tuple[Offer, ...]:
    """Everything that may be said now, the procedure's words first. ``interruptions``: what the policy function yielded."""
    begun = frozenset(one.response_id.removeprefix(STARTS) for one in interruptions if one.response_id.startswith(STARTS))
    builder = ProcedureOfferBuilder(procedures, state, heard, memory, procedures.frames(memory), begun | {procedures.main})
    own = builder.of_procedure()
    return (*own.moves, *(one for offer in interruptions for one in builder.of_interruption(offer, own)), *own.no_match)


@dataclass(slots=True)
class ProcedureOffers:
    """What the running procedure puts forward.

    Attributes:
        moves: its next words. no_match: what is said to a message that is no answer.
        question: the one that is open, put again.
        is_alone: only what leaves the step may interrupt it; is_shut: only what is yielded with ``only``.
    """

    moves: list[Offer] = field(default_factory=list)
    no_match: list[Offer] = field(default_factory=list)
    question: Offer | None = None
    is_alone: bool = False
    is_shut: bool = False


@dataclass(slots=True)
class ProcedureOfferBuilder:
    """One turn of a policy with procedures.

    Attributes:
        frames: the procedures that run. spare: coroutines at the open step that nothing was tried with yet.
        beginning: names of the procedures that may be begun in this turn.
        texts: JSON of what is true and heard, once for all events of the turn.
    """

    procedures: PolicyProcedures
    state: State
    heard: Understanding | None
    memory: Memory
    frames: tuple[Frame, ...]
    beginning: frozenset[str]
    spare: list[ProcedureRun] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def of_procedure(self) -> ProcedureOffers:
        """The running procedure's offers; those of the main one's beginning, where none runs."""
        if self.frames:
            return self._at_step(self._run_after(self.frames[-1]))
        main = self.procedures.definitions.get(self.procedures.main)
        return ProcedureOffers(self._begun(main) if main is not None else [])

    def of_interruption(self, offer: Offer, own: ProcedureOffers) -> list[Offer]:
        """What the policy function yielded: as it is, or what it means for the procedures."""
        if offer.kind == "say" and (own.is_shut or (own.is_alone and not offer.is_end)):
            return []
        if offer.response_id.startswith(STARTS):
            name = offer.response_id.removeprefix(STARTS)
            is_running = any(frame.name == name for frame in self.frames)
            return [] if is_running else self._begun(self.procedures.definition(name, offer.source))
        return [self._interrupting(offer, own.question)]

    def _interrupting(self, offer: Offer, question: Offer | None) -> Offer:
        """What leaves the step as it is, or ends it all."""
        if offer.is_end:
            return offer.with_move(ProcedureMove(running=()))
        if self.procedures.is_reminding and question is not None and offer.kind == "say":
            return offer.with_move(ProcedureMove(follows=(question,)))
        return offer

    # -- a step ------------------------------------------------------------------------------------------

    def _at_step(self, run: ProcedureRun) -> ProcedureOffers:
        step = run.step
        if step is None:  # of a running procedure there is one
            raise run.diverged("it is over")
        if step.kind == "perform":
            return self._at_effects(run, step)
        found, is_last = ProcedureOffers(question=_asked_again(step), is_alone=step.is_alone), run.n_missed + 1 >= step.tries
        is_answered = run.answer(self.heard) is not None
        self.spare.append(run)
        if is_answered:
            is_value = step.kind == "ask"
            found.moves += self._moved(step, HEARD, weight=ANSWERED, means=_meaning_heard(step, run, self.heard), is_value=is_value)
        for label, _ in step.among:
            agrees_to = (step.id,) if step.kind == "ask" and len(step.among) == 1 else ()
            found.moves += self._moved(step, PICKED + label, is_assumed=True, means=label.casefold(), agrees_to=agrees_to)
        found.moves += self._corrected(step)
        found.moves += [self._interrupting(offer, found.question) for offer in step.asides]
        found.no_match.append(self._given_up(step) if is_last else self._missed(step))
        return found

    def _at_effects(self, run: ProcedureRun, step: Step) -> ProcedureOffers:
        """The host was told to do something: what became of it?"""
        outcome = dict(self.memory.outcomes).get(self.frames[-1].events[-1].number)
        if outcome is not None:
            self.spare.append(run)
            moved = self._moved(step, DONE if outcome == DONE else FAILED, weight=ANSWERED)
            return ProcedureOffers([_as_no_match(one) for one in moved], is_shut=True)
        said = step.again or self._fallback(step)
        return ProcedureOffers(no_match=[said.with_move(ProcedureMove(is_no_match=True, weight=ASKED))])

    def _begun(self, definition: ProcedureDefinition) -> list[Offer]:
        def go_on(picks: tuple[str, ...]) -> tuple[Utterance, Frame]:
            run = ProcedureRun.begun(definition, self.state, self.heard)
            utterance = run.go_on(BEGAN, self.state, self.heard, picks)
            event = self._event("", BEGAN, None, picks)
            frame = Frame.model_construct(name=definition.name, version=definition.version, code=definition.code, events=(event,))
            COROUTINES.keep(frame, run)
            return utterance, frame

        move = ProcedureMove(weight=ASKED if definition.name == self.procedures.main else 0)
        return self._forked(go_on, self.frames, move)

    def _moved(
        self,
        step: Step,
        answer: str,
        *,
        is_assumed: bool = False,
        weight: int = 0,
        means: str = "",
        agrees_to: tuple[str, ...] = (),
        is_value: bool = False,
    ) -> list[Offer]:
        """Its next words after an answer. ``means``: a label; those that read yes or no are the answer to a question."""

        def go_on(picks: tuple[str, ...]) -> tuple[Utterance, Frame]:
            run, frame = self._fresh(), self._grown(step, answer, picks)
            utterance = run.go_on(answer, self.state, self.heard, picks)
            COROUTINES.keep(frame, run)
            return utterance, frame

        means = means if means in ("yes", "no") else ""
        move = ProcedureMove(is_assumed=is_assumed, weight=weight, answer=means, agrees_to=() if means else agrees_to)
        move = replace(move, value="heard") if is_value else move
        return self._forked(go_on, self.frames[:-1], move)

    def _corrected(self, step: Step) -> list[Offer]:
        """The open confirmation with a value that the message names in place of the one that it shows."""
        frame, procedures = self.frames[-1], self.procedures
        is_first = frame.name in self.beginning
        found = amend(procedures.definitions[frame.name], frame, step, self.heard, procedures.corrections, may_begin=is_first)
        if found is None or found[1].step is None:
            return []
        kept, amended = found
        offer = found[1].step.offer
        COROUTINES.keep(kept, amended)
        return [offer.with_move(ProcedureMove(running=(*self.frames[:-1], kept), is_assumed=True, value="corrected"))]

    def _forked(self, go_on: GoOn, under: tuple[Frame, ...], move: ProcedureMove, picks: tuple[str, ...] = ()) -> list[Offer]:
        """The offer of one way to go on; of several where something is to be chosen first."""
        utterance, frame = go_on(picks)
        if utterance.forks is None:
            return [self._uttered(utterance, under, frame, move)]
        move = replace(move, is_assumed=True, weight=0)
        return [one for label, _ in utterance.forks.among for one in self._forked(go_on, under, move, (*picks, label))]

    def _given_up(self, step: Step) -> Offer:
        utterance = self._fresh().go_on(GAVE_UP, self.state, self.heard)
        first = [step.otherwise] if step.otherwise else [] if utterance.offers else [self._fallback(step)]
        utterance = Utterance((*first, *utterance.offers), utterance.step)
        return self._uttered(utterance, self.frames[:-1], self._grown(step, GAVE_UP), ProcedureMove(is_no_match=True, weight=ASKED))

    def _missed(self, step: Step) -> Offer:
        running = (*self.frames[:-1], self._grown(step, MISSED))
        if step.again is not None:
            return step.again.with_move(ProcedureMove(running=running, is_no_match=True, weight=ASKED))
        return self._fallback(step).with_move(ProcedureMove((_asked_again(step),), running, is_no_match=True, weight=ASKED))

    def _uttered(self, utterance: Utterance, under: tuple[Frame, ...], frame: Frame, move: ProcedureMove) -> Offer:
        """What is said as one offer: the first response stands for all, and the others follow it."""
        offers, running = utterance.offers, (*under, frame)
        if utterance.step is None:
            offers, running = (*offers, *self._resumed(under)), under
        if not offers or utterance.forks is not None:
            definition = self.procedures.definitions[frame.name]
            flaw = f"the procedure {definition.name!r} is over without a word"
            return Offer("say", self.procedures.fallback, {}, Source(definition.file, definition.line), move=replace(move, flaw=flaw))
        move = replace(move, follows=offers[1:], running=running)
        return offers[0].with_move(move)

    def _resumed(self, under: tuple[Frame, ...]) -> tuple[Offer, ...]:
        """The open question of the procedure that an interruption held up."""
        if not under:
            return ()
        step = COROUTINES.step(self.procedures.definitions[under[-1].name], under[-1])
        return (_asked_again(step),) if step.kind != "perform" else ()

    def _grown(self, step: Step, answer: str, picks: tuple[str, ...] = ()) -> Frame:
        """The running frame with one event more."""
        frame = self.frames[-1]
        events = (*frame.events, self._event(step.id, answer, frame, picks))
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

    def _run_after(self, frame: Frame) -> ProcedureRun:
        return COROUTINES.take(self.procedures.definitions[frame.name], frame)

    def _fresh(self) -> ProcedureRun:
        """The running procedure at its step; a coroutine goes on once, so each answer needs one of its own."""
        return self.spare.pop() if self.spare else self._run_after(self.frames[-1])

    def _fallback(self, step: Step) -> Offer:
        return Offer("say", self.procedures.fallback, {}, step.offer.source)


def _meaning_heard(step: Step, run: ProcedureRun, heard: Understanding | None) -> str:
    """``yes`` or ``no``, where a field of Heard answers a ``confirm``; empty for values of another kind."""
    values = tuple((run.answer(heard) or {}).values())
    return ("yes" if values[0] else "no") if step.kind == "confirm" and len(values) == 1 else ""


def _as_no_match(offer: Offer) -> Offer:
    """The same, said when the model abstains: there is nothing else to say."""
    return offer.with_move(replace(offer.move, is_no_match=True)) if offer.move is not None else offer


def _asked_again(step: Step) -> Offer:
    """The question once more: in its words for that, or the same; its effects ran when it was put first."""
    return step.again or (replace(step.offer, effects=()) if step.offer.effects else step.offer)
