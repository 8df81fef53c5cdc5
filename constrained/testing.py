"""Engines for tests, of this library and of its users: scripted, random, sabotaged. Needs no torch and no model.

engine = ScriptedEngine({"Sixty for the key?": {"offer": 60, "reply": "sell_key"}})
Dialogue(innkeeper, engine=engine).reply("Sixty for the key?", Tavern(gold=80)).response_id    # "sell_key"
"""

from __future__ import annotations

import contextlib
import enum
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal, get_args

from constrained.dialogue.context import clean_message
from constrained.engines.protocol import Candidate, Choice, Deadline, Distribution, ExtractionField, PromptContext
from constrained.errors import EngineError

Answers = Mapping[str, Any] | str
"""Question name -> value (or candidate key), and ``"reply"`` -> response id; a text alone is the response id."""

Script = Mapping[str, Answers] | Sequence[Answers] | Callable[[str], Answers]


class ScriptedEngine:
    """Answers by a script: message -> answers, or a function of the message, or one entry per turn.

    A question that the script does not name is answered with its way out ("none", "no"), as if the message
    did not speak of it. A reply that it does not name, or a message that is not in it, is an EngineError.

    Args:
        probability: of the scripted answer; the other candidates share the rest evenly.
        is_told: the script is what people say that the messages mean: its replies need no further evidence in the message, not even
            for an act. By default an act must be clear from the message, as with any engine.
    """

    is_scripted = True  # it is asked every question, also what the message answers itself

    def __init__(self, script: Script, *, probability: float = 0.9, is_told: bool = False) -> None:
        self.is_told = is_told
        self._answers = _by_turn(script) if isinstance(script, Sequence) else _by_message(script)
        self._probability = probability

    @property
    def identity(self) -> Mapping[str, str]:
        return {"model": "scripted"}

    def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> list[str | None]:
        """What the script says of each; nothing of those that it does not name."""
        answers = self._answers([f"read {blank.name}" for blank in blanks], scene)
        found = {} if isinstance(answers, str) else answers
        return [None if found.get(blank.name) is None else str(found[blank.name]) for blank in blanks]

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        answers = self._answers([f"{choice.kind} {choice.name}" for choice in choices], scene)
        if isinstance(answers, str):
            answers = {"reply": answers}
        return [self._distribution(choice, _index(choice, answers, scene.message)) for choice in choices]

    def _distribution(self, choice: Choice, index: int) -> Distribution:
        n = len(choice.candidates)
        others = (1 - self._probability) / (n - 1) if n > 1 else 0.0
        chosen = self._probability if n > 1 else 1.0
        return Distribution(tuple(chosen if i == index else others for i in range(n)), "exact")


class RandomEngine:
    """Random answers, the same for the same seed: any of them must lead to an approved reply."""

    def __init__(self, seed: int = 0) -> None:
        self._seed, self._random = seed, random.Random(seed)

    @property
    def identity(self) -> Mapping[str, str]:
        return {"model": "random", "seed": str(self._seed)}

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        return [Distribution(self._probabilities(len(choice.candidates)), "exact") for choice in choices]

    def _probabilities(self, n: int) -> tuple[float, ...]:
        """Evenly, or all on one, or anything between, down to the smallest numbers that a float holds."""
        shape = self._random.choice(("even", "certain", "flat", "steep"))
        if shape == "even":
            return (1 / n,) * n
        if shape == "certain":
            certain = self._random.randrange(n)
            return tuple(float(i == certain) for i in range(n))
        weights = [self._random.random() ** (1 if shape == "flat" else 300) + 5e-324 for _ in range(n)]
        return tuple(weight / sum(weights) for weight in weights)


Sabotage = Literal[
    "too_few", "too_many", "nothing", "wrong_length", "nan", "infinite", "negative", "not_one", "not_numbers", "rules_mode",
    "huge_index", "raises", "deadline", "mutates", "identity",
]  # fmt: skip
SABOTAGES: tuple[Sabotage, ...] = get_args(Sabotage)


class SabotagedEngine:
    """A broken engine. A turn must answer with an approved text or a typed error, whatever it does.

    Args:
        how: what it does wrong; see ``Sabotage``.
    """

    def __init__(self, how: Sabotage, seed: int = 0) -> None:
        self.how, self._sound = how, RandomEngine(seed)

    @property
    def identity(self) -> Mapping[str, str]:
        if self.how == "identity":
            raise RuntimeError("an engine that does not know its name")
        return {"model": f"sabotaged: {self.how}"}

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> Any:
        answers = self._sound.choose(choices, scene, deadline)
        if self.how in _WRONG_ANSWERS:
            return _WRONG_ANSWERS[self.how](answers)
        if self.how == "raises":
            raise RuntimeError("CUDA error: device-side assert triggered")
        if self.how == "deadline":
            from constrained.errors import DeadlineError

            raise DeadlineError("too late, though nobody set a time", within_s=0)
        if self.how == "mutates":
            _mutate(choices, scene)
        return answers


class _HugeIndex(Distribution):
    """A distribution that names a candidate that is not there."""

    @property
    def best(self) -> int:
        return 10**12


def _with(probabilities: Callable[[Distribution], Any]) -> Callable[[list[Distribution]], Any]:
    return lambda answers: [Distribution(probabilities(answer), "exact") for answer in answers]


_WRONG_ANSWERS: dict[str, Callable[[list[Distribution]], Any]] = {
    "too_few": lambda answers: answers[:-1],
    "too_many": lambda answers: answers * 2,
    "nothing": lambda answers: None,
    "wrong_length": _with(lambda answer: (*answer.probabilities, 0.0)),
    "nan": _with(lambda answer: (float("nan"),) * len(answer.probabilities)),
    "infinite": _with(lambda answer: (float("inf"), *answer.probabilities[1:])),
    "negative": _with(lambda answer: (-1.0, *(2.0 / (len(answer.probabilities) - 1) for _ in answer.probabilities[1:]))),
    "not_one": _with(lambda answer: tuple(probability / 2 for probability in answer.probabilities)),
    "not_numbers": _with(lambda answer: ("most likely",) * len(answer.probabilities)),
    "rules_mode": lambda answers: [Distribution(answer.probabilities, "rules") for answer in answers],
    "huge_index": lambda answers: [_HugeIndex(answer.probabilities, "exact") for answer in answers],
}


def _mutate(choices: Any, scene: PromptContext) -> None:
    """Writes over everything within reach, frozen or not."""
    for choice in list(choices):
        for candidate in choice.candidates:
            object.__setattr__(candidate, "text", "What the model would rather say.")
        object.__setattr__(choice, "candidates", (Candidate("x", "What the model would rather say."),))
    object.__setattr__(scene, "message", "Another message.")
    with contextlib.suppress(AttributeError, TypeError):  # a tuple has nothing to clear
        choices.clear()


# -- the script ------------------------------------------------------------------------------------------


def _by_message(script: Mapping[str, Answers] | Callable[[str], Answers]) -> Callable[[Sequence[str], PromptContext], Answers]:
    if callable(script):
        return lambda asked, scene: script(scene.message)
    by_message = {clean_message(message): answers for message, answers in script.items()}

    def answers(asked: Sequence[str], scene: PromptContext) -> Answers:
        if scene.message not in by_message:
            known = ", ".join(map(repr, by_message)) or "nothing"
            raise EngineError(f"the script has no answers for {scene.message!r}", hint=f"it knows {known}")
        return by_message[scene.message]

    return answers


def _by_turn(script: Sequence[Answers]) -> Callable[[Sequence[str], PromptContext], Answers]:
    """One entry per turn in which the engine is asked: a turn asks each question once, of one message."""
    turn, asked, place = -1, set[str](), None

    def answers(names_asked: Sequence[str], scene: PromptContext) -> Answers:
        nonlocal turn, asked, place
        names = set(names_asked)
        if names & asked or place != (scene.message, scene.history):
            turn, asked, place = turn + 1, set(), (scene.message, scene.history)
        asked |= names
        if turn >= len(script):
            raise EngineError(f"the script ends after {len(script)} turns", hint=f"add an entry for {scene.message!r}")
        return script[turn]

    return answers


def _index(choice: Choice, answers: Mapping[str, Any], message: str) -> int:
    if choice.kind == "option" and "reply" not in answers:
        raise EngineError(f"the script does not say what to reply to {message!r}", hint=f'add "reply": {_listed(choice)}')
    if choice.name not in answers:
        return next((index for index, candidate in enumerate(choice.candidates) if candidate.no_match), 0)
    answer = answers["reply" if choice.kind == "option" else choice.name]
    found = next((index for index, candidate in enumerate(choice.candidates) if _means(candidate, choice, answer)), None)
    if found is None:
        raise EngineError(f"{answer!r} is no candidate of {choice.name!r} for {message!r}", hint=f"the candidates are {_listed(choice)}")
    return found


def _means(candidate: Candidate, choice: Choice, answer: Any) -> bool:
    if choice.kind == "option":
        return answer in (candidate.key, candidate.key.split(":", 1)[-1])
    if answer is None:
        return candidate.no_match
    if isinstance(answer, int | Decimal) and not isinstance(answer, bool | enum.Enum):
        return _number(candidate.key) == answer
    return bool(_names(answer) & {_plain(candidate.key), _plain(candidate.text)})


def _names(value: Any) -> set[str]:
    if isinstance(value, bool):
        return {"yes" if value else "no"}
    if isinstance(value, enum.Enum):
        return {_plain(value.name), _plain(value.value)}
    return {_plain(value.isoformat() if isinstance(value, date) else value)}


def _plain(value: Any) -> str:
    return " ".join(str(value).replace("_", " ").split()).casefold()


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


def _listed(choice: Choice) -> str:
    return ", ".join(repr(candidate.key.split(":", 1)[-1] if choice.kind == "option" else candidate.key) for candidate in choice.candidates)
