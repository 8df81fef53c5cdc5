"""The judge's own arithmetic: the conditional against a pass over everything, masked sampling as a distribution, KL."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")

from benchmarks.harness import Bench  # noqa: E402
from benchmarks.peers import SPECS, Answer, Entry  # noqa: E402
from benchmarks.peers.bed import TOY, Bed, Prompt, networks  # noqa: E402  # they import torch
from benchmarks.peers.verdicts import (  # noqa: E402
    Judge,
    conditional,
    divergence,
    log_softmax,
)

PROMPT = Prompt("Who?", "A butler.", "Who?", tuple(b"A butler."), tuple(b"Who?"))
END = 256
ROWS = st.lists(st.lists(st.integers(97, 100), min_size=0, max_size=4).map(lambda row: (*row, END)), min_size=2, max_size=6, unique=True)


@pytest.fixture(scope="module")
def bed() -> Bed:
    network, tokenizer = networks(TOY, "float32", "cpu", 1)
    return Bed.around(TOY, network, tokenizer, [PROMPT], {"seed": 1, "is_smoke": True})


def by_definition(bed: Bed, row: tuple[int, ...]) -> float:
    """One pass over prefix, suffix and row, nothing cached."""
    ids = [*PROMPT.ids, *row]
    with torch.inference_mode():
        found = bed.network(torch.tensor([ids]), use_cache=False).logits[0].double().log_softmax(-1)
    return sum(float(found[len(PROMPT.ids) - 1 + index, token]) for index, token in enumerate(row))


@settings(max_examples=8, deadline=None)
@given(rows=ROWS)
def test_the_conditional_is_its_definition(bed: Bed, rows: list[tuple[int, ...]]) -> None:
    found = conditional(bed, PROMPT, rows)
    expected = log_softmax(np.asarray([by_definition(bed, row) for row in rows]))
    assert found.exact == pytest.approx(expected, abs=1e-3)
    assert math.fsum(np.exp(found.exact)) == pytest.approx(1.0)


@settings(max_examples=8, deadline=None)
@given(rows=ROWS)
def test_masked_sampling_draws_every_row_and_nothing_else(bed: Bed, rows: list[tuple[int, ...]]) -> None:
    found = conditional(bed, PROMPT, rows)
    assert math.fsum(np.exp(found.masked)) == pytest.approx(1.0)
    assert 0 <= found.walked < len(rows)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=9), st.floats(-50, 50))
def test_a_divergence_is_never_negative_and_zero_for_equals(pairs: list[tuple[float, float]], shift: float) -> None:
    one, other = (log_softmax(np.asarray(values)) for values in zip(*pairs, strict=True))
    assert divergence(one, other) >= -1e-9
    assert divergence(one, one + shift) == pytest.approx(0.0, abs=1e-9)


ENTRIES = [Entry("ab", "k0", "w0"), Entry("cd", "k1", "w1")]


def told(judge: Judge, peer: str, answers: list[Answer]) -> dict[str, float]:
    bench = Bench("decoding", is_quiet=True)
    judge.tell(bench, SPECS[peer], "natural, 2 lines", ENTRIES, answers)
    return {row.metric.partition(": ")[2]: row.value for row in bench.rows}


@pytest.fixture(scope="module")
def judge(bed: Bed) -> Judge:
    return Judge(bed, PROMPT)


def walk(text: str, ids: Any, has_ended: bool = True) -> Answer:
    return Answer(text=text, ids=tuple(ids), has_ended=has_ended)


def test_a_walk_is_in_the_catalog_only_where_its_budget_reaches(judge: Judge) -> None:
    ids = judge._bed.tokenizer("ab")["input_ids"]
    found = told(judge, "xgrammar", [walk("ab", [*ids, END])])
    assert [found[f"in the catalog, max_tokens {budget}"] for budget in (4, 8, 120)] == [1.0, 1.0, 1.0]
    assert found["in canonical tokens"] == 1.0
    late = told(judge, "xgrammar", [walk("ab", [*ids, *ids, *ids, END])])
    assert [late[f"in the catalog, max_tokens {budget}"] for budget in (4, 8, 120)] == [0.0, 1.0, 1.0]
    assert late["in canonical tokens"] == 0.0


def test_what_is_none_of_the_lines_is_a_failure_and_what_did_not_end_is_not(judge: Judge) -> None:
    wrong = told(judge, "xgrammar", [walk("xy", [1, END])])
    assert [name for name in wrong if "wrong output" in name] == ["failed in decide, wrong output: 'xy'"]
    cut = told(judge, "xgrammar", [walk("a", [1], has_ended=False)])
    assert not [name for name in cut if "wrong output" in name]
    assert cut["in the catalog, max_tokens 120"] == 0.0


def test_scores_are_compared_with_the_exact_conditional(judge: Judge, bed: Bed) -> None:
    rows = [(*bed.tokenizer(entry.text)["input_ids"], END) for entry in ENTRIES]
    exact = conditional(bed, PROMPT, rows)
    right = told(judge, "ours-exact", [Answer(row=exact.best, scores=tuple(exact.exact + 3.0))])
    assert right["same best line"] == 1.0
    assert right["divergence (KL)"] == pytest.approx(0.0, abs=1e-9)
    assert right["in the catalog, every max_tokens"] == 1.0
    swapped = told(judge, "ours-exact", [Answer(row=1 - exact.best, scores=tuple(exact.exact[::-1]))])
    assert swapped["same best line"] == 0.0
    assert swapped["below the best line"] == pytest.approx(float(np.ptp(exact.exact)), rel=1e-3)
    assert swapped["divergence (KL)"] > 0.0
