"""What deciding recorded turns anew would change, as a page and as a workbook to be signed off. Knows no policy and no log."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from constrained.audit import page
from constrained.audit.redact import shown
from constrained.audit.redecide import CHANGES, Comparison, Redecided
from constrained.errors import AuditError

MOST_ROWS = 500  # turns on the page; the workbook holds them all
_TOLD = {
    "reply": "another reply",
    "wording": "the same reply in other words",
    "effects": "the same words, other effects",
    "no reply": "no reply could be given",
}
_HEADS = ("change", "conversation", "turn", "at", "message", "said then", "said now", "text then", "text now", "remark")


def sign_off_page(comparison: Comparison, *, what: str) -> str:
    """The page. ``what``: which catalog, logic or model decides now."""
    parts = [
        page.figures(_figures(comparison)),
        _remarks(comparison),
        page.section("What moves where", page.table(("said then", "said now", "what changes", "turns"), _moves(comparison))),
        *(_turns(comparison, change) for change in CHANGES),
        page.section("Sign-off", page.sign_off(("author of the change", "approver", "approver"))),
    ]
    return page.page("Recorded turns, decided anew", what, parts)


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
        *((_TOLD[change], comparison.n_by_change(change)) for change in CHANGES),
        ("conversations", len(comparison.conversations)),
        ("conversations affected", len(comparison.affected)),
        ("turns that cannot be read", comparison.n_unreadable),
    ]


def _remarks(comparison: Comparison) -> page.Html:
    if not comparison.n_unscored:
        return page.Html("")
    text = f"In {page.shown(comparison.n_unscored)} turns something is allowed now that no model has scored: a model could choose it."
    return page.note(text + " Decide with a model to know.")


def _moves(comparison: Comparison) -> list[tuple[object, ...]]:
    order = {change: number for number, change in enumerate(CHANGES)}
    moves = sorted(comparison.moves.items(), key=lambda one: (order[one[0][2]], -one[1], one[0]))
    return [(then, now or "(nothing)", _TOLD[change], count) for (then, now, change), count in moves]


def _turns(comparison: Comparison, change: str) -> page.Html:
    found = [one for one in comparison.changed if one.change == change]
    if not found:
        return page.Html("")
    rows = [(one.record.at[:16], one.record.conversation[:12], *_row(one)[4:]) for one in found[:MOST_ROWS]]
    heads = ("at", "conversation", *_HEADS[4:])
    rest = f"the first {MOST_ROWS} of {len(found)}; the workbook holds all" if len(found) > MOST_ROWS else ""
    return page.section(_TOLD[change].capitalize(), page.table(heads, rows, caption=rest))


def _row(one: Redecided) -> tuple[object, ...]:
    record, now = one.record, one.now
    remark = shown(record, now.why_not) if now.why_not else ("never scored: " + ", ".join(one.unscored) if one.unscored else "")
    if one.change == "effects":
        then, after = (", ".join(effects) or "no effect" for effects in (record.effects, now.effects))
        remark = shown(record, f"{then} becomes {after}")
    texts = (shown(record, record.message), record.decision.chosen, now.id, shown(record, record.text), shown(record, now.text), remark)
    return (_TOLD.get(one.change, one.change), record.conversation, record.number, record.at, *texts)


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
