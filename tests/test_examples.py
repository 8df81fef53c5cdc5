"""Every example runs and prints what its last comment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NEED_A_MODEL = {"talk.py", "graded_turns.py"}


def parameters() -> list[object]:
    marks = {name: [pytest.mark.model] if name in NEED_A_MODEL else [] for name in sorted(path.name for path in EXAMPLES.glob("*.py"))}
    return [pytest.param(name, marks=mark, id=name) for name, mark in marks.items()]


@pytest.mark.parametrize("name", parameters())
def test_example(name: str) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    if name in NEED_A_MODEL:
        from constrained.models import get_model

        get_model()
    expected = [line.removeprefix("# ") for line in text.rpartition("\n\n# ")[2].splitlines()]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run([sys.executable, name], cwd=EXAMPLES, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected
