"""Runs labelled messages as turns of their own, many in one batch of the engine, and gives the outcome of each.

Each message goes through a whole turn: heard, allowed, decided, verified. A turn that needs an answer of the model is
interrupted, the questions of a batch are put together, and the turn is run again with what was answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.turn import Turn
from constrained.engines.protocol import (
    BatchEngine,
    Choice,
    ChoiceRequest,
    Deadline,
    Distribution,
    Engine,
    ExtractionField,
    Extractor,
    PromptContext,
)
from constrained.errors import ConstrainedError
from constrained.logic.allow import intent_of, pooled
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.quality.labelled_data import Example
from constrained.testing import ScriptedEngine

BATCH = 16
WAYS_OUT = ("no", "none")  # keys of the candidates that mean that the message does not speak of it


@dataclass(frozen=True, slots=True)
class HeardAnswer:
    """How one question was heard, and what the file expects.

    Attributes:
        meant: probability that the message speaks of it at all: of everything but "no" and "none".
    """

    value: Any
    expected: Any
    meant: float

    @property
    def is_right(self) -> bool:
        return bool(self.value == self.expected)

    @property
    def is_due(self) -> bool:
        """Whether the file expects it to be heard."""
        return self.expected not in (False, None)

    @property
    def is_heard(self) -> bool:
        return self.value not in (False, None)


@dataclass(frozen=True, slots=True)
class MessageOutcome:
    """What one labelled message was answered, and by what probabilities.

    Attributes:
        options: ids, in the policy's order; the same id twice where one response had two fillings.
        probabilities: one per option, after calibration; all of it on the chosen one where no model was asked.
        scores: in nats, before calibration; empty where an engine tells none, or none was asked.
        said: the id that was chosen, the fallback after an abstention. spoken: all that was, obligations included.
        is_asked: whether a model chose.
        heard: question -> how it was heard, of those that were asked; empty where the file does not tell.
        intents: one per option: responses that answer the same share theirs. Its own for each id when empty.
    """

    example: Example
    options: tuple[str, ...]
    probabilities: tuple[float, ...]
    scores: tuple[float, ...]
    said: str
    spoken: tuple[str, ...]
    abstained: bool
    is_asked: bool = True
    heard: Mapping[str, HeardAnswer] = field(default_factory=dict)
    intents: tuple[str, ...] = ()

    @property
    def best(self) -> int:
        """Index of what would be said without a threshold."""
        return self._likeliest()[0]

    @property
    def confidence(self) -> float:
        """The probability that a threshold is held against: of the best option's intent."""
        return self._likeliest()[1]

    def answer(self, fallback: str) -> tuple[str, float]:
        """What would be said if the fallback were not allowed, and its probability; no id and 0 where there is nothing else."""
        places = [index for index, name in enumerate(self.options) if name != fallback]
        if not places:
            return "", 0.0
        best, share = self._likeliest(places)
        return self.options[best], share

    def _likeliest(self, places: Sequence[int] | None = None) -> tuple[int, float]:
        among = range(len(self.options)) if places is None else places
        intents = self.intents or self.options
        ids, probabilities = [self.options[index] for index in among], [self.probabilities[index] for index in among]
        best, share = pooled(ids, [intents[index] for index in among], probabilities)
        return among[best], share


class _AnswerNeeded(ConstrainedError):
    """A turn needs the answer to these choices first."""

    def __init__(self, ask: ChoiceRequest) -> None:
        self.ask = ask
        super().__init__("the turn needs an answer of the engine")


class _TurnEngine:
    """An engine for one turn: gives the answers so far, and interrupts the turn at the first choice without one."""

    def __init__(self, engine: Engine, given: Mapping[str, Any] | None) -> None:
        self._engine, self._next, self._script = engine, 0, None if given is None else ScriptedEngine(lambda message: given)
        self._read: list[str | None] | None = None
        self.answers: list[list[Distribution]] = []

    @property
    def identity(self) -> Mapping[str, str]:
        return self._engine.identity

    @property
    def is_scripted(self) -> bool:
        return self._script is not None or getattr(self._engine, "is_scripted", False)

    def restart(self) -> None:
        self._next = 0

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        if self._script is not None and all(choice.kind != "option" for choice in choices):
            return self._script.choose(choices, scene, deadline)
        if self._next >= len(self.answers):
            raise _AnswerNeeded(ChoiceRequest(choices, scene))
        self._next += 1
        return self.answers[self._next - 1]

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> Sequence[str | None]:
        reader: Any = self._script or self._engine
        if self._read is None:
            self._read = list(reader.read(blanks, scene, deadline)) if isinstance(reader, Extractor) else [None] * len(blanks)
        return self._read


def run_examples(
    policy: Policy,
    engine: Engine | None,
    examples: Sequence[Example],
    *,
    threshold: float = 0.3,
    is_heard_given: bool = False,
    batch: int = BATCH,
    report_progress: Callable[[int], object] = lambda n_done: None,
) -> list[MessageOutcome]:
    """One outcome per example, in order.

    Args:
        engine: None for the rules alone. is_heard_given: what a row says should be heard is taken as heard.
        report_progress: called with the number of examples that are done, after each batch.

    Drafts may be said: what is measured is the choice, approved or not. Raises what a turn raises.
    """
    outcomes: list[MessageOutcome] = []
    for start in range(0, len(examples), batch):
        outcomes += _batch(policy, engine, examples[start : start + batch], threshold, is_heard_given)
        report_progress(len(outcomes))
    return outcomes


def _batch(
    policy: Policy, engine: Engine | None, examples: Sequence[Example], threshold: float, is_heard_given: bool
) -> list[MessageOutcome]:
    engines = [_TurnEngine(engine, _fields(one) if is_heard_given else None) if engine else None for one in examples]
    turns: dict[int, Turn] = {}
    while len(turns) < len(examples):
        asked: dict[int, ChoiceRequest] = {}
        for index in range(len(examples)):
            if index not in turns:
                try:
                    turns[index] = _turn(policy, engines[index], examples[index], threshold)
                except _AnswerNeeded as needed:
                    asked[index] = needed.ask
        answers = _ask_all(engine, list(asked.values())) if engine and asked else []
        for index, answer in zip(asked, answers, strict=True):
            answered = engines[index]
            if answered is not None:
                answered.answers.append(answer)
    return [_outcome(examples[index], turns[index], engines[index]) for index in range(len(examples))]


def _turn(policy: Policy, engine: _TurnEngine | None, example: Example, threshold: float) -> Turn:
    if engine is not None:
        engine.restart()
    memory = Memory(history=example.history[-8:])
    dialogue = Dialogue(policy, engine=engine, threshold=threshold, locale=example.locale, drafts=True, memory=memory)
    return dialogue.reply(example.message, example.state)


def _ask_all(engine: Engine, asks: Sequence[ChoiceRequest]) -> list[list[Distribution]]:
    if isinstance(engine, BatchEngine):
        return engine.decide_many(asks)
    return [engine.choose(ask.choices, ask.scene) for ask in asks]


def _fields(example: Example) -> dict[str, Any] | None:
    heard = example.heard
    return {name: getattr(heard, name) for name in type(heard).model_fields} if heard is not None else None


def _outcome(example: Example, turn: Turn, engine: _TurnEngine | None) -> MessageOutcome:
    decision = turn.decision
    options = tuple(option.id for option in decision.options)
    asked = bool(decision.probabilities)
    alone = tuple(float(option is decision.chosen) for option in decision.options)
    scores = engine.answers[-1][0].scores if asked and engine is not None else ()
    heard = dict(_heard(example, turn))
    probabilities = decision.probabilities if asked else alone
    intents = tuple(map(intent_of, decision.options))
    return MessageOutcome(example, options, probabilities, scores, turn.response_id, turn.said, decision.abstained, asked, heard, intents)


def _heard(example: Example, turn: Turn) -> Iterator[tuple[str, HeardAnswer]]:
    if example.heard is not None:
        for hearing in turn.trace.heard:
            pairs = zip(hearing.candidates, hearing.probabilities, strict=True)
            meant = sum(probability for key, probability in pairs if key not in WAYS_OUT)
            yield hearing.name, HeardAnswer(hearing.value, getattr(example.heard, hearing.name), meant)
