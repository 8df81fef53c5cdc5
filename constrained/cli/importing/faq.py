"""Reads an FAQ as CSV or XLSX: one response for each answer, with its questions as examples."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from constrained.catalog.locales import canonical_tag
from constrained.cli.importing.draft import Candidate, Draft, Item, Reply, escape_braces, sayable
from constrained.cli.importing.sources import MAX_BYTES, read_text
from constrained.errors import DataError

HEADERS = {
    "question": "question questions q frage fragen pregunta domanda query prompt title user_question faq",
    "answer": "answer answers a antwort antworten respuesta risposta reply response bot_response",
    "alternatives": "alternative alternatives alternative_questions variants variations paraphrases utterances synonyms examples",
    "language": "language lang locale sprache idioma langue",
    "id": "id key faq_id question_id nr number",
}
MAX_UNPACKED = 100_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table; ``line`` is where it begins (CSV) or its number (XLSX). ``cells``: header -> text."""

    file: str
    line: int
    cells: dict[str, str]


def import_faq(source: Path, draft: Draft) -> None:
    """Fills the draft. Raises DataError for a file without a column of questions and one of answers."""
    if not source.is_file():
        raise DataError(f"{source} is not a file", hint="name one .csv or .xlsx file")
    tables = read_sheets(source, draft) if source.suffix.lower() in (".xlsx", ".xlsm") else [_csv(source, draft)]
    n_read = 0
    for file, rows in tables:
        header = rows[0][1] if rows else []
        columns = _columns(header)
        if not columns:
            draft.item("table", file, file, 1, f"no column of questions and one of answers in its header {', '.join(header)[:200]!r}")
            continue
        n_read += 1
        known = {index for one in columns.values() for index in one.values()}
        for index, title in enumerate(header):
            if index not in known:
                reason = "it is none of question, answer, alternatives, language, id"
                draft.item("column", title or f"column {index + 1}", file, rows[0][0], reason)
        _import_rows(draft, list(_rows(draft, file, rows[1:], len(header), columns)))
    if not n_read:
        told = [f"{one.file}: {reason}" for one in draft.items for reason in one.reasons]
        raise DataError("no table of questions and answers: " + "; ".join(told)[:500], hint="name the columns question and answer")


def _columns(header: list[str]) -> dict[str, dict[str, int]]:
    """Language -> what a column holds -> its index, the first that fits.

    ``question`` and ``answer`` are of the language "", ``question_fr`` and ``answer_fr`` of "fr". A language without both is none.
    """
    plain = [re.sub(r"\W+", "_", title.strip().lower()).strip("_") for title in header]
    found: dict[str, dict[str, int]] = {}
    for key, words in HEADERS.items():
        for word in words.split():
            for index, title in enumerate(plain):
                own, _, tag = title.rpartition("_") if title not in words.split() else (title, "", "")
                if own == word and (not tag or canonical_tag(tag)):
                    found.setdefault(tag, {}).setdefault(key, index)
    common = {key: index for key, index in found.get("", {}).items() if key in ("id", "language")}
    return {tag: common | one for tag, one in found.items() if "question" in one and "answer" in one}


def _rows(draft: Draft, file: str, rows: list[tuple[int, list[str]]], width: int, columns: dict[str, dict[str, int]]) -> Iterator[Row]:
    """One row for each language; a row with more cells than the header is none: where it was cut, nobody knows."""
    for line, cells in rows:
        if any(cell.strip() for cell in cells[width:]):
            draft.item("row", cells[0], file, line, f"it has {len(cells)} cells under {width} titles: look for a separator without quotes")
            continue
        full = [*cells, *[""] * (width - len(cells))]
        for tag, places in columns.items():
            given = {key: full[index].strip() for key, index in places.items()}
            if tag:
                given |= {"language": tag, "id": given.get("id") or str(line)}
            if given["question"] or given["answer"]:
                yield Row(file, line, given)


def _csv(source: Path, draft: Draft) -> tuple[str, list[tuple[int, list[str]]]]:
    text = read_text(source, draft)
    if text is None:
        raise DataError(f"{source} cannot be read", hint=draft.items[-1].reasons[0])
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}:{begins} is not CSV: {error}", hint="look for a quote that is not closed") from error
    return str(source), rows


def read_sheets(source: Path, draft: Draft) -> Iterator[tuple[str, list[tuple[int, list[str]]]]]:
    try:
        import openpyxl
    except ImportError as error:
        raise DataError(f"{source} needs openpyxl", hint='pip install "constrained[evidence]", or save it as CSV') from error
    try:
        with zipfile.ZipFile(source) as packed:
            if source.stat().st_size > MAX_BYTES or sum(one.file_size for one in packed.infolist()) > MAX_UNPACKED:
                raise DataError(f"{source} is too large", hint="save the sheet as CSV, in parts")
        book = openpyxl.load_workbook(source, read_only=True, data_only=True, keep_links=False)
    except DataError:
        raise
    except Exception as error:  # openpyxl lets errors of zip, XML and its own classes through
        raise DataError(f"{source} is not an XLSX file: {type(error).__name__}", hint="save it as CSV") from error
    try:
        for sheet in book.worksheets:
            rows = (
                (number, ["" if cell is None else str(cell) for cell in row])
                for number, row in enumerate(sheet.iter_rows(values_only=True), 1)
            )
            kept = [(number, cells) for number, cells in rows if any(cell.strip() for cell in cells)]
            if kept:
                yield f"{source}[{sheet.title}]", kept
    finally:
        book.close()


def _import_rows(draft: Draft, rows: list[Row]) -> None:
    linked: dict[str, Reply] = {}
    later: list[tuple[Row, Item, str]] = []
    for row in rows:
        item = draft.item("row", row.cells["question"] or row.cells["answer"], row.file, row.line)
        given = row.cells.get("language", "")
        locale = canonical_tag(given.replace("_", "-")) if given else draft.locale
        if locale == draft.locale:
            reply = _import_row(draft, row, item, locale)
            if reply is not None and row.cells.get("id"):
                linked[row.cells["id"]] = reply
        elif locale is None:
            item.note(f"{given[:20]!r} is not a language tag")
        else:
            later.append((row, item, locale))
    for row, item, locale in later:
        _add_translation(draft, row, item, linked.get(row.cells.get("id", "")), locale)


def _questions(draft: Draft, row: Row) -> list[str]:
    alternatives = row.cells.get("alternatives", "")
    found = [row.cells["question"], *re.split(r"[|;\n]", alternatives)]
    for one in found[1:]:
        if one.strip():
            draft.item("alternative", one.strip(), row.file, row.line).carry("an example")
    return [" ".join(one.split()) for one in found if one.strip()]


def _import_row(draft: Draft, row: Row, item: Item, locale: str) -> Reply | None:
    question = row.cells["question"]
    if not question:
        item.note("it has no question")
        return None
    reply = draft.reply(question, {locale: escape_braces(row.cells["answer"])}, f"the user asks: {sayable(question) or 'this'}")
    if isinstance(reply, str):
        item.note(f"the answer: {reply}")
        return None
    if not reply.used:
        draft.offers.append(f"yield say({reply.id!r})")
        reply.used = True
    messages = _questions(draft, row)
    reply.add_examples(locale, messages)
    item.carry(f"the response {reply.id}")
    test = draft.item("dialogue", question, row.file, row.line)
    draft.candidates.append(Candidate(test, [{"says": messages[0], "expects": reply.id}]))
    return reply


def _add_translation(draft: Draft, row: Row, item: Item, reply: Reply | None, locale: str) -> None:
    if reply is None or locale in reply.texts:
        why = "no row of the catalog's language has its id" if reply is None else f"its answer has a text in {locale} already"
        item.note(f"it is in {locale}: {why}")
        return
    trial = draft.reply(f"{reply.id} {locale}", {locale: escape_braces(row.cells["answer"])}, "a translation")
    if isinstance(trial, str):
        item.note(f"the answer: {trial}")
        return
    draft.replies.pop(trial.id, None)
    reply.texts[locale] = trial.texts[locale]
    reply.add_examples(locale, _questions(draft, row))
    item.carry(f"the response {reply.id}, in {locale}")
