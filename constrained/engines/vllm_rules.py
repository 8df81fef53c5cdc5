"""Score rules over a model elsewhere that tells one-token distributions: the channel, and the direct likelihood.

They score what the rules of the same names in ``decoding.rules`` score, from the same prompts and with the same
calibration; only that each number is asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from constrained.engines.decoding import prompts as message
from constrained.engines.decoding import prompts as prompt
from constrained.engines.decoding.exact import Scored
from constrained.engines.decoding.rules import CHANNEL, NONE, Calibration
from constrained.engines.decoding.search import Objective, best_first
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.decoding.trie import TokenIndex, Trie
from constrained.engines.protocol import Candidate, Choice, ChoiceRequest, Deadline, Decoding, Mode, PromptContext
from constrained.engines.vllm_servers import Ids, Next
from constrained.errors import EngineError

Floats = NDArray[np.float64]
MOST_PRIORS = 256
CLOSE_NATS = 1e-6
Surface = Literal["text", "key", "when"]


class Teller(Protocol):
    """Who tells distributions: ``VllmServers``."""

    def ask(self, questions: Sequence[Next], deadline: Deadline | None = None) -> list[tuple[float, ...]]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """[candidate] scores in nats, how they came about, and what it cost."""

    scores: Floats
    mode: Mode
    decoding: Decoding


@dataclass(slots=True)
class Source:
    """What a rule asks with: the model elsewhere, the tokenizer here, and priors that were asked for before."""

    teller: Teller
    tokens: Tokens
    _priors: OrderedDict[tuple[object, ...], Floats] = field(default_factory=OrderedDict)

    def prior(self, key: tuple[object, ...], ask: Callable[[], Floats]) -> Floats:
        found = self._priors.get(key)
        if found is None:
            found = self._priors[key] = ask()
            while len(self._priors) > MOST_PRIORS:
                self._priors.popitem(last=False)
        return found


class RemoteRule(Protocol):
    """How candidates are scored elsewhere; ``name`` stands in every record."""

    @property
    def name(self) -> str: ...
    @property
    def calibration(self) -> Calibration: ...

    def scores(self, source: Source, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[Answer]]:
        """For each ask one answer per choice, in order."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteChannel:
    """log P(message | the candidate's ``when`` and examples), as ``decoding.rules.Channel``.

    The message's tokens are asked for one by one, each after the context and the tokens before it: contexts are static,
    so a server's prefix cache holds them, and what it reads anew is the message. (A whole prompt's log-probabilities in one
    request would pass by that cache.) Up to ``message.N_NEAREST`` candidates are read, nearest by shared words.
    """

    words: float = message.WORDS

    @property
    def name(self) -> str:
        return f"channel-words-{self.words:g}" if self.words else "channel"

    @property
    def calibration(self) -> Calibration:
        return CHANNEL

    def scores(self, source: Source, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[Answer]]:
        tasks = [[self._task(source.tokens, ask.scene, choice) for choice in ask.choices] for ask in asks]
        pairs = list(dict.fromkeys((context, task.message) for group in tasks for task in group for context in task.contexts))
        found = source.teller.ask(
            [Next((*context, *told[:at]), (token,)) for context, told in pairs for at, token in enumerate(told)], deadline
        )
        values = iter(found)
        known = {(context, told): sum(next(values)[0] for _ in told) for context, told in pairs}
        return [[task.answer(known) for task in group] for group in tasks]

    def _task(self, tokens: Tokens, scene: PromptContext, choice: Choice) -> _Pairs:
        common = message.shared(scene.message, choice)
        n = len(choice.candidates)
        read = list(range(n)) if n <= message.N_NEAREST else message.nearest(common, choice)
        texts = prompt.contexts(choice, scene)
        contexts = [tuple(one) for one in tokens.plain_batch([texts[index] for index in read])]
        told = tuple(message.bounded(tokens.plain(prompt.heard_as(scene.message))))
        return _Pairs(n, read, contexts, told, common * (self.words if choice.kind == "option" else 0.0))


@dataclass(frozen=True, slots=True)
class _Pairs:
    """One choice for the channel. ``read``: the candidates whose ``contexts`` are read. ``added``: [candidate] nats of shared words."""

    n: int
    read: list[int]
    contexts: list[Ids]
    message: Ids
    added: Floats

    def answer(self, known: dict[tuple[Ids, Ids], float]) -> Answer:
        scores = np.asarray([known[context, self.message] for context in self.contexts], dtype=np.float64)
        whole = np.full(self.n, scores.min())
        whole[self.read] = scores
        n_tokens, mode = len(self.contexts) * len(self.message), "exact" if len(self.read) == self.n else "refine"
        cost = Decoding("elsewhere, token by token", n_tokens, 0, self.n * len(self.message), n_tokens, len(self.read))
        return Answer(whole + self.added, _mode(mode), cost)


@dataclass(frozen=True, slots=True)
class RemoteDirect:
    """log P(candidate | prompt), less its prior under a neutral prompt, as ``decoding.rules.Direct``.

    One distribution over the children of each node of the candidates' trie. Tries of more than ``budget`` inner nodes are
    searched best-first, certified or with the gap that is left.

    Attributes:
        surface: what is scored; a candidate whose key or ``when`` another one has as well is scored by its text.
    """

    surface: Surface = "key"
    plan: prompt.PromptPlan = field(default_factory=prompt.PromptPlan)
    budget: int = 512

    def __post_init__(self) -> None:
        if self.surface not in get_args(Surface):
            raise EngineError(f"surface {self.surface!r} is not known", hint=f"use one of {', '.join(get_args(Surface))}")

    @property
    def name(self) -> str:
        parts = [f"direct-{self.surface}-pmi", *(["rules"] if self.plan.has_rules else []), *(["listing"] if self.plan.has_listing else [])]
        return "-".join(parts)

    @property
    def calibration(self) -> Calibration:
        return NONE

    def scores(self, source: Source, asks: Sequence[ChoiceRequest], deadline: Deadline | None) -> list[list[Answer]]:
        tasks = [[_node_task(self, source.tokens, ask.scene, choice) for choice in ask.choices] for ask in asks]
        small = [task for group in tasks for task in group if task.trie.n_inner <= self.budget]
        exact = {id(task): found for task, found in zip(small, _all_nodes(source, small, deadline), strict=True)}
        return [[exact.get(id(task)) or self._searched(source, task, deadline) for task in group] for group in tasks]

    def _searched(self, source: Source, task: _Nodes, deadline: Deadline | None) -> Answer:
        found = best_first(_Fed(source.teller, task, deadline), task.trie, Objective(task.prior(source, deadline), 1.0), self.budget)
        return _answer(found, "bounded", "elsewhere, more nodes than are asked at once")


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """One choice for the direct rule: the prompt, the neutral prompt, the candidates' trie."""

    prompt: Ids
    silent: Ids
    rows: tuple[Ids, ...]
    trie: Trie

    def questions(self, nodes: NDArray[np.int64], begin: Ids) -> list[Next]:
        """The children of each node (-1: of the root) after the prompt and the path to it."""
        return [Next((*begin, *self._path(int(node))), self._tokens(self.children(int(node)))) for node in nodes]

    def children(self, node: int) -> NDArray[np.int64]:
        return np.flatnonzero(self.trie.parent == node)

    def prior(self, source: Source, deadline: Deadline | None) -> Floats:
        """[node] log P(token | path) under the neutral prompt, asked for once."""

        def ask() -> Floats:
            fed = _Fed(source.teller, self, deadline, is_silent=True)
            fed.feed(np.flatnonzero(self.trie.has_child))
            return fed.log_probs

        return source.prior((self.silent, self.rows), ask)

    def _path(self, node: int) -> Ids:
        return self._tokens(np.asarray(self.trie.path(node), dtype=np.int64))

    def _tokens(self, nodes: NDArray[np.int64]) -> Ids:
        return tuple(self.trie.token[nodes].tolist())


class _Fed:
    """A trie's nodes as questions: what ``search.Passes`` is of a model elsewhere."""

    def __init__(self, teller: Teller, task: _Nodes, deadline: Deadline | None, *, is_silent: bool = False) -> None:
        self._teller, self._task, self._deadline = teller, task, deadline
        self._begin = task.silent if is_silent else task.prompt
        self._log_probs = np.full(len(task.trie), np.nan)
        self.n_tokens = self.n_passes = 0

    @property
    def log_probs(self) -> Floats:
        return self._log_probs

    def feed(self, nodes: NDArray[np.int64], *, will_return: bool = False) -> None:
        whole = nodes if self.n_passes else np.append(np.asarray([-1]), nodes)
        self.fill(whole, self._teller.ask(self._task.questions(whole, self._begin), self._deadline))

    def fill(self, nodes: NDArray[np.int64], found: Sequence[tuple[float, ...]]) -> None:
        for node, values in zip(nodes, found, strict=True):
            self._log_probs[self._task.children(int(node))] = values
        self.n_tokens, self.n_passes = self.n_tokens + len(nodes), self.n_passes + 1


def _all_nodes(source: Source, tasks: Sequence[_Nodes], deadline: Deadline | None) -> Iterator[Answer]:
    """All nodes of all tasks at once: what is asked of one conversation, or of many, travels together."""
    nodes = [np.append(np.asarray([-1]), np.flatnonzero(task.trie.has_child)) for task in tasks]
    priors = [task.prior(source, deadline) for task in tasks]
    asked = [task.questions(own, task.prompt) for task, own in zip(tasks, nodes, strict=True)]
    found = iter(source.teller.ask([one for group in asked for one in group], deadline) if asked else [])
    for task, own, prior in zip(tasks, nodes, priors, strict=True):
        fed = _Fed(source.teller, task, deadline)
        fed.fill(own, [next(found) for _ in own])
        scores = task.trie.path_sums(fed.log_probs - prior)[task.trie.leaf]
        yield _answer(Scored.complete(scores, fed, task.trie), "exact", "elsewhere, all nodes")


def _answer(found: Scored, mode: Mode, reason: str) -> Answer:
    """What was not read to its end is a bound, and must not win by it."""
    n_exact, scores = int(found.is_exact.sum()), found.log_probs
    if n_exact < len(scores):
        scores = np.where(found.is_exact, scores, np.minimum(scores, scores[found.is_exact].max() - CLOSE_NATS))
    cost = (found.n_tokens, found.n_passes, found.n_nodes, found.n_expanded, n_exact)
    return Answer(scores, mode, Decoding(reason, *cost, found.gap, found.mass))


def _node_task(rule: RemoteDirect, tokens: Tokens, scene: PromptContext, choice: Choice) -> _Nodes:
    static, suffix = tokens.chat(rule.plan.static(scene), prompt.dynamic(scene, choice))
    _, silent = tokens.chat("", prompt.dynamic(prompt.neutral(scene), choice))
    end = () if tokens.end is None else (tokens.end,)
    rows = tuple((*row, *end) for row in tokens.plain_batch(_surfaces(choice, rule.surface)))
    return _Nodes((*static, *suffix), (*static, *silent), rows, TokenIndex.build(rows).trie())


def _surfaces(choice: Choice, surface: Surface) -> list[str]:
    wanted = [_surface(candidate, surface) for candidate in choice.candidates]
    return [one if wanted.count(one) == 1 else candidate.text for one, candidate in zip(wanted, choice.candidates, strict=True)]


def _surface(candidate: Candidate, surface: Surface) -> str:
    if surface == "key":
        return candidate.name or candidate.text
    return candidate.text if surface == "text" or not candidate.when else candidate.when


def _mode(name: str) -> Mode:
    return "exact" if name == "exact" else "refine"
