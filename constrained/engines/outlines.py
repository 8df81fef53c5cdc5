"""An engine around any model that outlines speaks to: it writes one of the candidates' names, and which one is checked.

    OutlinesEngine(outlines.from_ollama(ollama.Client(), "llama3.2"))

Mode ``walk``: these models tell what they chose and not how likely the others were, so there are no scores, the chosen
candidate has probability 1, and a threshold never abstains.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import itertools
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from constrained.engines.protocol import Candidate, Choice, Deadline, Distribution, PromptContext
from constrained.errors import EngineError

MOST_GENERATORS = 32  # compiled ones that are kept
# What a local model is told besides the prompt: the likeliest token each time, and room for the longest name.
_LOCAL: dict[str, tuple[dict[str, Any], str]] = {
    "Transformers": ({"do_sample": False}, "max_new_tokens"),
    "TransformersMultiModal": ({"do_sample": False}, "max_new_tokens"),
    "LlamaCpp": ({"temperature": 0.0}, "max_tokens"),
    "MLXLM": ({}, "max_tokens"),
}


class OutlinesEngine:
    """Chooses by what a model of outlines writes when it may write candidates' names only.

    Args:
        model: what one of outlines' ``from_...`` functions returns; the synchronous kind.
        backend: which engine outlines makes masks with, where it does (``outlines_core``, ``xgrammar``, ``llguidance``).
        options: passed on with every request (``{"options": {"temperature": 0}}`` for Ollama).

    Raises:
        EngineError: outlines is not installed, or ``model`` is none of its models.
    """

    def __init__(self, model: Any, *, backend: str | None = None, options: Mapping[str, Any] | None = None) -> None:
        self._outlines = _outlines()
        if not isinstance(model, self._outlines.models.Model):
            raise EngineError(
                f"{type(model).__name__} is no model of outlines that answers at once",
                hint="pass what outlines.from_transformers, from_ollama, from_openai... returns for a synchronous client",
            )
        self._model, self._backend, self._options = model, backend, dict(options or {})
        self._generators: OrderedDict[tuple[str, ...], tuple[Any, bool]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def identity(self) -> Mapping[str, str]:
        kind = type(self._model).__name__
        return {
            "engine": f"outlines {importlib.metadata.version('outlines')}",
            "model": str(getattr(self._model, "model_name", None) or getattr(self._model, "model_id", None) or kind),
            "server": kind,
            "rule": "name",
            "scoring": "walk" + (f" ({self._backend})" if self._backend else ""),
        }

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """One request a choice. A deadline is checked between requests; give the client a timeout for the time within one."""
        return [self._choose_one(choice, scene, deadline) for choice in choices]

    def _choose_one(self, choice: Choice, scene: PromptContext, deadline: Deadline | None) -> Distribution:
        if deadline is not None:
            deadline.check()
        names = distinct_names(choice.candidates)
        index = names.index(self._ask_name(names, choice, scene)) if len(names) > 1 else 0
        return Distribution(tuple(float(at == index) for at in range(len(names))), "walk")

    def _ask_name(self, names: tuple[str, ...], choice: Choice, scene: PromptContext) -> str:
        """The name that the model wrote. Raises EngineError when it is none."""
        with self._lock:  # a generator holds the state of one walk
            generator, is_json = self._generator(names)
            asked = self._without_special_tokens(prompt(names, choice, scene))
            try:
                answer = generator(asked, **self._request(names))
            except Exception as error:  # outlines, and every client behind it, raise what they like
                raise _engine_error(self._model, error) from error
        written = _name_in_json(answer) if is_json else answer
        if written not in names:
            raise EngineError(
                f"the model wrote {str(answer)[:100]!r}, which is none of the {len(names)} candidates of {choice.name!r}",
                hint="nothing was said; the server may ignore the constraint, or cut the answer short",
            )
        return str(written)

    def _generator(self, names: tuple[str, ...]) -> tuple[Any, bool]:
        """What asks for one of these names, and whether it answers as JSON."""
        if names not in self._generators:
            form, is_json = self._form(names)
            try:
                made = self._outlines.Generator(self._model, form, **({"backend": self._backend} if self._backend else {}))
            except Exception as error:  # a list that the mask engine refuses, an engine that is not installed
                raise _engine_error(self._model, error) from error
            self._generators[names] = made, is_json
            while len(self._generators) > MOST_GENERATORS:
                self._generators.popitem(last=False)
        self._generators.move_to_end(names)
        return self._generators[names]

    def _form(self, names: tuple[str, ...]) -> tuple[Any, bool]:
        """The output type: a Literal, or an object with one field where the model takes nothing but JSON schemas."""
        form: Any = Literal[names]
        if type(self._model).__name__ in _LOCAL:
            return form, False
        try:
            self._model.type_adapter.format_output_type(form)
        except (TypeError, NotImplementedError):
            return self._outlines.types.JsonSchema(_schema(names)), True
        return form, False

    def _request(self, names: tuple[str, ...]) -> dict[str, Any]:
        known, limit = _LOCAL.get(type(self._model).__name__, ({}, ""))
        room = {limit: max(len(name.encode()) for name in names) + 8} if limit else {}
        return {**known, **room, **self._options}

    def _without_special_tokens(self, text: str) -> str:
        """The text, with the names of special tokens broken up: a message must not end its own turn."""
        for name in sorted(getattr(getattr(self._model, "tokenizer", None), "special_tokens", ())):
            if len(name) > 1:
                text = text.replace(name, f"{name[0]} {name[1:]}")
        return text


def distinct_names(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """[candidate] a short name that no other candidate has, or begins: of two such, outlines-core may reach the shorter only."""
    plain = [" ".join((one.name or one.text).split()) or one.key for one in candidates]
    found: list[str] = []
    for at, name in enumerate(plain):
        others = [*plain[:at], *plain[at + 1 :], *found]
        numbered = (f"{name} ({number})" for number in itertools.count(1))
        found.append(next(one for one in itertools.chain([name], numbered) if not any(other.startswith(one) for other in others)))
    return tuple(found)


def prompt(names: Sequence[str], choice: Choice, scene: PromptContext) -> str:
    """What the model reads: who speaks, what may be chosen and when, the turn, the question."""
    lines = [f"You are {scene.speaker}. {scene.persona}".strip(), ""]
    lines += [choice.question or "Choose the reply that answers the user's last message.", "You may answer with one of:"]
    lines += [f"- {name}: {_meaning(candidate, choice)}" for name, candidate in zip(names, choice.candidates, strict=True)]
    lines += ["", *([f"State: {scene.state}"] if scene.state else [])]
    lines += [f"{'User' if who == 'user' else scene.speaker}: {text}" for who, text in scene.history]
    return "\n".join([*lines, f"User: {scene.message}", "", "Answer with the name alone."])


def _meaning(candidate: Candidate, choice: Choice) -> str:
    """When to choose it; and what it says, where another candidate is chosen on the same occasion."""
    has_twin = sum(one.when == candidate.when for one in choice.candidates) > 1
    return f"{candidate.when} ({candidate.text})" if has_twin and candidate.when else candidate.when or candidate.text


def _schema(names: Sequence[str]) -> dict[str, Any]:
    choice = {"type": "string", "enum": list(names)}
    return {"type": "object", "properties": {"choice": choice}, "required": ["choice"], "additionalProperties": False}


def _name_in_json(answer: Any) -> Any:
    """The one field of a JSON answer; None when it is no such object."""
    try:
        found = json.loads(answer) if isinstance(answer, str) else answer
    except json.JSONDecodeError:
        return None
    return found.get("choice") if isinstance(found, dict) and set(found) == {"choice"} else None


def _outlines() -> Any:
    try:
        return importlib.import_module("outlines")
    except ImportError as error:
        raise EngineError("outlines is not installed", hint="pip install outlines") from error


def _engine_error(model: Any, error: Exception) -> EngineError:
    said = " ".join(str(error).split())
    return EngineError(
        f"{type(model).__name__} failed: {type(error).__name__}: {said:.300}", hint="nothing was said; see to the model's server"
    )
