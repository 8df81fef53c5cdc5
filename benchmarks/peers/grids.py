"""Rows of peers as a grid of peer, size and metric, one grid for each kind of list; and what is asked of the library beside its peers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.peers import SPECS

CASE = re.compile(r"(\w+), (\d+) lines")
FAILED = re.compile(r"failed in (\w+), ([\w ]+): ")


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with its quartiles, where it has them."""

    value: float
    spread: tuple[float, float] | None


@dataclass(slots=True)
class Grid:
    """All that was measured over one kind of list.

    Attributes:
        peers, sizes: in the order of the rows; ascending.
        cells: (peer, size, metric) -> value. failures: (peer, size) -> ``timeout (compile)``; lasted: seconds until then.
    """

    peers: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    cells: dict[tuple[str, int, str], Cell] = field(default_factory=dict)
    failures: dict[tuple[str, int], str] = field(default_factory=dict)
    lasted: dict[tuple[str, int], float] = field(default_factory=dict)

    def has(self, peer: str, what: str) -> bool:
        """Whether any size has this metric; a peer that failed before it was measured stands in the first table alone."""
        is_failed_early = what == "compile" and any(name == peer for name, _ in self.failures)
        return is_failed_early or any((peer, n, what) in self.cells for n in self.sizes)

    def series(self, peer: str, what: str) -> list[tuple[int, Cell]]:
        """(size, value), ascending."""
        return [(n, self.cells[peer, n, what]) for n in self.sizes if (peer, n, what) in self.cells]


def grids(rows: Iterable[dict[str, Any]]) -> dict[str, Grid]:
    """One grid a kind; rows of other parts are left aside."""
    found: dict[str, Grid] = {}
    for row in rows:
        if not is_of_peer(row["case"], row["metric"]):
            continue
        kind, n = _case(row["case"])
        grid = found.setdefault(kind, Grid())
        peer, _, what = row["metric"].partition(": ")
        if peer not in grid.peers:
            grid.peers.append(peer)
        if n not in grid.sizes:
            grid.sizes = sorted([*grid.sizes, n])
        if failed := FAILED.match(what):
            grid.failures.setdefault((peer, n), f"{failed.group(2)} ({failed.group(1)})")
            grid.lasted.setdefault((peer, n), row["value"])
        else:
            grid.cells[peer, n, what] = Cell(row["value"], tuple(row["spread"]) if row["spread"] else None)
    return found


def is_of_peer(case: str, metric: str) -> bool:
    """Whether a row belongs into the grids."""
    return CASE.fullmatch(case) is not None and ": " in metric


def _case(case: str) -> tuple[str, int]:
    match = CASE.fullmatch(case)
    if match is None:
        raise ValueError(f"{case!r} is no case of a peer")
    return match.group(1), int(match.group(2))


# -- targets, computed from rows, so that runs may be joined ---------------------------------------------------


TIME = "decision, time"
AT_MOST = (  # peer, size, times F
    ("ours-refine", 100, 12.0),
    ("ours-refine", 1_000, 40.0),
    ("ours-exact-key", 100, 6.0),
    ("ours-exact-when", 100, 6.0),
)
FASTER = ((100, 10.0), (1_000, 5.0))  # size, times as fast as the fastest walking peer
COMPILES = (10_000, 100.0)


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that was asked for, and what was measured."""

    case: str
    metric: str
    value: float
    reference: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def asked(self) -> str:
        return f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"

    @property
    def is_met(self) -> bool:
        return self.value <= self.at_most if self.at_most is not None else self.at_least is not None and self.value >= self.at_least


def targets(rows: Iterable[dict[str, Any]]) -> list[Target]:
    """Those that the rows allow to be told, over natural lists."""
    grid = grids(rows).get("natural")
    return [] if grid is None else [*_times(grid), *_speedups(grid), *_compiles(grid)]


def _times(grid: Grid) -> Iterable[Target]:
    for peer, n, most in AT_MOST:
        cell = grid.cells.get((peer, n, TIME))
        if cell is not None:
            yield Target(_natural(n), f"{peer}: {TIME}, asked for", cell.value, "a pass of the suffix", at_most=most)


def _speedups(grid: Grid) -> Iterable[Target]:
    """The mode that ``auto`` picks against the fastest peer that walks the text with the static part cached."""
    for n, least in FASTER:
        for are_forced, what in ((False, "a token a pass"), (True, "forced tokens together")):
            mine, theirs = grid.cells.get(("ours-auto", n, TIME)), _fastest(grid, n, TIME, are_forced)
            if mine is not None and theirs is not None:
                metric = f"ours-auto: times as fast as the fastest walk, {what}"
                yield Target(_natural(n), metric, theirs[0] / mine.value, theirs[1], at_least=least)


def _compiles(grid: Grid) -> Iterable[Target]:
    """Against every peer that walks the text; with tokenising, which grammar engines do without, and besides it.

    A peer that ran out of time took at least that long.
    """
    n, least = COMPILES
    rivals = [(name, cell.value, "") for name in _walkers() if (cell := grid.cells.get((name, n, "compile"))) is not None]
    late = [name for name in _walkers() if grid.failures.get((name, n)) == "timeout (compile)"]
    rivals += [(name, grid.lasted[name, n], ", or more") for name in late]
    for what in ("compile", "compile, besides tokenising"):
        mine = next((cell for peer in ("ours-auto", "ours-exact") if (cell := grid.cells.get((peer, n, what))) is not None), None)
        for name, value, more in rivals if mine is not None else ():
            yield Target(_natural(n), f"ours: {what}, times as fast{more}", value / mine.value, name, at_least=least)


def _fastest(grid: Grid, n: int, what: str, are_forced: bool) -> tuple[float, str] | None:
    """Among peers that walk the text, at equal prompt caching; with its name.

    Args:
        are_forced: those that feed forced tokens together, which few engines do, or the others.
    """
    rivals = [name for name in _walkers() if SPECS[name].is_forced == are_forced]
    known = [(cell.value, name) for name in rivals if (cell := grid.cells.get((name, n, what))) is not None]
    return min(known, default=None)


def _walkers() -> list[str]:
    """Peers that walk the text and find the prompt's static part cached."""
    return [name for name, spec in SPECS.items() if spec.kind == "walk" and spec.module != "ours" and spec.caching != "none"]


def _natural(n: int) -> str:
    return f"natural, {n} lines"
