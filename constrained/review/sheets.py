"""Review sheets as XLSX and CSV files, out and in again. Knows no catalog: rows in, rows out.

A cell that a spreadsheet could take for a formula gets an apostrophe before it, in both formats, and loses it on the way
back; so a text is data for whoever opens the sheet, and a round trip changes nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from constrained.errors import CatalogError, PackError, Problem
from constrained.review.rows import COLUMNS, Row, guarded, unguarded

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
