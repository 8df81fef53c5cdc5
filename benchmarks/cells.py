"""Rows of peers as a grid of peer, size and metric, one grid for each kind of list. Knows no output format."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

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
