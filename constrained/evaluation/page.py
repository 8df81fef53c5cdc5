"""The page of a measurement: figures, plots, what is mixed up, in one HTML file that asks for nothing elsewhere. Knows no file."""

from __future__ import annotations

import math
from collections.abc import Iterable

from constrained.audit import page
from constrained.audit.page import Html
from constrained.calibration.bounds import Interval
from constrained.catalog.response import Catalog
from constrained.evaluation.plots import Line, curves, reliability
from constrained.evaluation.result import Against, Setting
from constrained.evaluation.summary import Summary

ASSUMED = (
    "Every figure is of these messages. It speaks for others as far as they come as these did: "
    "the same people, desk, catalog, policy and model."
)


def to_html(told: Setting, summary: Summary, catalog: Catalog, against: Against | None) -> str:
    """The whole page."""
    parts = [
        page.figures(_head(summary)),
        page.note(ASSUMED),
        page.section("Figures", _figures(summary, against)),
        page.section("How sure, how right", *_plots(summary, against)),
        _threshold_section(summary),
        _protected(summary),
        _intervals("Heard as expected", "question", summary.heard),
        _intervals("Groups", "group", summary.groups),
        _confusions(summary, catalog),
        page.section("What was measured", page.table(("what", "value"), _setting(told))),
    ]
    return page.page(f"How well {catalog.name} is answered", f"{told.file}, {summary.n} messages; {told.name}", parts)


def _head(summary: Summary) -> Iterable[tuple[str, object]]:
    shown = ("accuracy", "macro-F1", "AURC", "ECE, bins of equal mass", "out of scope, AUROC")
    return [(name, f"{summary.figures[name]:.3f}") for name in shown if not math.isnan(summary.figures.get(name, math.nan))]


def _figures(summary: Summary, against: Against | None) -> Html:
    known = {name: value for name, value in summary.figures.items() if not math.isnan(value)}
    if against is None:
        return page.table(("figure", "value"), [(name, f"{value:.4f}") for name, value in known.items()])
    rows = [(name, f"{value:.4f}", f"{against.figures.get(name, math.nan):.4f}") for name, value in known.items()]
    told = f"By paired bootstrap over the {against.n} messages that both hold ({against.n_missing} stand in one alone)."
    differing = [
        (name, f"{one.value:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}", f"{one.p:.4f}") for name, one in against.differences.items()
    ]
    second = page.table(("mean over messages", "difference", "95 % interval", "p"), differing, caption=told)
    return Html(page.table(("figure", "value", against.name), rows) + second)


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
    return page.section("Abstention", page.table(heads, rows), curves(lines, "threshold", "share", "What each threshold gives and costs."))


def _protected(summary: Summary) -> Html:
    rows = [(one.name, one.n, str(one.missed), one.n_others, str(one.false_alarms)) for one in summary.protected]
    heads = ("response or question", "messages", "missed (95 % interval)", "other messages", "false alarms (95 % interval)")
    return page.section("Protected", page.table(heads, rows)) if rows else Html("")


def _intervals(title: str, name: str, found: dict[str, Interval]) -> Html:
    rows = [(one, str(value)) for one, value in found.items()]
    return page.section(title, page.table((name, "share (95 % interval)"), rows)) if rows else Html("")


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
    told = page.note("Say in 'when' how the two differ, or give examples that only one of them answers.")
    heads = ("times", "one", "answers", "other", "answers", "messages")
    return page.section("Taken for each other", told, page.table(heads, rows)) if rows else Html("")


def _setting(told: Setting) -> list[tuple[str, str]]:
    named = [("catalog", told.catalog), ("policy", told.policy), ("data", told.data), *told.engine.items()]
    heard = "as the file says" if told.is_heard_given else "by the engine"
    return [*named, ("threshold", f"{told.threshold:g}"), ("heard", heard), ("time", f"{told.seconds:.1f} s")]


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"
