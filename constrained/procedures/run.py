"""Runs a procedure from where it stood: its coroutine goes once more through its recorded events.

    run = ProcedureRun.of(definition, frame)  # as after the last event
    utterance = run.go_on(answer, ...)        # as far as the next step that waits

The state and the heard that a coroutine holds are always those of the turn in which it runs: one object each, whose
fields are exchanged. Nothing but events goes in, so equal events lead to the same place in every process.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from types import FunctionType
from typing import Any, TypeVar

from constrained._values import Values
from constrained.errors import ConstrainedError, Problem, ProcedureError
from constrained.logic.options import Offer
from constrained.logic.state import Event, Frame, State
from constrained.procedures.steps import GaveUp, Step
from constrained.understanding.hearing import Understanding

V = TypeVar("V", bound=Values)
T = TypeVar("T")
MOST_STEPS = 1_000  # of one procedure in one turn: more never ends
MOST_KEPT = 1024  # coroutines
BEGAN, HEARD, PICKED, DONE, FAILED, MISSED, GAVE_UP = "began", "heard", "picked ", "done", "failed", "missed", "gave up"


@dataclass(frozen=True, slots=True)
class ProcedureDefinition:
    """The coroutine function of a procedure, with all that its events are read by.

    Attributes:
        code: hash of its text and of what it calls. file, line: where it begins.
    """

    name: str
    function: FunctionType
    state_type: type[State]
    heard_type: type[Understanding] | None
    version: int
    code: str
    file: str
    line: int

    @property
    def is_listening(self) -> bool:
        return self.function.__code__.co_argcount > 1


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a procedure says up to the next step that waits; ``step`` is None when it is over.

    ``forks``: a ``choose`` at which it cannot go on before one of its values is picked.
    """

    offers: tuple[Offer, ...]
    step: Step | None
    forks: Step | None = None


@dataclass(slots=True)
class ProcedureRun:
    """A coroutine at a step that waits.

    Attributes:
        step: the step; None before the first, and when it is over.
        n_missed: how often the step was put in vain. partly: what was heard of an answer meanwhile.
    """

    definition: ProcedureDefinition
    coroutine: Coroutine[Any, Any, Any]
    state: State | None = None
    heard: Understanding | None = None
    step: Step | None = None
    n_missed: int = 0
    partly: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def begun(cls, definition: ProcedureDefinition, state: State, heard: Understanding | None) -> ProcedureRun:
        """Before the first line."""
        state = _copied(state)
        heard = _copied(heard) if heard is not None else None
        arguments = (state, heard) if definition.is_listening else (state,)
        return cls(definition, definition.function(*arguments), state, heard)

    @classmethod
    def of(cls, definition: ProcedureDefinition, frame: Frame) -> ProcedureRun:
        """As after the last event of a frame. Raises ProcedureError where the events do not fit the code."""
        run: ProcedureRun | None = None
        texts: tuple[str, ...] = ()
        for event in frame.events:
            texts = _longer(texts, event.state)
            state, heard = state_of(definition.state_type, texts), _heard_of(definition.heard_type, event.heard)
            if run is None:
                run = cls.begun(definition, state, heard)
            try:
                run._repeat(event, state, heard)
            except Exception:
                run.coroutine.close()  # else Python warns of one that never ran
                raise
        if run is None or run.step is None:
            raise run.diverged("it is over already") if run else ProcedureError(f"{frame.name} runs without an event")
        return run

    def go_on(self, answer: str, state: State, heard: Understanding | None, picks: tuple[str, ...] = ()) -> Utterance:
        """Runs as far as the next step that waits. ``picks``: the labels for each ``choose`` on the way."""
        self._exchange(state, heard)
        before, value = self.step, self._value(answer)
        self.n_missed, self.partly = 0, {}
        offers: list[Offer] = []
        try:
            step = self.coroutine.throw(GaveUp(before.id if before else "")) if answer == GAVE_UP else self.coroutine.send(value)
            while type(step) is Step and step.kind in ("tell", "choose"):
                if len(offers) > MOST_STEPS:
                    raise self._failed("says more than a turn can hold", "loop over a constant tuple, or range(3)")
                if step.kind == "tell":
                    offers.append(step.offer)
                    step = self.coroutine.send(None)
                    continue
                labels = tuple(label for label, _ in step.among)
                if len(labels) > 1 and not picks:
                    return Utterance(tuple(offers), None, step)
                label, picks = (picks[0], picks[1:]) if len(labels) > 1 else (labels[0], picks)
                if label not in labels:
                    raise self.diverged(f"{label!r} cannot be chosen any more")
                step = self.coroutine.send(step.value(label))
        except (StopIteration, GaveUp):
            self.step = None
            return Utterance(tuple(offers), None)
        except ConstrainedError:
            raise
        except Exception as error:  # whatever a procedure raises, its host gets the line and a typed error
            raise self._raised(error) from error
        if type(step) is not Step:
            raise self._failed(f"awaits {type(step).__name__}", "await tell, ask, confirm, perform, or an async function of this file")
        self.step = step
        return Utterance((*offers, step.offer), step)

    def answer(self, heard: Understanding | None) -> dict[str, Any] | None:
        """The fields that answer the step, when all of them are there: of this message and, where it was put before, of those since."""
        if self.step is None or heard is None:
            return None
        found = {name: value for name in self.step.fields if (value := getattr(heard, name)) is not None}
        whole = {**self.partly, **found}
        return whole if found and len(whole) == len(self.step.fields) else None

    def position(self) -> tuple[Any, ...]:
        """Where the coroutine stands: for each function its place in the code and its local values."""
        found: list[Any] = []
        running: Any = self.coroutine
        while getattr(running, "cr_frame", None) is not None:
            frame = running.cr_frame
            held = sorted(
                (name, _hashable(value)) for name, value in frame.f_locals.items() if value is not self.state and value is not self.heard
            )
            found.append((frame.f_code.co_name, frame.f_lasti, tuple(held)))
            running = running.cr_await
        return tuple(found)

    def diverged(self, why: str) -> ProcedureError:
        return self._failed(f"does not fit what happened: {why}", "its code, or what it calls, changed: give it another version")

    def _repeat(self, event: Event, state: State, heard: Understanding | None) -> None:
        """Goes through one event once more."""
        at = self.step.id if self.step else ""
        if event.step != at or (self.step is None) is not (event.answer == BEGAN):
            raise self.diverged(f"it stands at {at or 'its beginning'}, turn {event.number} found it at {event.step or 'its beginning'}")
        if event.answer != MISSED:
            if self.go_on(event.answer, state, heard, event.picks).forks is not None:
                raise self.diverged("it has more to choose than was chosen")
            return
        self.n_missed += 1
        if self.step and heard is not None and self.answer(heard) is None:
            self.partly |= {name: value for name in self.step.fields if (value := getattr(heard, name)) is not None}

    def _exchange(self, state: State, heard: Understanding | None) -> None:
        """Puts the values of this turn into the objects that the coroutine holds.

        Its local names ``state`` and ``heard`` cannot be bound anew from outside, and frozen models refuse to be set: so the
        ``__dict__`` of each object is replaced. The objects are copies that nobody else holds; see ``begun``.
        """
        for held, present in ((self.state, state), (self.heard, heard)):
            if held is not None and present is not None:
                object.__setattr__(held, "__dict__", present.__dict__)

    def _value(self, answer: str) -> Any:
        step = self.step
        if step is None or answer == GAVE_UP:
            return None
        if answer == HEARD:
            found = {**self.partly, **{name: value for name in step.fields if (value := getattr(self.heard, name)) is not None}}
            if len(found) < len(step.fields):
                raise self.diverged(f"{step.id} was answered, and not all of {', '.join(step.fields)} was heard")
            return found[step.fields[0]] if len(step.fields) == 1 else tuple(found[name] for name in step.fields)
        if answer.startswith(PICKED):
            try:
                return step.value(answer.removeprefix(PICKED))
            except KeyError as error:
                raise self.diverged(f"{answer.removeprefix(PICKED)!r} is no answer to {step.id}") from error
        return answer == DONE

    def _raised(self, error: Exception) -> ProcedureError:
        line, trace = self.definition.line, error.__traceback__
        while trace is not None:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == self.definition.file else line
            trace = trace.tb_next
        return self._failed(f"failed: {type(error).__name__}: {error}", "a procedure answers for every state and everything heard", line)

    def _failed(self, message: str, hint: str, line: int = 0) -> ProcedureError:
        line = line or line_of(self.coroutine) or self.definition.line
        problem = Problem(self.definition.file, line, 0, message, hint)
        return ProcedureError(
            f"the procedure {self.definition.name!r} {message}",
            [problem],
            procedure=self.definition.name,
            version=self.definition.version,
            hint=hint,
        )


def _copied(values: V) -> V:
    """An object of its own with the same fields.

    Written attribute by attribute because ``model_copy`` is several times slower, and the coroutine needs one in every turn.
    """
    twin = type(values).__new__(type(values))
    object.__setattr__(twin, "__dict__", values.__dict__)
    object.__setattr__(twin, "__pydantic_fields_set__", values.__pydantic_fields_set__)
    object.__setattr__(twin, "__pydantic_extra__", None)
    object.__setattr__(twin, "__pydantic_private__", values.__pydantic_private__)
    return twin


def heard_text(heard: Understanding | None) -> str:
    """What was heard, for an event: the fields that differ from their defaults."""
    return "{}" if heard is None else heard.model_dump_json(exclude_defaults=True)


def state_text(state: State, frame: Frame | None) -> str:
    """The state for the next event of a frame: all of it in the first, then the fields that changed."""
    if frame is None or not frame.events:
        return state.model_dump_json()
    texts: tuple[str, ...] = ()
    for event in frame.events:
        texts = _longer(texts, event.state)
    before = state_of(type(state), texts).__dict__
    changed = {name for name, value in state.__dict__.items() if before[name] != value}
    if not changed:
        return "{}"
    return json.dumps(state.model_dump(mode="json", include=changed), sort_keys=True, ensure_ascii=False)


@lru_cache(maxsize=4096)
def state_of(state_type: type[State], texts: tuple[str, ...]) -> State:
    """The state that these texts add up to."""
    values: dict[str, Any] = {}
    for text in texts:
        values |= json.loads(text)
    return state_type.from_json(values)


def line_of(coroutine: Any) -> int:
    """The line at which the innermost function of a coroutine stands; 0 when it is over."""
    line = 0
    while getattr(coroutine, "cr_frame", None) is not None:
        line, coroutine = coroutine.cr_frame.f_lineno, coroutine.cr_await
    return line


@lru_cache(maxsize=4096)
def _read_heard(heard_type: type[Understanding], text: str) -> Understanding:
    return heard_type.from_json(text)


def _heard_of(heard_type: type[Understanding] | None, text: str) -> Understanding | None:
    return None if heard_type is None else _read_heard(heard_type, text)


def _longer(texts: tuple[str, ...], text: str) -> tuple[str, ...]:
    return texts if text == "{}" and texts else (*texts, text)


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


# -- coroutines kept from one turn to the next ---------------------------------------------------------


class CoroutineCache:
    """Coroutines as they stood after a turn, for the next turn in the same process.

    Nothing depends on it: where an entry is missing, the events are run anew. Entries are found by the identity of their
    frame, since to hash its events would cost what is to be saved; the frame is kept too, so that its id stays its own.
    """

    def __init__(self) -> None:
        self._runs: OrderedDict[int, tuple[Frame, ProcedureRun]] = OrderedDict()
        self._steps: OrderedDict[int, tuple[Frame, Step]] = OrderedDict()

    def keep(self, frame: Frame, run: ProcedureRun) -> None:
        """The coroutine as it stands after a frame; nothing of one that is over."""
        if run.step is not None:
            _put(self._runs, frame, run)
            _put(self._steps, frame, run.step)

    def take(self, definition: ProcedureDefinition, frame: Frame) -> ProcedureRun:
        """The coroutine after a frame. It goes on once, so only the first who asks gets what was kept; for others it runs anew."""
        found = self._runs.pop(id(frame), None)
        if found is not None and found[0] is frame and found[1].definition is definition:
            return found[1]
        run = ProcedureRun.of(definition, frame)
        if run.step is not None:
            _put(self._steps, frame, run.step)
        return run

    def step(self, definition: ProcedureDefinition, frame: Frame) -> Step:
        """The step at which the coroutine waits after a frame. Raises ProcedureError where it is over."""
        found = self._steps.get(id(frame))
        if found is not None and found[0] is frame:
            return found[1]
        run = ProcedureRun.of(definition, frame)
        self.keep(frame, run)
        if run.step is None:
            raise run.diverged("it is over")
        return run.step


def _put(entries: OrderedDict[int, tuple[Frame, T]], frame: Frame, value: T) -> None:
    entries[id(frame)] = frame, value
    while len(entries) > MOST_KEPT:
        with suppress(KeyError):  # another thread was first
            entries.popitem(last=False)


COROUTINES = CoroutineCache()
