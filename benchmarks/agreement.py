"""Suite agreement: how often each mode finds the best candidate of exact, and what share of the nodes it reads for that."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks import setting
from benchmarks.harness import Bench
from benchmarks.lines import data_folder
from benchmarks.lists import entries
from benchmarks.setting import Setting
from benchmarks.timing import Spread
from constrained.decoding.bounded import bounded
from constrained.decoding.exact import score_trie
from constrained.decoding.passes import TreePasses
from constrained.decoding.prefix import score_prefixes
from constrained.decoding.refine import refine
from constrained.decoding.search import Objective
from constrained.decoding.trie import TokenIndex, Trie

NEUTRAL = "..."
MODES: dict[str, Callable[..., Any]] = {"refine": refine, "bounded": bounded, "prefix": score_prefixes}
N_TUNED = 40  # questions, evenly spaced over all, on which the settings of refine were chosen (benchmarks/LOG.md): not asked here


@dataclass(slots=True)
class _Tally:
    """What one mode did over many decisions."""

    agreed: list[bool] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)


def run(bench: Bench) -> None:
    """Random logits over random tries in great number; then the real model on natural lines, keys and ``when``."""
    _random(bench, 40 if bench.is_smoke else 10_000)
    if not bench.is_smoke:
        _real(bench)


# -- random logits ---------------------------------------------------------------------------------------------


def _random(bench: Bench, n: int) -> None:
    """A network of random weights whose prompts move its logits little, as a real message moves a real model's."""
    from benchmarks.toy import toy_network, toy_tokenizer

    loaded = Setting.around(toy_network("float32", bench.seed), toy_tokenizer())
    chance = np.random.default_rng(bench.seed)
    for weight, name in ((0.0, "raw"), (1.0, "pmi")):
        found = {mode: _Tally() for mode in MODES}
        for _ in range(n // 20 // 2 or 1):
            trie = TokenIndex.build(_random_rows(chance)).trie()
            objective = Objective(_prior(loaded, trie, chance.integers(10, 200, 8).tolist()), weight)
            for _ in range(20):
                _decide(loaded, trie, objective, chance.integers(10, 200, 8).tolist(), found)
        _tell(bench, f"random weights, {name}", found)


def _random_rows(chance: np.random.Generator) -> list[tuple[int, ...]]:
    """Between 60 and 120 rows of 2 to 12 tokens, the first ones out of few, so that they branch late."""
    rows = {
        (*chance.integers(10, 14, chance.integers(1, 4)).tolist(), *chance.integers(10, 200, chance.integers(1, 9)).tolist())
        for _ in range(chance.integers(60, 121))
    }
    return sorted(rows)


# -- the real model --------------------------------------------------------------------------------------------


def _real(bench: Bench) -> None:
    loaded = setting.load(bench, "bfloat16")
    for case, texts, every in _lists():
        questions = _questions()[::every]
        trie = TokenIndex.build(loaded.rows(texts)).trie()
        bench.add(case, "nodes that exact feeds", trie.n_inner, "nodes")
        prior = _prior(loaded, trie, loaded.tokens.chat("", NEUTRAL)[1])
        for weight, name in ((0.0, "raw"), (1.0, "pmi")):
            found = {mode: _Tally() for mode in MODES}
            for question in questions:
                _decide(loaded, trie, Objective(prior, weight), loaded.tokens.chat("", question)[1], found)
            _tell(bench, f"{case}, {name}", found)


def _lists() -> Iterator[tuple[str, list[str], int]]:
    """(name, texts, one question in how many)."""
    hundred = entries("natural", 100, 0)
    yield "100 keys", [entry.key for entry in hundred], 1
    yield "100 whens", [entry.when for entry in hundred], 1
    yield "100 natural lines", [entry.text for entry in hundred], 6
    yield "1,000 natural lines", [entry.text for entry in entries("natural", 1_000, 0)], 18


def _questions() -> list[str]:
    """The butler's questions but those that settings were chosen on."""
    with (data_folder() / "mystery_butler" / "butler.csv").open(encoding="utf-8", newline="") as file:
        every = [row["Query"] for row in csv.DictReader(file)]
    tuned = {index * len(every) // N_TUNED for index in range(N_TUNED)}
    return [question for index, question in enumerate(every) if index not in tuned]


def _prior(loaded: Setting, trie: Trie, suffix: Sequence[int]) -> np.ndarray:
    passes = TreePasses(loaded.model, loaded.prefix, suffix, trie)
    passes.feed(np.flatnonzero(trie.has_child))
    return passes.log_probs


def _decide(loaded: Setting, trie: Trie, objective: Objective, suffix: Sequence[int], found: dict[str, _Tally]) -> None:
    exact = score_trie(loaded.model, loaded.prefix, suffix, trie).log_probs
    exact = exact - objective.weight * trie.path_sums(objective.prior)[trie.leaf]
    for mode, decode in MODES.items():
        scored = decode(loaded.model, loaded.prefix, suffix, trie, objective)
        scores = scored.log_probs if mode == "prefix" else np.where(scored.is_exact, scored.log_probs, -np.inf)
        rounding = float(np.abs(scored.log_probs - exact)[scored.is_exact].max(initial=0.0)) if mode != "prefix" else 0.0
        tally = found[mode]
        tally.agreed.append(bool(exact[scores.argmax()] >= exact.max() - 2 * rounding))
        tally.shares.append(scored.n_expanded / max(scored.n_nodes, 1))
        tally.tokens.append(scored.n_tokens)
        tally.passes.append(scored.n_passes)


def _tell(bench: Bench, case: str, found: dict[str, _Tally]) -> None:
    for mode, tally in found.items():
        asked = {"bounded": 1.0, "refine": 0.995}.get(mode)
        bench.add(case, f"{mode}, decisions", len(tally.agreed), "decisions")
        bench.add(case, f"{mode}, same best row", float(np.mean(tally.agreed)), "share", reference="exact", at_least=asked)
        low, median, high = np.quantile(tally.shares, (0.25, 0.5, 0.75)).tolist()
        most = 0.15 if mode == "refine" and case.startswith("1,000") else None
        bench.add(case, f"{mode}, nodes read", Spread(median, low, high), "share", reference="exact", at_most=most)
        bench.add(case, f"{mode}, nodes read by the worst of a hundred", float(np.quantile(tally.shares, 0.99)), "share", reference="exact")
        bench.add(case, f"{mode}, forward passes", float(np.median(tally.passes)), "passes")
