"""Rows become files: JSON for programs, a Markdown table for people. Measures nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.harness import Bench, Row

RESULTS = Path(__file__).resolve().parent / "results"
HEAD = ("case", "metric", "value", "quartiles", "unit", "relative to", "asked for")


def write_json(rows: Iterable[Row], path: Path) -> None:
    """A JSON list of rows."""
    path.write_text(json.dumps([row.to_json() for row in rows], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_results(bench: Bench, folder: Path = RESULTS, today: dt.date | None = None) -> Path:
    """Writes SUITE-DEVICE-DATE.json and .md; returns the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{bench.suite}-{bench.device_kind}-{(today or dt.date.today()).isoformat()}"
    write_json(bench.rows, folder / f"{stem}.json")
    table = folder / f"{stem}.md"
    table.write_text(markdown(bench, stem), encoding="utf-8")
    return table


def markdown(bench: Bench, title: str) -> str:
    """The rows as a table, under a head that says where they come from."""
    about = [f"- device: {bench.device}", f"- commit: {bench.commit or 'unknown'}; seed: {bench.seed}"]
    about.append("- versions: " + ", ".join(f"{name} {version}" for name, version in bench.versions.items()))
    about.append("- a value is a median where quartiles stand beside it; README.md beside `results/` explains each metric")
    lines = [HEAD, tuple("---" for _ in HEAD), *(_cells(row, bench) for row in bench.rows)]
    return "\n".join([f"# {title}", "", *about, "", *map(_line, lines), ""])


def _cells(row: Row, bench: Bench) -> tuple[str, ...]:
    quartiles = " to ".join(map(_number, row.spread)) if row.spread else ""
    asked = bench.targets.get(row.key, "")
    if asked:
        asked += ": **missed**" if row.key in bench.missed else ": met"
    return (row.case, row.metric, _number(row.value), quartiles, row.unit, row.reference, asked)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(value: float) -> str:
    """Three significant digits, and no exponent for large counts."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
