"""The report page of a log: coverage, use, approvals, close calls, abstentions over time, protected triggers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from constrained._pages import Alert, Bar, render_page
from constrained.approval.in_force import ApprovalSnapshot
from constrained.catalog.response import Catalog
from constrained.records.record import Chained, Outcome, Record, Status

CLOSE = 0.15  # a margin below it is a close call
MOST_COLUMNS = 60  # of a chart over time
_CLOSE_CALLS = f"Turns in which two replies were less than {CLOSE:.0%} apart: what the model confuses, and where a writer can help."
_STATUSES: tuple[Status, ...] = ("done", "failed", "not_run")


@dataclass(slots=True)
class ResponseUse:
    """How often a response was said, since when and until when.

    Attributes:
        n_chosen: said because it was chosen. n_obliged: said because it had to be. n_allowed: it could have been chosen.
        n_abstained: of ``n_chosen``, as the fallback of an abstention.
        versions: the catalog in force -> turns in which it was said: each stands for one exact wording.
        is_tested: a golden dialogue says it, or obliges to it. is_current: it is in the present catalog.
    """

    id: str
    n_chosen: int = 0
    n_obliged: int = 0
    n_allowed: int = 0
    n_abstained: int = 0
    first: str = ""
    last: str = ""
    versions: dict[str, int] = field(default_factory=dict)
    is_tested: bool = False
    is_current: bool = True

    @property
    def n_said(self) -> int:
        return self.n_chosen + self.n_obliged

    def count(self, record: Record) -> None:
        self.first, self.last = min(self.first or record.at, record.at), max(self.last, record.at)
        catalog = record.versions.get("catalog", "")
        self.versions[catalog] = self.versions.get(catalog, 0) + 1


def usage(records: Iterable[Record], current: Iterable[str] = (), tested: Iterable[str] = ()) -> list[ResponseUse]:
    """The use of every response, most said first.

    Args:
        current: ids of the present catalog; what is in it and was never said is listed as well. Empty: all that occur.
        tested: ids that golden dialogues reach.
    """
    present, tests = set(current), set(tested)
    uses = {one: ResponseUse(one) for one in sorted(present)}

    def use_of(response_id: str) -> ResponseUse:
        return uses.setdefault(response_id, ResponseUse(response_id, is_current=not present))

    for record in records:
        for option in record.options:
            use_of(option.id).n_allowed += 1
        chosen = use_of(record.decision.chosen)
        chosen.n_chosen += 1
        chosen.n_abstained += record.decision.abstained
        chosen.count(record)
        for obligation in record.obligations:
            obliged = use_of(obligation.id)
            obliged.n_obliged += 1
            obliged.count(record)
    for use in uses.values():
        use.is_tested = use.id in tests
    return sorted(uses.values(), key=lambda use: (-use.n_said, use.id))


@dataclass(slots=True)
class LogTally:
    """What one pass over a log counts besides the use of responses.

    Attributes:
        days: day -> [turns, abstentions, late turns]. close: (chosen, runner-up) -> margins below ``CLOSE``.
        heard: question of yes or no -> [asked, yes, close to the middle]. closings: reply -> turns in which only it or its like
            could be said. effects: (effect, outcome) -> times.
    """

    records: list[Record] = field(default_factory=list)
    n_sealed: int = 0
    days: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    close: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    heard: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    closings: Counter[str] = field(default_factory=Counter)
    obligations: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    catalogs: Counter[str] = field(default_factory=Counter)
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, entry: Chained) -> None:
        if isinstance(entry, Outcome):
            self.effects.update((one.effect.partition("(")[0], one.status) for one in entry.outcomes)
        if not isinstance(entry, Record):
            return
        self.records.append(entry)
        self.n_sealed += entry.sealed is not None
        is_rules = entry.decision.mode == "rules" and not entry.decision.how
        is_late = is_rules and entry.versions.get("engine") != "none" and len(entry.options) > 1
        day = self.days[entry.at[:10]]
        day[0], day[1], day[2] = day[0] + 1, day[1] + entry.decision.abstained, day[2] + is_late
        self.modes[entry.decision.mode] += 1
        self.catalogs[entry.versions.get("catalog", "")] += 1
        self.obligations.update(one.id for one in entry.obligations)
        self._add_choice(entry)
        self._add_heard(entry)

    def _add_choice(self, record: Record) -> None:
        scored = sorted((one.probability, one.id) for one in record.options if one.probability is not None)
        if len(scored) > 1 and record.decision.margin < CLOSE:
            self.close[scored[-1][1], scored[-2][1]].append(record.decision.margin)
        if any("allows only what it names" in one.get("reason", "") for one in record.blocked):
            self.closings[record.decision.chosen] += 1

    def _add_heard(self, record: Record) -> None:
        for one in record.heard:
            if isinstance(one.value, bool):
                counts = self.heard[one.name]
                counts[0], counts[1], counts[2] = counts[0] + 1, counts[1] + one.value, counts[2] + (one.probability < 0.5 + CLOSE)


def report(
    entries: Iterable[Chained],
    *,
    title: str,
    subtitle: str,
    catalog: Catalog | None = None,
    tested: Iterable[str] = (),
    standing: ApprovalSnapshot | None = None,
    today: date | None = None,
    card: Mapping[str, Any] | None = None,
) -> str:
    """The whole page. With ``catalog``: coverage and approvals of it too, as ``standing`` has them ``today``.

    ``card``: sections of a model card (``quality.model_card.card_sections``).
    """
    tally = LogTally()
    for entry in entries:
        tally.add(entry)
    uses = usage(tally.records, catalog.responses if catalog else (), tested)
    days, days_caption = _days(tally)
    close_calls = _close_calls(tally)
    return render_page(
        "records_report.html",
        title=title,
        subtitle=subtitle,
        key_figures=_figures(tally, uses),
        coverage=_coverage(uses) if catalog else [],
        coverage_caption=f"{catalog.name} version {catalog.version}: {sum(use.is_current for use in uses)} responses" if catalog else "",
        uses=_use_rows(uses),
        approvals=_approvals(catalog, standing, today) if catalog and standing and today else None,
        approvals_kept="signed in a ledger" if standing and standing.ledger is not None else "written in the catalog, without signatures",
        today=today,
        close_calls=close_calls,
        close_calls_note=_CLOSE_CALLS if close_calls else "No close call.",
        days=days,
        days_caption=days_caption,
        heard=[(name, *counts) for name, counts in sorted(tally.heard.items(), key=lambda one: -one[1][1])],
        closings=tally.closings.most_common(),
        obligations=tally.obligations.most_common(),
        effects=_effects(tally),
        card=card,
        catalogs=tally.catalogs.most_common(),
    )


def _figures(tally: LogTally, uses: Sequence[ResponseUse]) -> list[tuple[str, object]]:
    n_turns, n_abstained = len(tally.records), sum(day[1] for day in tally.days.values())
    return [
        ("turns", n_turns),
        ("conversations", len({record.conversation for record in tally.records})),
        ("from", min(tally.days, default="")),
        ("until", max(tally.days, default="")),
        ("responses used", sum(use.n_said > 0 for use in uses)),
        ("abstentions", f"{n_abstained / n_turns:.1%}" if n_turns else "none"),
        ("sealed turns", tally.n_sealed),
    ]


def _coverage(uses: Sequence[ResponseUse]) -> list[tuple[object, ...]]:
    current = [use for use in uses if use.is_current]
    groups = (
        ("used and tested", [use for use in current if use.n_said and use.is_tested]),
        ("used, never tested", [use for use in current if use.n_said and not use.is_tested]),
        ("tested, never used", [use for use in current if not use.n_said and use.is_tested]),
        ("neither used nor tested", [use for use in current if not use.n_said and not use.is_tested]),
        ("used, no longer in the catalog", [use for use in uses if not use.is_current]),
    )
    return [
        (name, len(found), Bar(len(found) / max(1, len(uses))), "" if name == "used and tested" else ", ".join(use.id for use in found))
        for name, found in groups
    ]


def _use_rows(uses: Sequence[ResponseUse]) -> list[tuple[object, ...]]:
    most = max((use.n_said for use in uses), default=0) or 1
    return [
        (use.id, use.n_chosen, use.n_obliged, Bar(use.n_said / most), use.first[:16], use.last[:16], len(use.versions))
        for use in uses
        if use.n_said
    ]


def _approvals(catalog: Catalog, standing: ApprovalSnapshot, today: date) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for response in catalog.responses.values():
        for locale in response.texts:
            why_not, approval = standing.why_not(response, locale, today), response.approval
            signed = standing.signatures(response, locale).signed
            by = "; ".join(dict.fromkeys(one.by for one in signed)) or (approval.by if approval else "")
            until = max((str(one.last_day or "") for one in signed), default=str(approval.until or "") if approval else "")
            rows.append((response.id, locale, by or Alert("nobody"), until, Alert(why_not) if why_not else "in force"))
    return rows


def _close_calls(tally: LogTally) -> list[tuple[object, ...]]:
    pairs = sorted(tally.close.items(), key=lambda one: -len(one[1]))[:40]
    return [(best, other, len(margins), sum(margins) / len(margins)) for (best, other), margins in pairs]


def _days(tally: LogTally) -> tuple[list[tuple[str, float, float]], str]:
    """The columns of the chart, (first day, turns, abstentions), and its caption."""
    days = sorted(tally.days.items())
    width = -(-len(days) // MOST_COLUMNS) or 1
    groups = [days[start : start + width] for start in range(0, len(days), width)]
    values = [(group[0][0], float(sum(day[0] for _, day in group)), float(sum(day[1] for _, day in group))) for group in groups]
    unit = "day" if width == 1 else f"{width} days"
    n_late = sum(day[2] for _, day in days)
    late = f" In {n_late} turns the deadline was over and the rules chose." if n_late else ""
    return values, f"Turns a {unit}; filled: abstentions.{late}"


def _effects(tally: LogTally) -> list[tuple[object, ...]]:
    ordered = Counter(effect.partition("(")[0] for record in tally.records for effect in record.effects)
    rows: list[tuple[object, ...]] = []
    for name in sorted(set(ordered) | {name for name, _ in tally.effects}):
        reported = [tally.effects[name, status] for status in _STATUSES]
        rows.append((name, ordered[name], *reported, max(0, ordered[name] - sum(reported))))
    return rows
