"""Speaks as decision models do (``/v1/systemone``): typed questions about a state, answered with probabilities. Says nothing.

    choice   criteria {option: description or null}, any number   -> choice, probabilities, confidence
    score    criteria [level 0, level 1, ...]                      -> score (the expected level), probabilities, confidence, legend
    noul     criteria {true: ..., false: ...}, optional            -> noul (the probability of yes)

The engine scores options as it scores responses, in one pass for all questions; its calibration is the one of its rule.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from constrained.dialogue.context import MESSAGE_LIMIT, cut_message
from constrained.engines.protocol import Candidate, Choice, Deadline, Distribution, Engine, PromptContext, checked
from constrained.errors import DeadlineError, EngineError
from constrained.serve.errors import RefusedError
from constrained.serve.wire import Seconds

MOST_OPTIONS = 1_000
Text = Annotated[str, Field(min_length=1, max_length=4_000)]


class _Question(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    instructions: Text


class ChoiceQuestion(_Question):
    """One of several options; each may be described."""

    type: Literal["choice"]
    criteria: dict[Text, str | None] = Field(min_length=1, max_length=MOST_OPTIONS)


class ScoreQuestion(_Question):
    """A level; they are described from the lowest to the highest."""

    type: Literal["score"]
    criteria: list[Text] = Field(min_length=2, max_length=100)


class YesNoCriteria(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)

    yes: str | None = Field(None, alias="true")
    no: str | None = Field(None, alias="false")


class NoulQuestion(_Question):
    """Yes or no."""

    type: Literal["noul"]
    criteria: YesNoCriteria | None = None


AnyQuestion = Annotated[ChoiceQuestion | ScoreQuestion | NoulQuestion, Field(discriminator="type")]


class SystemOneRequest(BaseModel):
    """Questions about a state. ``model`` names an engine of this server; ``within`` is in seconds."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "state": "The card was charged twice, and I want my money back.",
                    "questions": {
                        "topic": {
                            "type": "choice",
                            "instructions": "What is it about?",
                            "criteria": {"refund": "money back", "delivery": "a parcel"},
                        },
                        "anger": {"type": "score", "instructions": "How angry is the writer?", "criteria": ["calm", "cross", "furious"]},
                        "urgent": {"type": "noul", "instructions": "Is it urgent?"},
                    },
                }
            ]
        },
    )

    model: str | None = None
    state: str | dict[str, Any] | list[Any]
    questions: dict[str, AnyQuestion] = Field(min_length=1, max_length=64)
    within: Seconds | None = None


class SystemOneReply(BaseModel):
    """An answer for each question, under its name."""

    model_config = ConfigDict(frozen=True)

    model: str
    answers: dict[str, dict[str, Any]]
    usage: dict[str, int]


def engine_of(engines: Mapping[str, Engine | None], wanted: str | None) -> tuple[str, Engine]:
    """The engine named, or the first. Raises RefusedError where there is no model to ask."""
    name = wanted if wanted is not None and wanted in engines else next(iter(engines))
    if wanted is not None and wanted not in engines:
        raise RefusedError(422, f"there is no engine {wanted!r}", hint=f"there are {', '.join(engines)}", param="model")
    engine = engines[name]
    if engine is None:
        raise RefusedError(503, "no model is served, and rules answer no question", hint="start the server with --model", param="model")
    return name, engine


def answer(name: str, engine: Engine, request: SystemOneRequest, within_s: float) -> SystemOneReply:
    """Asks the engine once for all questions; guesses nothing.

    Raises:
        EngineError: the engine failed. DeadlineError: it took longer than the server grants.
        RefusedError: a question it cannot be asked, or more haste than it can make (408: the caller's to change).
    """
    choices = [_choice(key, question) for key, question in request.questions.items()]
    found = ask(engine, choices, _scene(request), request.within, within_s)
    answers = {key: _answer(question, distribution) for (key, question), distribution in zip(request.questions.items(), found, strict=True)}
    n_tokens = sum(one.decoding.n_tokens for one in found if one.decoding)
    return SystemOneReply(model=name, answers=answers, usage={"input_tokens": n_tokens, "output_tokens": 0})


def ask(engine: Engine, choices: Sequence[Choice], scene: PromptContext, within: float | None, granted_s: float) -> list[Distribution]:
    """The engine's answers, one a choice, checked. Raises as ``answer`` does.

    Args:
        within: seconds that the caller gives it; None: what the server grants.
    """
    deadline = Deadline.after(granted_s if within is None else within)
    try:
        with refusing_haste(within, granted_s):
            return checked(engine.choose(choices, scene, deadline), [len(one.candidates) for one in choices])
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise EngineError(f"the engine failed: {type(error).__name__}", hint="the server's log tells more") from error


@contextmanager
def refusing_haste(within: float | None, granted_s: float) -> Iterator[None]:
    """Where the caller gives less time than the server grants, a late answer is a RefusedError (408), and the caller's to change."""
    try:
        yield
    except DeadlineError as error:
        if within is None or within >= granted_s:
            raise
        hint = "give more time, or leave `within` out"
        raise RefusedError(408, f"no answer within {within:g} s", hint=hint, param="within") from error


def _choice(name: str, question: ChoiceQuestion | ScoreQuestion | NoulQuestion) -> Choice:
    if isinstance(question, NoulQuestion):
        criteria = question.criteria or YesNoCriteria(yes=None, no=None)
        return Choice(name, "heard", (_candidate("yes", criteria.yes), _candidate("no", criteria.no)), question.instructions)
    if isinstance(question, ScoreQuestion):
        candidates = tuple(Candidate(str(level), text, text, name=text) for level, text in enumerate(question.criteria))
        return Choice(name, "heard", candidates, question.instructions)
    return Choice(name, "heard", tuple(_candidate(key, text) for key, text in question.criteria.items()), question.instructions)


def _candidate(key: str, description: str | None) -> Candidate:
    return Candidate(key, key, description or key, name=key)


def _scene(request: SystemOneRequest) -> PromptContext:
    """What the engine reads: the state is the message, there is no persona and no policy. Raises RefusedError where it is too long."""
    state, is_cut = cut_message(request.state if isinstance(request.state, str) else json.dumps(request.state, ensure_ascii=False))
    if is_cut:
        raise RefusedError(422, "the state is longer than is read of one", hint=f"at most {MESSAGE_LIMIT} characters", param="state")
    return PromptContext("systemone", "", "", "", (), (), "", (), state, "en")


def _answer(question: ChoiceQuestion | ScoreQuestion | NoulQuestion, found: Distribution) -> dict[str, Any]:
    shares = found.probabilities
    if isinstance(question, NoulQuestion):
        return {"type": "noul", "noul": shares[0]}
    if isinstance(question, ScoreQuestion):
        expected = math.fsum(level * share for level, share in enumerate(shares))
        legend = {str(level): text for level, text in enumerate(question.criteria)}
        return {
            "type": "score",
            "score": expected,
            "probabilities": _by_name(legend, shares),
            "confidence": closeness(shares),
            "legend": legend,
        }
    names = list(question.criteria)
    return {"type": "choice", "choice": names[found.best], "probabilities": _by_name(names, shares), "confidence": confidence(shares)}


def _by_name(names: Any, shares: Sequence[float]) -> dict[str, float]:
    return dict(zip(names, shares, strict=True))


def confidence(shares: Sequence[float]) -> float:
    """How far the best share is above an equal one: 0 for equal shares, 1 for certainty and for a single option."""
    equal = 1 / len(shares)
    return 1.0 if len(shares) == 1 else max(0.0, (max(shares) - equal) / (1 - equal))


def closeness(shares: Sequence[float]) -> float:
    """How close levels are to the expected one: 1 less their mean distance over that of equal shares."""
    return max(0.0, 1 - _distance(shares) / _distance([1 / len(shares)] * len(shares)))


def _distance(shares: Sequence[float]) -> float:
    expected = math.fsum(level * share for level, share in enumerate(shares))
    return math.fsum(abs(level - expected) * share for level, share in enumerate(shares))
