"""Suite agreement: how often each mode finds the best candidate of exact, and what share of the nodes it reads for that."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.harness import Bench
from benchmarks.measure import Spread
from benchmarks.peers import scene
from benchmarks.peers.scene import Setting
from benchmarks.sets.lines import data_folder, entries
from constrained.engines.decoding.exact import TreePasses
from constrained.engines.decoding.search import Objective, bounded, refine, score_prefixes
from constrained.engines.decoding.trie import TokenIndex, Trie

NEUTRAL = "..."
A_TRIE = 20  # random prompts over one random trie
Key = tuple[str, float]  # a mode, and the weight of the prior that is taken off
MODES: dict[str, Callable[..., Any]] = {"refine": refine, "bounded": bounded, "prefix": score_prefixes}
ALL: tuple[Key, ...] = tuple((mode, weight) for weight in (0.0, 1.0) for mode in MODES)
QUANTILES = {"the least": 0.0, "a tenth at most": 0.1, "nine tenths at most": 0.9, "the worst of a hundred": 0.99, "the most": 1.0}
N_TUNED = 40  # questions, evenly spaced over all, on which the settings of refine were chosen (benchmarks/LOG.md): not asked here


@dataclass(slots=True)
class _Tally:
    """What one mode did over many decisions; ``lost``: nats of its row below the best one."""

    agreed: list[bool] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)


def run(bench: Bench) -> None:
    """Random logits over random tries in great number; then the real model on natural lines, keys and ``when``.

    ``--sizes`` asks for natural lines of these numbers alone, ``--prompts`` for so many questions to each.
    """
    if not bench.options.sizes:
        _random(bench, 2 * A_TRIE if bench.is_smoke else 10_000)
    if not bench.is_smoke:
        _real(bench)


# -- random logits ---------------------------------------------------------------------------------------------


def _random(bench: Bench, n: int) -> None:
    """A network of random weights, and prompts of random tokens."""
    from benchmarks.peers.bed import toy_network, toy_tokenizer

    loaded = Setting.around(toy_network("float32", bench.seed), toy_tokenizer())
    chance = np.random.default_rng(bench.seed)
    found = _tallies()
    for _ in range(max(1, n // (2 * A_TRIE))):  # each question is decided with and without the prior
        trie = TokenIndex.build(_random_rows(chance)).trie()
        prior = _read(loaded, trie, chance.integers(10, 200, 8).tolist())
        for _ in range(A_TRIE):
            _decide(loaded, trie, prior, chance.integers(10, 200, 8).tolist(), found)
    _tell(bench, "random weights", found)


def _random_rows(chance: np.random.Generator) -> list[tuple[int, ...]]:
    """Between 60 and 120 rows of 2 to 12 tokens, the first ones out of few, so that they branch late."""
    rows = {
        (*chance.integers(10, 14, chance.integers(1, 4)).tolist(), *chance.integers(10, 200, chance.integers(1, 9)).tolist())
        for _ in range(chance.integers(60, 121))
    }
    return sorted(rows)


# -- the real model --------------------------------------------------------------------------------------------


def _real(bench: Bench) -> None:
    loaded = scene.load(bench, "bfloat16")
    for case, texts, n_questions, modes in _lists(bench.options.sizes):
        trie = TokenIndex.build(loaded.rows(texts)).trie()
        bench.add(case, "nodes that exact feeds", trie.n_inner, "nodes")
        prior = _read(loaded, trie, loaded.tokens.chat("", NEUTRAL)[1])
        found = _tallies(modes)
        try:
            for question in _questions(bench.options.n_prompts or n_questions):
                _decide(loaded, trie, prior, loaded.tokens.chat("", question)[1], found)
        finally:  # a run that is ended tells what it came to
            _tell(bench, case, found)


def _lists(sizes: Sequence[int]) -> Iterator[tuple[str, list[str], int, tuple[Key, ...]]]:
    """(name, texts, how many questions, modes): the longer lists, and those that are asked for, leave out what reads most of them."""
    few = (("refine", 0.0), ("prefix", 0.0), ("prefix", 1.0))
    if sizes:
        yield from ((f"{n:,} natural lines", [entry.text for entry in entries("natural", n, 0)], 16, few) for n in sizes)
        return
    hundred = entries("natural", 100, 0)
    yield "100 keys", [entry.key for entry in hundred], 61, ALL
    yield "100 whens", [entry.when for entry in hundred], 31, ALL
    yield "100 natural lines", [entry.text for entry in hundred], 16, ALL
    yield "1,000 natural lines", [entry.text for entry in entries("natural", 1_000, 0)], 7, few


def _questions(n: int) -> list[str]:
    """So many of the butler's questions, evenly spaced, but none of those that settings were chosen on."""
    with (data_folder() / "mystery_butler" / "butler.csv").open(encoding="utf-8", newline="") as file:
        every = [row["Query"] for row in csv.DictReader(file)]
    tuned = {index * len(every) // N_TUNED for index in range(N_TUNED)}
    left = [question for index, question in enumerate(every) if index not in tuned]
    return [left[index * len(left) // n] for index in range(min(n, len(left)))]


def _read(loaded: Setting, trie: Trie, suffix: Sequence[int]) -> np.ndarray:
    """[node] log-probabilities after a suffix, all of them."""
    passes = TreePasses(loaded.model, loaded.prefix, suffix, trie)
    passes.feed(np.flatnonzero(trie.has_child))
    return passes.log_probs


def _decide(loaded: Setting, trie: Trie, prior: np.ndarray, suffix: Sequence[int], found: dict[Key, _Tally]) -> None:
    """One question in every mode. What is told apart by less than the rounding of bfloat16 counts as equal."""
    whole = trie.path_sums(_read(loaded, trie, suffix))[trie.leaf]
    for (mode, weight), tally in found.items():
        exact = whole - weight * trie.path_sums(prior)[trie.leaf]
        scored = MODES[mode](TreePasses(loaded.model, loaded.prefix, suffix, trie), trie, Objective(prior, weight))
        is_prefix = mode == "prefix"  # its scores are those of another question
        scores = scored.log_probs if is_prefix else np.where(scored.is_exact, scored.log_probs, -np.inf)
        rounding = 0.0 if is_prefix else float(np.abs(scored.log_probs - exact)[scored.is_exact].max(initial=0.0))
        lost = float(exact.max() - exact[scores.argmax()])
        tally.agreed.append(lost <= 2 * rounding)
        tally.lost.append(lost)
        tally.shares.append(scored.n_expanded / max(scored.n_nodes, 1))
        tally.passes.append(scored.n_passes)


def _tallies(modes: Sequence[Key] | None = None) -> dict[Key, _Tally]:
    return {key: _Tally() for key in modes or ALL}


def _tell(bench: Bench, case: str, found: dict[Key, _Tally]) -> None:
    for (mode, weight), tally in found.items():
        if not tally.passes:
            continue
        name = f"{mode}, {'prior taken off' if weight else 'plain'}"
        asked = {"bounded": 1.0, "refine": 0.995}.get(mode)
        bench.add(case, f"{name}: decisions", len(tally.agreed), "decisions")
        bench.add(case, f"{name}: same best row", float(np.mean(tally.agreed)), "share", reference="exact", at_least=asked)
        low, median, high = np.quantile(tally.shares, (0.25, 0.5, 0.75)).tolist()
        most = 0.15 if mode == "refine" and case.startswith("1,000") else None
        bench.add(case, f"{name}: nodes read", Spread(median, low, high), "share", reference="exact", at_most=most)
        for part, quantile in QUANTILES.items():
            bench.add(case, f"{name}: nodes read, {part}", float(np.quantile(tally.shares, quantile)), "share", reference="exact")
        strictly = float(np.mean([lost <= 0.0 for lost in tally.lost]))
        bench.add(case, f"{name}: same best row, near ties not counted", strictly, "share", reference="exact")
        bench.add(case, f"{name}: below the best row, at most", max(tally.lost), "nats", reference="exact")
        bench.add(case, f"{name}: forward passes", float(np.median(tally.passes)), "passes")
