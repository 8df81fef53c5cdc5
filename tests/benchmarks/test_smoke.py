"""Every suite runs, in seconds and without a model, and its rows keep the contract; what is not equal is not timed."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from benchmarks import harness, measure
from benchmarks.__main__ import SUITES, main, present

CONTRACT = ["suite", "case", "metric", "value", "unit", "reference", "spread", "device", "versions", "commit", "seed"]


@pytest.mark.parametrize("suite", present())
def test_a_smoke_run_of_every_suite(suite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")
    before = sorted((measure.ROOT / "benchmarks" / "results").glob("*"))
    assert main([suite, "--smoke", "--quiet", "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert capsys.readouterr().out.count("\n| ") == len(rows) + 2, "the table has a line a row, and two of head"
    for row in rows:
        assert_keeps_the_contract(row, suite)
    keys = [(row["case"], row["metric"], row["reference"]) for row in rows]
    assert len(set(keys)) == len(keys), "two rows cannot be told apart"
    assert sorted((measure.ROOT / "benchmarks" / "results").glob("*")) == before, "a smoke run is no result"


def test_a_run_that_is_ended_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.suites import core

    def ended(bench: harness.Bench) -> None:
        bench.add("a case", "a metric", 2.0, "s")
        raise KeyboardInterrupt

    monkeypatch.setattr(core, "run", ended)
    assert main(["core", "--smoke", "--quiet", "--json", str(tmp_path / "rows.json")]) == 1
    rows = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert [row["metric"] for row in rows][:2] == ["a metric", "ended early"]
    assert "ended early" in capsys.readouterr().out


def test_the_mask_alone_is_measured_on_any_device(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")
    assert main(["gpu", "--smoke", "--quiet", "--parts", "mask", "--json", str(tmp_path / "rows.json")]) == 0
    cases = {row["case"] for row in json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))}
    assert cases == {"trie mask, 200 lines, batch 4", "machine"}


def assert_keeps_the_contract(row: dict[str, Any], suite: str) -> None:
    assert list(row) == CONTRACT
    assert row["suite"] == suite
    assert all(isinstance(row[name], str) for name in ("case", "metric", "unit", "reference", "device", "commit"))
    assert isinstance(row["seed"], int)
    assert isinstance(row["value"], int | float)
    assert math.isfinite(row["value"])
    assert row["spread"] is None or row["spread"][0] <= row["value"] <= row["spread"][1]
    assert row["versions"]["constrained"]


def test_a_row_has_the_fields_of_the_contract() -> None:
    assert [field.name for field in fields(harness.Row)] == CONTRACT


def test_the_suites_that_every_result_comes_from_are_there() -> None:
    assert {"core", "decoding"} <= set(present()) <= set(SUITES)


def test_a_suite_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["coffee"])
    assert ended.value.code == 2
    assert "coffee" in capsys.readouterr().err


def test_a_model_that_ignores_the_tree_mask_is_not_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")
    from constrained.engines.decoding.language_model import LanguageModel

    sound = LanguageModel.run

    def deaf(self: LanguageModel, ids: Any, **given: Any) -> Any:
        return sound(self, ids, **(given | {"allowed_mask": None}))

    monkeypatch.setattr(LanguageModel, "run", deaf)
    assert main(["decoding", "--smoke", "--quiet"]) == 1
    assert "the results differ by" in capsys.readouterr().err


def test_results_of_different_values_are_not_timed() -> None:
    bench = harness.Bench("core", is_quiet=True)
    bench.check("two sums", 0.0005, at_most=0.001)
    for difference in (0.002, math.nan):
        with pytest.raises(measure.BenchmarkError, match="two sums: the results differ by"):
            bench.check("two sums", difference, at_most=0.001)
