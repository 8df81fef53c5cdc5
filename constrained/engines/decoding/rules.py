"""How candidates are scored and scores become probabilities: what rules and engines agree on, and the rule ``channel``.

An engine puts choices to a ``ScoreRule``, gets a ``ScoredChoice`` for each, and reads it with a ``ProbabilityMap``. The rules are
``Channel`` (here), ``direct_rule.Direct``, ``fitted_rule.VectorRule`` and ``vllm.RemoteDirect``. Imports no torch, which models in
servers do not need.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from constrained.engines.decoding import prompts
from constrained.engines.decoding.prompts import WORDS, bounded, nearest, shared
from constrained.engines.decoding.search import Floats, Scored
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.decoding.trie import Ids
from constrained.engines.protocol import Candidate, Choice, ChoiceRequest, Deadline, Decoding, Mode, PromptContext
from constrained.errors import EngineError

ReaderT = TypeVar("ReaderT", contravariant=True)
MAX_PRIOR_VALUES = 4_000_000  # held in memory: 32 MB


@dataclass(frozen=True, slots=True)
class ProbabilityMap:
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


PLAIN_SOFTMAX = ProbabilityMap()
CHANNEL_MAP = ProbabilityMap(temperature_option=1.5, temperature_heard=1.0, rest_option=-2.0, rest_shown=4.0, rest_told=6.0, rest_span=0.0)
"""Chosen on the dev messages of the three packs with SmolLM2-135M-Instruct in bfloat16 (benchmarks/LOG.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredChoice:
    """What a rule gives for one choice.

    Attributes:
        scores: [candidate] nats, comparable within the choice; ``ProbabilityMap`` makes probabilities of them. None for a
            mode that only picks.
        picked: the candidate that such a mode came to.
    """

    scores: Floats | None
    mode: Mode
    decoding: Decoding
    picked: int | None = None


def scored_choice(found: Scored, mode: Mode, reason: str) -> ScoredChoice:
    """Scores of a trie's rows as those of a choice."""
    cost = (found.n_tokens, found.n_passes, found.n_nodes, found.n_expanded, int(found.is_exact.sum()))
    return ScoredChoice(found.log_probs, mode, Decoding(reason, *cost, found.gap, found.mass, found.flips))


def check_one_of(what: str, given: str, known: Sequence[str]) -> None:
    """Raises EngineError when a setting has a value that nothing answers to: no rule falls back to another one's way."""
    if given not in known:
        raise EngineError(f"{what} {given!r} is not known", hint=f"use one of {', '.join(known)}")


class ScoreRule(Protocol[ReaderT]):
    """How candidates are scored. ``name`` stands in every record.

    ``ReaderT`` is what the rule reads with: ``Reader`` for a model in this process, ``RemoteReader`` for one in a server.
    """

    @property
    def name(self) -> str: ...
    @property
    def probability_map(self) -> ProbabilityMap:
        """What its scores are read with unless the engine was given another one."""
        ...

    def scores(self, reader: ReaderT, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[ScoredChoice]]:
        """For each request one entry per choice, in order. All requests in the same passes where the rule can."""
        ...


# -- the channel ---------------------------------------------------------------------------------------------------

ChannelMode = Literal["exact", "refine", "auto"]
Pair = tuple[Ids, Ids]


class MessageScores(NamedTuple):
    """[pair] log P(message | context) in nats, float64; the tokens that went through the model; forward passes."""

    log_probs: Floats
    n_tokens: int
    n_passes: int


class MessageReader(Protocol):
    """What tells log P(message | context): a model in this process, or in a server."""

    @property
    def tokens(self) -> Tokens: ...

    def score_pairs(self, groups: Sequence[Sequence[Pair]], deadline: Deadline | None) -> list[MessageScores]:
        """For each group of (context, message) their likelihoods; all groups together where that is cheaper."""
        ...

    def pick_channel_mode(self, wanted: ChannelMode, n_candidates: int, n_message: int, deadline: Deadline | None) -> tuple[Mode, str]:
        """``exact`` or ``refine`` for so many candidates and message tokens, and why; one phrase."""
        ...


@dataclass(frozen=True, slots=True)
class Channel:
    """log P(message | the candidate's ``when`` and examples). One batch for all choices of all requests.

    Source: Min et al., Noisy Channel Language Model Prompting for Few-Shot Text Classification, ACL 2022.

    Attributes:
        mode: ``exact`` reads the message after every candidate; ``refine`` only after those that share the rarest words
            with it, and takes all others for as likely as the least likely one of these; ``auto`` is exact for up to
            N_NEAREST candidates, and beyond as long as there is time (never in a server).
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
    def probability_map(self) -> ProbabilityMap:
        return CHANNEL_MAP

    def scores(self, reader: MessageReader, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[ScoredChoice]]:
        tasks = [[self._task(reader, ask.scene, choice, deadline) for choice in ask.choices] for ask in asks]
        parts = iter(reader.score_pairs([task.pairs for group in tasks for task in group], deadline))
        return [[task.scored(next(parts)) for task in group] for group in tasks]

    def _task(self, reader: MessageReader, scene: PromptContext, choice: Choice, deadline: Deadline | None) -> _ChannelTask:
        message = tuple(bounded(reader.tokens.plain(prompts.heard_as(scene.message))))
        n = len(choice.candidates)
        mode, reason = reader.pick_channel_mode(self.mode, n, len(message), deadline)
        common = shared(scene.message, choice)
        read = nearest(common, choice) if mode == "refine" else list(range(n))
        texts = prompts.contexts(choice, scene)
        contexts = reader.tokens.plain_batch([texts[index] for index in read])
        added = common * (self.words if choice.kind == "option" else 0.0)
        return _ChannelTask(n, read, [(tuple(context), message) for context in contexts], mode, reason, added)


@dataclass(frozen=True, slots=True)
class _ChannelTask:
    """One choice in token ids. ``read``: the candidates whose context is in ``pairs``. ``added``: [candidate] nats of shared words."""

    n: int
    read: list[int]
    pairs: list[Pair]
    mode: Mode
    reason: str
    added: Floats

    def scored(self, found: MessageScores) -> ScoredChoice:
        whole = np.full(self.n, found.log_probs.min())
        whole[self.read] = found.log_probs
        n_message = len(self.pairs[0][1])
        cost = (found.n_tokens, found.n_passes, self.n * n_message, len(self.read) * n_message, len(self.read))
        return ScoredChoice(whole + self.added, self.mode, Decoding(self.reason, *cost))


# -- the surfaces of the direct rule -------------------------------------------------------------------------------

Surface = Literal["text", "key", "when"]


def surface_of(candidate: Candidate, surface: Surface) -> str:
    """The words of a candidate that the direct rule scores: its approved text, its readable key, or its ``when``."""
    if surface == "key":
        return candidate.name or candidate.text
    return candidate.text if surface == "text" or not candidate.when else candidate.when


class Priors:
    """[node] or [row] log-likelihoods under a neutral prompt, by what they depend on; the least recently used go first.

    What was asked before changes no bit of a prior: its rows go through the model together, as they do in the score.
    """

    def __init__(self, max_values: int = MAX_PRIOR_VALUES) -> None:
        self._max_values = max_values
        self._held: OrderedDict[tuple[object, ...], Floats] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: tuple[object, ...]) -> bool:
        return key in self._held

    def get(self, key: tuple[object, ...], compute: Callable[[], Floats]) -> Floats:
        if key not in self._held:
            self._held[key] = compute()
            held = sum(map(len, self._held.values()))
            while held > self._max_values and len(self._held) > 1:
                held -= len(self._held.popitem(last=False)[1])
        self._held.move_to_end(key)
        return self._held[key]
