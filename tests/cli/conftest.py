"""Runs commands in this process, at the small desk of the tests."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from constrained.cli.main import main

DESK = Path(__file__).parents[1] / "desk"


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("play", "library", stdin="hello\\n")``, in the working directory of the test."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str, stdin: str | bytes = "") -> Ran:
        raw = io.BytesIO(stdin.encode() if isinstance(stdin, str) else stdin)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8"))
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ran(ended.value.code if isinstance(ended.value.code, int) else 1, captured.out, captured.err)

    return run


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory with the pack ``library``."""
    monkeypatch.chdir(DESK)
    return DESK


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
