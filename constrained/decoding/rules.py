"""Score rules: how likely each candidate is, and what is taken off so that the likelihoods compare.

A rule turns choices into scores in nats, one per candidate, whose softmax (at the calibration's temperature)
is the decision. Rules know a Reader (model, tokenizer, caches) and no policy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from constrained.choice import Candidate, Choice, Deadline, Mode, Scene
from constrained.decoding import prompt
from constrained.decoding.calibration import CHANNEL, NONE, Calibration
from constrained.decoding.channel import score_message, score_message_rows
from constrained.decoding.contexts import Contexts
from constrained.decoding.exact import score_rows, score_tree
from constrained.decoding.model import LanguageModel, Prefix
from constrained.decoding.tokens import Tokens

Floats = NDArray[np.float64]
Surface = Literal["text", "key", "when"]
HEAD_TOKENS, TAIL_TOKENS = 64, 32  # of a long message, what the channel reads


@dataclass(slots=True)
class Reader:
    """A model, its tokenizer, and what was computed once: static prompt parts, contexts, priors.

    Attributes:
        has_tree: the model honours a tree mask (the self-test says so); without, rows are scored one by one.
    """

    model: LanguageModel
    tokens: Tokens
    has_tree: bool = True
    contexts: Contexts = field(init=False)
    prefixes: dict[str, tuple[tuple[int, ...], Prefix]] = field(default_factory=dict)
    priors: dict[tuple[str, tuple[tuple[int, ...], ...]], Floats] = field(default_factory=dict)
    n_tokens: int = 0

    def __post_init__(self) -> None:
        self.contexts = Contexts(self.model)


class ScoreRule(Protocol):
    """How candidates are scored; ``name`` stands in every record."""

    @property
    def name(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def calibration(self) -> Calibration:
        """What its scores are read with unless the engine was given another one."""
        ...

    def scores(self, reader: Reader, choices: Sequence[Choice], scene: Scene, deadline: Deadline | None) -> list[Floats]:
        """One array per choice, [candidate] nats, comparable within the choice."""
        ...


@dataclass(frozen=True, slots=True)
class Channel:
    """log P(message | the candidate's ``when`` and examples). One batch for all choices.

    Source: Min et al., Noisy Channel Language Model Prompting for Few-Shot Text Classification, ACL 2022.
    """

    mode: Mode = "exact"

    @property
    def name(self) -> str:
        return "channel"

    @property
    def calibration(self) -> Calibration:
        return CHANNEL

    def scores(self, reader: Reader, choices: Sequence[Choice], scene: Scene, deadline: Deadline | None) -> list[Floats]:
        texts = [prompt.contexts(choice, scene) for choice in choices]
        rows = [tuple(row) for row in reader.tokens.plain_batch([text for group in texts for text in group])]
        message = _bounded(reader.tokens.plain(prompt.heard_as(scene.message)))
        if reader.has_tree:
            found, n_tokens = score_message(reader.model, reader.contexts, rows, message, deadline)
        else:
            found, n_tokens = score_message_rows(reader.model, rows, message, deadline), sum(map(len, rows)) + len(rows) * len(message)
        reader.n_tokens += n_tokens
        return np.split(found, np.cumsum([len(group) for group in texts])[:-1])


@dataclass(frozen=True, slots=True)
class Direct:
    """log P(candidate | prompt), less its prior under a neutral prompt.

    Source: Holtzman et al., Surface Form Competition: Why the Highest Probability Answer Isn't Always Right,
    EMNLP 2021, section 3 (domain-conditional PMI); the neutral prompt is the same prompt before anyone spoke.

    Attributes:
        surface: what is scored: the approved text, the readable key, or ``when``.
        has_prior: subtract the prior; without it this is the plain likelihood.
        is_mean: per token instead of summed.
    """

    surface: Surface = "text"
    has_prior: bool = True
    is_mean: bool = False
    plan: prompt.PromptPlan = field(default_factory=prompt.PromptPlan)
    mode: Mode = "exact"

    @property
    def name(self) -> str:
        parts = [f"direct-{self.surface}", "pmi" if self.has_prior else "raw", *(["mean"] if self.is_mean else [])]
        parts += [*(["rules"] if self.plan.has_rules else []), *(["listing"] if self.plan.has_listing else [])]
        return "-".join(parts)

    @property
    def calibration(self) -> Calibration:
        return NONE

    def scores(self, reader: Reader, choices: Sequence[Choice], scene: Scene, deadline: Deadline | None) -> list[Floats]:
        rows = [self._rows(reader, choice) for choice in choices]
        found = self._likelihoods(reader, choices, rows, scene, deadline)
        if self.has_prior:
            found = [
                scores - self._prior(reader, choice, row, scene, deadline) for scores, choice, row in zip(found, choices, rows, strict=True)
            ]
        if self.is_mean:
            found = [scores / [len(one) for one in row] for scores, row in zip(found, rows, strict=True)]
        return found

    def _rows(self, reader: Reader, choice: Choice) -> list[tuple[int, ...]]:
        end = [] if reader.tokens.end is None else [reader.tokens.end]
        texts = [self._surface(candidate) for candidate in choice.candidates]
        return [(*row, *end) for row in reader.tokens.plain_batch(texts)]

    def _surface(self, candidate: Candidate) -> str:
        if self.surface == "key":
            return candidate.name or candidate.text
        return candidate.text if self.surface == "text" or not candidate.when else candidate.when

    def _likelihoods(
        self, reader: Reader, choices: Sequence[Choice], rows: Sequence[Sequence[tuple[int, ...]]], scene: Scene, deadline: Deadline | None
    ) -> list[Floats]:
        """All choices in one tree: the turn is shared, then each question, then its candidates."""
        static, _ = reader.tokens.chat(self.plan.static(scene), "")
        asked = [reader.tokens.chat("", prompt.dynamic(scene, choice))[1] for choice in choices]
        suffix = asked[0] if len(asked) == 1 else asked[0][: _n_shared(asked)]
        questions = [tuple(one[len(suffix) :]) for one in asked]
        paths = {question for question in questions if question}
        paths |= {(*question, *row) for question, group in zip(questions, rows, strict=True) for row in group}
        ordered = sorted(paths)
        found = dict(zip(ordered, self._score(reader, static, suffix, ordered, deadline), strict=True))
        return [
            np.asarray([found[(*question, *row)] for row in group]) - (found[question] if question else 0.0)
            for question, group in zip(questions, rows, strict=True)
        ]

    def _score(
        self, reader: Reader, static: Sequence[int], suffix: Sequence[int], rows: Sequence[tuple[int, ...]], deadline: Deadline | None
    ) -> Floats:
        score = score_tree if reader.has_tree else score_rows
        scored = score(reader.model, _static_prefix(reader, static, deadline), suffix, rows, deadline)
        reader.n_tokens += scored.n_tokens
        return scored.log_probs

    def _prior(self, reader: Reader, choice: Choice, rows: Sequence[tuple[int, ...]], scene: Scene, deadline: Deadline | None) -> Floats:
        """Under the neutral prompt, once per catalog version, question and set of rows.

        Rows go through the model together, as they do in the score: what else was asked before changes no bit.
        """
        silent = prompt.neutral(scene)
        name = f"{self.name} {scene.static_id} {prompt.dynamic(silent, choice)}"
        key = (name, tuple(rows))
        if key not in reader.priors:
            reader.priors[key] = self._likelihoods(reader, [choice], [rows], silent, deadline)[0]
        return reader.priors[key]


def _static_prefix(reader: Reader, static: Sequence[int], deadline: Deadline | None) -> Prefix:
    key = hashlib.sha256(np.asarray(static, dtype=np.int64).tobytes()).hexdigest()
    if key not in reader.prefixes:
        reader.prefixes[key] = (tuple(static), reader.model.prefill(static, deadline))
    return reader.prefixes[key][1]


def _n_shared(sequences: Sequence[Sequence[int]]) -> int:
    """Leading tokens that all sequences share."""
    shortest = min(map(len, sequences))
    first = sequences[0]
    return next((index for index in range(shortest) if any(one[index] != first[index] for one in sequences)), shortest)


def _bounded(message: Sequence[int]) -> list[int]:
    """The head and the tail of a long message."""
    if len(message) <= HEAD_TOKENS + TAIL_TOKENS:
        return list(message)
    return [*message[:HEAD_TOKENS], *message[-TAIL_TOKENS:]]
