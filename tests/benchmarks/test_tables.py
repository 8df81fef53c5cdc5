"""Rows of peers become tables and plots by size, failures at their place; what was asked for is computed from them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from benchmarks import digest, report
from benchmarks.harness import Bench
from benchmarks.measure import Spread
from benchmarks.options import Options
from benchmarks.peers.grids import grids, targets
from benchmarks.report import write_results

F = "a pass of the suffix"


@pytest.fixture
def bench() -> Bench:
    bench = Bench("decoding", is_quiet=True, options=Options(label="few"))
    bench.add("24 natural lines, float32", "exact", 12.0, "ms")
    for n, mine, theirs in ((100, 4.0, 60.0), (1_000, 30.0, 90.0)):
        bench.add(f"natural, {n} lines", "ours-auto: decision, time", Spread(mine, mine, mine), "times", reference=F)
        bench.add(f"natural, {n} lines", "xgrammar: decision, time", theirs, "times", reference=F)
        bench.add(f"natural, {n} lines", "xgrammar: compile", n / 1_000, "s")
        bench.add(f"natural, {n} lines", "xgrammar: in the catalog, max_tokens 8", 0.25, "share")
        bench.add(f"natural, {n} lines", "ours-auto: in the catalog, every max_tokens", 1, "share")
    bench.add("natural, 10000 lines", "xgrammar: failed in compile, timeout: no answer within 2 s", 2.0, "s")
    bench.add("ids, 100 lines", "llguidance: failed in start, absent: not there", 2.0, "s")
    return bench


def test_tables_have_a_row_a_peer_and_a_column_a_size(bench: Bench) -> None:
    text = report.summary(row.to_json() for row in bench.rows)
    assert "|  | 100 | 1,000 | 10,000 |" in text
    assert "| xgrammar | 0.1 | 1 | timeout (compile) |" in text
    assert "| ours-auto | 4 | 30 |  |" in text
    assert "| llguidance | absent (start) |" in text
    assert "| xgrammar | 100 | 0.25 |" in text
    assert "| ours-auto | 100 | 1 |" in text


def test_what_was_asked_for_is_told_of_the_fastest_peer(bench: Bench) -> None:
    found = {one.case: one for one in targets(row.to_json() for row in bench.rows)}
    few, many = found["natural, 100 lines"], found["natural, 1000 lines"]
    assert (few.value, few.reference, few.is_met) == (15.0, "xgrammar", True)
    assert (many.value, many.asked, many.is_met) == (3.0, "at least 5", False)


def test_compiling_is_told_beside_every_peer_that_walks_with_tokenising_and_without(bench: Bench) -> None:
    for metric, seconds in (("compile", 0.5), ("compile, besides tokenising", 0.05)):
        bench.add("natural, 10000 lines", f"ours-auto: {metric}", seconds, "s")
    for peer, seconds in (("llguidance", 0.25), ("outlines-xgrammar", 10.0), ("outlines-plain", 90.0)):
        bench.add("natural, 10000 lines", f"{peer}: compile", seconds, "s")
    found = [one for one in targets(row.to_json() for row in bench.rows) if one.case == "natural, 10000 lines"]
    assert [(one.reference, round(one.value, 3), one.is_met) for one in found] == [
        ("llguidance", 0.5, False),
        ("outlines-xgrammar", 20.0, False),
        ("xgrammar", 4.0, False),
        ("llguidance", 5.0, False),
        ("outlines-xgrammar", 200.0, True),
        ("xgrammar", 40.0, False),
    ]


def test_a_result_holds_tables_and_plots_and_every_row(bench: Bench, tmp_path: Path) -> None:
    table = write_results(bench, tmp_path, dt.date(2026, 2, 3))
    assert table.name == "decoding-few-cpu-2026-02-03.md"
    text = table.read_text(encoding="utf-8")
    assert "| 24 natural lines, float32 | exact | 12 |" in text
    assert "timeout (compile)" in text
    assert "failed in compile, timeout" not in text, "rows of peers are in the tables by size"
    assert len(json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))) == len(bench.rows)


def test_plots_are_written_and_the_same_for_the_same_rows(bench: Bench, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'constrained[bench]'")
    first = write_results(bench, tmp_path / "one", dt.date(2026, 2, 3)).with_name("decoding-few-cpu-2026-02-03-decision.svg")
    again = write_results(bench, tmp_path / "two", dt.date(2026, 2, 3)).with_name(first.name)
    assert first.read_bytes() == again.read_bytes()
    assert "xgrammar" in first.read_text(encoding="utf-8")


def test_runs_are_joined_and_the_later_row_counts(bench: Bench, tmp_path: Path) -> None:
    one = write_results(bench, tmp_path, dt.date(2026, 2, 3)).with_suffix(".json")
    later = Bench("decoding", is_quiet=True)
    later.add("natural, 100 lines", "xgrammar: compile", 7, "s")
    two = write_results(later, tmp_path, dt.date(2026, 2, 4)).with_suffix(".json")
    assert report.main([str(one), str(two), "--out", str(tmp_path / "joined")]) == 0
    text = (tmp_path / "joined.md").read_text(encoding="utf-8")
    assert "| xgrammar | 7 | 1 | timeout (compile) |" in text
    assert grids(report.read([one, two]))["natural"].cells["xgrammar", 100, "compile"].value == 7


def test_what_stays_of_a_run_is_small_and_says_where_it_comes_from(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'constrained[bench]'")
    bench = Bench("audit", is_quiet=True)
    bench.add("append to SQLite, 1 threads", "records a second", Spread(400.0, 390.0, 410.0), "1/s")
    run = write_results(bench, tmp_path, dt.date(2026, 2, 3)).with_suffix(".json")
    assert digest.main(["audit", str(run), "--out", str(tmp_path)]) == 0
    (kept,) = json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))["runs"]
    assert kept["rows"] == [["append to SQLite, 1 threads", "records a second", 400.0, "1/s", "", [390.0, 410.0]]]
    assert (kept["device"], kept["commit"], kept["versions"]) == (bench.device, bench.commit, bench.versions)
    assert "records a second" in (tmp_path / "audit.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [one for one in sorted(report.RESULTS.iterdir()) if "-20" not in one.name], ids=lambda path: path.name)
def test_results_in_the_tree_are_small(path: Path) -> None:
    assert path.stat().st_size <= (50_000 if path.suffix == ".svg" else 30_000)
