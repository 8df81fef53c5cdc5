"""A model with its tokenizer and all that was computed once for it: static prompt parts, contexts, priors. Knows no rule."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from constrained.choice import Deadline
from constrained.decoding.auto import Speed
from constrained.decoding.contexts import Contexts
from constrained.decoding.model import LanguageModel, Prefix
from constrained.decoding.tokens import Tokens
from constrained.decoding.trie import TokenIndex, Trie

Ids = tuple[int, ...]
Floats = NDArray[np.float64]
MAX_PREFIXES = 16
MAX_INDEXED = 32  # lists of texts; an admissible subset comes again from turn to turn
_PROBES = (16, 272)  # tokens
MAX_PRIOR_VALUES = 4_000_000  # held in memory: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class Indexed:
    """Texts in token ids. Attributes: telling: the nodes to feed so that every row is told from all others."""

    rows: tuple[Ids, ...]
    trie: Trie
    telling: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "telling", self.trie.ancestors(self.trie.telling_nodes()))


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
    _indexed: OrderedDict[tuple[str, ...], Indexed] = field(default_factory=OrderedDict)
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

    def indexed(self, texts: tuple[str, ...]) -> Indexed:
        """Token ids of each text, its end token included, and their trie; for the last few lists of texts they are at hand."""
        if texts not in self._indexed:
            end = () if self.tokens.end is None else (self.tokens.end,)
            rows = tuple((*row, *end) for row in self.tokens.plain_batch(texts))
            self._indexed[texts] = Indexed(rows, TokenIndex.build(rows).trie())
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
