"""Rows become files: JSON for programs, Markdown tables and plots for people; several runs can be joined.

python -m benchmarks.report benchmarks/results/decoding-*.json --out benchmarks/results/decoding-joined
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench, Row
from benchmarks.peers.grids import Grid, Target, grids, is_of_peer, targets

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
    folder.mkdir(parents=True, exist_ok=True)
    parts = (bench.suite, bench.options.label, bench.device_kind, (today or dt.date.today()).isoformat())
    stem = "-".join(part for part in parts if part)
    write_json(bench.rows, folder / f"{stem}.json")
    told = [row.to_json() for row in bench.rows]
    images = [f"![{path.stem}]({path.name})\n" for path in write_plots(told, folder / stem)]
    others = [row for row in bench.rows if not is_of_peer(row.case, row.metric)]
    text = "\n".join([markdown(bench, stem, others), *images, summary(told)])
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


# -- tables of peers by size ------------------------------------------------------------------------------------


TABLES = (
    ("compile", "Compile, seconds"),
    ("compile, besides tokenising", "Compile besides tokenising, seconds"),
    ("compile, peak memory", "Compile, peak memory above what there was, MB"),
    ("compile, memory kept", "Compile, memory kept, MB"),
    ("changed subset", "Cost of a changed subset, ms"),
    ("first decision", "The first decision, ms (kernels and priors that later ones find at hand)"),
    ("decision", "One decision, ms"),
    ("decision, time", "One decision, in forward passes of the suffix (F)"),
    ("forward-token equivalents", "One decision, in tokens of such a pass"),
    ("tokens through the model", "Tokens through the model"),
    ("passes through the model", "Forward passes"),
    ("share of nodes expanded", "Share of the nodes expanded"),
    *((f"picked {mode}", f"Share of decisions for which {mode} was picked") for mode in ("exact", "refine", "prefix", "walk")),
    ("gap", "Certified gap, nats"),
    ("same best line", "Same best line as the exact conditional, share of prompts"),
    ("below the best line", "How much less likely the chosen line is than the best one, nats"),
    ("divergence (KL)", "KL from the exact conditional, nats"),
    ("in canonical tokens", "In canonical tokens, share of prompts"),
    ("flips under permutation", "Decisions that another order of the lines changed"),
)
RATE = re.compile(r"in the catalog, (?:max_tokens (\d+)|every max_tokens)")


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of Markdown."""

    title: str
    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        return "\n".join([f"### {self.title}", "", line(self.head), line(["---"] * len(self.head)), *map(line, self.body), ""])


def summary(rows: Iterable[dict[str, Any]]) -> str:
    """All that peers came to, a section for each kind of list; empty when there are no such rows."""
    parts: list[str] = []
    rows = list(rows)
    for kind, grid in grids(rows).items():
        parts += [f"## {kind} lists", "", "Columns are numbers of lines; a cell that names a failure stands at the size where it came.", ""]
        parts += [table.markdown() for table in _of_kind(grid)]
    asked = targets(rows)
    if asked:
        head = ("case", "metric", "beside", "value", "asked for", "")
        body = tuple((one.case, one.metric, one.reference, number(one.value), one.asked, _met(one)) for one in asked)
        parts = ["## What was asked for", "", Table("natural lists", head, body).markdown(), *parts]
    return "\n".join(parts)


def _met(target: Target) -> str:
    return "met" if target.is_met else "**missed**"


def _of_kind(grid: Grid) -> list[Table]:
    found = []
    for what, title in TABLES:
        body = tuple((peer, *(_shown(grid, peer, n, what) for n in grid.sizes)) for peer in grid.peers if grid.has(peer, what))
        if body:
            found.append(Table(title, ("", *map("{:,}".format, grid.sizes)), body))
    return [*found, *_rates(grid)]


def _shown(grid: Grid, peer: str, n: int, what: str) -> str:
    cell = grid.cells.get((peer, n, what))
    if cell is not None:
        return number(cell.value)
    return grid.failures.get((peer, n), "")


def _rates(grid: Grid) -> list[Table]:
    """In the catalog: columns are budgets, since that is what decides."""
    body = []
    budgets = sorted({int(told) for _, _, what in grid.cells if (match := RATE.fullmatch(what)) and (told := match.group(1))})
    for peer in grid.peers:
        for n in grid.sizes:
            every = grid.cells.get((peer, n, "in the catalog, every max_tokens"))
            rates = [every or grid.cells.get((peer, n, f"in the catalog, max_tokens {budget}")) for budget in budgets]
            if any(rates):
                body.append((peer, f"{n:,}", *(number(rate.value) if rate else "" for rate in rates)))
    head = ("", "lines", *(f"max_tokens {budget}" for budget in budgets))
    return [Table("Ended in the catalog, share of prompts", head, tuple(body))] if body else []


# -- plots of peers: one file a metric, a panel for each kind of list; needs matplotlib --------------------------


PLOTS = (
    ("compile", "seconds", "compile"),
    ("compile, peak memory", "MB", "memory"),
    ("decision, time", "forward passes of the suffix (F)", "decision"),
    ("divergence (KL)", "nats from the exact conditional", "divergence"),
)
MARKERS = "osD^v<>Ph*X"
COLOURS = (*(f"C{index}" for index in range(10)), "black", "navy", "darkgreen", "gold", "deeppink", "teal", "salmon")
FLOOR = 1e-6  # of a logarithmic axis


def write_plots(rows: Iterable[dict[str, Any]], stem: Path) -> list[Path]:
    """STEM-compile.svg and so on, of what the rows hold; no files where matplotlib is not installed."""
    found = grids(rows)
    if not found or importlib.util.find_spec("matplotlib") is None:
        return []
    stem.parent.mkdir(parents=True, exist_ok=True)
    named = [plot_grids(found, what, unit, stem.with_name(f"{stem.name}-{name}.svg")) for what, unit, name in PLOTS]
    return [path for path in named if path is not None]


def plot_grids(found: dict[str, Grid], what: str, unit: str, path: Path) -> Path | None:
    """One panel a kind, both axes logarithmic; a cross marks the size at which a peer failed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    shown = {kind: grid for kind, grid in found.items() if any(grid.has(peer, what) and grid.series(peer, what) for peer in grid.peers)}
    if not shown:
        return None
    peers = list(dict.fromkeys(peer for grid in shown.values() for peer in grid.peers))
    figure = Figure(figsize=(4.2 * len(shown) + 2.6, max(4.6, 0.21 * len(peers))), layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axis, (kind, grid) in zip(axes, shown.items(), strict=True):
        _panel(axis, grid, what, {peer: _style(index, peer) for index, peer in enumerate(peers)})
        axis.set_title(f"{kind} lists")
        axis.set_xlabel("lines")
    axes[0].set_ylabel(f"{what}: {unit}")
    drawn = {text: handle for axis in axes for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn.keys(), loc="outside right upper", fontsize="small")
    with matplotlib.rc_context({"svg.hashsalt": "constrained", "svg.fonttype": "none"}):  # the same small file for the same rows
        figure.savefig(path, metadata={"Date": None})
    return path


def _panel(axis: Any, grid: Grid, what: str, styles: dict[str, dict[str, Any]]) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.grid(visible=True, which="major", alpha=0.3)
    for peer in grid.peers:
        series = grid.series(peer, what)
        if not series:
            continue
        sizes, values = [n for n, _ in series], [max(cell.value, FLOOR) for _, cell in series]
        axis.plot(sizes, values, label=peer, **styles[peer])
        failed = [n for name, n in grid.failures if name == peer and n > sizes[-1]]
        if failed:
            axis.plot([sizes[-1], min(failed)], [values[-1]] * 2, color=styles[peer]["color"], linestyle=":", linewidth=1)
            axis.plot([min(failed)], [values[-1]], color=styles[peer]["color"], marker="x", markersize=8)


def _style(index: int, peer: str) -> dict[str, Any]:
    """The library's own modes with full lines, the peers with broken ones."""
    is_ours = peer.startswith("ours-")
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4,
        "linestyle": "-" if is_ours else "--",
        "linewidth": 1.6 if is_ours else 1.0,
    }


# -- several runs joined -----------------------------------------------------------------------------------------


def read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows of several files; of two with the same case and metric the one of the later file."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for path in paths:
        for row in json.loads(path.read_text(encoding="utf-8")):
            found[row["suite"], row["device"], row["case"], row["metric"], row["reference"]] = row
    return list(found.values())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="rows, as a run writes them")
    parser.add_argument("--out", type=Path, required=True, metavar="STEM", help="of the files that are written: STEM.md, STEM-*.svg")
    asked = parser.parse_args(arguments)
    rows = read(asked.files)
    images = write_plots(rows, asked.out)
    about = "\n".join(f"- {path.name}: {_about(path)}" for path in asked.files)
    shown = "\n".join(f"![{path.stem}]({path.name})" for path in images)
    asked.out.with_suffix(".md").write_text(f"# {asked.out.name}\n\n{about}\n\n{shown}\n\n{summary(rows)}", encoding="utf-8")
    print(asked.out.with_suffix(".md"))
    return 0


def _about(path: Path) -> str:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return f"{rows[0]['device']}, commit {rows[0]['commit'] or 'unknown'}, seed {rows[0]['seed']}" if rows else "no rows"


if __name__ == "__main__":
    sys.exit(main())
