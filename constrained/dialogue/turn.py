"""The result of one turn: Decision, Trace, Turn; and the one runner of its effects."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from constrained.catalog.contexts import Context, escape
from constrained.engines.protocol import Decoding, Mode
from constrained.errors import ConstrainedError, EffectError, OutcomeError
from constrained.logic.acts import Ruling
from constrained.logic.clarifying import How
from constrained.logic.effects import Effect, first_failing
from constrained.logic.options import Allowed, Option
from constrained.logic.wishes import Wish
from constrained.records.record import OutcomeEntry, Record
from constrained.understanding.hearing import Hearing, Understanding


@dataclass(frozen=True, slots=True)
class EffectRun:
    """How far the effects of one turn came.

    Attributes:
        effects: all effects of the turn, in order. n_done: how many of them ran.
        state: the state after those that ran.
        error: why they stopped: an EffectError for a precondition, else what an effect raised; None when all ran, or none was tried.
        refused: the effect whose precondition does not hold; None when it was not a precondition that stopped them.
    """

    effects: tuple[Effect, ...]
    n_done: int
    state: Any
    error: Exception | None = None
    refused: Effect | None = None

    def outcomes(self, detail: str = "") -> tuple[OutcomeEntry, ...]:
        """What the log gets: one entry per effect, ``detail`` in the one that failed."""
        return outcome_entries(self.effects, self.n_done, detail)


def run_effects(effects: tuple[Effect, ...], state: Any) -> EffectRun:
    """Runs effects one after the other, up to the first that fails. The caller checks all preconditions first: ``first_failing``.

    Each precondition is checked again in the state that the effect gets. What an effect raises is not raised here, but kept in
    ``EffectRun.error``; so is an EffectError for one that returns no state, since nobody knows then what it left.
    """
    for number, effect in enumerate(effects):
        try:
            if not effect.holds(state):
                ran = ", ".join(map(str, effects[:number]))
                hint = "yield effects on one option that can run one after the other"
                error = EffectError(f"the precondition of {effect} does not hold after {ran} ran", effect=str(effect), hint=hint)
                return EffectRun(effects, number, state, error, effect)
            state = effect.carry_out(state)
        except Exception as error:  # an effect is the host's code: it may raise anything
            return EffectRun(effects, number, state, error)
    return EffectRun(effects, len(effects), state)


def outcome_entries(effects: tuple[Effect, ...], n_done: int, detail: str = "") -> tuple[OutcomeEntry, ...]:
    """One entry per effect: the first ``n_done`` are done, the next one failed with ``detail``, the others were not run."""
    done = [OutcomeEntry(effect=str(effect), status="done") for effect in effects[:n_done]]
    left = [OutcomeEntry(effect=str(effect), status="not_run") for effect in effects[n_done:]]
    if left:
        left[0] = OutcomeEntry(effect=left[0].effect, status="failed", detail=detail)
    return (*done, *left)


# -- the turn ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """Probabilities over the options and the one chosen.

    Attributes:
        probabilities: one per option, in order; empty when no model was asked (``mode="rules"``).
        chosen: the one of ``options`` that is said; the fallback when ``abstained``.
        margin: probability of the best option minus the second best.
        abstained: the best option's probability was below ``threshold``; the fallback is said.
        why: one sentence for people.
        decoding: what the model's part of it cost; None when no model was asked.
        ruling: which acts the message was no evidence for, and how it was read as an answer; None when no model was asked.
        is_late: the time was over before the model had answered.
        how: the reply is no choice among the options, but an offer, or what follows one; see ``logic.clarifying``.
        spoken: all that is said, where that is more than the chosen one; the others have no effects.
        asks: places of the options that the turn asks about.
        answer: how the message was read as an answer to an offer; empty where none was open. judge: who read it.
        pending: ids of the options that were wanted, too, and are not said in this turn. wishes: what parts of the message clearly want.
    """

    options: tuple[Option, ...]
    probabilities: tuple[float, ...]
    chosen: Option
    mode: Mode
    margin: float
    abstained: bool
    threshold: float
    why: str
    decoding: Decoding | None = None
    ruling: Ruling | None = None
    is_late: bool = False
    how: How = ""
    spoken: tuple[Option, ...] = ()
    asks: tuple[int, ...] = ()
    answer: str = ""
    judge: str = ""
    pending: tuple[str, ...] = ()
    wishes: tuple[Wish, ...] = ()

    def ranked(self) -> list[tuple[Option, float | None]]:
        """Options with their probability (None when no model was asked), most probable first."""
        if not self.probabilities:
            return [(option, None) for option in self.options]
        pairs = sorted(zip(self.options, self.probabilities, strict=True), key=lambda pair: -pair[1])
        return list(pairs)


@dataclass(frozen=True, slots=True)
class Trace:
    """Why the turn went as it did: what was heard and how surely, what each line of logic allowed or not."""

    heard: tuple[Hearing, ...]
    allowed: Allowed
    timings_ms: Mapping[str, float]


class _Latch:
    """Says whether the effects of a turn are over with: ``closed_by`` is empty until then. Hold ``lock`` to read or close it."""

    __slots__ = ("closed_by", "lock")

    def __init__(self) -> None:
        self.lock, self.closed_by = threading.RLock(), ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message in, one reply out.

    Attributes:
        text: what may be sent, byte for byte; obligations included.
        response_id: the chosen response. ``said``: every response in ``text``, in order.
        voices: voice keys of what is said, in order, where authored: those of the variants that are said.
        effects: what the host does now, once: ``state = turn.apply(state)``.
        record: the durable audit entry; it was written before this Turn existed.
        goes_on: a procedure waits for what becomes of the effects and then has more to say, without a message: after
            ``apply``, ``dialogue.reply("", state)`` gives it.
        approved: which of ``said`` somebody approved, by the ledger or by the catalog's own lines; the others are drafts.
    """

    id: str
    text: str
    response_id: str
    said: tuple[str, ...]
    voices: tuple[str, ...]
    effects: tuple[Effect, ...]
    decision: Decision
    heard: Understanding | None
    trace: Trace
    record: Record
    goes_on: bool = False
    approved: tuple[str, ...] = ()
    _latch: _Latch = field(default_factory=_Latch, repr=False, compare=False)
    _tell: Callable[[tuple[OutcomeEntry, ...]], object] | None = field(default=None, repr=False, compare=False)

    @property
    def offered(self) -> tuple[str, ...]:
        """Ids of the options that the turn asks about in place of choosing one; the next message answers."""
        return tuple(self.decision.options[place].id for place in self.decision.asks)

    @property
    def pending(self) -> tuple[str, ...]:
        """Ids of the options that the message wanted, too, and that were not said: the host may come back to them."""
        return self.decision.pending

    def text_in(self, context: Context) -> str:
        """``text`` escaped for where it is shown: ``plain``, ``html``, ``markdown`` or ``ssml``; see ``catalog.contexts.escape``."""
        return escape(self.text, context)

    def apply(self, state: Any) -> Any:
        """Runs the effects on ``state`` and returns the state after them; at most once, whatever thread asks.

        All preconditions are checked again, before the first effect runs. Where one fails, nothing runs, the log gets an entry
        that says so, and ``apply`` may be called again with another state; the log holds one entry for each such call. As soon as
        the first effect has been started, or after ``failed``, every further call raises EffectError and changes nothing: no
        effect, no entry in the log, no change of the conversation's memory.

        Raises EffectError when a precondition fails (nothing was run), when the effects of this turn ran before, or when one
        effect makes a later one impossible (the error names what ran); OutcomeError when they ran and the log could not tell.
        """
        if not self.effects:
            return state
        self._start(state)
        ran = run_effects(self.effects, state)
        if ran.error is not None:
            try:
                self._report(ran.outcomes(_detail(ran.error)))
            except ConstrainedError as error:
                raise error from ran.error
            raise ran.error
        try:
            self._report(ran.outcomes())
        except ConstrainedError as error:
            message = f"the effects of turn {self.id} ran, but the log could not tell: {error.message}"
            raise OutcomeError(message, state=ran.state, hint="go on with the state in this error; see to the log") from error
        return ran.state

    def failed(self, why: str) -> None:
        """The host tells that it could not carry out the effects; none was run, and none can be from here on.

        Raises EffectError, and changes nothing, when the effects ran before or when this was told before.
        """
        if self.effects:
            with self._latch.lock:
                self._refuse_twice()
                self._latch.closed_by = "were told as failed before"
            self._report(outcome_entries(self.effects, 0, why))

    def _start(self, state: Any) -> None:
        """Closes the latch. Raises EffectError where it is closed, or where a precondition fails: then it stays open.

        The lock is held until a refusal is reported: otherwise another thread's success could stand before it in the log.
        """
        with self._latch.lock:
            self._refuse_twice()
            failing = first_failing(self.effects, state)
            if failing is None:
                self._latch.closed_by = "ran before"
                return
            self._report(outcome_entries(self.effects, 0, f"the precondition of {failing} no longer held"))
        raise EffectError(
            f"the precondition of {failing} no longer holds; no effect of turn {self.id} was run",
            effect=str(failing),
            hint="the state changed since the reply; take the turn again with the present state",
        )

    def _refuse_twice(self) -> None:
        if self._latch.closed_by:
            raise EffectError(
                f"the effects of turn {self.id} {self._latch.closed_by}",
                effect=", ".join(map(str, self.effects)),
                hint="call turn.apply once and keep the state that it returns",
            )

    def _report(self, outcomes: tuple[OutcomeEntry, ...]) -> None:
        if self._tell is not None:
            self._tell(outcomes)


def _detail(error: Exception) -> str:
    """Type and first line of what an effect raised."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
