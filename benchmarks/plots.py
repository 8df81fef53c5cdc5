"""Rows of peers as plots, one file a metric, a panel for each kind of list. Needs matplotlib; measures nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.cells import Grid, grids

PLOTS = (
    ("compile", "seconds", "compile"),
    ("compile, peak memory", "MB", "memory"),
    ("decision, time", "forward passes of the suffix (F)", "decision"),
    ("divergence (KL)", "nats from the exact conditional", "divergence"),
)
MARKERS = "osD^v<>Ph*X"
COLOURS = (*(f"C{index}" for index in range(10)), "black", "navy", "darkgreen", "gold", "deeppink", "teal", "salmon")
FLOOR = 1e-6  # of a logarithmic axis


def write(rows: Iterable[dict[str, Any]], stem: Path) -> list[Path]:
    """STEM-compile.svg and so on, of what the rows hold; no files where matplotlib is not installed."""
    found = grids(rows)
    if not found or importlib.util.find_spec("matplotlib") is None:
        return []
    stem.parent.mkdir(parents=True, exist_ok=True)
    named = [_plot(found, what, unit, stem.with_name(f"{stem.name}-{name}.svg")) for what, unit, name in PLOTS]
    return [path for path in named if path is not None]


def _plot(found: dict[str, Grid], what: str, unit: str, path: Path) -> Path | None:
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
    with matplotlib.rc_context({"svg.hashsalt": "constrained"}):  # the same file for the same rows
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
