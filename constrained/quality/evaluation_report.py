"""Reports of an evaluation: the JSON result that a later one is compared with, and the page with its plots.

The page is one HTML file that asks for nothing elsewhere; the plots stand in it as SVG.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from constrained._pages import render_page
from constrained.catalog.response import Catalog
from constrained.errors import DataError
from constrained.logic.policy import Policy
from constrained.quality.calibration import Floats
from constrained.quality.evaluation import MessageOutcome
from constrained.quality.metrics import COMPARED, Bin, MeanDifference, Summary, differences, replace_nan, to_arrays

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

FORMAT = "constrained eval 1"
COLOURS = ("#2f6f8f", "#b4532a")
EXCHANGEABLE = (
    "Every figure is of these messages. It speaks for others as far as they come as these did: "
    "the same people, desk, catalog, policy and model."
)


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


def describe_setting(
    policy: Policy, engine: Mapping[str, str], data: Path, threshold: float, is_heard_given: bool, seconds: float
) -> Setting:
    digest = "sha256:" + hashlib.sha256(data.read_bytes()).hexdigest()
    names = {str(name): str(value) for name, value in engine.items()}
    catalog = policy.catalog
    return Setting(catalog.name, catalog.hash, policy.hash, names, data.name, digest, threshold, is_heard_given, seconds)


def to_json(setting: Setting, summary: Summary, outcomes: Sequence[MessageOutcome], fallback: str) -> dict[str, Any]:
    """The whole result; NaN is written as null."""
    arrays = to_arrays(outcomes, fallback)
    compared = {name: [round(float(value), 9) for value in of(arrays)] for name, of in COMPARED.items()}
    rows = [_row(one, index, compared) for index, one in enumerate(outcomes)]
    result: dict[str, Any] = replace_nan({"format": FORMAT, "setting": asdict(setting), **asdict(summary), "rows": rows})
    return result


def _row(outcome: MessageOutcome, index: int, compared: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {
        "line": outcome.example.line,
        "locale": outcome.example.locale,
        "group": outcome.example.group,
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
class EarlierResult:
    """An earlier result, and how the new one differs from it on the messages that both hold."""

    name: str
    n: int
    n_missing: int
    differences: dict[str, MeanDifference]
    figures: dict[str, float]
    curve: tuple[tuple[float, float], ...]


def compare(path: Path, new: Mapping[str, Any]) -> EarlierResult:
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
    curve = tuple((coverage, risk) for coverage, risk in old["curve"])
    return EarlierResult(Setting(**old["setting"]).name, len(both), len(ours.keys() ^ theirs.keys()), found, figures, curve)


def _key(row: Mapping[str, Any]) -> tuple[int, str]:
    return row["line"], row["message"]


def _columns(rows: Mapping[Any, Mapping[str, float]], keys: Sequence[Any]) -> dict[str, Floats]:
    return {name: np.asarray([rows[key][name] for key in keys], dtype=np.float64) for name in COMPARED}


def to_html(setting: Setting, summary: Summary, catalog: Catalog, earlier: EarlierResult | None) -> str:
    """The page: figures, plots, what each threshold costs, and for writers what is taken for each other."""
    return render_page(
        "evaluation.html",
        title=f"How well {catalog.name} is answered",
        subtitle=f"{setting.file}, {summary.n} messages; {setting.name}",
        note_on_figures=EXCHANGEABLE,
        key_figures=_key_figures(summary),
        figures_heads=("figure", "value", *([earlier.name] if earlier else [])),
        figures_rows=_figure_rows(summary, earlier),
        differences=_difference_rows(earlier) if earlier else [],
        n_compared=(earlier.n, earlier.n_missing) if earlier else (0, 0),
        confidence_plots=[draw_risk_coverage(summary, earlier), draw_reliability(summary.reliability)],
        thresholds=[(f"{one.threshold:.1f}", _shown(one.answered), _shown(one.right), _shown(one.caught)) for one in summary.at_thresholds],
        threshold_plot=draw_thresholds(summary),
        protected=[(one.name, one.n, str(one.missed), one.n_others, str(one.false_alarms)) for one in summary.protected],
        heard=[(name, str(share)) for name, share in summary.heard.items()],
        groups=[(name, str(share)) for name, share in summary.groups.items()],
        confused=_confused_rows(summary, catalog),
        measured=_setting_rows(setting),
    )


def _key_figures(summary: Summary) -> list[tuple[str, str]]:
    shown = ("accuracy", "macro-F1", "AURC", "ECE, bins of equal mass", "out of scope, AUROC")
    return [(name, f"{summary.figures[name]:.3f}") for name in shown if not math.isnan(summary.figures.get(name, math.nan))]


def _figure_rows(summary: Summary, earlier: EarlierResult | None) -> list[tuple[str, ...]]:
    known = {name: value for name, value in summary.figures.items() if not math.isnan(value)}
    others = {name: (f"{earlier.figures.get(name, math.nan):.4f}",) if earlier else () for name in known}
    return [(name, f"{value:.4f}", *others[name]) for name, value in known.items()]


def _difference_rows(earlier: EarlierResult) -> list[tuple[str, ...]]:
    return [(name, f"{one.value:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}", f"{one.p:.4f}") for name, one in earlier.differences.items()]


def _confused_rows(summary: Summary, catalog: Catalog) -> list[tuple[object, ...]]:
    """For writers: the pairs, with what tells them apart so far."""
    when = {name: response.when for name, response in catalog.responses.items()}
    return [
        (pair.n + pair.n_back, pair.one, when[pair.one], pair.other, when[pair.other], "\n".join(pair.examples)) for pair in summary.pairs
    ]


def _setting_rows(setting: Setting) -> list[tuple[str, str]]:
    named = [("catalog", setting.catalog), ("policy", setting.policy), ("data", setting.data), *setting.engine.items()]
    heard = "as the file says" if setting.is_heard_given else "by the engine"
    return [*named, ("threshold", f"{setting.threshold:g}"), ("heard", heard), ("time", f"{setting.seconds:.1f} s")]


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def draw_risk_coverage(summary: Summary, earlier: EarlierResult | None) -> Markup:
    """Risk over coverage, of this result and of an earlier one, as SVG."""

    def draw(axes: Axes) -> None:
        lines = [("this", summary.curve), *([(earlier.name, earlier.curve)] if earlier else [])]
        for (name, points), colour in zip(lines, COLOURS, strict=False):
            axes.plot(*zip(*points, strict=True), color=colour, label=name)
        axes.set(xlabel="coverage: share that is answered, the surest first", ylabel="risk: share of errors", xlim=(0, 1))
        axes.set_ylim(bottom=0)
        axes.legend()

    return _as_svg(draw)


def draw_reliability(bins: Sequence[Bin]) -> Markup:
    """How often right (a bar for each bin, as wide as it reaches) beside how sure (the diagonal), as SVG."""

    def draw(axes: Axes) -> None:
        lows, widths = [one.low for one in bins], [max(one.high - one.low, 0.005) for one in bins]
        accuracies = [one.accuracy for one in bins]
        axes.bar(lows, accuracies, widths, align="edge", color="#c9d6de", edgecolor=COLOURS[0], linewidth=0.5)
        axes.plot([one.confidence for one in bins], accuracies, "o", color=COLOURS[0], markersize=4, clip_on=False)
        axes.plot([0, 1], [0, 1], linestyle="--", color=COLOURS[1])
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))

    return _as_svg(draw)


def draw_thresholds(summary: Summary) -> Markup:
    """Answered rightly and caught, over the threshold, as SVG."""

    def draw(axes: Axes) -> None:
        thresholds = [one.threshold for one in summary.at_thresholds]
        axes.plot(thresholds, [one.right for one in summary.at_thresholds], color=COLOURS[0], label="right, of those in scope")
        axes.plot(thresholds, [one.caught for one in summary.at_thresholds], color=COLOURS[1], label="out of scope caught")
        axes.set(xlabel="threshold", ylabel="share", xlim=(0, 1), ylim=(0, 1))
        axes.legend()

    return _as_svg(draw)


def _as_svg(draw: Callable[[Axes], None]) -> Markup:
    """A drawing as an ``svg`` element that names no address; the same values give the same bytes."""
    import matplotlib  # only a program that draws pays for it
    from markupsafe import Markup
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "constrained", "text.parse_math": False, "font.size": 9}
    style |= {"axes.grid": True, "grid.color": "#e3e7ec", "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.4, 3.0), layout="constrained")
        draw(figure.add_subplot())
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    text = written.getvalue()
    return Markup(re.sub(r' xmlns(:\w+)?="[^"]*"', "", text[text.index("<svg") :]))
