"""Recorded turns decided anew, by another catalog, logic, threshold or model: who would now get which other reply?

Everything that was true and heard then is taken from the record. Without a model the recorded probabilities choose among what
is allowed now; an option that was not allowed then has none, and a turn with such an option says so.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from constrained._pages import render_page
from constrained.approval.in_force import NO_LEDGER, ApprovalSnapshot
from constrained.errors import AuditError, ConstrainedError
from constrained.logic.allow import likeliest, rest_of
from constrained.logic.options import Allowed, Option, compose
from constrained.logic.policy import Policy
from constrained.records.record import RULED_FORMAT, OptionEntry, Record, to_json
from constrained.records.redaction import shown
from constrained.records.replay import allowed_then, by_rules, expected_then, ruled_then

Change = Literal["same", "wording", "effects", "reply", "no reply"]
CHANGES: tuple[Change, ...] = ("reply", "wording", "effects", "no reply")  # most to be looked at first


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said now: the id chosen, the whole text, the effects; ``why_not`` when nothing could be."""

    id: str
    text: str
    effects: tuple[str, ...] = ()
    why_not: str = ""


Decide = Callable[[Record], Reply]
"""Decides one recorded turn with a model; the command ``audit re-decide`` makes one."""


@dataclass(frozen=True, slots=True)
class Redecided:
    """One recorded turn, and what would come of it now.

    Attributes:
        unscored: options allowed now that no model has scored; the model might choose one of them.
    """

    record: Record
    now: Reply
    change: Change
    unscored: tuple[str, ...] = ()


@dataclass(slots=True)
class Comparison:
    """The count of it all, and the turns that are not the same.

    Attributes:
        moves: (id said then, id said now, what changed) -> turns. affected: conversations with at least one.
        n_unreadable: turns whose person's key was erased, or whose content is sealed and no keys were given.
    """

    n_turns: int = 0
    n_unreadable: int = 0
    moves: Counter[tuple[str, str, Change]] = field(default_factory=Counter)
    affected: set[str] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)
    changed: list[Redecided] = field(default_factory=list)
    n_unscored: int = 0

    def add(self, one: Redecided) -> None:
        self.n_turns += 1
        self.conversations.add(one.record.conversation)
        self.n_unscored += bool(one.unscored)
        if one.change != "same":
            self.moves[one.record.decision.chosen, one.now.id, one.change] += 1
            self.affected.add(one.record.conversation)
            self.changed.append(one)

    def n_by_change(self, change: Change) -> int:
        return sum(count for (_, _, what), count in self.moves.items() if what == change)


def redecide(
    policy: Policy,
    records: Iterable[Record],
    *,
    threshold: float | None = None,
    decide: Decide | None = None,
    standing: Callable[[Record], ApprovalSnapshot] = lambda record: NO_LEDGER,
) -> Iterator[Redecided]:
    """Decides each recorded turn by ``policy``.

    Args:
        threshold: in place of the recorded one. decide: asks a model; without one the recorded probabilities choose.
        standing: which approvals count. By default none are asked for, but those written in the catalog: what is to be signed
            off is not approved yet.
    """
    for record in records:
        unscored: tuple[str, ...] = ()
        try:
            if decide is None or record.decision.how == "bark":  # of which no model was asked
                allowed = allowed_then(policy, record, standing(record))
                chosen, spoken, unscored = _chosen(policy, record, allowed, record.decision.threshold if threshold is None else threshold)
                now = Reply(chosen.id, compose(chosen, allowed.obligations, spoken), tuple(map(str, chosen.effects)))
            else:
                now = decide(record)
        except (ConstrainedError, ValueError) as error:
            now = Reply("", "", why_not=str(error).splitlines()[0])
        yield Redecided(record, now, _change(record, now), unscored)


def compare(redecided: Iterable[Redecided], n_unreadable: int = 0) -> Comparison:
    """The count of all turns."""
    comparison = Comparison(n_unreadable=n_unreadable)
    for one in redecided:
        comparison.add(one)
    return comparison


def _change(record: Record, now: Reply) -> Change:
    if now.why_not:
        return "no reply"
    if now.id != record.decision.chosen:
        return "reply"
    if now.text != record.text:
        return "wording"
    return "same" if now.effects == record.effects else "effects"


def _chosen(policy: Policy, record: Record, allowed: Allowed, threshold: float) -> tuple[Option, tuple[Option, ...], tuple[str, ...]]:
    """What the recorded answers choose now, all that is said where that is more, and the options that no answer speaks of."""
    options, fallback = allowed.options, policy.catalog.fallback
    if record.decision.how:
        found = expected_then(policy, record, allowed, threshold) if len(options) == len(record.options) else None
        if found is not None:
            return *found, ()
    if record.decision.mode == "rules":
        was_alone = len(record.options) == 1 and record.versions.get("engine") != "none" and len(options) > 1
        return by_rules(record, options, fallback), (), tuple(option.id for option in options) if was_alone else ()
    known = _recorded_probabilities(record.options, options)
    scored = [(probability, option) for option, probability in zip(options, known, strict=True) if probability is not None]
    unscored = tuple(option.id for option, probability in zip(options, known, strict=True) if probability is None)
    if not scored:
        return by_rules(record, options, fallback), (), unscored
    shares, among = [share for share, _ in scored], [option for _, option in scored]
    if record.format >= RULED_FORMAT and not unscored:
        ruling = ruled_then(policy, record, allowed, shares, threshold)
        return ruling.chosen, ruling.spoken, ()
    best, probability = likeliest(among, shares)
    rest = rest_of(options, fallback)
    return (rest if rest is not None and probability < threshold else best), (), unscored


def _recorded_probabilities(entries: Sequence[OptionEntry], options: Sequence[Option]) -> list[float | None]:
    """The recorded probability of each option: of the same response with the same slots, else of the same response."""
    if len(entries) == len(options) and all(entry.id == option.id for entry, option in zip(entries, options, strict=True)):
        return [entry.probability for entry in entries]
    by_id: dict[str, list[OptionEntry]] = {}
    for entry in entries:
        by_id.setdefault(entry.id, []).append(entry)
    return [_probability_of(by_id.get(option.id, []), option) for option in options]


def _probability_of(entries: list[OptionEntry], option: Option) -> float | None:
    slots = to_json(option.slots) if len(entries) > 1 else None
    found = next((entry for entry in entries if entry.slots == slots), entries[0] if len(entries) == 1 else None)
    return found.probability if found else None


# -- What deciding recorded turns anew would change, as a page and as a workbook to be signed off. --

MOST_ROWS = 500  # turns on the page; the workbook holds them all
_CHANGE_NAMES = {
    "reply": "another reply",
    "wording": "the same reply in other words",
    "effects": "the same words, other effects",
    "no reply": "no reply could be given",
}
_HEADS = ("change", "conversation", "turn", "at", "message", "said then", "said now", "text then", "text now", "remark")


def sign_off_page(comparison: Comparison, *, what: str) -> str:
    """The page. ``what``: which catalog, logic or model decides now."""
    return render_page(
        "sign_off.html",
        title="Recorded turns, decided anew",
        subtitle=what,
        key_figures=_figures(comparison),
        n_unscored=comparison.n_unscored,
        moves=_moves(comparison),
        heads=("at", "conversation", *_HEADS[4:]),
        changes=[_changed_turns(comparison, change) for change in CHANGES if comparison.n_by_change(change)],
    )


def workbook(comparison: Comparison, *, what: str) -> bytes:
    """An XLSX file of three sheets: the counts, what moves where, and every turn that is not the same."""
    try:
        from openpyxl import Workbook
    except ImportError as error:
        raise AuditError("a workbook needs the package openpyxl", hint="pip install 'constrained[evidence]'") from error
    book = Workbook(write_only=True)
    _sheet(book, "Summary", (28, 60), [("what decides now", what), *_figures(comparison)])
    _sheet(book, "What moves where", (30, 30, 32, 10), [("said then", "said now", "what changes", "turns"), *_moves(comparison)])
    rows = [_row(one) for change in CHANGES for one in comparison.changed if one.change == change]
    _sheet(book, "Turns", (28, 34, 6, 26, 40, 24, 24, 60, 60, 40), [_HEADS, *rows])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _figures(comparison: Comparison) -> list[tuple[str, object]]:
    return [
        ("turns decided anew", comparison.n_turns),
        ("the same", comparison.n_turns - len(comparison.changed)),
        *((_CHANGE_NAMES[change], comparison.n_by_change(change)) for change in CHANGES),
        ("conversations", len(comparison.conversations)),
        ("conversations affected", len(comparison.affected)),
        ("turns that cannot be read", comparison.n_unreadable),
    ]


def _moves(comparison: Comparison) -> list[tuple[object, ...]]:
    order = {change: number for number, change in enumerate(CHANGES)}
    moves = sorted(comparison.moves.items(), key=lambda one: (order[one[0][2]], -one[1], one[0]))
    return [(then, now or "(nothing)", _CHANGE_NAMES[change], count) for (then, now, change), count in moves]


def _changed_turns(comparison: Comparison, change: Change) -> tuple[str, str, list[tuple[object, ...]]]:
    """Heading, caption and rows of the turns that changed in this way."""
    found = [one for one in comparison.changed if one.change == change]
    rows = [(one.record.at[:16], one.record.conversation[:12], *_row(one)[4:]) for one in found[:MOST_ROWS]]
    caption = f"the first {MOST_ROWS} of {len(found)}; the workbook holds all" if len(found) > MOST_ROWS else ""
    return _CHANGE_NAMES[change].capitalize(), caption, rows


def _row(one: Redecided) -> tuple[object, ...]:
    record, now = one.record, one.now
    remark = shown(record, now.why_not) if now.why_not else ("never scored: " + ", ".join(one.unscored) if one.unscored else "")
    if one.change == "effects":
        then, after = (", ".join(effects) or "no effect" for effects in (record.effects, now.effects))
        remark = shown(record, f"{then} becomes {after}")
    texts = (shown(record, record.message), record.decision.chosen, now.id, shown(record, record.text), shown(record, now.text), remark)
    return (_CHANGE_NAMES.get(one.change, one.change), record.conversation, record.number, record.at, *texts)


def _sheet(book: Any, title: str, widths: Sequence[int], rows: Iterable[Sequence[object]]) -> None:
    """One sheet. Every text is stored as text: what a customer wrote is never read as a formula."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(title)
    for number, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.freeze_panes = "A2"
    for number, row in enumerate(rows):
        cells = []
        for value in row:
            cell = WriteOnlyCell(sheet, value if isinstance(value, int) else None)
            if not isinstance(value, int):
                cell.value = _plain(str(value))
                cell.data_type = "s"
                cell.quotePrefix = True
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if number == 0:
                cell.font = Font(bold=True)
            cells.append(cell)
        sheet.append(cells)


def _plain(text: str) -> str:
    """Without the control characters that a workbook cannot hold, and not longer than one of its cells."""
    return "".join(char for char in text if char >= " " or char in "\n\t")[:32_000]
