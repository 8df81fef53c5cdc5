"""What one measurement writes and what a later one is held against: JSON, with every message and what came of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from constrained import _html
from constrained._html import Html
from constrained.catalog.response import Catalog
from constrained.errors import DataError
from constrained.logic.policy import Policy
from constrained.quality.calibration import Interval
from constrained.quality.evaluation import Outcome
from constrained.quality.metrics import Bin, Difference, Floats
from constrained.quality.summary import COMPARED, Summary, differences, judged

FORMAT = "constrained eval 1"


@dataclass(frozen=True, slots=True)
class Setting:
    """What was measured: names and hashes for a report.

    Attributes:
        engine: the engine's identity; {"engine": "none"} for the rules alone. data: the file's SHA-256.
    """

    pack: str
    catalog: str
    policy: str
    engine: Mapping[str, str]
    file: str
    data: str
    threshold: float
    is_heard_given: bool
    seconds: float

    @property
    def name(self) -> str:
        """One line for people."""
        named = self.engine.get("model", self.engine.get("engine", "rules"))
        rule = self.engine.get("rule")
        return f"{self.pack}, {Path(named).name}" + (f", {rule}" if rule else "") + f", threshold {self.threshold:g}"


def setting(policy: Policy, engine: Mapping[str, str], data: Path, threshold: float, is_heard_given: bool, seconds: float) -> Setting:
    digest = "sha256:" + hashlib.sha256(data.read_bytes()).hexdigest()
    names = {str(name): str(value) for name, value in engine.items()}
    catalog = policy.catalog
    return Setting(catalog.name, catalog.hash, policy.hash, names, data.name, digest, threshold, is_heard_given, seconds)


def to_json(told: Setting, summary: Summary, outcomes: Sequence[Outcome], fallback: str) -> dict[str, Any]:
    """The whole result; NaN is written as null."""
    all_of = judged(outcomes, fallback)
    compared = {name: [round(float(value), 9) for value in of(all_of)] for name, of in COMPARED.items()}
    rows = [_row(one, index, compared) for index, one in enumerate(outcomes)]
    found: dict[str, Any] = _without_nan({"format": FORMAT, "setting": asdict(told), **asdict(summary), "rows": rows})
    return found


def _row(outcome: Outcome, index: int, compared: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {
        "line": outcome.example.line,
        "message": outcome.example.message,
        "expects": list(outcome.example.expects),
        "said": outcome.said,
        "best": outcome.options[outcome.best],
        "confidence": round(outcome.confidence, 9),
        "abstained": outcome.abstained,
        "n_options": len(outcome.options),
        "judged": {name: values[index] for name, values in compared.items()},
    }


@dataclass(frozen=True, slots=True)
class Against:
    """An earlier result, and how the new one differs from it on the messages that both hold."""

    name: str
    n: int
    n_missing: int
    differences: dict[str, Difference]
    figures: dict[str, float]
    curve: tuple[tuple[float, float], ...]


def compare(path: Path, new: Mapping[str, Any]) -> Against:
    """Raises DataError when the file is no result, or holds none of the messages."""
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        is_result = isinstance(old, dict) and old.get("format") == FORMAT
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="give a file that constrained eval --json wrote") from error
    if not is_result:
        raise DataError(f"{path} is no result of constrained eval", hint="give a file that constrained eval --json wrote")
    theirs = {_key(row): row["judged"] for row in old["rows"]}
    ours = {_key(row): row["judged"] for row in new["rows"]}
    both = [key for key in ours if key in theirs]
    if not both:
        raise DataError(f"{path} holds none of these messages", hint="compare results on the same file")
    found = differences(_columns(ours, both), _columns(theirs, both))
    figures = {name: math.nan if value is None else value for name, value in old["figures"].items()}
    told = Setting(**old["setting"])
    curve = tuple((coverage, risk) for coverage, risk in old["curve"])
    return Against(told.name, len(both), len(ours.keys() ^ theirs.keys()), found, figures, curve)


def _key(row: Mapping[str, Any]) -> tuple[int, str]:
    return row["line"], row["message"]


def _columns(rows: Mapping[Any, Mapping[str, float]], keys: Sequence[Any]) -> dict[str, Floats]:
    return {name: np.asarray([rows[key][name] for key in keys], dtype=np.float64) for name in COMPARED}


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- Plots as SVG, drawn by hand: lines over two axes from 0 to 1, and bars beside a diagonal. --

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 440, 300, 46, 40, 10
COLOURS = ("#2f6f8f", "#b4532a", "#6b8e3d")


@dataclass(frozen=True, slots=True)
class Line:
    """Points (x, y), x from 0 to 1, under one name."""

    name: str
    points: Sequence[tuple[float, float]]


def curves(lines: Sequence[Line], across: str, up: str, caption: str) -> Html:
    """Lines over a common scale; the upper end is the largest value, rounded up to a tenth."""
    highest = max((y for line in lines for _, y in line.points), default=1.0)
    top = min(1.0, max(0.1, -(-highest * 10 // 1) / 10))
    drawn = [_axes(across, up, top)]
    for line, colour in zip(lines, COLOURS, strict=False):
        path = " ".join(f"{_x(x):.1f},{_y(y, top):.1f}" for x, y in line.points)
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"><title>{escape(line.name)}</title></polyline>'
        )
    return _figure([*drawn, *_legend([line.name for line in lines])], caption)


def reliability(bins: Sequence[Bin], caption: str) -> Html:
    """How often right (a bar for each bin, as wide as it reaches) beside how sure (the diagonal)."""
    drawn = [_axes("confidence", "accuracy", 1.0)]
    for one in bins:
        left, right = _x(one.low), max(_x(one.high), _x(one.low) + 3)
        told = f"{one.n} messages: confidence {one.confidence:.3f}, accuracy {one.accuracy:.3f}"
        tall = _y(0, 1) - _y(one.accuracy, 1)
        place = f'x="{left:.1f}" y="{_y(one.accuracy, 1):.1f}" width="{right - left:.1f}" height="{tall:.1f}"'
        drawn.append(f'<rect {place} fill="#c9d6de" stroke="#2f6f8f" stroke-width="0.5"><title>{escape(told)}</title></rect>')
        drawn.append(f'<circle cx="{_x(one.confidence):.1f}" cy="{_y(one.accuracy, 1):.1f}" r="3" fill="{COLOURS[0]}"/>')
    drawn.append(f'<line x1="{_x(0)}" y1="{_y(0, 1)}" x2="{_x(1)}" y2="{_y(1, 1)}" stroke="{COLOURS[1]}" stroke-dasharray="4 3"/>')
    return _figure(drawn, caption)


def _axes(across: str, up: str, top: float) -> str:
    drawn = []
    for step in range(5):
        share = step / 4
        x, y = _x(share), _y(share * top, top)
        drawn.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - 10}" y2="{y:.1f}" stroke="#e3e7ec"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share * top:.3g}</text>')
        drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{share:.3g}</text>')
    drawn.append(f'<text x="{(LEFT + WIDTH - 10) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>')
    middle = (HEIGHT - BOTTOM) / 2
    drawn.append(f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">{escape(up)}</text>')
    return "".join(drawn)


def _legend(names: Sequence[str]) -> list[str]:
    return [
        f'<rect x="{LEFT + 10}" y="{TOP + 4 + 16 * number}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{LEFT + 26}" y="{TOP + 13 + 16 * number}">{escape(name)}</text>'
        for number, (name, colour) in enumerate(zip(names, COLOURS, strict=False))
    ]


def _figure(drawn: Sequence[str], caption: str) -> Html:
    chart = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" style="max-width:{WIDTH}px" width="100%" role="img">{"".join(drawn)}</svg>'
    return Html(f'<figure style="margin:1rem 0">{chart}<figcaption class="dim">{escape(caption)}</figcaption></figure>')


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - 10 - LEFT)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)


# -- The page of a measurement: figures, plots, what is mixed up, in one HTML file that asks for nothing elsewhere. --

ASSUMED = (
    "Every figure is of these messages. It speaks for others as far as they come as these did: "
    "the same people, desk, catalog, policy and model."
)


def to_html(told: Setting, summary: Summary, catalog: Catalog, against: Against | None) -> str:
    """The whole page."""
    parts = [
        _html.figures(_head(summary)),
        _html.note(ASSUMED),
        _html.section("Figures", _figures(summary, against)),
        _html.section("How sure, how right", *_plots(summary, against)),
        _threshold_section(summary),
        _protected(summary),
        _intervals("Heard as expected", "question", summary.heard),
        _intervals("Groups", "group", summary.groups),
        _confusions(summary, catalog),
        _html.section("What was measured", _html.table(("what", "value"), _setting(told))),
    ]
    return _html.page(f"How well {catalog.name} is answered", f"{told.file}, {summary.n} messages; {told.name}", parts)


def _head(summary: Summary) -> Iterable[tuple[str, object]]:
    shown = ("accuracy", "macro-F1", "AURC", "ECE, bins of equal mass", "out of scope, AUROC")
    return [(name, f"{summary.figures[name]:.3f}") for name in shown if not math.isnan(summary.figures.get(name, math.nan))]


def _figures(summary: Summary, against: Against | None) -> Html:
    known = {name: value for name, value in summary.figures.items() if not math.isnan(value)}
    if against is None:
        return _html.table(("figure", "value"), [(name, f"{value:.4f}") for name, value in known.items()])
    rows = [(name, f"{value:.4f}", f"{against.figures.get(name, math.nan):.4f}") for name, value in known.items()]
    told = f"By paired bootstrap over the {against.n} messages that both hold ({against.n_missing} stand in one alone)."
    differing = [
        (name, f"{one.value:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}", f"{one.p:.4f}") for name, one in against.differences.items()
    ]
    second = _html.table(("mean over messages", "difference", "95 % interval", "p"), differing, caption=told)
    return Html(_html.table(("figure", "value", against.name), rows) + second)


def _plots(summary: Summary, against: Against | None) -> list[Html]:
    lines = [Line("this", summary.curve), *([Line(against.name, against.curve)] if against else [])]
    first = curves(
        lines, "coverage: share that is answered, the surest first", "risk: share of errors", "Risk and coverage; lower is better."
    )
    return [first, reliability(summary.reliability, "Confidence and accuracy, bins of equally many messages; honest on the diagonal.")]


def _threshold_section(summary: Summary) -> Html:
    rows = [(f"{one.threshold:.1f}", _shown(one.answered), _shown(one.right), _shown(one.caught)) for one in summary.at_thresholds]
    heads = ("threshold", "answered, of those in scope", "rightly", "out of scope caught")
    lines = [Line("right, of those in scope", [(one.threshold, one.right) for one in summary.at_thresholds if not math.isnan(one.right)])]
    caught = [(one.threshold, one.caught) for one in summary.at_thresholds if not math.isnan(one.caught)]
    lines += [Line("out of scope caught", caught)] if caught else []
    return _html.section(
        "Abstention", _html.table(heads, rows), curves(lines, "threshold", "share", "What each threshold gives and costs.")
    )


def _protected(summary: Summary) -> Html:
    rows = [(one.name, one.n, str(one.missed), one.n_others, str(one.false_alarms)) for one in summary.protected]
    heads = ("response or question", "messages", "missed (95 % interval)", "other messages", "false alarms (95 % interval)")
    return _html.section("Protected", _html.table(heads, rows)) if rows else Html("")


def _intervals(title: str, name: str, found: dict[str, Interval]) -> Html:
    rows = [(one, str(value)) for one, value in found.items()]
    return _html.section(title, _html.table((name, "share (95 % interval)"), rows)) if rows else Html("")


def _confusions(summary: Summary, catalog: Catalog) -> Html:
    """For writers: the pairs, with what tells them apart so far."""
    rows = [
        (
            pair.n + pair.n_back,
            pair.one,
            catalog.responses[pair.one].when,
            pair.other,
            catalog.responses[pair.other].when,
            "\n".join(pair.examples),
        )
        for pair in summary.pairs
    ]
    told = _html.note("Say in 'when' how the two differ, or give examples that only one of them answers.")
    heads = ("times", "one", "answers", "other", "answers", "messages")
    return _html.section("Taken for each other", told, _html.table(heads, rows)) if rows else Html("")


def _setting(told: Setting) -> list[tuple[str, str]]:
    named = [("catalog", told.catalog), ("policy", told.policy), ("data", told.data), *told.engine.items()]
    heard = "as the file says" if told.is_heard_given else "by the engine"
    return [*named, ("threshold", f"{told.threshold:g}"), ("heard", heard), ("time", f"{told.seconds:.1f} s")]


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
