"""Results as files: the same rows for programs and for people, what was asked for beside what was measured."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, Spread
from benchmarks.report import write_results
from benchmarks.sets import lines


@pytest.fixture
def bench() -> Bench:
    bench = Bench("core", seed=3, is_quiet=True)
    bench.add("a case", "time", Spread(1.23416, 1.0, 2.0), "times", reference="one thing", at_most=1.3)
    bench.add("a case", "time", 1234.5, "times", reference="another | thing", at_most=10)
    bench.add("a case", "hits", 3, "of 5", at_least=3)
    return bench


def test_both_files_hold_every_row(bench: Bench, tmp_path: Path) -> None:
    table = write_results(bench, tmp_path / "new", dt.date(2026, 2, 3))
    assert table.name == "core-cpu-2026-02-03.md"
    rows = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
    assert [row["value"] for row in rows] == [1.234, 1234.0, 3]
    assert rows[0]["spread"] == [1.0, 2.0]
    assert rows[2]["spread"] is None
    assert {row["seed"] for row in rows} == {3}


def test_the_table_says_what_was_met_and_what_was_missed(bench: Bench, tmp_path: Path) -> None:
    text = write_results(bench, tmp_path, dt.date(2026, 2, 3)).read_text(encoding="utf-8")
    assert "| a case | time | 1.23 | 1 to 2 | times | one thing | at most 1.3: met |" in text
    assert "| a case | time | 1,234 |  | times | another \\| thing | at most 10: **missed** |" in text
    assert "| a case | hits | 3 |  | of 5 |  | at least 3: met |" in text


def test_made_lines_are_distinct_and_the_same_for_a_seed() -> None:
    made = lines.made_lines(5_000, seed=1)
    assert len(set(made)) == 5_000
    assert made == lines.made_lines(5_000, seed=1) != lines.made_lines(5_000, seed=2)
    assert made[:100] == lines.made_lines(100, seed=1)


def test_data_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(lines.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"butler\.csv is not there: set CONSTRAINED_DATA"):
        lines.butler_lines(24)
    (tmp_path / "mystery_butler").mkdir()
    (tmp_path / "mystery_butler" / "butler.csv").write_text("Query,Response,\na,One.,\nb,One.,\nc,Two.,\n", encoding="utf-8")
    assert lines.butler_lines(2) == ["One.", "Two."]
    with pytest.raises(BenchmarkError, match="holds 2 distinct replies, 3 are needed"):
        lines.butler_lines(3)
