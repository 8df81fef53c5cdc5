"""Rows of one or several runs as tables of peers by size, and as plots. Measures nothing.

python -m benchmarks.tables benchmarks/results/decoding-natural-*.json --out benchmarks/results/decoding-all
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import plots, targets
from benchmarks.cells import Cell, Grid, grids, is_of_peer
from benchmarks.report import line, number

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
    asked = targets.found(rows)
    if asked:
        head = ("case", "metric", "beside", "value", "asked for", "")
        body = tuple((one.case, one.metric, one.reference, number(one.value), one.asked, _met(one)) for one in asked)
        parts = ["## What was asked for", "", Table("natural lists", head, body).markdown(), *parts]
    return "\n".join(parts)


def _met(target: targets.Target) -> str:
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


def read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows of several files; of two with the same case and metric the one of the later file."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for path in paths:
        for row in json.loads(path.read_text(encoding="utf-8")):
            found[row["suite"], row["device"], row["case"], row["metric"], row["reference"]] = row
    return list(found.values())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="rows, as a run writes them")
    parser.add_argument("--out", type=Path, required=True, metavar="STEM", help="of the files that are written: STEM.md, STEM-*.svg")
    asked = parser.parse_args(arguments)
    rows = read(asked.files)
    images = plots.write(rows, asked.out)
    about = "\n".join(f"- {path.name}: {_about(path)}" for path in asked.files)
    shown = "\n".join(f"![{path.stem}]({path.name})" for path in images)
    asked.out.with_suffix(".md").write_text(f"# {asked.out.name}\n\n{about}\n\n{shown}\n\n{summary(rows)}", encoding="utf-8")
    print(asked.out.with_suffix(".md"))
    return 0


def _about(path: Path) -> str:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return f"{rows[0]['device']}, commit {rows[0]['commit'] or 'unknown'}, seed {rows[0]['seed']}" if rows else "no rows"


__all__ = ["Cell", "Table", "is_of_peer", "main", "read", "summary"]

if __name__ == "__main__":
    sys.exit(main())
