"""Reads a sheet of lines as studios keep them, CSV or XLSX: id, speaker, text, condition, voice, notes, and a column for each language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from constrained.catalog.locales import canonical_tag
from constrained.cli.importing.draft import Draft, Form, Item, Place, Reply, escape_braces, sayable, shown
from constrained.cli.importing.faq import read_sheets
from constrained.cli.importing.sources import read_text
from constrained.cli.importing.texts import csv_cells
from constrained.errors import DataError

COLUMNS = {
    "id": "id key line_id lineid string_id stringid",
    "speaker": "speaker character who npc name actor",
    "text": "text line dialogue dialog content source english",
    "condition": "condition conditions when if requires",
    "voice": "voice vo audio voice_file file wav",
    "notes": "notes note comment comments context description direction",
    "player": "player prompt trigger question player_says",
}
LOCALE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")


@dataclass(frozen=True, slots=True)
class _Cell:
    """``start``, ``end``: in characters of a CSV file; row and column of a workbook."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Table:
    file: str
    sheet: str
    rows: list[tuple[int, list[_Cell]]]


def import_lines(source: Path, draft: Draft, columns: dict[str, str] | None = None, speaker: str = "") -> None:
    """Fills the draft with the rows of ``speaker``, or with all.

    Args:
        columns: what a column holds (a key of ``COLUMNS``) -> its title, where it has another one.

    Raises DataError for a file without a column of texts, and for a title in ``columns`` that no table has.
    """
    n_read = 0
    for table in _tables(source, draft):
        header = [cell.value.strip() for cell in table.rows[0][1]] if table.rows else []
        places, locales = _columns(header, columns or {}, draft.locale)
        if "text" not in places:
            draft.item("table", table.sheet or table.file, table.file, 1, f"no column of texts in its header {', '.join(header)[:200]!r}")
            continue
        n_read += 1
        for number, title in enumerate(header):
            if title and number not in (*places.values(), *locales.values()):
                draft.item("column", title, table.file, table.rows[0][0], f"it is none of {', '.join(COLUMNS)}, and no language")
        for line, cells in table.rows[1:]:
            _Row(draft, table, line, [*cells, *[_Cell("", 0, 0)] * (len(header) - len(cells))], places, locales).add(speaker)
    if not n_read:
        raise DataError(f"{source} has no table with a column of texts", hint="name it: --column text=TITLE")
    if speaker and not draft.offers:
        raise DataError(f"nobody is called {speaker!r} in {source}", hint="write the speaker as the sheet does")
    draft.speaker = speaker


def speakers(source: Path, columns: dict[str, str] | None = None) -> list[str]:
    """The speakers of a sheet in the order in which they first speak."""
    draft = Draft("lines", "en", str(source))
    found: dict[str, None] = {}
    for table in _tables(source, draft):
        places, _ = _columns([cell.value.strip() for cell in table.rows[0][1]] if table.rows else [], columns or {}, "en")
        number = places.get("speaker", -1)
        found |= dict.fromkeys(cells[number].value.strip() for _, cells in table.rows[1:] if 0 <= number < len(cells))
    return [one for one in found if one]


def _tables(source: Path, draft: Draft) -> list[_Table]:
    if not source.is_file():
        raise DataError(f"{source} is not a file", hint="name one .csv or .xlsx file")
    if source.suffix.lower() in (".xlsx", ".xlsm"):
        sheets = list(read_sheets(source, draft))
        places = [(file, [(n, [_Cell(value, n, at) for at, value in enumerate(row, 1)]) for n, row in rows]) for file, rows in sheets]
        return [_Table(str(source), file.removeprefix(f"{source}[").removesuffix("]"), rows) for file, rows in places]
    text = read_text(source, draft)
    if text is None:
        raise DataError(f"{source} cannot be read", hint=draft.items[-1].reasons[0])
    rows = [(row[0].line, [_Cell(cell.value, cell.start, cell.end) for cell in row]) for row in csv_cells(text)]
    return [_Table(str(source), "", rows)]


def _columns(header: list[str], named: dict[str, str], locale: str) -> tuple[dict[str, int], dict[str, int]]:
    """What a column holds -> its place, and language -> place of its texts."""
    plain = [re.sub(r"\W+", "_", title.lower()).strip("_") for title in header]
    places: dict[str, int] = {}
    for key, title in named.items():
        if key not in COLUMNS:
            raise DataError(f"{key!r} is nothing that a column holds", hint=f"it is one of {', '.join(COLUMNS)}")
        if title in header:
            places[key] = header.index(title)
    for key, words in COLUMNS.items():
        for word in words.split():
            if word in plain and plain.index(word) not in places.values():
                places.setdefault(key, plain.index(word))
    locales: dict[str, int] = {}
    for number, title in enumerate(header):
        bare = re.sub(r"^(?:text|line)[ _]", "", title, flags=re.IGNORECASE)
        tag = canonical_tag(bare.replace("_", "-")) if LOCALE.match(bare) and number not in places.values() else None
        if tag == locale:
            places.setdefault("text", number)
        elif tag is not None:
            locales.setdefault(tag, number)
    return places, locales


@dataclass(frozen=True, slots=True)
class _Row:
    draft: Draft
    table: _Table
    line: int
    cells: list[_Cell]
    places: dict[str, int]
    locales: dict[str, int]

    def _value(self, key: str) -> str:
        return self.cells[self.places[key]].value.strip() if key in self.places else ""

    def add(self, speaker: str) -> None:
        who, text = self._value("speaker"), self._value("text")
        if speaker and who != speaker:
            return
        item = self.draft.item("row", self._value("id") or text, self.table.file, self.line)
        if not text:
            item.note("it has no text")
            return
        notes, player = self._value("notes"), self._value("player")
        when = f"the player says: {sayable(player)}" if player else f"{who or 'somebody'} says: {sayable(text)}"
        name = self._value("id") or f"{who} {text[:40]}"
        reply = self.draft.reply(name, {self.draft.locale: escape_braces(text)}, when)
        if isinstance(reply, str):
            item.note(reply)
            return
        item.carry(f"the response {reply.id}")
        self._place(reply, self.draft.locale, self.cells[self.places["text"]], is_named=bool(self._value("id")) and not reply.used)
        if reply.used:
            item.note(f"it has the same text as {reply.id}: one response says both, with the id and the voice of the row before it")
        else:
            reply.voice = self._value("voice")
        self._offer(reply, item, notes)
        if player:
            reply.add_examples(self.draft.locale, [player])
        tag = f"speaker:{who}"
        reply.tags += [tag] if who and tag not in reply.tags else []
        for locale, number in self.locales.items():
            self._translate(reply, locale, self.cells[number])

    def _offer(self, reply: Reply, item: Item, notes: str) -> None:
        condition = self._value("condition")
        comment = f"  # {shown(notes)}" if notes else ""
        if notes:
            item.note("its notes stand as a comment in the logic")
        if condition:
            field = self.draft.fields.of(f"condition {condition}")
            self.draft.state[field] = f"{field}: bool = False  # {shown(condition)}"
            item.note(f"the condition {shown(condition)} is the field {field} of State: the host sets it")
            self.draft.offers.append(f"if state.{field}:{comment}")
            self.draft.offers.append(f"    yield say({reply.id!r})")
        else:
            self.draft.offers += [] if reply.used else [f"yield say({reply.id!r}){comment}"]
        reply.used = True

    def _translate(self, reply: Reply, locale: str, cell: _Cell) -> None:
        text = cell.value.strip()
        if not text:
            return
        item = self.draft.item("translation", f"{reply.id} {locale}", self.table.file, self.line)
        if self.draft.translate(reply, locale, escape_braces(text), item):
            self._place(reply, locale, cell, is_named=bool(self._value("id")))

    def _place(self, reply: Reply, locale: str, cell: _Cell, *, is_named: bool) -> None:
        form: Form = "xlsx" if self.table.sheet else "csv"
        text, file, sheet = reply.texts[locale], self.table.file, self.table.sheet
        place = Place(reply.id, locale, text, file, self.line, cell.start, cell.end, form, sheet=sheet, is_named=is_named)
        self.draft.places.append(place)
