"""The way back: texts that were edited in the catalog go into the source, and texts edited in the source into the catalog.

Which side changed is told by the texts as they were when the pack was imported (``NAME.import.json``). Files are patched, never written
anew: every other byte stays as it was.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from constrained.catalog.response import Catalog
from constrained.cli.importing.draft import Draft, Place
from constrained.cli.importing.yarn_texts import yarn_text
from constrained.errors import DataError

KEPT = "{name}.import.json"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a CSV file: its value, and where it stands, quotes included."""

    value: str
    start: int
    end: int
    line: int


def csv_cells(text: str) -> list[list[Cell]]:
    """The rows of a CSV text; the separator is the comma, semicolon or tab that its first line has most of. Empty rows are left out."""
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    rows: list[list[Cell]] = [[]]
    place, line = 0, 1
    while place < len(text):
        start, begun = place, line
        if text[place] == '"':
            place += 1
            while place < len(text) and (text[place] != '"' or text.startswith('""', place)):
                place += 2 if text[place] == '"' else 1
            value = text[start + 1 : place].replace('""', '"')
            place += 1
            while place < len(text) and text[place] not in f"{separator}\r\n":  # what stands behind the quotes belongs to the cell
                value += text[place]
                place += 1
        else:
            while place < len(text) and text[place] not in f"{separator}\r\n":
                place += 1
            value = text[start:place]
        rows[-1].append(Cell(value, start, place, begun))
        line += text.count("\n", start, place)
        if place < len(text) and text[place] == separator:
            place += 1
            if place == len(text) or text[place] in "\r\n":
                rows[-1].append(Cell("", place, place, line))
        if place < len(text) and text[place] in "\r\n":
            line += 1
            place += 2 if text.startswith("\r\n", place) else 1
            rows.append([])
    return [row for row in rows if any(cell.value for cell in row)]


def csv_text(template: str, holes: dict[str, str]) -> str:
    """A text of a catalog as a CSV cell has it."""
    return '"' + cell_text(template, holes).replace('"', '""') + '"'


def cell_text(template: str, holes: dict[str, str]) -> str:
    """A text of a catalog as a cell has it. Raises ValueError where it has a slot that the row has not."""

    def written(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if match[1] in holes:
            return holes[match[1]]
        raise ValueError(f"{match[0]} is no value of this text")

    return re.sub(r"\{\{|\}\}|\{(\w+)\}|\{[^}]*,", written, template)


def table_text(template: str, holes: dict[str, str]) -> str:
    """A text of a catalog as a string table of Yarn has it, where brackets are markup."""
    return csv_text(re.sub(r"([\\\[\]])", r"\\\1", template), holes)


def renpy_text(template: str, holes: dict[str, str]) -> str:
    """A text of a catalog as it stands between the quotes of a Ren'Py script."""
    marked = re.sub(r"\{\{|\}\}", lambda found: chr(0xE000 + (found[0] == "}}")), template)
    text = marked.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'").replace("[", "[[").replace("\n", "\\n").replace("%", "%%")
    text = re.sub(r"(?<= ) ", r"\\ ", text)  # runs of blanks are read as one
    text = re.sub(r"\{(\w+)\}|\{[^}]*,", lambda found: _hole(found, holes), text)
    return text.replace("\ue000", "{{").replace("\ue001", "}")


def _hole(match: re.Match[str], holes: dict[str, str]) -> str:
    if match[1] in holes:
        return holes[match[1]]
    raise ValueError(f"{match[0]} is no value of this text")


FORMS = {"yarn": yarn_text, "csv": csv_text, "table": table_text, "xlsx": cell_text, "renpy": renpy_text}


Kept = list[tuple[str, str, str, bool]]
"""(response, locale, text, has it an id in the source) of each place, in the order of the source."""


def kept_of(places: list[Place]) -> Kept:
    """What is kept of the places."""
    return [(place.response_id, place.locale, place.text, place.is_named) for place in places]


def kept_texts(draft: Draft, format: str, options: dict[str, object]) -> str:
    """What ``NAME.import.json`` holds: how the source was read, and the texts as they stood in it."""
    head = json.dumps({"format": format, "locale": draft.locale, "options": options}, ensure_ascii=False)
    body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in kept_of(draft.places))
    return f'{{"read": {head},\n"texts": [\n{body}\n]}}\n'


def aligned(places: list[Place], kept: Kept) -> list[Place]:
    """The places with the ids that they had: a text without an id of its own, changed in the source, stands between the same neighbours."""
    found = list(places)
    for tag in dict.fromkeys(place.locale for place in places):
        before = [(one, text) for one, locale, text, is_named in kept if locale == tag and not is_named]
        free = [number for number, place in enumerate(places) if place.locale == tag and not place.is_named]
        matcher = SequenceMatcher(None, [text for _, text in before], [places[number].text for number in free], autojunk=False)
        for kind, begin, end, start, stop in matcher.get_opcodes():
            if kind == "equal" or (kind == "replace" and end - begin == stop - start):
                for (response_id, _), number in zip(before[begin:end], free[start:stop], strict=True):
                    found[number] = replace(places[number], response_id=response_id)
    return found


@dataclass(slots=True)
class Changes:
    """What differs between a source and a catalog.

    Attributes:
        out: places whose text was changed in the catalog, with the text. back: (response, locale) -> text changed in the source.
        problems: what cannot be taken either way, with file and line.
    """

    out: list[tuple[Place, str]] = field(default_factory=list)
    back: dict[tuple[str, str], str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def changes(places: list[Place], catalog: Catalog, kept: Kept) -> Changes:
    """Compares each place with the catalog and with what it was when it was imported."""
    found = Changes()
    seen: set[tuple[str, str]] = set()
    before = {(one, locale): text for one, locale, text, _ in kept}
    places = aligned(places, kept)
    texts: dict[tuple[str, str], set[str]] = {}
    for place in places:
        texts.setdefault((place.response_id, place.locale), set()).add(place.text)
    for place in places:
        at = f"{place.file}:{place.line}"
        response = catalog.responses.get(place.response_id)
        seen.add((place.response_id, place.locale))
        if response is None:
            found.problems.append(f"{at}: the catalog has no response {place.response_id}: import it anew, or add it")
            continue
        template = response.texts.get(place.locale)
        there = template.source if template is not None else ""
        was = before.get((place.response_id, place.locale), place.text)
        if there == place.text:
            continue
        if len(texts[place.response_id, place.locale]) > 1:
            found.problems.append(f"{at}: {place.response_id} stood for texts that were the same, and are not any more: import it anew")
        elif place.text == was and there:
            if place.stuck:
                found.problems.append(f"{at}: {place.response_id} was changed in the catalog, and {place.stuck}")
            else:
                found.out.append((place, there))
        elif there == was or not there:
            found.back[place.response_id, place.locale] = place.text
        else:
            found.problems.append(f"{at}: {place.response_id} was changed in the catalog and in the source: {there!r}, {place.text!r}")
    found.problems += [f"{one} ({locale}) stands in the source no more" for one, locale in before if (one, locale) not in seen]
    return found


def agreed(places: list[Place], catalog: Catalog, kept: Kept) -> list[Place]:
    """The places with the texts to compare with from now on: where both sides have one text it is that, else the one kept before."""
    before = {(one, locale): text for one, locale, text, _ in kept}
    found: list[Place] = []
    for place in aligned(places, kept):
        response = catalog.responses.get(place.response_id)
        template = response.texts.get(place.locale) if response is not None else None
        is_same = template is not None and template.source == place.text
        text = place.text if is_same else before.get((place.response_id, place.locale), place.text)
        found.append(replace(place, text=text))
    return found


def patched(changed: list[tuple[Place, str]]) -> tuple[dict[str, bytes], list[str]]:
    """File -> its bytes with the texts in their places, and what could not be written."""
    files: dict[str, bytes] = {}
    problems: list[str] = []
    for file in dict.fromkeys(place.file for place, _ in changed):
        edits: list[tuple[Place, str]] = []
        for place, template in changed:
            if place.file != file:
                continue
            try:
                edits.append((place, FORMS[place.form](template, place.holes)))
            except ValueError as error:
                problems.append(f"{place.file}:{place.line}: {place.response_id}: {error}")
        if edits:
            files[file] = _patched_workbook(file, edits) if edits[0][0].form == "xlsx" else _patched_text(file, edits)
    return files, problems


def _patched_text(file: str, edits: list[tuple[Place, str]]) -> bytes:
    content = Path(file).read_bytes()
    mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8", hint="save it as UTF-8 and import it anew") from error
    for place, written in sorted(edits, key=lambda edit: edit[0].start, reverse=True):
        text = text[: place.start] + written + text[place.end :]
    return mark + text.encode()


def _patched_workbook(file: str, edits: list[tuple[Place, str]]) -> bytes:
    from openpyxl import load_workbook

    workbook = load_workbook(file)
    for place, written in edits:
        workbook[place.sheet].cell(place.start, place.end).value = written
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


def read_kept(path: Path) -> tuple[dict[str, Any], Kept]:
    """How the source was read (``format``, ``locale``, ``options``), and the texts that were kept. Raises DataError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        kept = [(str(one), str(locale), str(text), bool(is_named)) for one, locale, text, is_named in data["texts"]]
        return {
            "format": str(data["read"]["format"]),
            "locale": str(data["read"]["locale"]),
            "options": dict(data["read"]["options"]),
        }, kept
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="constrained import writes it beside the pack") from error
