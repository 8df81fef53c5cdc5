"""Speaks as OpenAI's decisions do (``/v1/decisions``): typed questions about an input, answered with probabilities. Says nothing.

``model`` is an engine of this server, a pack, or ``pack@engine``. With a pack, a choice that names no ``choices`` is the turn's own: the
options are the ids of the responses that the pack's logic allows in ``state``, the choice is the one that a turn would say. Such a
turn is decided and verified, not taken: nothing is recorded, no effect runs, no text leaves.

The format is that of the ``openai`` package, 3.54 (``client.decisions.create``), with the limits that vLLM has in its
``entrypoints/openai/decisions/protocol.py``. Text is read, of messages and JSON; images and tool calls are refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, model_validator

from constrained.dialogue.context import cut_message
from constrained.dialogue.turn import Turn
from constrained.engines.protocol import Candidate, Choice, Distribution, PromptContext, Speaker
from constrained.logic.state import HISTORY_TURNS
from constrained.serve.errors import RefusedError
from constrained.serve.openai_api import ChatMessage, memory_of
from constrained.serve.systemone import ask, closeness, confidence, engine_of, refusing_haste
from constrained.serve.turns import Turns
from constrained.serve.wire import Locale, Seconds, TurnRequest

MOST_QUESTIONS, MOST_CHOICES, MOST_LEVELS, MOST_ITEMS = 400, 255, 10, 1_000
Text = Annotated[str, Field(max_length=4_000)]


class _DecisionValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class InputText(_DecisionValue):
    type: Literal["input_text", "output_text"]
    text: Text
    prompt_cache_breakpoint: dict[str, Any] | None = None


class InputJson(_DecisionValue):
    """An object, or a list of objects, read as JSON text."""

    type: Literal["input_json"]
    data: dict[str, Any] | list[dict[str, Any]]


Content = Text | Annotated[list[Annotated[InputText | InputJson, Field(discriminator="type")]], Field(min_length=1, max_length=100)]


class InputMessage(_DecisionValue):
    """One message of the input; the last one is the user's. ``system`` and ``developer`` are read as circumstances."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    phase: str | None = None


class _DecisionQuestion(_DecisionValue):
    instructions: Content
    name: Text | None = None


class PredicateQuestion(_DecisionQuestion):
    """How likely a statement is true."""

    type: Literal["predicate"]


class ChoiceOption(_DecisionValue):
    """``true`` and ``"true"`` are two values."""

    value: StrictStr | StrictBool
    description: Text | None = None


class OptionsQuestion(_DecisionQuestion):
    """One of the options. Without ``choices``: what the pack may say now."""

    type: Literal["choice"]
    choices: list[ChoiceOption] | None = Field(None, min_length=2, max_length=MOST_CHOICES)

    @model_validator(mode="after")
    def _values_differ(self) -> OptionsQuestion:
        values = [(type(one.value), one.value) for one in self.choices or ()]
        if len(set(values)) < len(values):
            raise ValueError("each choice must be unique")
        return self


class Level(_DecisionValue):
    label: Text
    description: Text | None = None


class LevelsQuestion(_DecisionQuestion):
    """A level; they are given from the lowest to the highest."""

    type: Literal["score"]
    levels: list[Level] = Field(min_length=2, max_length=MOST_LEVELS)


AnyDecisionQuestion = Annotated[PredicateQuestion | OptionsQuestion | LevelsQuestion, Field(discriminator="type")]


class DecisionRequest(_DecisionValue):
    """Questions about an input. ``state`` and ``locale`` (of a pack) and ``within`` (seconds) are this server's own fields."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "tavern",
                    "input": "Sixty gold for the cellar key?",
                    "questions": [
                        {
                            "type": "choice",
                            "name": "topic",
                            "instructions": "What is it about?",
                            "choices": [{"value": "key", "description": "a purchase"}, {"value": "room"}],
                        },
                        {"type": "predicate", "name": "rude", "instructions": "Is the message rude?"},
                    ],
                }
            ]
        }
    )

    model: str = Field(max_length=300)
    input: Text | Annotated[list[InputMessage], Field(min_length=1, max_length=MOST_ITEMS)]
    questions: list[AnyDecisionQuestion] = Field(min_length=1, max_length=MOST_QUESTIONS)
    safety_identifier: Annotated[str, Field(max_length=128)] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    state: dict[str, Any] | None = None
    locale: Locale | None = None
    within: Seconds | None = None


class DecisionsReply(BaseModel):
    """An answer for each question, in their order."""

    model_config = ConfigDict(frozen=True)

    model: str
    answers: list[dict[str, Any]]
    usage: dict[str, Any]


def decide(turns: Turns, tenant: str, request: DecisionRequest) -> DecisionsReply:
    """Asks the engine once for all ad-hoc questions, and the pack once for its own.

    Raises:
        RefusedError: 404 for a model that is not there, 400 for what is not read here, 408 for more haste than can be made.
        EngineError, DeadlineError: no answer; no rules stand in for a model.
    """
    pack, engine_name = _model(turns, request.model)
    _, engine = engine_of({engine_name: turns.engine(engine_name, pack)[1]}, None)
    transcript = _transcript(request.input)
    is_own = [isinstance(one, OptionsQuestion) and one.choices is None for one in request.questions]
    if (any(is_own) or request.state is not None or request.locale is not None) and not pack:
        raise _invalid("an engine has no options, state or locale of its own: name a pack, or choices", "questions")
    choices = [_choice(str(at), one) for at, one in enumerate(request.questions) if not is_own[at]]
    found = ask(engine, choices, _scene(transcript), request.within, turns.settings.within) if choices else []
    turn = _turn(turns, tenant, request, pack, engine_name, transcript) if any(is_own) else None
    told, rest = [one.decoding for one in found] + ([turn.decision.decoding] if turn else []), iter(found)
    answers = [
        _turn_answer(question.name, turn) if own and turn else _answer(question, next(rest))
        for question, own in zip(request.questions, is_own, strict=True)
    ]
    return DecisionsReply(model=request.model, answers=answers, usage=_usage(sum(one.n_tokens for one in told if one)))


def _model(turns: Turns, name: str) -> tuple[str, str]:
    """The pack, empty for an engine alone, and the engine."""
    pack, _, engine = name.partition("@")
    if not engine and name in turns.engines:
        return "", name
    engine = engine or next(iter(turns.engines))
    if pack not in turns.packs.names or engine not in turns.engines:
        hint = f"an engine ({', '.join(turns.engines)}), a pack ({', '.join(turns.packs.names)}), or pack@engine"
        raise RefusedError(404, "the model does not exist", hint=hint, param="model", code="model_not_found")
    return pack, engine


def _invalid(message: str, param: str) -> RefusedError:
    return RefusedError(400, message, hint="see /openapi.json", param=param, code="invalid_value")


# -- the input -------------------------------------------------------------------------------------------------------


def _transcript(given: str | list[InputMessage]) -> list[tuple[str, str]]:
    """[message] role and text, cleaned. Raises RefusedError where the last is not the user's, or one is too long to be read whole."""
    lines = [("user", given)] if isinstance(given, str) else [(one.role, _text(one.content)) for one in given]
    cleaned = [(role, *cut_message(text)) for role, text in lines]
    if lines[-1][0] != "user":
        raise _invalid("the last message is not the user's: there is nothing to decide about", "input")
    if any(is_cut for _, _, is_cut in cleaned):
        raise _invalid("a message is longer than is read of one: split it", "input")
    return [(role, text) for role, text, _ in cleaned]


def _text(content: str | Sequence[InputText | InputJson]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text if isinstance(part, InputText) else json.dumps(part.data, ensure_ascii=False) for part in content)


def _scene(transcript: Sequence[tuple[str, str]]) -> PromptContext:
    """What the engine reads: there is no persona and no policy."""
    kinds: dict[str, Speaker] = {"user": "user", "assistant": "reply"}
    history = tuple((kinds[role], text) for role, text in transcript[:-1] if role in kinds)[-2 * HISTORY_TURNS :]
    circumstances = " ".join(text for role, text in transcript if role not in kinds)
    return PromptContext("decisions", "", "", "", (), (), circumstances, history, transcript[-1][1], "en")


def _turn(turns: Turns, tenant: str, request: DecisionRequest, pack: str, engine: str, transcript: Sequence[tuple[str, str]]) -> Turn:
    """The turn that a pack would take, not taken."""
    wanted = TurnRequest(
        pack=pack, message=transcript[-1][1], engine=engine, state=request.state, within=request.within, locale=request.locale
    )
    messages = [ChatMessage.model_validate({"role": role, "content": text}) for role, text in transcript[:-1]]
    job = replace(turns.make_job(tenant, wanted), memory=memory_of(turns.packs.get(pack), messages))
    with refusing_haste(request.within, turns.settings.within):
        return turns.preview(job)


# -- questions and answers -------------------------------------------------------------------------------------------


def _choice(name: str, question: AnyDecisionQuestion) -> Choice:
    options: list[tuple[str, str | None]]
    if isinstance(question, PredicateQuestion):
        options = [("yes", None), ("no", None)]
    elif isinstance(question, LevelsQuestion):
        options = [(one.label, one.description) for one in question.levels]
    else:
        options = [(one.value if isinstance(one.value, str) else json.dumps(one.value), one.description) for one in question.choices or ()]
    candidates = tuple(Candidate(str(at), label, text or label, name=label) for at, (label, text) in enumerate(options))
    return Choice(name, "heard", candidates, _text(question.instructions))


def _answer(question: AnyDecisionQuestion, found: Distribution) -> dict[str, Any]:
    shares = found.probabilities
    if isinstance(question, PredicateQuestion):
        return {"type": "predicate", "name": question.name, "probability": shares[0]}
    if isinstance(question, LevelsQuestion):
        pairs = enumerate(zip(question.levels, shares, strict=True))
        levels = [{"value": at, "label": one.label, "probability": share} for at, (one, share) in pairs]
        score = math.fsum(level * share for level, share in enumerate(shares))
        return {"type": "score", "name": question.name, "score": score, "probabilities": levels, "confidence": closeness(shares)}
    values = [one.value for one in question.choices or ()]
    return _choice_answer(question.name, values[found.best], values, shares)


def _turn_answer(name: str | None, turn: Turn) -> dict[str, Any]:
    """The decision of a turn by ids of responses; what the logic alone decided is certain."""
    decision = turn.decision
    shares = dict.fromkeys([*(option.id for option in decision.options), decision.chosen.id], 0.0)
    for option, share in zip(decision.options, decision.probabilities, strict=False):  # none where no model was asked
        shares[option.id] += share
    if not decision.probabilities:
        shares[decision.chosen.id] = 1.0
    return _choice_answer(name, decision.chosen.id, list(shares), list(shares.values()))


def _choice_answer(name: str | None, choice: str | bool, values: Sequence[str | bool], shares: Sequence[float]) -> dict[str, Any]:
    told = [{"value": value, "probability": share} for value, share in zip(values, shares, strict=True)]
    return {"type": "choice", "name": name, "choice": choice, "probabilities": told, "confidence": confidence(shares)}


def _usage(n_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": n_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": n_tokens,
    }
