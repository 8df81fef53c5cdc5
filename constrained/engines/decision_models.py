"""Decision models as engines: servers of ``/v1/decisions`` or ``/v1/systemone``, and what is asked of, and believed from, any of them.

    SystemoneEngine("jev-latest", "http://127.0.0.1:8000")       DecisionsEngine("gpt-6-luna", "https://api.openai.com")

A decision model answers a closed question with the probability of each option. It gets the conversation and the message, never the
state. Of an answer the numbers of the options that were asked for are read, and nothing else; what is no distribution over these
is an EngineError, and a server goes on by the rules. Formats: the ``openai`` package, 3.54 (``types/decision*.py``), and transformers, 5.23
(``cli/serving/systemone.py``).
"""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic_core import from_json

from constrained.engines.http import Http, HttpFailure
from constrained.engines.protocol import TOLERANCE, Candidate, Choice, Deadline, Decoding, Distribution, PromptContext
from constrained.errors import EngineError

N_EXAMPLES = 4  # of an option, in its description
MOST_CHARACTERS = 2_000  # of a state: what this library's server reads
N_ANCHORS = 2  # options that a block shares with the ones before it
MOST_OPTIONS = 255  # of a question: OpenAI, vLLM, LiteLLM
MOST_QUESTIONS = 64  # of a request: transformers and this library's server; OpenAI takes 400, vLLM 200


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """One question as a decision model is asked it. ``options``: value -> description, at least two."""

    name: str
    instructions: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answers:
    """[question][option] probabilities, each summing to 1; and how many tokens were read for them, 0 where that is not told."""

    shares: list[list[float]]
    n_tokens: int = 0


class DecisionModel(ABC):
    """An engine that asks a decision model.

    Args:
        most_options: that a question may have, 3 or more. A choice among more is put in blocks, and merged, where
            ``scores_options_alone``; else it is refused: the probabilities of two blocks have no common scale.
        most_questions: in one request.
        scores_options_alone: the model's score of an option does not depend on which others are asked for beside it. Each block
            holds the two likeliest options so far; where their ratio changes from block to block, the answer is refused.

    Raises EngineError for sizes that cannot be.
    """

    is_concurrent = True

    def __init__(self, most_options: int, most_questions: int, scores_options_alone: bool) -> None:
        if most_options <= N_ANCHORS or most_questions < 1:
            raise EngineError(f"{most_options} options, {most_questions} questions", hint="3 options and 1 question are the least")
        self._most_options, self._most_questions, self._is_splitting = most_options, most_questions, scores_options_alone

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, str]: ...

    @abstractmethod
    def _ask(self, questions: Sequence[ChoiceQuestion], scene: PromptContext, deadline: Deadline | None) -> Answers:
        """The answers to at most ``most_questions``. Raises EngineError or DeadlineError."""

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """One distribution per choice, as the model tells them. Raises EngineError or DeadlineError."""
        if not self._is_splitting:
            _refuse_more(choices, self._most_options)
        merged = [MergedBlocks(choice, self._most_options) for choice in choices]
        n_tokens = n_requests = 0
        while open_ := [one for one in merged if not one.is_complete][: self._most_questions]:
            blocks = [one.next_block() for one in open_]
            questions = [_question(f"q{at}", one.choice, block, scene) for at, (one, block) in enumerate(zip(open_, blocks, strict=True))]
            answers = self._ask(questions, scene, deadline)
            n_tokens, n_requests = n_tokens + answers.n_tokens, n_requests + 1
            for one, block, shares in zip(open_, blocks, answers.shares, strict=True):
                one.add(block, shares)
        told = Decoding("a decision model's own probabilities", n_tokens, n_requests)
        return [Distribution(one.probabilities(), "exact", decoding=told) for one in merged]


def _refuse_more(choices: Sequence[Choice], most: int) -> None:
    for choice in choices:
        if len(choice.candidates) > most:
            raise EngineError(
                f"{choice.name!r} has {len(choice.candidates)} options, the decision model takes {most}: "
                "the probabilities of two blocks of them have no common scale",
                hint="raise most_options if the model takes more, or set scores_options_alone if it scores each option by itself",
            )


def _question(name: str, choice: Choice, block: Sequence[int], scene: PromptContext) -> ChoiceQuestion:
    values = option_values(choice.candidates)
    instructions = choice.question or f"Which reply of {scene.speaker or 'the assistant'} answers the last message?"
    return ChoiceQuestion(name, instructions, {values[index]: _describe(choice.candidates[index], values[index]) for index in block})


def option_values(candidates: Sequence[Candidate]) -> list[str]:
    """What the options are called: their names, where these tell them apart, else their keys, which always do."""
    names = [candidate.name for candidate in candidates]
    return names if all(names) and len(set(names)) == len(names) else [candidate.key for candidate in candidates]


def _describe(candidate: Candidate, value: str) -> str:
    parts = ["None of the others."] if candidate.no_match else []
    parts += list(dict.fromkeys(part for part in (candidate.when, candidate.text) if part and part != value))
    if candidate.examples:
        parts.append("For example: " + "; ".join(candidate.examples[:N_EXAMPLES]))
    return " ".join(parts) or value


@dataclass(slots=True)
class MergedBlocks:
    """A choice that is put in blocks, and its distribution so far.

    p(a)/p(b) is the same with and without other options, where each is scored by itself (Luce, Individual Choice Behavior, 1959).
    So a block is brought to the scale of the ones before it by what it shares with them. These are the likeliest so far: their
    probability is at least 1/n of all that was seen, and an error e of a number in a block is one of at most n*e in the result.

    Attributes:
        weights: candidate -> probability among those that were asked for so far.
    """

    choice: Choice
    most_options: int
    weights: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.choice.candidates) == 1:
            self.weights = {0: 1.0}  # nothing to ask

    @property
    def is_complete(self) -> bool:
        return len(self.weights) == len(self.choice.candidates)

    def next_block(self) -> list[int]:
        """Candidates to be asked for: those that were not yet, then the anchors, the likelier one last: who goes by places is found out."""
        anchors = sorted(self.weights, key=lambda index: (-self.weights[index], index))[:N_ANCHORS]
        n_seen = len(self.weights)  # they are asked for in their order
        return [*range(n_seen, min(n_seen + self.most_options - len(anchors), len(self.choice.candidates))), *reversed(anchors)]

    def add(self, block: Sequence[int], shares: Sequence[float]) -> None:
        """Raises EngineError where the anchors do not stand to each other as they did."""
        if self.weights:
            (before, other), (now, other_now) = (self.weights[index] for index in block[-N_ANCHORS:]), shares[-N_ANCHORS:]
            if abs(other_now - (now + other_now) * other / (before + other)) > TOLERANCE:
                raise EngineError(
                    f"the decision model's answers to {self.choice.name!r} cannot be merged: its scores depend on the other options",
                    hint="leave scores_options_alone out, and offer fewer options at once",
                )
            scale = (now + other_now) / (before + other)
            self.weights = {index: weight * scale for index, weight in self.weights.items()}
        self.weights |= dict(zip(block, shares, strict=True))
        whole = math.fsum(self.weights.values())
        self.weights = {index: weight / whole for index, weight in self.weights.items()}

    def probabilities(self) -> tuple[float, ...]:
        return tuple(self.weights[index] for index in range(len(self.choice.candidates)))


# -- what is believed ------------------------------------------------------------------------------------------------


def read_shares(values: Sequence[str], told: Mapping[Any, Any], best: Any) -> list[float]:
    """[option] the probabilities told, summing to 1. Raises HttpFailure unless they are a distribution over these options."""
    if told.keys() != set(values):
        raise HttpFailure("probabilities of other options than were asked for")
    shares = [told[value] for value in values]
    if not all(type(share) in (float, int) and 0.0 <= share <= 1.0 + TOLERANCE for share in shares):  # false for NaN
        raise HttpFailure("probabilities that are none")
    whole = math.fsum(shares)
    if abs(whole - 1.0) > TOLERANCE:
        raise HttpFailure("probabilities that do not add up to 1")
    if best not in told or told[best] < max(shares) - TOLERANCE:
        raise HttpFailure("a choice that is not its most probable option")
    return [share / whole for share in shares]


def read_systemone(found: Any, questions: Sequence[ChoiceQuestion]) -> list[list[float]]:
    """[question][option] the probabilities of a System One answer. Raises HttpFailure unless it answers each question, and no other."""
    if not isinstance(found, dict) or found.keys() != {one.name for one in questions}:
        raise HttpFailure("answers to other questions than were asked")
    return [_read_systemone(found[one.name], list(one.options)) for one in questions]


def _read_systemone(answer: Any, values: Sequence[str]) -> list[float]:
    if not isinstance(answer, dict) or answer.get("type") != "choice" or not isinstance(answer.get("probabilities"), dict):
        raise HttpFailure("an answer that is no choice with probabilities")
    best = answer.get("choice")
    return read_shares(values, answer["probabilities"], best if isinstance(best, str) else None)


def read_decisions(found: Any, questions: Sequence[ChoiceQuestion]) -> list[list[float]]:
    """The same of ``/v1/decisions``, whose answers stand in the order of the questions. A refusal is no answer."""
    if not isinstance(found, list) or len(found) != len(questions):
        raise HttpFailure("not one answer for each question")
    return [_read_decision(answer, one) for answer, one in zip(found, questions, strict=True)]


def _read_decision(answer: Any, question: ChoiceQuestion) -> list[float]:
    if isinstance(answer, dict) and answer.get("type") == "refusal":
        raise HttpFailure("it declined to answer")
    if not isinstance(answer, dict) or answer.get("type") != "choice" or answer.get("name") != question.name:
        raise HttpFailure("an answer to another question than was asked")
    told = answer.get("probabilities")
    if not isinstance(told, list) or not all(isinstance(one, dict) and isinstance(one.get("value"), str) for one in told):
        raise HttpFailure("an answer that is no choice with probabilities")
    by_value = {one["value"]: one.get("probability") for one in told}
    if len(by_value) != len(told):
        raise HttpFailure("an option that stands twice")
    best = answer.get("choice")
    return read_shares(list(question.options), by_value, best if isinstance(best, str) else None)


# -- over HTTP -------------------------------------------------------------------------------------------------------


class _DecisionServer(DecisionModel):
    """A decision model behind a URL.

    Args:
        model: as the server calls it. url: ``http://127.0.0.1:8000``, with or without ``/v1``.
        api_key: sent as a bearer token. timeout_s: for one request; a turn's deadline cuts it short. n_connections: requests at once.

    Nothing is asked before the first choice: the server may come up later.
    """

    _name: ClassVar[str]

    def __init__(
        self,
        model: str,
        url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 5.0,
        most_options: int = MOST_OPTIONS,
        most_questions: int = MOST_QUESTIONS,
        scores_options_alone: bool = False,
        n_connections: int = 16,
    ) -> None:
        super().__init__(most_options, most_questions, scores_options_alone)
        if not url.startswith(("http://", "https://")):
            raise EngineError("the address of a decision server begins with http:// or https://", hint='"http://127.0.0.1:8000"')
        self._model, self._url = model, f"{url.rstrip('/').removesuffix('/v1')}/v1/{self._name}"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_s, self._http = timeout_s, Http(n_connections)
        self._threads = ThreadPoolExecutor(n_connections, thread_name_prefix=f"constrained-{self._name}")

    @property
    def identity(self) -> Mapping[str, str]:
        return {"engine": self._name, "model": self._model, "rule": "a decision model's own"}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    @abstractmethod
    def _body(self, questions: Sequence[ChoiceQuestion], scene: PromptContext) -> dict[str, Any]: ...

    @abstractmethod
    def _read(self, answers: Any, questions: Sequence[ChoiceQuestion]) -> list[list[float]]: ...

    def _ask(self, questions: Sequence[ChoiceQuestion], scene: PromptContext, deadline: Deadline | None) -> Answers:
        if deadline is not None:
            deadline.check()
        within_s = self._timeout_s if deadline is None else min(self._timeout_s, deadline.left_s)
        content = json.dumps({"model": self._model, **self._body(questions, scene)}, ensure_ascii=False).encode()
        try:
            found = self._post(content, within_s)
            return Answers(self._read(found.get("answers"), questions), _n_tokens(found.get("usage")))
        except HttpFailure as failure:
            if deadline is not None:
                deadline.check()  # then there was no time, which is not the server's fault
            raise EngineError(
                f"the decision server gave no sound answer: {failure.reason}",
                hint="see that it is up and speaks the format; nothing was said",
            ) from None

    def _post(self, content: bytes, within_s: float) -> dict[str, Any]:
        """The object that the server answers. It is asked in a thread: not even the search for its address may outlast the time."""
        most_bytes, end = 65_536 + 8 * len(content), time.monotonic() + within_s
        asked = self._threads.submit(
            self._http.send, "POST", self._url, content, self._headers, within_s=within_s, most_bytes=most_bytes, kind="application/json"
        )
        while not wait([asked], max(0.0, end - time.monotonic())).done:
            if time.monotonic() >= end:
                asked.cancel()
                raise HttpFailure("it did not answer in time")
        try:
            found = from_json(asked.result(), allow_inf_nan=False)
        except ValueError:
            raise HttpFailure("a body that is no JSON") from None
        if not isinstance(found, dict):
            raise HttpFailure("a body that is no object")
        return found


def _n_tokens(usage: Any) -> int:
    told = usage.get("input_tokens") if isinstance(usage, dict) else None
    return told if type(told) is int and 0 <= told < 2**31 else 0


class SystemoneEngine(_DecisionServer):
    """A server of ``/v1/systemone``: TypeSafe, vLLM, SGLang, llama.cpp, Ollama, transformers serve, this library's own."""

    _name = "systemone"

    def _body(self, questions: Sequence[ChoiceQuestion], scene: PromptContext) -> dict[str, Any]:
        return {"state": systemone_state(scene), "questions": systemone_questions(questions)}

    def _read(self, answers: Any, questions: Sequence[ChoiceQuestion]) -> list[list[float]]:
        return read_systemone(answers, questions)


def systemone_state(scene: PromptContext) -> str:
    """The conversation and the message, as text; of more than MOST_CHARACTERS without its oldest lines, and never without the message."""
    lines = list(_history(scene))
    while lines and len(text := "\n".join([*lines, f"User: {scene.message}"])) > MOST_CHARACTERS:
        del lines[0]
    return text if lines else scene.message


def systemone_questions(questions: Sequence[ChoiceQuestion]) -> dict[str, dict[str, Any]]:
    """The questions as System One asks them."""
    return {one.name: {"type": "choice", "instructions": one.instructions, "criteria": dict(one.options)} for one in questions}


class DecisionsEngine(_DecisionServer):
    """A server of ``/v1/decisions``: OpenAI, vLLM, LiteLLM, this library's own. Only roles that all of them know are sent."""

    _name = "decisions"

    def _body(self, questions: Sequence[ChoiceQuestion], scene: PromptContext) -> dict[str, Any]:
        asked = [
            {
                "type": "choice",
                "name": one.name,
                "instructions": one.instructions,
                "choices": [{"value": value, "description": text} for value, text in one.options.items()],
            }
            for one in questions
        ]
        lines = [*_history(scene), scene.message]
        return {"input": [{"role": "user", "content": line} for line in lines] if scene.history else scene.message, "questions": asked}

    def _read(self, answers: Any, questions: Sequence[ChoiceQuestion]) -> list[list[float]]:
        return read_decisions(answers, questions)


def _history(scene: PromptContext) -> Iterator[str]:
    for who, text in scene.history:
        yield f"{'User' if who == 'user' else scene.speaker or 'Assistant'}: {text}"
