"""A peer's process: what it answers comes back whole, and whatever goes wrong in it is named, never fatal."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from benchmarks.peers import Answer, Entry, Spec
from benchmarks.peers.bed import TOY, Prompt
from benchmarks.peers.process import PeerFailedError, PeerProcess

pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")

SPEC = Spec("faulty", "tests.benchmarks.faulty", "label", "none")
BED = {
    "model": TOY,
    "dtype": "float32",
    "device": "cpu",
    "prompts": [Prompt("Who?", "A butler.", "User: Who?", (1, 2), (3,)).to_json()],
    "settings": {"seed": 0, "is_smoke": True},
}


def entries(*texts: str) -> list[Entry]:
    return [Entry(text, f"key of {text}", f"when {text}") for text in texts]


@pytest.fixture
def process() -> Iterator[PeerProcess]:
    with PeerProcess(SPEC, sys.executable, limit_mb=6_000, limit_s=30.0) as started:
        assert started.start(BED, repeat=1)["torch"]
        yield started


def test_answers_come_back_and_errors_end_nothing(process: PeerProcess) -> None:
    """One process throughout: after each failure that it survives it still answers."""
    compiled = process.compile(entries("é", "b", "c"))
    assert compiled.took.wall_s > 0
    assert process.decide(0, 7).answer == Answer(row=2, scores=(0.0,) * 3, notes={"asked": 7.0})
    process.narrow([0, 1])
    assert process.decide(0, 7).answer.row == 1
    for text, kind, message in (
        ("refuse", "unsupported", "at most no lines"),
        ("raise", "error", "RuntimeError: two lines"),
        ("swallow memory", "memory", "MemoryError"),
    ):
        with pytest.raises(PeerFailedError, match=message) as failed:
            process.compile(entries(text))
        assert (failed.value.stage, failed.value.kind) == ("compile", kind)
    assert process.compile(entries("fine")).took.wall_s > 0


def test_a_process_that_dies_is_a_result(process: PeerProcess) -> None:
    with pytest.raises(PeerFailedError, match="ended with signal SIGABRT") as failed:
        process.compile(entries("abort"))
    assert failed.value.kind == "crash"
    with pytest.raises(PeerFailedError, match="SIGABRT"):
        process.compile(entries("fine"))


def test_a_process_that_takes_too_long_is_ended() -> None:
    with PeerProcess(SPEC, sys.executable, limit_mb=0, limit_s=0.2) as started:
        started.start(BED, repeat=1)
        with pytest.raises(PeerFailedError, match=r"no answer within 0\.2 s") as failed:
            started.compile(entries("sleep"))
    assert failed.value.kind == "timeout"
    assert failed.value.after_s < 30


def test_a_module_that_cannot_be_imported_is_named() -> None:
    spec = Spec("none", "tests.benchmarks.no_such", "walk", "none")
    with (
        PeerProcess(spec, sys.executable, limit_mb=0, limit_s=30.0) as started,
        pytest.raises(PeerFailedError, match="No module named") as failed,
    ):
        started.start(BED, repeat=1)
    assert failed.value.stage == "start"
