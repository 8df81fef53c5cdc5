"""Anything that picks, as an engine: the library's own by name, other decoders of ``peers``, and whatever a module of yours makes."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.measure import BenchmarkError
from benchmarks.peers import SPECS, Answer, Entry, PeerUnsupportedError, Spec
from constrained.engines.protocol import Choice, Deadline, Distribution, Engine, PromptContext

MINILM = "minilm-lr"
N_NEAREST = 10  # labelled examples in a peer's prompt, the nearest by letters
MOST_TOKENS = 60  # of a walk: more than any label has


def make(name: str, model: str | None = None) -> Engine:
    """The engine of a name.

    Args:
        name: what ``Dialogue`` takes ("small", "smollm2-135m", "small+smollm2-135m", a folder), ``minilm-lr``, a peer of
            ``benchmarks.peers.SPECS``, or MODULE:CALLABLE, which returns an engine.
        model: of the peers, a folder; the default model when None.

    Raises BenchmarkError for a callable that is not there or makes no engine, EngineError where something is not installed.
    """
    if name == MINILM:
        from benchmarks.peers.minilm import MiniLMRegression

        return MiniLMRegression()
    if name in SPECS:
        return PeerEngine(SPECS[name], model)
    if ":" in name and "://" not in name.partition(":")[0]:
        return _made(name)
    from constrained.engines.loading import load_engine

    return load_engine(name)


def is_of_dialogue(name: str) -> bool:
    """Whether a Dialogue takes it: peers pick among labels, and hear nothing."""
    return name not in SPECS


def _made(name: str) -> Engine:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        raise BenchmarkError(f"--engine {name}: {error}; MODULE:CALLABLE is needed, which takes nothing and returns an engine") from error
    if not isinstance(found, Engine):
        raise BenchmarkError(f"--engine {name}: {type(found).__name__} is no engine; it needs identity and choose")
    return found


class PeerEngine:
    """A decoder of ``peers`` as an engine: candidates' names are its lines, listed in the prompt; the nearest examples are turns before it.

    A walk has no probabilities: what it ends on has 1. Lines are compiled once for choices of the same candidates in the same order.
    """

    def __init__(self, spec: Spec, model: str | None = None) -> None:
        from benchmarks.peers import bed
        from constrained.engines.decoding.tokens import Tokens
        from constrained.engines.model_files import get_model

        self._spec, self._model = spec, str(model or get_model())
        self._network, self._tokenizer = bed.networks(self._model, "bfloat16", "cpu", 0)
        self._tokens = Tokens(self._tokenizer)
        self._compiled: tuple[Choice, Any] | None = None

    @property
    def identity(self) -> Mapping[str, str]:
        return {"model": self._model, "rule": self._spec.name}

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """Raises PeerUnsupportedError for more candidates than the peer can tell apart."""
        return [self._distribution(choice, scene.message) for choice in choices]

    def _distribution(self, choice: Choice, message: str) -> Distribution:
        names = [one.name for one in choice.candidates]
        if self._compiled is None or self._compiled[0] != choice:
            self._compiled = choice, self._peer(choice, names)
        answer: Answer = self._compiled[1].decide(self._prompt(choice, message), MOST_TOKENS)
        if answer.scores is not None:
            return Distribution(_softmax(answer.scores), "walk", tuple(answer.scores))
        row = names.index(answer.text) if answer.row is None and answer.text in names else answer.row
        if row is None:
            raise PeerUnsupportedError(f"{self._spec.name} ended on {answer.text!r}, which is no candidate")
        return Distribution(tuple(float(place == row) for place in range(len(names))), "walk")

    def _peer(self, choice: Choice, names: Sequence[str]) -> Any:
        from benchmarks.peers.bed import Bed

        bed = Bed.around(self._model, self._network, self._tokenizer, [self._prompt(choice, "")], {})
        module = importlib.import_module(f"benchmarks.peers.{self._spec.module}")
        peer = module.Peer(bed, **self._spec.options)
        peer.compile([Entry(name, name, one.when) for name, one in zip(names, choice.candidates, strict=True)])
        return peer

    def _prompt(self, choice: Choice, message: str) -> Any:
        from benchmarks.peers.bed import Prompt

        listed = ", ".join(one.name for one in choice.candidates)
        static = f"You sort messages by what they are about, and answer with the topic alone.\n\nThe topics: {listed}."
        before = tuple(_nearest(choice, message))
        prefix, suffix = self._tokens.chat(static, message)
        prompt = Prompt(message, static, message, tuple(prefix), tuple(suffix), before)
        if not before:
            return prompt
        ids = self._tokenizer.apply_chat_template(prompt.messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        return replace(prompt, suffix=tuple(ids[len(prefix) :]))


def _nearest(choice: Choice, message: str) -> list[tuple[str, str]]:
    """(example, its candidate's name), the nearest last."""
    from constrained.engines.decoding.prompts import lettered, overlap

    shown = [(text, one.name) for one in choice.candidates for text in one.examples]
    if not shown or not message:
        return []
    near = overlap(lettered(message), [(lettered(text),) for text, _ in shown])
    return [shown[place] for place in sorted(range(len(shown)), key=lambda place: -near[place])[:N_NEAREST]][::-1]


def _softmax(scores: Sequence[float]) -> tuple[float, ...]:
    most = max(scores)
    weights = [math.exp(one - most) for one in scores]
    return tuple(one / sum(weights) for one in weights)
