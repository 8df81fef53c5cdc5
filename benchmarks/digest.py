"""The result of a suite that stays in the tree: one small JSON file and one plot, made from the files that runs wrote.

python -m benchmarks.digest serve benchmarks/results/serve-rules-*.json benchmarks/results/serve-kills-*.json
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.grids import grids
from benchmarks.report import RESULTS, plot_grids

N_BARS = 24  # more cannot be read


class Part(NamedTuple):
    """What of a suite's rows is kept, and what of that is drawn; expressions that are searched in ``CASE | METRIC``.

    Attributes:
        unit: of the bars; rows of another unit are not drawn.
    """

    kept: str
    drawn: str
    unit: str


PARTS = {
    "ablation": Part(".", "conversations, .*more by$", "share"),
    "agreement": Part(r": (decisions|same best row|nodes read|below the best row, at most|forward passes)$", "same best row$", "share"),
    "audit": Part(".", "records a second", "1/s"),
    "calibration": Part(".", "ECE|covered on average|answered$", "share"),
    "choice": Part(".", "picked as labelled$", "share"),
    "core": Part(".", "reply|whole turn|record", "ms"),
    "decisions": Part(".", "decisions a second$", "1/s"),
    "decoding": Part(
        r"(natural, .*(ours-(exact|refine|auto|walk|exact-key|exact-when)|xgrammar(-forced)?|llguidance(-forced)?|"
        r"outlines-(core|llguidance)|"
        r"guidance-select|one-pass-a-choice|vllm-choice): (compile|decision, time|same best line|failed in .*)$)|"
        r"^(?!natural,).*(float|keys|whens).*(exact|times|channel|nodes)",
        "",
        "",
    ),
    "desks": Part(".", "accepted(, [a-z_]+)?$", "share"),
    "fit": Part("picked|R@1|in scope|calibration error|time of|off what", "picked as expected, the mixture", "share"),
    "games": Part(".", "time to the answer|taken from a frame, the worst", "ms"),
    "gpu": Part(".", "a step", "us"),
    "procedures": Part(".", "longer", "ms"),
    "masking": Part(".", "named.*masked", "share"),
    "packed": Part(".", "^(size)", "MB"),
    "prove": Part("^(?!STAR (?!all))", "turns between|points explored", "points"),
    "rules": Part("picked|time of", "picked", "share"),
    "soak": Part(".", "a turn, repeats included", "ms"),
    "serve": Part(".", "p50|p95|median", "ms"),
    "tune": Part(".", "picked", "share"),
}


def digest(suite: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """A run for each file: where its figures come from, and the rows that are kept, without what all of them share."""
    return [_run(path, re.compile(PARTS[suite].kept)) for path in paths]


def write(suite: str, runs: Sequence[dict[str, Any]], folder: Path = RESULTS) -> Path:
    """SUITE.json, a row a line, and SUITE.svg."""
    told = []
    for run in runs:
        head = json.dumps({name: value for name, value in run.items() if name != "rows"}, ensure_ascii=False)
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in run["rows"])
        told.append(f'{head[:-1]}, "rows": [\n{lines}\n]}}')
    path = folder / f"{suite}.json"
    path.write_text(f'{{"suite": "{suite}", "columns": {json.dumps(COLUMNS)}, "runs": [\n' + ",\n".join(told) + "\n]}\n", encoding="utf-8")
    plot(suite, runs, folder / f"{suite}.svg")
    return path


DRAWN, LARGE = "banking20, ", "banking77, "  # the part that every engine can do; the one with messages enough for bins
COLUMNS = ["case", "metric", "value", "unit", "reference", "spread"]


def plot(suite: str, runs: Sequence[dict[str, Any]], path: Path) -> None:
    """Bars of what is drawn; for peers their time by the number of lines. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    rows = [dict(zip(COLUMNS, row, strict=True)) for run in runs for row in run["rows"]]
    if found := grids(rows):
        plot_grids({"natural": found["natural"]}, "decision, time", "forward passes of the suffix (F)", path)
        return
    if suite == "choice":
        plot_choice(rows, path)
        return
    part = PARTS[suite]
    shown = [row for row in rows if row["unit"] == part.unit and re.search(part.drawn, f"{row['case']} | {row['metric']}")][:N_BARS]
    figure = Figure(figsize=(9, 0.6 + 0.28 * len(shown)), layout="constrained")
    axis = figure.subplots()
    axis.barh([f"{row['case']}: {row['metric']}"[:90] for row in shown][::-1], [row["value"] for row in shown][::-1], color="C0")
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel(part.unit)
    axis.set_title(suite)
    _save(figure, path)


def plot_choice(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Accuracy against the processor time of one choice (bars: 95 %); and how often each engine is right where it is so sure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    found = {(row["case"], row["metric"]): row for row in rows}
    for number, case in enumerate(sorted({case for case, metric in found if metric == "picked as labelled" and case.startswith(DRAWN)})):
        colour, name = f"C{number}", case.removeprefix(DRAWN)
        accuracy, took = found[case, "picked as labelled"], found[case, "processor time of one choice"]
        low, high = accuracy["spread"] or (accuracy["value"],) * 2
        error = [[accuracy["value"] - low], [high - accuracy["value"]]]
        left.errorbar(took["value"], accuracy["value"], yerr=error, fmt="o", color=colour, label=name, capsize=2)
        bins = [row for row in rows if row["case"] == f"{LARGE}{name}" and row["metric"].startswith("right, bin")]
        sure = [float(row["reference"].removeprefix("sure ")) for row in bins]
        if bins:
            right.plot(sure, [row["value"] for row in bins], marker="o", markersize=3, color=colour, label=name)
    left.set(
        xscale="log",
        xlabel="ms of processor time, one choice",
        ylabel="picked as labelled",
        ylim=(0, 1),
        title="twenty topics of BANKING77",
    )
    right.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    right.set(
        xlabel="probability of what is picked", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1), title="all 77 topics: reliability"
    )
    figure.legend(*left.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "constrained", "svg.fonttype": "none"}):  # the same small file for the same rows
        figure.savefig(path, metadata={"Date": None})


def _run(path: Path, kept: re.Pattern[str]) -> dict[str, Any]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    about = {name: rows[0][name] for name in ("device", "commit", "seed", "versions")}
    return {"run": path.stem, **about, "rows": list(_rows(rows, kept))}


def _rows(rows: Iterable[dict[str, Any]], kept: re.Pattern[str]) -> Iterable[list[Any]]:
    for row in rows:
        if row["case"] == "machine" or kept.search(f"{row['case']} | {row['metric']}"):
            yield [row[name] for name in COLUMNS]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.digest", description=__doc__)
    parser.add_argument("suite", choices=sorted(PARTS))
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="rows, as a run writes them")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    asked = parser.parse_args(arguments)
    print(write(asked.suite, digest(asked.suite, asked.files), asked.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
