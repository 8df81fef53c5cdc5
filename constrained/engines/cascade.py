"""An engine of several, small to large: what one leaves open is the next one's question. Knows no model.

Source: Varshney and Baral, Model Cascading: Towards Jointly Improving Efficiency and Accuracy of NLP Systems, EMNLP 2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from constrained.choice import Ask, Blank, Bound, Choice, Deadline, DecidesMany, Decoding, Distribution, Engine, Reads, Scene, checked
from constrained.errors import EngineError


@dataclass(frozen=True, slots=True)
class Stage:
    """One engine of a cascade.

    Attributes:
        threshold: it answers a choice whose best candidate has at least this probability, and leaves the others to the next
            one. The last stage answers whatever comes to it; its threshold is not used.
        name: as it stands in records; the name of its model when empty.
    """

    engine: Engine
    threshold: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        """Raises EngineError for a threshold that no probability can be held against."""
        if not 0.0 <= self.threshold <= 1.0:
            raise EngineError(f"a stage's threshold is {self.threshold:g}, which is no probability", hint="use a number from 0 to 1")

    @property
    def label(self) -> str:
        return self.name or str(self.engine.identity.get("model", "")) or type(self.engine).__name__


class Cascade:
    """Puts each choice to the first stage; what that one is not sure of goes to the next.

        Dialogue(desk, engine=Cascade([Stage(small, 0.9), Stage(large)]))

    What the last stage is not sure of is the dialogue's own matter: below its threshold the fallback is said. When a
    later stage is too late or fails, so is the cascade; an answer that was not sure enough does not stand in for it.

    Args:
        stages: at least one, small to large.

    Raises EngineError when there is none.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        if not stages:
            raise EngineError("a cascade of no engines answers nothing", hint="give at least one Stage")
        self.stages = tuple(stages)
        self.is_shared = all(getattr(stage.engine, "is_shared", True) for stage in self.stages)  # see TransformersEngine

    @property
    def identity(self) -> Mapping[str, str]:
        """The stages' own names behind their number: ``1.model``, ``1.threshold``, ``2.model``."""
        found = {"engine": "cascade", "model": " > ".join(stage.label for stage in self.stages)}
        for number, stage in enumerate(self.stages, 1):
            found |= {f"{number}.{name}": str(value) for name, value in stage.engine.identity.items()}
            if number < len(self.stages):
                found[f"{number}.threshold"] = f"{stage.threshold:.6g}"
        return found

    def choose(self, choices: Sequence[Choice], scene: Scene, deadline: Deadline | None = None) -> list[Distribution]:
        return self.decide_many([Ask(choices, scene)], deadline)[0]

    def decide_many(self, asks: Sequence[Ask], deadline: Deadline | None = None) -> list[list[Distribution]]:
        """Many conversations: each stage gets what is open of all of them at once."""
        found: dict[tuple[int, int], Distribution] = {}
        open_ = {(row, column) for row, ask in enumerate(asks) for column in range(len(ask.choices))}
        for number, stage in enumerate(self.stages, 1):
            if not open_:
                break
            if deadline is not None:
                deadline.check()
            is_last = number == len(self.stages)
            for place, answer in _answered(stage.engine, asks, open_, deadline):
                if is_last or answer.probabilities[answer.best] >= stage.threshold:
                    found[place] = _told(answer, number, stage)
            open_ -= found.keys()
        return [[found[row, column] for column in range(len(ask.choices))] for row, ask in enumerate(asks)]

    def check_catalog(self, name: str, digest: str) -> None:
        """Every stage answers this catalog's choices, so all parts that were made for one must be made for it."""
        for stage in self.stages:
            if isinstance(stage.engine, Bound):
                stage.engine.check_catalog(name, digest)

    def read(self, blanks: Sequence[Blank], scene: Scene, deadline: Deadline | None = None) -> Sequence[str | None]:
        """By the first stage that reads; nothing where none does."""
        reader = next((stage.engine for stage in self.stages if isinstance(stage.engine, Reads)), None)
        return [None] * len(blanks) if reader is None else reader.read(blanks, scene, deadline)


def _answered(
    engine: Engine, asks: Sequence[Ask], open_: set[tuple[int, int]], deadline: Deadline | None
) -> Iterator[tuple[tuple[int, int], Distribution]]:
    """The engine's answers to the open choices, each with its place. Raises EngineError for answers that are none."""
    columns = {row: sorted(column for at, column in open_ if at == row) for row in sorted({row for row, _ in open_})}
    put = [Ask([asks[row].choices[column] for column in open_columns], asks[row].scene) for row, open_columns in columns.items()]
    if isinstance(engine, DecidesMany):
        answers = engine.decide_many(put, deadline)
    else:
        answers = [engine.choose(ask.choices, ask.scene, deadline) for ask in put]
    if len(answers) != len(put):
        raise EngineError(f"{len(put)} conversations were put, {len(answers)} answered", hint="the engine is faulty; nothing was said")
    for (row, open_columns), ask, given in zip(columns.items(), put, answers, strict=True):
        sound = checked(given, [len(choice.candidates) for choice in ask.choices])
        yield from (((row, column), answer) for column, answer in zip(open_columns, sound, strict=True))


def _told(answer: Distribution, number: int, stage: Stage) -> Distribution:
    """The same answer, which tells who gave it."""
    return replace(answer, decoding=replace(answer.decoding or Decoding(), answered_by=f"{number}: {stage.label}"))
