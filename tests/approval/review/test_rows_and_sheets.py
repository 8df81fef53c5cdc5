"""Review sheets: a round trip changes nothing, a cell is never a formula, and only texts come back."""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constrained.approval.in_force import NO_LEDGER
from constrained.approval.rewrite import rewrite
from constrained.approval.sheets import COLUMNS, guarded, read_rows, read_sheet, rows, unguarded, write_sheet
from constrained.catalog.load import catalog_from, load_catalog
from constrained.errors import CatalogError, PackError
from tests.approval.office import TODAY, Office
from tests.catalog.catalogs import catalog_data, small
from tests.strategies import ROOT

FORMULAS = [
    "=1+1",
    "+1",
    "-2",
    "@SUM(A1)",
    "=cmd|' /C calc'!A0",
    "'=1",
    "''x",
    "'quoted'",
    "%x",
    "|x",
    "\uff1d1",
    "_x0041_",
    "_x0041_x0042_",
]
FORMATS = [".csv", ".xlsx"]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", ["tavern", "bank_disputes", "clinic_booking"])
def test_a_round_trip_of_a_pack_changes_nothing(name: str, ending: str, tmp_path: Path) -> None:
    catalog = load_catalog(ROOT / "catalogs" / f"{name}.yaml")
    sheet = tmp_path / f"r{ending}"
    write_sheet(sheet, rows(catalog, NO_LEDGER, TODAY))
    given = list(read_sheet(sheet))
    assert len(given) == sum(len(response.texts) for response in catalog.responses.values())
    assert read_rows(catalog, given, str(sheet)) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=catalog_data(), ending=st.sampled_from(FORMATS))
def test_a_round_trip_of_any_catalog_changes_nothing(data: Any, ending: str, tmp_path: Path) -> None:
    catalog = catalog_from(data, today=dt.date(2026, 3, 2))
    sheet = tmp_path / f"r{ending}"
    write_sheet(sheet, rows(catalog, NO_LEDGER, TODAY))
    assert read_rows(catalog, read_sheet(sheet), "r") == {}


@given(st.sampled_from(FORMULAS) | st.text(max_size=20))
def test_a_guarded_cell_begins_no_formula_and_loses_nothing(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert not guarded(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_no_format_lets_a_formula_out(tmp_path: Path) -> None:
    catalog = catalog_from(small(**{f"r{n}": {"text": f"{text} {n}", "when": text} for n, text in enumerate(FORMULAS)}))
    found = rows(catalog, NO_LEDGER, TODAY)
    write_sheet(tmp_path / "r.csv", found)
    for line in csv.reader(io.StringIO((tmp_path / "r.csv").read_text(encoding="utf-8-sig"), newline="")):
        assert not [cell for cell in line if cell.startswith(("=", "+", "-", "@"))]
    write_sheet(tmp_path / "r.xlsx", found)
    assert b"<f>" not in zipfile.ZipFile(tmp_path / "r.xlsx").read("xl/worksheets/sheet1.xml")
    for ending in FORMATS:
        assert read_rows(catalog, read_sheet(tmp_path / f"r{ending}"), "r") == {}


@pytest.mark.parametrize("ending", FORMATS)
def test_an_edited_cell_changes_that_text_and_reopens_its_approval(ending: str, office: Office) -> None:
    office.approve("Dana")
    sheet = office.root / f"r{ending}"
    found = [dict(row) for row in rows(office.catalog, NO_LEDGER, TODAY, ["fr"])]
    for row in found:
        if (row["response"], row["locale"]) == ("hello", "es"):
            row["text"] = "=Buenas, {{amigo}}."
        if (row["response"], row["locale"]) == ("price", "fr"):
            row["text"] = "{price} pièces."
    write_sheet(sheet, found)
    catalog = office.catalog
    read = read_rows(catalog, read_sheet(sheet), str(sheet))
    assert read == {("hello", "es"): "=Buenas, {{amigo}}.", ("price", "fr"): "{price} pièces."}
    rewrite(office.path, read)
    reasons = {name: reason for name, reason in office.reasons().items() if reason}
    assert reasons.keys() == {"hello es", "price fr"}
    assert "edited after" in reasons["hello es"]


def test_a_spreadsheet_that_saves_semicolons_and_line_breaks_is_read(office: Office) -> None:
    sheet = office.root / "r.csv"
    sheet.write_bytes('response;locale;text\r\nhello;en;"Hello,\r\nyou; there."\r\n;;\r\n'.encode("utf-8-sig"))
    assert read_rows(office.catalog, read_sheet(sheet), "r") == {("hello", "en"): "Hello,\nyou; there."}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response": "nobody"}, "has no response 'nobody'"),
        ({"locale": "Spanish"}, "'Spanish' is not a BCP 47 locale"),
        ({"text": " "}, "the text of 'hello' in 'en' is empty"),
        ({"when": "always"}, "the column 'when' of 'hello' was changed"),
        ({"tags": "money"}, "the column 'tags' of 'hello' was changed"),
        ({"version": "sha256:0"}, "was changed in the catalog since the sheet was made"),
    ],
)
def test_a_row_that_cannot_be_taken_is_named_with_its_number(change: dict[str, str], message: str, office: Office) -> None:
    found = [dict(row) for row in rows(office.catalog, NO_LEDGER, TODAY)]
    found[1] |= change
    write_sheet(office.root / "r.csv", [*found, found[0]])
    with pytest.raises(CatalogError) as caught:
        read_rows(office.catalog, read_sheet(office.root / "r.csv"), "r.csv")
    first, second = caught.value.problems
    assert (first.file, first.line, message in first.message) == ("r.csv", 3, True)
    assert "stands in row 2 already" in second.message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.csv", b"a,b\n1,2\n", "does not name the column 'response'"),
        ("r.csv", b"response,locale,text\n\xff,en,x\n", "not UTF-8"),
        ("r.csv", b'response,locale,text\n"open,en,x\n', "not CSV"),
        ("r.csv", b"", "does not name the column"),
        ("r.xlsx", b"PK\x03\x04 damaged", "not an XLSX file"),
    ],
)
def test_a_file_that_is_no_sheet_is_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CatalogError) as caught:
        list(read_sheet(tmp_path / name))
    assert message in caught.value.problems[0].message


def test_a_formula_that_somebody_typed_is_refused(office: Office) -> None:
    sheet = office.root / "r.xlsx"
    write_sheet(sheet, rows(office.catalog, NO_LEDGER, TODAY))
    book = openpyxl.load_workbook(sheet)
    book.active["C3"] = '="Hello " & A3'
    book.save(sheet)
    with pytest.raises(CatalogError) as caught:
        list(read_sheet(sheet))
    assert "the cell C3 holds a formula" in caught.value.problems[0].message


def test_other_endings_are_refused(office: Office) -> None:
    with pytest.raises(PackError, match=r"neither .xlsx nor .csv"):
        write_sheet(office.root / "r.pdf", [])
    assert COLUMNS[:3] == ("response", "locale", "text")


def test_half_a_character_stays_as_it_is_written(office: Office, tmp_path: Path) -> None:
    """XLSX can name one; no file of ours could hold it."""
    sheet = tmp_path / "r.xlsx"
    write_sheet(sheet, rows(office.catalog, NO_LEDGER, TODAY))
    book = openpyxl.load_workbook(sheet)
    book.active["C2"] = "Pardon _xD800_ me _x0041_?"
    book.save(sheet)
    texts = read_rows(office.catalog, read_sheet(sheet), "r")
    assert texts == {("pardon", "en"): "Pardon _xD800_ me A?"}
    rewrite(office.path, texts)
    assert office.catalog["pardon"].texts["en"].source == "Pardon _xD800_ me A?"


def test_a_chart_in_the_place_of_the_sheet_is_told(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_chartsheet("chart", 0)
    book.active = 0
    book.save(tmp_path / "r.xlsx")
    with pytest.raises(CatalogError, match="is no review sheet"):
        list(read_sheet(tmp_path / "r.xlsx"))
