"""What is asked of the library's modes beside the peers of the same run; computed from rows, so that runs may be joined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.cells import Grid, grids
from benchmarks.peers import SPECS

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


def found(rows: Iterable[dict[str, Any]]) -> list[Target]:
    """Those that the rows allow to be told, over natural lists."""
    grid = grids(rows).get("natural")
    return [] if grid is None else [*_times(grid), *_speedups(grid), *_compiles(grid)]


def _times(grid: Grid) -> Iterable[Target]:
    for peer, n, most in AT_MOST:
        cell = grid.cells.get((peer, n, TIME))
        if cell is not None:
            yield Target(_case(n), f"{peer}: {TIME}, asked for", cell.value, "a pass of the suffix", at_most=most)


def _speedups(grid: Grid) -> Iterable[Target]:
    """The mode that ``auto`` picks against the fastest peer that walks the text with the static part cached."""
    for n, least in FASTER:
        for are_forced, what in ((False, "a token a pass"), (True, "forced tokens together")):
            mine, theirs = grid.cells.get(("ours-auto", n, TIME)), _fastest(grid, n, TIME, are_forced)
            if mine is not None and theirs is not None:
                metric = f"ours-auto: times as fast as the fastest walk, {what}"
                yield Target(_case(n), metric, theirs[0] / mine.value, theirs[1], at_least=least)


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
            yield Target(_case(n), f"ours: {what}, times as fast{more}", value / mine.value, name, at_least=least)


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


def _case(n: int) -> str:
    return f"natural, {n} lines"
