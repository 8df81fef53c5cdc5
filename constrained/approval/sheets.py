"""Review sheets: a catalog as rows that people read and edit, one for each version, as XLSX or CSV, out and in again.

Only the column ``text`` is read back. A row that names a locale which the response does not have yet adds a
translation. Everything else is there to be read; a change of it is told and nothing is taken.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from constrained.approval.in_force import ApprovalSnapshot
from constrained.approval.worklist import VersionStatus, versions
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog, Response, version_hash
from constrained.catalog.template import join_variants, split_variants
from constrained.errors import CatalogError, PackError, Problem

COLUMNS = ("response", "locale", "text", "status", "when", "slots", "tags", "voice", "author", "cites", "version")
EDITED = "text"
_GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Row = Mapping[str, str]
Texts = Mapping[tuple[str, str], str]
"""(response id, locale) -> text as a template is written; the variants of one with ``|{}|`` between them."""


def rows(catalog: Catalog, approvals: ApprovalSnapshot, today: date, locales: Iterable[str] = ()) -> list[Row]:
    """One row for each version, in the order of the catalog; and an empty one for each of ``locales`` that is missing."""
    wanted, found = list(locales), list[Row]()
    by_response: dict[str, list[VersionStatus]] = {}
    for version in versions(catalog, approvals, today):
        by_response.setdefault(version.response.id, []).append(version)
    for response in catalog.responses.values():
        found += [_row(response, one.locale, status(one, approvals)) for one in by_response.get(response.id, ())]
        found += [_row(response, locale, "not translated") for locale in wanted if locale not in response.texts]
    return found


def status(version: VersionStatus, approvals: ApprovalSnapshot) -> str:
    """How a version stands, for a reader."""
    if version.reason:
        return version.reason
    if approvals.ledger is None:
        approval = version.response.approval
        return f"approved by {approval.by} on {approval.on}" if approval else "no approval is kept"
    names = sorted({entry.by for entry in version.signatures.signed})
    return f"approved by {' and '.join(names)}" + (f" until {version.ends}" if version.ends else "")


def read_rows(catalog: Catalog, given: Iterable[tuple[int, Row]], name: str) -> Texts:
    """The texts that differ from the catalog's.

    Args:
        given: number of the row in the sheet, and its cells. name: of the sheet, for problems.

    Raises:
        CatalogError: rows that name no response, change another column, come twice or are empty. Every reason at once.
    """
    texts: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in given:
        reason = _misfit(catalog, row, seen, number)
        if reason:
            problems.append(Problem(name, number, 0, *reason))
            continue
        response, locale = catalog[row["response"]], canonical_tag(row["locale"]) or row["locale"]
        text = clean(row[EDITED])
        present = response.texts.get(locale)
        if (present is None and text) or (present is not None and present.source != text):
            texts[response.id, locale] = text
    if problems:
        raise CatalogError(f"{name} cannot be taken into {catalog.name!r}; nothing was written", problems)
    return texts


def guarded(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe before what could begin one, or begins with one itself."""
    return "'" + text if text.startswith(_GUARDED) else text


def unguarded(cell: str) -> str:
    """The text of a guarded cell."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_GUARDED) else cell


def clean(text: str) -> str:
    """A text as the catalog keeps it: NFC, line feeds, no space around it and its variants."""
    return join_variants(split_variants(unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))))


def _row(response: Response, locale: str, status: str) -> Row:
    cites, there = response.cites, locale in response.texts
    return {
        "response": response.id,
        "locale": locale,
        "text": response.texts[locale].source if there else "",
        "status": status,
        "when": response.when,
        "slots": _slots(response),
        "tags": ", ".join(sorted(response.tags)),
        "voice": response.voice or "",
        "author": response.author,
        "cites": f"{cites.document}: {cites.passage}".removesuffix(": ") if cites else "",
        "version": version_hash(response, locale)[:19] if there else "",
    }


def _slots(response: Response) -> str:
    """The slots with what fills them, and why a user's own words may."""
    told = [f"{{{slot.name}}} {' '.join(one for one in (slot.kind, slot.form, slot.country) if one)}" for slot in response.slots.values()]
    return ", ".join(told) + (f"; a user's own words may stand here: {response.free_text}" if response.free_text else "")


def _misfit(catalog: Catalog, row: Row, seen: dict[tuple[str, str], int], number: int) -> tuple[str, str] | None:
    """Why a row cannot be taken, and what to do."""
    response = catalog.responses.get(row["response"])
    if response is None:
        return f"the catalog {catalog.name!r} has no response {row['response'][:60]!r}", "a sheet changes texts; add responses to the file"
    locale = canonical_tag(row["locale"])
    if locale is None:
        return f"{row['locale'][:60]!r} is not a BCP 47 locale", "write a tag such as en, en-GB or zh-Hant"
    first = seen.setdefault((response.id, locale), number)
    if first != number:
        return f"{response.id!r} in {locale!r} stands in row {first} already", "take one of the rows out"
    if locale in response.texts and not row[EDITED].strip():
        return f"the text of {response.id!r} in {locale!r} is empty", "write it; to withdraw a response: constrained recall"
    present = _row(response, locale, "")
    changed = next((one for one in COLUMNS if one in row and one not in (EDITED, "status", "locale") and _differs(row, present, one)), None)
    if changed is None:
        return None
    if changed == "version":
        return f"the text of {response.id!r} in {locale!r} was changed in the catalog since the sheet was made", "make the sheet anew"
    return f"the column {changed!r} of {response.id!r} was changed; only {EDITED!r} is read back", "change it in the catalog's file"


def _differs(row: Row, present: Row, column: str) -> bool:
    return clean(row[column]) != clean(present[column])


# -- files -----------------------------------------------------------------------------------------------

REQUIRED = ("response", "locale", "text")
_WIDTHS = {"text": 80, "when": 40, "status": 30, "response": 24, "version": 20}
_MOST_ROWS = 200_000
_SEQUENCE = re.compile("_x((?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})_")  # half a character (a surrogate) stays as it is written
_SEQUENCE_BEGINS = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


def write_sheet(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows as the file's ending says: .xlsx or .csv. Raises PackError when the file cannot be written."""
    content = _xlsx(rows) if _format(path) == "xlsx" else _csv(rows)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise PackError(f"{path} cannot be written: {error.strerror}", name=str(path), hint="choose another file") from error


def read_sheet(path: Path) -> Iterator[tuple[int, Row]]:
    """Number and cells of every row that is not empty. Raises CatalogError for a file that is no such sheet."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _refused(path, 1, f"cannot be read: {error.strerror}", "check the path") from error
    lines = _xlsx_lines(content, path) if _format(path) == "xlsx" else _csv_lines(content, path)
    number, header = next(lines, (1, []))
    names = [cell.strip().lower() for cell in header]
    missing = [column for column in REQUIRED if names.count(column) != 1]
    if missing:
        raise _refused(path, number, f"the first row does not name the column {missing[0]!r} once", f"columns: {', '.join(COLUMNS)}")
    for number, cells in lines:
        if any(cell.strip() for cell in cells):
            padded = [*cells, *[""] * (len(names) - len(cells))]
            yield number, {name: unguarded(cell) for name, cell in zip(names, padded, strict=False) if name in COLUMNS}


# -- CSV -------------------------------------------------------------------------------------------------


def _csv(rows: Sequence[Row]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([guarded(row[column]) for column in COLUMNS] for row in rows)
    return out.getvalue().encode("utf-8-sig")  # spreadsheets take a file without the mark for another encoding


def _csv_lines(content: bytes, path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(path, line, "not UTF-8", "save it as CSV UTF-8") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)  # some spreadsheets write semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        yield from enumerate(reader, start=1)
    except csv.Error as error:
        raise _refused(path, reader.line_num, f"not CSV: {error}", "save it as CSV anew") from error


# -- XLSX ------------------------------------------------------------------------------------------------


def _xlsx(rows: Sequence[Row]) -> bytes:
    openpyxl = _openpyxl()
    from openpyxl.styles import Alignment, Font, Protection
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "review"
    sheet.append(list(COLUMNS))
    for number, row in enumerate(rows, start=2):
        for index, column in enumerate(COLUMNS, start=1):
            cell = sheet.cell(number, index)
            cell.value, cell.data_type = _escaped(guarded(row[column])), "s"
            cell.number_format = "@"  # text: a spreadsheet makes neither dates nor formulas of it
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            cell.protection = Protection(locked=column != "text")
    for index, column in enumerate(COLUMNS, start=1):
        sheet.cell(1, index).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(index)].width = _WIDTHS.get(column, 14)
    sheet.freeze_panes = "D2"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _xlsx_lines(content: bytes, path: Path) -> Iterator[tuple[int, list[str]]]:
    openpyxl = _openpyxl()
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=False, data_only=False)
        sheet = book.active
    except Exception as error:  # whatever a damaged archive makes its reader raise
        raise _refused(path, 1, f"not an XLSX file: {type(error).__name__}", "save it as .xlsx anew") from error
    if not isinstance(sheet, openpyxl.worksheet.worksheet.Worksheet) or sheet.max_row > _MOST_ROWS:  # it may be a chart
        raise _refused(path, 1, "not a review sheet", "give the sheet that constrained sheet export wrote")
    for number, cells in enumerate(sheet.iter_rows(max_col=len(COLUMNS) + 8), start=1):
        yield number, [_text(cell, path, number) for cell in cells]


def _text(cell: Any, path: Path, number: int) -> str:
    """A cell's text. A formula is refused: what it shows is not what would be said."""
    if cell.data_type == "f":
        raise _refused(path, number, f"the cell {cell.coordinate} holds a formula", "write the text itself, with an apostrophe before it")
    return "" if cell.value is None else _unescaped(str(cell.value))


def _escaped(text: str) -> str:
    """XLSX reads ``_x000D_`` as a character; the underscore that begins such a sequence is written as one itself."""
    return _SEQUENCE_BEGINS.sub("_x005F_", text)


def _unescaped(text: str) -> str:
    return _SEQUENCE.sub(lambda match: chr(int(match[1], 16)), text)


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ImportError as error:
        hint = "pip install 'constrained[evidence]', or use .csv"
        raise PackError("XLSX needs the package openpyxl", name="openpyxl", hint=hint) from error
    return openpyxl


def _format(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in (".xlsx", ".csv"):
        raise PackError(f"{path} is neither .xlsx nor .csv", name=str(path), hint="name the file review.xlsx or review.csv")
    return ending[1:]


def _refused(path: Path, row: int, message: str, hint: str) -> CatalogError:
    return CatalogError(f"{path} is no review sheet", [Problem(str(path), row, 0, message, hint)])
