"""What rules read with: a model, its tokenizer, all that was computed once for it, and which mode there is time for.

``Reader`` holds keys and values of static prompt parts and contexts, tries and priors. ``pick`` and ``pick_channel`` choose a
mode by what it would cost here: a measured speed, the sizes of the tries, the time there is.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from constrained.engines.decoding.channel import Contexts, score_message_rows, score_messages
from constrained.engines.decoding.exact import CHUNK_NODES
from constrained.engines.decoding.language_model import LanguageModel, Prefix
from constrained.engines.decoding.prompts import N_NEAREST
from constrained.engines.decoding.rules import ChannelMode, MessageScores, Pair, Priors
from constrained.engines.decoding.search import LIKELY_NODES, OPEN_NODES
from constrained.engines.decoding.tokens import Tokens
from constrained.engines.decoding.trie import Ids, TokenIndex, Trie
from constrained.engines.protocol import Deadline, Mode

PATIENCE_S = 2.0  # without a deadline: what a decision may cost before a less certain mode is taken
ONCE_S = 120.0  # what a prior that has to be computed first may cost, once for a catalog version
SHARE_OF_DEADLINE = 0.7  # the rest is for all that is not decoding, and for what the model of cost does not know
OPEN_SHARE = 0.6  # of the nodes that ``refine`` reads where the prior is taken off (benchmarks/LOG.md)


@dataclass(frozen=True, slots=True)
class Speed:
    """What forward passes cost on this machine: seconds for a pass, and for each token in it."""

    pass_s: float
    token_s: float

    def seconds(self, n_tokens: float, n_passes: float) -> float:
        return n_passes * self.pass_s + n_tokens * self.token_s


@dataclass(frozen=True, slots=True)
class ChoiceSize:
    """What is known of a choice before it is decoded.

    Attributes:
        n_suffix: tokens of the prompt's dynamic part.
        n_inner: nodes that ``exact`` feeds. n_identifying: those up to where each row is told from all others.
        has_prior: the prior is taken off. is_prior_known: it was computed before.
    """

    n_suffix: int
    n_inner: int
    n_identifying: int
    has_prior: bool
    is_prior_known: bool


def pick(size: ChoiceSize, speed: Speed, deadline: Deadline | None) -> tuple[Mode, str]:
    """The most faithful mode that there is time for, and why; the cheapest one where there is time for none.

    In the order of faithfulness: ``exact`` (the whole distribution), ``refine`` (the same best candidate nearly always),
    ``prefix`` (another, cheaper question), ``walk`` (a greedy pick, no probabilities).
    """
    allowed_s = PATIENCE_S if deadline is None else max(deadline.left_s, 0.0) * SHARE_OF_DEADLINE
    once_s = allowed_s if deadline is not None else ONCE_S
    costs = {mode: _seconds(mode, size, speed) for mode in ("exact", "refine", "prefix", "walk")}
    for mode, (each_s, first_s) in costs.items():
        if each_s <= allowed_s and first_s <= once_s:
            return _as_mode(mode), f"{mode}: about {each_s:.2g} s of {allowed_s:.2g} s"
    cheapest = min(costs, key=lambda mode: sum(costs[mode]))
    return _as_mode(cheapest), f"{cheapest}: the cheapest, about {sum(costs[cheapest]):.2g} s, where {allowed_s:.2g} s are allowed"


def pick_channel(n_exact: int, n_nearest: int, speed: Speed, deadline: Deadline | None) -> tuple[Mode, str]:
    """``exact`` or ``refine`` for the channel, by the tokens that each reads, and why."""
    allowed_s = PATIENCE_S if deadline is None else max(deadline.left_s, 0.0) * SHARE_OF_DEADLINE
    exact_s, nearest_s = (speed.seconds(n_tokens, _passes(n_tokens)) for n_tokens in (n_exact, n_nearest))
    if exact_s <= allowed_s:
        return "exact", f"exact: about {exact_s:.2g} s of {allowed_s:.2g} s"
    return "refine", f"refine: about {nearest_s:.2g} s, where exact takes {exact_s:.2g} s of {allowed_s:.2g} s"


def _seconds(mode: str, size: ChoiceSize, speed: Speed) -> tuple[float, float]:
    """What a decision costs, and what has to be computed once before the first one."""
    whole = speed.seconds(size.n_suffix + size.n_inner, _passes(size.n_inner))
    identifying = speed.seconds(size.n_suffix + size.n_identifying, _passes(size.n_identifying))
    prior = 0.0 if size.is_prior_known else whole
    if mode == "exact":
        return whole, prior if size.has_prior else 0.0
    if mode == "refine" and size.has_prior:
        n_nodes = OPEN_SHARE * size.n_inner
        return speed.seconds(size.n_suffix + n_nodes, 1 + n_nodes / OPEN_NODES), prior
    if mode == "refine":
        n_nodes = min(size.n_inner, 2 * LIKELY_NODES)
        return speed.seconds(size.n_suffix + n_nodes, n_nodes / LIKELY_NODES), prior
    if mode == "prefix":
        return identifying, identifying if size.has_prior and not size.is_prior_known else 0.0
    n_steps = max(1.0, math.log2(max(size.n_identifying, 2)))  # a guess: how many tokens are not forced
    return speed.seconds(size.n_suffix + n_steps, n_steps), 0.0


def _passes(n_nodes: int) -> int:
    return max(1, -(-n_nodes // CHUNK_NODES))


def _as_mode(mode: str) -> Mode:
    found: Mode = mode  # type: ignore[assignment]  # a key of the table above
    return found


# -- the reader ----------------------------------------------------------------------------------------------------

MAX_PREFIXES = 16
MAX_INDEXED = 32  # lists of texts; an admissible subset comes again from turn to turn
_PROBES = (16, 272)  # tokens


@dataclass(frozen=True, slots=True, eq=False)
class IndexedTexts:
    """Texts in token ids. Attributes: identifying: the nodes to feed so that every row is told from all others."""

    rows: tuple[Ids, ...]
    trie: Trie
    identifying: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identifying", self.trie.ancestors(self.trie.identifying_nodes()))


@dataclass(slots=True)
class Reader:
    """What every rule reads with.

    Attributes:
        has_tree: the model honours a tree mask (the self-test says so); without, rows are scored one by one.
    """

    model: LanguageModel
    tokens: Tokens
    has_tree: bool = True
    contexts: Contexts = field(init=False)
    priors: Priors = field(init=False)
    _prefixes: OrderedDict[Ids, Prefix] = field(default_factory=OrderedDict)
    _indexed: OrderedDict[tuple[str, ...], IndexedTexts] = field(default_factory=OrderedDict)
    _speed: Speed | None = None

    def __post_init__(self) -> None:
        self.contexts, self.priors = Contexts(self.model), Priors()

    def prefix(self, static: Sequence[int], deadline: Deadline | None = None) -> Prefix:
        """Keys and values of a prompt's static part, read once."""
        key = tuple(static)
        if key not in self._prefixes:
            self._prefixes[key] = self.model.prefill(static, deadline)
            while len(self._prefixes) > MAX_PREFIXES:
                self._prefixes.popitem(last=False)
        self._prefixes.move_to_end(key)
        return self._prefixes[key]

    def indexed(self, texts: tuple[str, ...]) -> IndexedTexts:
        """Token ids of each text, its end token included, and their trie; for the last few lists of texts they are at hand."""
        if texts not in self._indexed:
            end = () if self.tokens.end is None else (self.tokens.end,)
            rows = tuple((*row, *end) for row in self.tokens.plain_batch(texts))
            self._indexed[texts] = IndexedTexts(rows, TokenIndex.build(rows).trie())
            while len(self._indexed) > MAX_INDEXED:
                self._indexed.popitem(last=False)
        self._indexed.move_to_end(texts)
        return self._indexed[texts]

    @property
    def speed(self) -> Speed:
        """What forward passes cost here, measured once: two lengths tell a pass from a token."""
        if self._speed is None:
            short, long = (self._seconds(n) for n in _PROBES)
            token_s = max(long - short, 0.0) / (_PROBES[1] - _PROBES[0])
            self._speed = Speed(max(short - token_s * _PROBES[0], 0.0), token_s)
        return self._speed

    def score_pairs(self, groups: Sequence[Sequence[Pair]], deadline: Deadline | None) -> list[MessageScores]:
        """[group] the channel's likelihoods; all groups in the same passes, whose cost each of them tells."""
        pairs = [pair for group in groups for pair in group]
        if self.has_tree:
            found = score_messages(self.model, self.contexts, pairs, deadline)
        else:
            found = score_message_rows(self.model, pairs, deadline)
        parts = np.split(found.log_probs, np.cumsum([len(group) for group in groups])[:-1])
        return [MessageScores(part, found.n_tokens, found.n_passes) for part in parts]

    def pick_channel_mode(self, wanted: ChannelMode, n_candidates: int, n_message: int, deadline: Deadline | None) -> tuple[Mode, str]:
        if n_candidates <= N_NEAREST:
            return "exact", "few candidates"
        if wanted != "auto":
            return wanted, "asked for"
        return pick_channel(n_candidates * n_message, N_NEAREST * n_message, self.speed, deadline)

    def _seconds(self, n_tokens: int) -> float:
        """The fastest of three passes over so many tokens; the first one of a size warms up."""
        ids = self.model.tensor([self.tokens.plain("a")[0]] * n_tokens)[None]
        found = []
        for _ in range(3):
            start = time.perf_counter()
            states, _ = self.model.run(ids)
            self.model.log_probs(states[0], ids[0]).cpu()  # waits for the device
            found.append(time.perf_counter() - start)
        return min(found)
