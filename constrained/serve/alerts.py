"""Alert rules for Prometheus over the metrics of a server, in the form that promtool checks.

A limit comes from the log: twice the upper end of the interval of what was measured there. Where nothing was measured, it is the
default of this file, and the rule says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

LOW_BUCKET = "0.5"  # an edge of the histogram of probabilities
N_UNSIGNED = 2_000  # twice what is signed at once
DEFAULTS = {"fallback": 0.25, "hand_over": 0.25, "low": 0.25}  # shares of turns
REFUSED, DEGRADED = 0.05, 0.05


@dataclass(frozen=True, slots=True)
class Limit:
    """A share above which an alert fires, and where it comes from."""

    share: float
    basis: str

    @classmethod
    def of(cls, name: str, upper: float | None, measured: str) -> Limit:
        """Twice an upper end, at least 1 % and at most 90 %; without one the default."""
        if upper is None:
            return cls(DEFAULTS[name], "a default of the library: not measured")
        return cls(round(min(0.9, max(0.01, 2 * upper)), 4), f"twice the upper end of what the log shows: {measured}")


def alert_rules(fallback: Limit, hand_over: Limit, low: Limit) -> str:
    """The rules as YAML: ``promtool check rules FILE``."""
    rules = list(_rules(fallback, hand_over, low))
    text: str = yaml.safe_dump({"groups": [{"name": "constrained", "rules": rules}]}, sort_keys=False, width=120, allow_unicode=True)
    return text


def _rules(fallback: Limit, hand_over: Limit, low: Limit) -> Iterator[dict[str, Any]]:
    yield _share("ConstrainedFallbackShare", "abstained", fallback, "The fallback is said more often than it was.")
    yield _share("ConstrainedHandOverShare", "handed_over", hand_over, "More conversations go to people than did.")
    few = f'sum by (pack) (rate(constrained_best_probability_bucket{{le="{LOW_BUCKET}"}}[1h]))'
    of_all = "sum by (pack) (rate(constrained_best_probability_count[1h]))"
    yield _rule("ConstrainedLowProbability", f"{few} / {of_all} > {low.share:g}", "30m", "The model is less sure than it was.", low.basis)
    refused, turns = "sum(rate(constrained_refused_total[10m]))", "sum(rate(constrained_turns_total[10m]))"
    summary = "Requests are refused: the server is full, or callers do something wrong."
    yield _rule("ConstrainedRefusals", f"{refused} / ({refused} + {turns}) > {REFUSED:g}", "10m", summary, _default(REFUSED))
    degraded = "sum by (pack) (rate(constrained_degraded_turns_total[10m])) / sum by (pack) (rate(constrained_turns_total[10m]))"
    yield _rule("ConstrainedDegraded", f"{degraded} > {DEGRADED:g}", "10m", "A model fails, and the rules choose.", _default(DEGRADED))
    errors = "sum by (pack, error) (increase(constrained_turn_errors_total[10m])) > 0"
    yield _rule("ConstrainedTurnErrors", errors, "0m", "Turns end in an error: nothing was said.", "any", severity="critical")
    unsigned = f"constrained_unsigned_records > {N_UNSIGNED}"
    yield _rule(
        "ConstrainedUnsignedRecords",
        unsigned,
        "10m",
        "Records of the log are not signed.",
        "twice what is signed at once",
        severity="critical",
    )


def _share(name: str, outcome: str, limit: Limit, summary: str) -> dict[str, Any]:
    part = f'sum by (pack) (rate(constrained_turns_total{{outcome="{outcome}"}}[1h]))'
    expr = f"{part} / sum by (pack) (rate(constrained_turns_total[1h])) > {limit.share:g}"
    return _rule(name, expr, "30m", summary, limit.basis)


def _rule(name: str, expr: str, lasting: str, summary: str, basis: str, severity: str = "warning") -> dict[str, Any]:
    annotations = {"summary": summary, "basis": basis}
    return {"alert": name, "expr": expr, "for": lasting, "labels": {"severity": severity}, "annotations": annotations}


def _default(share: float) -> str:
    return f"a default of the library: {share:.0%}"
