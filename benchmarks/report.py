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
    """A JSON list, one row a line."""
    told = ",\n".join(json.dumps(row.to_json(), ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{told}\n]\n" if told else "[]\n", encoding="utf-8")


def write_results(bench: Bench, folder: Path = RESULTS, today: dt.date | None = None) -> Path:
    """Writes SUITE-LABEL-DEVICE-DATE.json and .md, and plots where the rows are of peers; returns the path of the table.

    Rows of peers are many: the table holds them by size, only the JSON file holds each.
    """
    from benchmarks import plots, tables

    folder.mkdir(parents=True, exist_ok=True)
    parts = (bench.suite, bench.options.label, bench.device_kind, (today or dt.date.today()).isoformat())
    stem = "-".join(part for part in parts if part)
    write_json(bench.rows, folder / f"{stem}.json")
    told = [row.to_json() for row in bench.rows]
    images = [f"![{path.stem}]({path.name})\n" for path in plots.write(told, folder / stem)]
    others = [row for row in bench.rows if not tables.is_of_peer(row.case, row.metric)]
    text = "\n".join([markdown(bench, stem, others), *images, tables.summary(told)])
    (folder / f"{stem}.md").write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return folder / f"{stem}.md"


def markdown(bench: Bench, title: str, rows: Sequence[Row] | None = None) -> str:
    """The rows (all of the run by default) as a table, under a head that says where they come from."""
    about = [f"- device: {bench.device}", f"- commit: {bench.commit or 'unknown'}; seed: {bench.seed}"]
    about.append("- versions: " + ", ".join(f"{name} {version}" for name, version in bench.versions.items()))
    about.append("- a value is a median where quartiles stand beside it; README.md beside `results/` explains each metric")
    table = [HEAD, tuple("---" for _ in HEAD), *(_cells(row, bench) for row in (bench.rows if rows is None else rows))]
    return "\n".join([f"# {title}", "", *about, "", *map(line, table), ""])


def _cells(row: Row, bench: Bench) -> tuple[str, ...]:
    quartiles = " to ".join(map(number, row.spread)) if row.spread else ""
    asked = bench.targets.get(row.key, "")
    if asked:
        asked += ": **missed**" if row.key in bench.missed else ": met"
    return (row.case, row.metric, number(row.value), quartiles, row.unit, row.reference, asked)


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def number(value: float) -> str:
    """Three significant digits, and no exponent for large counts."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
