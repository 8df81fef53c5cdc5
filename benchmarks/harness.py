"""The contract of all suites: what a row is, how a suite adds one, and what must be equal before it is timed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from benchmarks import measure
from benchmarks.measure import BenchmarkError, Spread
from benchmarks.options import Options

Key: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure; the same fields in every suite.

    Attributes:
        value: the median, where it was measured several times; ``spread``: its quartiles then, else None.
        reference: what a ratio or a difference is relative to, measured in the same run; empty for absolute figures.
        device, versions, commit, seed: where it comes from.
    """

    suite: str
    case: str
    metric: str
    value: float
    unit: str
    reference: str
    spread: tuple[float, float] | None
    device: str
    versions: Mapping[str, str]
    commit: str
    seed: int

    @property
    def key(self) -> Key:
        """What no two rows of a suite share."""
        return (self.case, self.metric, self.reference)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Bench:
    """What a suite is given: its settings, and where its rows go.

    A suite is a module of this package with ``run(bench: Bench) -> None``.

    Attributes:
        is_smoke: seconds, without a model; the figures mean nothing.
        options: which part of the suite is asked for.
        is_whole: False when the suite was ended before its end; its rows are those until then.
        targets: Row.key -> what is asked for, as shown in the table: "at most 1.3".
        missed: the keys of rows whose value is not what is asked for.
    """

    suite: str
    is_smoke: bool = False
    seed: int = 0
    is_quiet: bool = False
    options: Options = field(default_factory=Options)
    device_kind: measure.DeviceKind = "cpu"
    device: str = ""
    versions: dict[str, str] = field(default_factory=measure.versions)
    commit: str = field(default_factory=measure.commit)
    rows: list[Row] = field(default_factory=list)
    is_whole: bool = True
    targets: dict[Key, str] = field(default_factory=dict)
    missed: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.use_device(self.device_kind)

    def use_device(self, kind: measure.DeviceKind) -> None:
        """For suites that compute elsewhere than on the CPU; call it before the first row."""
        self.device_kind, self.device = kind, measure.device_name(kind)

    def add(
        self,
        case: str,
        metric: str,
        value: float | Spread,
        unit: str,
        *,
        reference: str = "",
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> Row:
        """Adds one row, and says it on standard error; ``at_most`` and ``at_least`` are what is asked for."""
        spread = (_rounded(value.low), _rounded(value.high)) if isinstance(value, Spread) else None
        middle = _rounded(value.median if isinstance(value, Spread) else value)
        row = Row(self.suite, case, metric, middle, unit, reference, spread, self.device, dict(self.versions), self.commit, self.seed)
        self.rows.append(row)
        self._hold(row, at_most, at_least)
        self.tell(f"{case}: {metric} {middle:g} {unit}" + (f" (of {reference})" if reference else ""))
        return row

    def check(self, what: str, difference: float, at_most: float) -> None:
        """Raises BenchmarkError when two results that must agree do not: nothing is timed that is not right."""
        if not difference <= at_most:  # false for NaN too
            raise BenchmarkError(f"{self.suite}: {what}: the results differ by {difference:g}, more than {at_most:g}; not timed")

    def tell(self, text: str) -> None:
        """Progress, for people."""
        if not self.is_quiet:
            print(f"{self.suite}: {text}", file=sys.stderr, flush=True)

    def _hold(self, row: Row, at_most: float | None, at_least: float | None) -> None:
        asked = [f"at most {at_most:g}"] if at_most is not None else []
        asked += [f"at least {at_least:g}"] if at_least is not None else []
        if not asked:
            return
        self.targets[row.key] = " and ".join(asked)
        if (at_most is not None and row.value > at_most) or (at_least is not None and row.value < at_least):
            self.missed.add(row.key)


def _rounded(value: float) -> float:
    """Four significant digits: more than any of these measurements holds."""
    return float(f"{value:.4g}")
