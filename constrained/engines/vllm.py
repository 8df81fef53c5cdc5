"""An engine whose model runs in vLLM servers elsewhere: choices by one-token distributions over HTTP.

    VllmEngine("HuggingFaceTB/SmolLM2-135M-Instruct", ["http://127.0.0.1:8000"])

The tokenizer is here, the weights are there: no torch is imported. Nothing that a server writes is read but numbers for tokens
that were asked for; what cannot be believed is an EngineError, and the turn goes by the rules. Candidates are scored by the
rules of a local model, from the same prompts: ``Channel`` itself, which reads with ``RemoteReader``, and ``RemoteDirect``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from constrained.engines.decoding import prompts
from constrained.engines.decoding.rules import (
    PLAIN_SOFTMAX,
    Channel,
    ChannelMode,
    MessageScores,
    Pair,
    Priors,
    ProbabilityMap,
    ScoredChoice,
    ScoreRule,
    Surface,
    check_one_of,
    scored_choice,
    surface_of,
)
from constrained.engines.decoding.search import Floats, Objective, Scored, bounded
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.decoding.trie import Ids, TokenIndex, Trie
from constrained.engines.model_files import locate_model
from constrained.engines.protocol import Choice, ChoiceRequest, Deadline, Distribution, Mode, PromptContext
from constrained.engines.vllm_servers import NextTokenQuery, VllmServers
from constrained.errors import EngineError

PROBE = "Good evening, and what would you like to know about the weather today?"
CLOSE_NATS = 1e-6


class VllmEngine:
    """Chooses by the likelihoods that vLLM servers tell.

    Args:
        model: a known model's name, a folder, or a hub id: its tokenizer is loaded from there.
        urls: of the servers, or of one router before them. They hold the same model.
        served_as: the name under which they serve it; ``model`` when None.
        rule: how candidates are scored; the channel by default. probability_map: the rule's own when None.
        api_key: sent as a bearer token; the environment's VLLM_API_KEY when None.
        timeout_s: for one request; a turn's deadline cuts it short. n_connections: requests at once.

    Nothing is asked before the first choice: a server may come up later, and go.

    Raises EngineError when there is no such tokenizer.
    """

    is_concurrent = True  # conversations ask it at once; the servers make the batches

    def __init__(
        self,
        model: str | Path,
        urls: Sequence[str],
        *,
        served_as: str | None = None,
        rule: ScoreRule[RemoteReader] | None = None,
        probability_map: ProbabilityMap | None = None,
        api_key: str | None = None,
        timeout_s: float = 5.0,
        n_connections: int = 16,
        tokenizer: Any = None,
    ) -> None:
        if not urls:
            raise EngineError("a VllmEngine needs at least one server", hint='urls=["http://127.0.0.1:8000"]')
        self.rule: ScoreRule[RemoteReader] = rule or Channel()
        self.probability_map = probability_map or self.rule.probability_map
        tokens = Tokens(_tokenizer(str(model)) if tokenizer is None else tokenizer)
        probe = tuple(tokens.plain(PROBE))
        self.servers = VllmServers(
            urls,
            served_as or str(model),
            probe=tuple(dict.fromkeys(probe)),
            tokenizer=(PROBE, probe),
            api_key=api_key or os.environ.get("VLLM_API_KEY"),
            timeout_s=timeout_s,
            n_connections=n_connections,
        )
        self._reader = RemoteReader(self.servers, tokens)
        self._identity = {
            "engine": "vllm",
            "model": served_as or str(model),
            "tokenizer": tokens.hash,
            "rule": self.rule.name,
            "calibration": self.probability_map.hash,
            "scoring": "one token at a time",
        }

    @property
    def identity(self) -> Mapping[str, str]:
        return dict(self._identity)

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        """One distribution per choice; all are asked for together."""
        return self.decide_many([ChoiceRequest(choices, scene)], deadline)[0]

    def decide_many(self, asks: Sequence[ChoiceRequest], deadline: Deadline | None = None) -> list[list[Distribution]]:
        """The choices of many conversations, asked for together; one deadline holds for all."""
        asked = [ask for ask in asks if ask.choices]
        found = iter(self.rule.scores(self._reader, asked, deadline) if asked else [])
        return [
            [self._distribution(choice, one) for choice, one in zip(ask.choices, next(found), strict=True)] if ask.choices else []
            for ask in asks
        ]

    def close(self) -> None:
        self.servers.close()

    def _distribution(self, choice: Choice, found: ScoredChoice) -> Distribution:
        if found.scores is None or not np.isfinite(found.scores).all():
            raise EngineError(f"the scores of {choice.name!r} are not finite", hint="nothing was said; see to the servers")
        weights = self.probability_map.probabilities(found.scores, choice)
        return Distribution(tuple(weights.tolist()), found.mode, tuple(found.scores.tolist()), found.decoding)


def _tokenizer(model: str) -> Any:
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise EngineError("a tokenizer needs transformers", hint="pip install 'constrained[vllm]'") from error
    found = locate_model(model)
    named = {"gguf_file": found.name} if found is not None and found.suffix == ".gguf" else {}
    source = model if found is None else str(found.parent if named else found)
    try:
        return AutoTokenizer.from_pretrained(source, **named)
    except Exception as error:  # transformers and tokenizers raise what they like
        told = " ".join(str(error).split())
        raise EngineError(
            f"the tokenizer of {model!r} could not be loaded: {told:.200}", hint="give the model's folder or hub id"
        ) from error


# -- what rules read with ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RemoteReader:
    """What a rule reads with: the servers, the tokenizer here, and priors that were asked for before."""

    servers: VllmServers
    tokens: Tokens
    priors: Priors = field(default_factory=Priors)

    def score_pairs(self, groups: Sequence[Sequence[Pair]], deadline: Deadline | None) -> list[MessageScores]:
        """[group] the channel's likelihoods.

        A message's tokens are asked for one by one, each after the context and the tokens before it: contexts are static, so a
        server's prefix cache holds them, and what it reads anew is the message. (A whole prompt's log-probabilities in one
        request would pass by that cache.)
        """
        pairs = list(dict.fromkeys(pair for group in groups for pair in group))
        queries = [NextTokenQuery((*context, *message[:at]), (token,)) for context, message in pairs for at, token in enumerate(message)]
        values = iter(self.servers.ask(queries, deadline))
        sums = {(context, message): sum(next(values)[0] for _ in message) for context, message in pairs}
        return [
            MessageScores(np.asarray([sums[pair] for pair in group], dtype=np.float64), sum(len(message) for _, message in group), 0)
            for group in groups
        ]

    def pick_channel_mode(self, wanted: ChannelMode, n_candidates: int, n_message: int, deadline: Deadline | None) -> tuple[Mode, str]:
        is_exact = wanted == "exact" or n_candidates <= prompts.N_NEAREST
        return "exact" if is_exact else "refine", "elsewhere, token by token"


# -- the direct rule ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemoteDirect:
    """log P(candidate | prompt), less its prior under a neutral prompt, as ``decoding.direct_rule.Direct``.

    One distribution over the children of each node of the candidates' trie. Tries of more than ``budget`` inner nodes are
    searched best-first, certified or with the gap that is left.

    Attributes:
        surface: what is scored; a candidate whose key or ``when`` another one has as well is scored by its text.
    """

    surface: Surface = "key"
    plan: prompts.PromptPlan = field(default_factory=prompts.PromptPlan)
    budget: int = 512

    def __post_init__(self) -> None:
        """Raises EngineError for a surface that is not known."""
        check_one_of("surface", self.surface, get_args(Surface))

    @property
    def name(self) -> str:
        parts = [f"direct-{self.surface}-pmi", *(["rules"] if self.plan.has_rules else []), *(["listing"] if self.plan.has_listing else [])]
        return "-".join(parts)

    @property
    def probability_map(self) -> ProbabilityMap:
        return PLAIN_SOFTMAX

    def scores(self, reader: RemoteReader, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[ScoredChoice]]:
        tasks = [[_task(self, reader.tokens, ask.scene, choice) for choice in ask.choices] for ask in asks]
        small = [task for group in tasks for task in group if task.trie.n_inner <= self.budget]
        exact = iter(list(_all_nodes(reader, small, deadline)))  # in the order of the tasks
        return [
            [next(exact) if task.trie.n_inner <= self.budget else self._search(reader, task, deadline) for task in group] for group in tasks
        ]

    def _search(self, reader: RemoteReader, task: _DirectTask, deadline: Deadline | None) -> ScoredChoice:
        found = bounded(RemotePasses(reader.servers, task, deadline), task.trie, Objective(task.prior(reader, deadline), 1.0), self.budget)
        return _answer(found, "bounded", "elsewhere, more nodes than are asked at once")


@dataclass(frozen=True, slots=True, eq=False)
class _DirectTask:
    """One choice for the direct rule: the prompt, the neutral prompt, the candidates' trie."""

    prompt: Ids
    silent: Ids
    rows: tuple[Ids, ...]
    trie: Trie

    def questions(self, nodes: NDArray[np.int64], begin: Ids) -> list[NextTokenQuery]:
        """The children of each node (-1: of the root) after the prompt and the path to it."""
        return [NextTokenQuery((*begin, *self._path(int(node))), self._tokens(self.children(int(node)))) for node in nodes]

    def children(self, node: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.trie.parent == node)

    def prior(self, reader: RemoteReader, deadline: Deadline | None) -> Floats:
        """[node] log P(token | path) under the neutral prompt, asked for once."""

        def compute() -> Floats:
            passes = RemotePasses(reader.servers, self, deadline, is_silent=True)
            passes.feed(np.flatnonzero(self.trie.has_child))
            return passes.log_probs

        return reader.priors.get((self.silent, self.rows), compute)

    def _path(self, node: int) -> Ids:
        return self._tokens(np.asarray(self.trie.path(node), dtype=np.int64))

    def _tokens(self, nodes: NDArray[np.int64]) -> Ids:
        return tuple(self.trie.token[nodes].tolist())


class RemotePasses:
    """``search.Passes`` over a model in servers: each node that is fed is one question, for the tokens of its children."""

    def __init__(self, servers: VllmServers, task: _DirectTask, deadline: Deadline | None, *, is_silent: bool = False) -> None:
        self._servers, self._task, self._deadline = servers, task, deadline
        self._begin = task.silent if is_silent else task.prompt
        self._log_probs = np.full(len(task.trie), np.nan)
        self.n_tokens = self.n_passes = 0

    @property
    def log_probs(self) -> Floats:
        return self._log_probs

    def feed(self, nodes: NDArray[np.int64], *, will_return: bool = False) -> None:
        whole = nodes if self.n_passes else np.append(np.asarray([-1]), nodes)
        self.fill(whole, self._servers.ask(self._task.questions(whole, self._begin), self._deadline))

    def fill(self, nodes: NDArray[np.int64], found: Sequence[tuple[float, ...]]) -> None:
        for node, values in zip(nodes, found, strict=True):
            self._log_probs[self._task.children(int(node))] = values
        self.n_tokens, self.n_passes = self.n_tokens + len(nodes), self.n_passes + 1


def _all_nodes(reader: RemoteReader, tasks: Sequence[_DirectTask], deadline: Deadline | None) -> Iterator[ScoredChoice]:
    """All nodes of all tasks at once: what is asked of one conversation, or of many, travels together."""
    nodes = [np.append(np.asarray([-1]), np.flatnonzero(task.trie.has_child)) for task in tasks]
    priors = [task.prior(reader, deadline) for task in tasks]
    asked = [task.questions(own, task.prompt) for task, own in zip(tasks, nodes, strict=True)]
    found = iter(reader.servers.ask([one for group in asked for one in group], deadline) if asked else [])
    for task, own, prior in zip(tasks, nodes, priors, strict=True):
        passes = RemotePasses(reader.servers, task, deadline)
        passes.fill(own, [next(found) for _ in own])
        scores = task.trie.path_sums(passes.log_probs - prior)[task.trie.leaf]
        yield _answer(Scored.complete(scores, passes, task.trie), "exact", "elsewhere, all nodes")


def _answer(found: Scored, mode: Mode, reason: str) -> ScoredChoice:
    """A row that was not read to its end has a bound for a score, and must not win by it."""
    if not found.is_exact.all():
        most = found.log_probs[found.is_exact].max() - CLOSE_NATS
        found = replace(found, log_probs=np.where(found.is_exact, found.log_probs, np.minimum(found.log_probs, most)))
    return scored_choice(found, mode, reason)


def _task(rule: RemoteDirect, tokens: Tokens, scene: PromptContext, choice: Choice) -> _DirectTask:
    static, suffix = tokens.chat(rule.plan.static(scene), prompts.dynamic(scene, choice))
    _, silent = tokens.chat("", prompts.dynamic(prompts.neutral(scene), choice))
    end = () if tokens.end is None else (tokens.end,)
    rows = tuple((*row, *end) for row in tokens.plain_batch(_surfaces(choice, rule.surface)))
    return _DirectTask((*static, *suffix), (*static, *silent), rows, TokenIndex.build(rows).trie())


def _surfaces(choice: Choice, surface: Surface) -> list[str]:
    wanted = [surface_of(candidate, surface) for candidate in choice.candidates]
    return [one if wanted.count(one) == 1 else candidate.text for one, candidate in zip(wanted, choice.candidates, strict=True)]
