"""From scores to probabilities: a temperature, and the weight of "none of these"."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from constrained.engines.decoding import prompts
from constrained.engines.decoding.channel import score_message_rows, score_messages
from constrained.engines.decoding.prompts import HEAD_TOKENS, N_NEAREST, TAIL_TOKENS, WORDS, bounded, nearest, shared
from constrained.engines.decoding.reader import Ids, Reader, pick_channel
from constrained.engines.protocol import Choice, ChoiceRequest, Deadline, Decoding, Mode, PromptContext
from constrained.errors import EngineError


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure a difference in nats makes us, and how much "none of these" needs to win.

    The rest ("none", "no", the fallback) is scored as messages of every kind; the more a choice's candidates say
    about themselves, the more they win by chance, so each kind of choice has its own weight.

    Attributes:
        temperature_option, temperature_heard: scores are divided by it (Guo et al., On Calibration of Modern
            Neural Networks, ICML 2017, section 4.2).
        rest_option: nats added to the fallback among options.
        rest_shown: to the rest of a question whose candidates have example messages.
        rest_told: to the rest of a question whose candidates are only described (entities).
        rest_span: to "none" among the spans that a recogniser found.
    """

    temperature_option: float = 1.0
    temperature_heard: float = 1.0
    rest_option: float = 0.0
    rest_shown: float = 0.0
    rest_told: float = 0.0
    rest_span: float = 0.0

    @property
    def hash(self) -> str:
        return "sha256:" + hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def probabilities(self, scores: NDArray[np.float64], choice: Choice) -> NDArray[np.float64]:
        """[candidate], summing to 1."""
        rest = self._rest(choice)
        shifted = scores + np.asarray([rest if candidate.no_match else 0.0 for candidate in choice.candidates])
        shifted = (shifted - shifted.max()) / (self.temperature_option if choice.kind == "option" else self.temperature_heard)
        weights = np.exp(shifted)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def _rest(self, choice: Choice) -> float:
        if choice.kind != "heard":
            return self.rest_option if choice.kind == "option" else self.rest_span
        return self.rest_shown if any(candidate.examples for candidate in choice.candidates) else self.rest_told


NONE = Calibration()
CHANNEL = Calibration(temperature_option=1.5, temperature_heard=1.0, rest_option=-3.0, rest_shown=4.0, rest_told=6.0, rest_span=0.0)
"""Chosen on the dev messages of the three packs with SmolLM2-135M-Instruct in bfloat16 (benchmarks/LOG.md)."""


# -- What a score rule is asked and what it answers: the one interface between an engine and its rules. --

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredChoice:
    """What a rule found of one choice.

    Attributes:
        scores: [candidate] nats, comparable within the choice: their softmax, at the calibration's temperature, is
            the decision. None for a mode that only picks.
        picked: the candidate that such a mode came to.
    """

    scores: Floats | None
    mode: Mode
    decoding: Decoding
    picked: int | None = None


def check_one_of(what: str, given: str, known: Sequence[str]) -> None:
    """Raises EngineError when a setting has a value that nothing answers to: no rule falls back to another one's way."""
    if given not in known:
        raise EngineError(f"{what} {given!r} is not known", hint=f"use one of {', '.join(known)}")


class ScoreRule(Protocol):
    """How candidates are scored; ``name`` stands in every record."""

    @property
    def name(self) -> str: ...
    @property
    def calibration(self) -> Calibration:
        """What its scores are read with unless the engine was given another one."""
        ...

    def scores(self, reader: Reader, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[ScoredChoice]]:
        """For each ask one entry per choice, in order. All asks in the same passes where the rule can."""
        ...


# -- Rule ``channel``: how likely the message is after each candidate's ``when`` and examples. --

__all__ = ["HEAD_TOKENS", "N_NEAREST", "TAIL_TOKENS", "Channel", "ChannelMode"]
ChannelMode = Literal["exact", "refine", "auto"]


@dataclass(frozen=True, slots=True)
class Channel:
    """log P(message | the candidate's ``when`` and examples). One batch for all choices of all asks.

    Source: Min et al., Noisy Channel Language Model Prompting for Few-Shot Text Classification, ACL 2022.

    Attributes:
        mode: ``exact`` reads the message after every candidate; ``refine`` only after those that share the rarest words
            with it, and takes all others for as likely as the least likely one of these; ``auto`` is exact for up to
            N_NEAREST candidates, and beyond as long as there is time.
        words: nats that a unit of BM25 between the message and what describes an option adds to its score; chosen on the
            dev messages of the packs (benchmarks/LOG.md). Questions are scored without.
    """

    mode: ChannelMode = "auto"
    words: float = WORDS

    def __post_init__(self) -> None:
        """Raises EngineError for a mode that is not known."""
        check_one_of("mode", self.mode, get_args(ChannelMode))

    @property
    def name(self) -> str:
        return f"channel-words-{self.words:g}" if self.words else "channel"

    @property
    def calibration(self) -> Calibration:
        return CHANNEL

    def scores(self, reader: Reader, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[ScoredChoice]]:
        tasks = [[self._task(reader, ask.scene, choice, deadline) for choice in ask.choices] for ask in asks]
        pairs = [(context, task.message) for group in tasks for task in group for context in task.contexts]
        if reader.has_tree:
            found, *cost = score_messages(reader.model, reader.contexts, pairs, deadline)
        else:
            found, *cost = score_message_rows(reader.model, pairs, deadline)
        counts = [len(task.contexts) for group in tasks for task in group]
        parts = iter(np.split(found, np.cumsum(counts)[:-1]))
        return [[task.found(next(parts), *cost) for task in group] for group in tasks]

    def _task(self, reader: Reader, scene: PromptContext, choice: Choice, deadline: Deadline | None) -> _Task:
        message = tuple(bounded(reader.tokens.plain(prompts.heard_as(scene.message))))
        n = len(choice.candidates)
        mode, reason = self._mode(reader, n, len(message), deadline)
        common = shared(scene.message, choice)
        read = nearest(common, choice) if mode == "refine" else list(range(n))
        texts = prompts.contexts(choice, scene)
        contexts = reader.tokens.plain_batch([texts[index] for index in read])
        added = common * (self.words if choice.kind == "option" else 0.0)
        return _Task(n, read, message, [tuple(context) for context in contexts], mode, reason, added)

    def _mode(self, reader: Reader, n: int, n_message: int, deadline: Deadline | None) -> tuple[Mode, str]:
        if n <= N_NEAREST:
            return "exact", "few candidates"
        if self.mode != "auto":
            return self.mode, "asked for"
        return pick_channel(n * n_message, N_NEAREST * n_message, reader.speed, deadline)


@dataclass(frozen=True, slots=True)
class _Task:
    """One choice in token ids. ``read``: the candidates whose ``contexts`` are read. ``added``: [candidate] nats beside the likelihood."""

    n: int
    read: list[int]
    message: Ids
    contexts: list[Ids]
    mode: Mode
    reason: str
    added: np.ndarray

    def found(self, scores: np.ndarray, n_tokens: int, n_passes: int) -> ScoredChoice:
        whole = np.full(self.n, scores.min())
        whole[self.read] = scores
        cost = (n_tokens, n_passes, self.n * len(self.message), len(self.read) * len(self.message), len(self.read))
        return ScoredChoice(whole + self.added, self.mode, Decoding(self.reason, *cost))
