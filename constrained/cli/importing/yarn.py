"""Reads a Yarn Spinner 3 project: nodes become steps of one procedure, lines and options responses, variables the State."""

from __future__ import annotations

import re
from pathlib import Path

from constrained.catalog.locales import canonical_tag
from constrained.cli.importing.draft import Draft, Place, Reply
from constrained.cli.importing.script_project import Project
from constrained.cli.importing.sources import read_text, source_files
from constrained.cli.importing.texts import csv_cells
from constrained.cli.importing.yarn_plans import add_plan
from constrained.cli.importing.yarn_source import Node, read_file
from constrained.cli.importing.yarn_texts import renamed, wording
from constrained.errors import DataError


def import_yarn(source: Path, draft: Draft) -> None:
    """Fills the draft with the scripts, the string tables (CSV) and the test plans of a project."""
    nodes: list[Node] = []
    for path in source_files(source, (".yarn",), draft):
        text = read_text(path, draft)
        found, errors = read_file(path, text) if text is not None else ([], [])
        for error in errors:
            place = error.problems[0]
            draft.item("node", "unread", place.file, place.line, place.message)
        nodes += found
    if not nodes:
        told = [f"{one.file}:{one.line}: {reason}" for one in draft.items for reason in one.reasons]
        raise DataError("no node of Yarn was found: " + ("; ".join(told)[:500] or str(source)), hint="name a .yarn file or its folder")
    project = Project(draft, nodes)
    project.write()
    for path in source_files(source, (".csv", ".testplan"), draft) if source.is_dir() else ():
        text = read_text(path, draft)
        if text is not None and path.suffix == ".csv":
            _add_table(text, str(path), draft, project.texts.ids)
        elif text is not None:
            add_plan(text, str(path), draft)


def _add_table(text: str, file: str, draft: Draft, ids: dict[str, Reply]) -> None:
    """The texts of a string table: columns ``id``, ``text`` and ``language``; {0}, {1} are the values of the line."""
    rows = csv_cells(text)
    header = [cell.value.strip().lower() for cell in rows[0]] if rows else []
    if not {"id", "text", "language"} <= set(header):
        draft.item("table", Path(file).name, file, 1, "it is no string table: it has no columns id, text and language")
        return
    for row in rows[1:]:
        values = dict(zip(header, row, strict=False))
        line_id, tag = values["id"].value.removeprefix("line:"), canonical_tag(values.get("language", values["id"]).value)
        cell = values.get("text")
        if cell is None or tag is None or not cell.value.strip():
            draft.item("translation", line_id, file, row[0].line, "a row without a text or a language")
            continue
        if tag == draft.locale:
            continue  # the script has these
        item = draft.item("translation", f"{line_id} {tag}", file, row[0].line)
        reply = ids.get(line_id)
        if reply is None:
            item.note("no line of the scripts has its id")
            continue
        holes = {name: f"{{{number}}}" for number, name in enumerate(reply.slots)}
        try:
            words = wording(_numbered(cell.value), str, draft.locale)
            numbers = {number: name for name, number in holes.items()}
            words.text = renamed(words.text, {name: numbers[number] for name, number in words.holes.items() if number in numbers})
        except ValueError as error:
            item.note(str(error))
            continue
        if any(isinstance(kind, dict) and kind.get("type") == "choice" for kind in [*reply.slots.values(), *words.slots.values()]):
            item.note("forms by choice are carried in one language")
        elif draft.translate(reply, tag, words.text, item):
            place = Place(
                reply.id, tag, reply.texts[tag], file, cell.line, cell.start, cell.end, "table", holes, words.stuck, is_named=True
            )
            draft.places.append(place)


def _numbered(text: str) -> list[str | tuple[str]]:
    parts = re.split(r"\{(\d+)\}", text)
    return [part if number % 2 == 0 else (part,) for number, part in enumerate(parts) if part or number % 2]
