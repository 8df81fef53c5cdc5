"""Every example runs, in any working directory, and prints what its last comment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NEED_A_MODEL = {"ferry.py", "graded_turns.py"}


def parameters() -> list[object]:
    marks = {name: [pytest.mark.model] if name in NEED_A_MODEL else [] for name in sorted(path.name for path in EXAMPLES.glob("*.py"))}
    return [pytest.param(name, marks=mark, id=name) for name, mark in marks.items()]


@pytest.mark.parametrize("name", parameters())
def test_example(name: str, tmp_path: Path) -> None:
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    if name in NEED_A_MODEL:
        from constrained.engines.model_files import get_model

        get_model()
    expected = [line.removeprefix("# ") for line in text.rpartition("\n\n# ")[2].splitlines()]
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run([sys.executable, EXAMPLES / name], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == expected


def test_the_first_example_spends_the_silver_from_any_working_directory(tmp_path: Path) -> None:
    """The same file, with answers that are given in place of the model's."""
    answers = """{
        "How deep is the river?": "river",
        "I'll give you 3 silver to row me over.": {"offer": 3, "reply": "carry"},
        "I have no money left, but I must cross.": "broke",
    }"""
    text = (EXAMPLES / "ferry.py").read_text(encoding="utf-8")
    scripted = text.replace('model="small"', f"engine=__import__('constrained.testing').testing.ScriptedEngine({answers})")
    assert scripted != text
    folder, elsewhere = tmp_path / "code", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "ferry.py").write_text(scripted, encoding="utf-8")
    (folder / "ferry.yaml").write_bytes((EXAMPLES / "ferry.yaml").read_bytes())
    done = subprocess.run([sys.executable, folder / "ferry.py"], cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [line.removeprefix("# ") for line in text.rpartition("\n\n# ")[2].splitlines()]
