"""The command: a table, a result, a page, and what is told when something is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from constrained.cli import evaluate
from tests.cli.conftest import Run, desk, run
from tests.quality.evaluation.conftest import EXPECTED, Counting

__all__ = ["desk", "run"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "dev.jsonl"
    path.write_text("".join(json.dumps({"message": message, "expects": expects}) + "\n" for message, expects in EXPECTED.items()))
    return path


def test_a_measurement_and_a_second_one_against_it(
    run: Run, desk: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "load_engine", lambda name, adapter=None, fitted=None: Counting())
    first, page = tmp_path / "first.json", tmp_path / "page.html"
    done = run("eval", "library", "--data", str(data), "--json", str(first))
    assert done.status == 0, done.err
    assert done.out.splitlines()[0].startswith("dev.jsonl: 7 messages; library, scripted, threshold 0.3;")
    assert "accuracy                             0.8571" in done.out
    assert "taken for each other: hours and welcome, 1 times" in done.out
    result = json.loads(first.read_text())
    assert result["figures"]["accuracy"] == pytest.approx(6 / 7)
    assert result["setting"]["engine"] == {"model": "scripted"}
    assert [row["said"] for row in result["rows"]][:2] == ["welcome", "hours"]
    more = ("--threshold", "0.95", "--protected", "quiet", "--against", str(first), "--html", str(page))
    second = run("eval", "library", "--data", str(data), *more)
    assert "accuracy: -0.5714 (95 % interval" in second.out
    assert "protected quiet: missed 0.0% (0.0% to 97.5%) of 1" in second.out
    assert page.read_text().startswith("<!doctype html>")
    assert "<script" not in page.read_text()


def test_the_rules_alone_on_a_part_of_the_file(run: Run, desk: Path, data: Path) -> None:
    done = run("eval", "library", "--data", str(data), "--rules", "--limit", "3")
    assert done.status == 0
    assert "3 messages; library, none" in done.out


@pytest.mark.parametrize("module", ["scipy", "sklearn", "matplotlib"])
def test_a_package_that_is_missing_is_told_with_its_extra(
    module: str, run: Run, desk: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = run("eval", "library", "--data", str(data), "--rules")
    assert done.status == 1
    assert f"measuring needs {evaluate.NEEDED[module]}, which is not installed" in done.err
    assert "constrained[evaluate]" in done.err


def test_what_is_wrong_is_told(run: Run, desk: Path, data: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"message": "x", "expects": "nobody"}\n{"message": ""}\n')
    done = run("eval", "library", "--data", str(bad), "--rules")
    assert done.status == 1
    assert f"{bad}:1:1: there is no response 'nobody'" in done.err
    assert f"{bad}:2:1: there is no expects" in done.err
    assert run("eval", "library", "--data", str(data), "--rules", "--protected", "nobody").status == 1
    nowhere = str(tmp_path / "none" / "page.html")
    assert "cannot be written" in run("eval", "library", "--data", str(data), "--rules", "--html", nowhere).err
