"""What one measurement writes and what a later one is held against: JSON, with every message and what came of it. Knows no page."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from constrained.errors import DataError
from constrained.evaluation.metrics import Difference, Floats
from constrained.evaluation.summary import COMPARED, Summary, differences, judged
from constrained.evaluation.taking import Outcome
from constrained.logic.policy import Policy

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
