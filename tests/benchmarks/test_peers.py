"""Every installed adapter over a toy, in this process: what it comes to is what its definition says.

A token of the toy is a byte, so a text has one tokenisation, and every walk under a mask must come to one line.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")

from benchmarks.peers import SPECS, Entry, PeerUnsupportedError, Spec  # noqa: E402
from benchmarks.peers.bed import TOY, Bed, networks  # noqa: E402  # they import torch
from benchmarks.peers.environments import interpreter  # noqa: E402
from benchmarks.peers.scene import QUESTIONS, rendered  # noqa: E402
from benchmarks.peers.verdicts import Conditional, conditional  # noqa: E402

HERE = [spec for spec in SPECS.values() if spec.environment is None and interpreter(spec)]
ENTRIES = [
    Entry(text, f"key {index}", f"when {index}")
    for index, text in enumerate(("Yes.", "Yes, sir.", 'A "quoted" \\ line', "Ωδε, 鍵 7", "No."))
]
MOST = 64


@pytest.fixture(scope="module")
def bed() -> Bed:
    network, tokenizer = networks(TOY, "float32", "cpu", 3)
    return Bed.around(TOY, network, tokenizer, rendered(tokenizer, QUESTIONS[:2]), {"seed": 3, "is_smoke": True})


@pytest.fixture(scope="module")
def expected(bed: Bed) -> list[Conditional]:
    return [conditional(bed, prompt, rows(bed, ENTRIES)) for prompt in bed.prompts]


@pytest.fixture(autouse=True)
def foreign_code() -> Iterator[None]:
    """Peers warn of what they import, and compile kernels on first use."""
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        warnings.simplefilter("ignore")
        yield


def rows(bed: Bed, entries: list[Entry]) -> list[list[int]]:
    return [[*bed.tokenizer(entry.text, add_special_tokens=False)["input_ids"], bed.end] for entry in entries]


def made(spec: Spec, bed: Bed) -> Any:
    try:
        return importlib.import_module(f"benchmarks.peers.{spec.module}").Peer(bed, **spec.options)
    except PeerUnsupportedError as error:
        pytest.skip(str(error))


def named(*kinds: str) -> list[Any]:
    return [pytest.param(spec, id=spec.name) for spec in HERE if spec.kind in kinds]


@pytest.mark.parametrize("spec", [spec for spec in named("walk") if spec.values[0].module != "ours"])
def test_a_walk_ends_where_greedy_decoding_under_a_mask_ends(spec: Spec, bed: Bed, expected: list[Conditional]) -> None:
    peer = made(spec, bed)
    peer.compile(ENTRIES)
    for prompt, one in zip(bed.prompts, expected, strict=True):
        answer = peer.decide(prompt, MOST)
        assert answer.has_ended
        assert answer.text == ENTRIES[one.walked].text
        row = rows(bed, ENTRIES)[one.walked]
        assert list(answer.ids) in (row, row[:-1]), "some know that nothing can follow, and need no end token"
        assert answer.n_passes <= len(answer.ids)
        short = peer.decide(prompt, 2)
        assert short.ids == answer.ids[:2]
        assert not short.has_ended
        assert answer == peer.decide(prompt, MOST), "a decision leaves nothing behind"


@pytest.mark.parametrize("spec", named("walk", "score", "label"))
def test_a_subset_is_all_that_is_left(spec: Spec, bed: Bed) -> None:
    peer = made(spec, bed)
    peer.compile(ENTRIES)
    peer.narrow([1, 4])
    answer = peer.decide(bed.prompts[0], MOST)
    chosen = ENTRIES[[1, 4][answer.row]].text if answer.row is not None else answer.text
    assert chosen in (ENTRIES[1].text, ENTRIES[4].text)
    assert answer.scores is None or len(answer.scores) == 2


@pytest.mark.parametrize("name", ["ours-exact", "ours-exact-pmi", "one-pass-a-choice"])
def test_scores_are_the_exact_conditional(name: str, bed: Bed, expected: list[Conditional]) -> None:
    peer = made(SPECS[name], bed)
    peer.compile(ENTRIES)
    prior = conditional(bed, rendered(bed.tokenizer, ["..."])[0], rows(bed, ENTRIES)).exact if SPECS[name].has_prior else 0.0
    for prompt, one in zip(bed.prompts, expected, strict=True):
        scores = np.asarray(peer.decide(prompt, MOST).scores)
        differences = scores - (one.exact - prior)
        assert np.ptp(differences) < 1e-3, "equal up to a constant"


@pytest.mark.parametrize("name", ["decision-pipeline", "ours-code"])
def test_letters_end_at_twenty_six(name: str, bed: Bed) -> None:
    peer = made(SPECS[name], bed)
    many = [Entry(f"Line {index}.", f"key {index}", f"when {index}") for index in range(27)]
    with pytest.raises(Exception, match="26"):
        _compiled_and_decided(peer, many, bed)


def _compiled_and_decided(peer: Any, entries: list[Entry], bed: Bed) -> None:
    peer.compile(entries)
    peer.decide(bed.prompts[0], MOST)


def test_every_peer_is_named_once_and_has_an_adapter() -> None:
    assert all(name == spec.name for name, spec in SPECS.items())
    for spec in SPECS.values():
        assert importlib.util.find_spec(f"benchmarks.peers.{spec.module}"), spec.name
