"""A catalog as rows that people read and edit, one for each version, and the rows they give back. Knows no file format.

Only the column ``text`` is read back. A row that names a locale which the response does not have yet adds a
translation. Everything else is there to be read; a change of it is told and nothing is taken.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from constrained.approval.in_force import Standing
from constrained.approval.worklist import Version, versions
from constrained.catalog.digest import version_hash
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog, Response
from constrained.errors import CatalogError, Problem

COLUMNS = ("response", "locale", "text", "status", "when", "slots", "tags", "voice", "author", "cites", "version")
EDITED = "text"
_GUARDED = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Read:
    """What came back from a sheet: the changed and added texts, by response id and locale."""

    texts: Mapping[tuple[str, str], str]


def rows(catalog: Catalog, standing: Standing, today: date, locales: Iterable[str] = ()) -> list[Row]:
    """One row for each version, in the order of the catalog; and an empty one for each of ``locales`` that is missing."""
    wanted, found = list(locales), list[Row]()
    by_response: dict[str, list[Version]] = {}
    for version in versions(catalog, standing, today):
        by_response.setdefault(version.response.id, []).append(version)
    for response in catalog.responses.values():
        found += [_row(response, one.locale, status(one, standing)) for one in by_response.get(response.id, ())]
        found += [_row(response, locale, "not translated") for locale in wanted if locale not in response.texts]
    return found


def status(version: Version, standing: Standing) -> str:
    """How a version stands, for a reader."""
    if version.reason:
        return version.reason
    if standing.ledger is None:
        approval = version.response.approval
        return f"approved by {approval.by} on {approval.on}" if approval else "no approval is kept"
    names = sorted({entry.by for entry in version.findings.signed})
    return f"approved by {' and '.join(names)}" + (f" until {version.ends}" if version.ends else "")


def read_rows(catalog: Catalog, given: Iterable[tuple[int, Row]], name: str) -> Read:
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
    return Read(texts)


def guarded(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe before what could begin one, or begins with one itself."""
    return "'" + text if text.startswith(_GUARDED) else text


def unguarded(cell: str) -> str:
    """The text of a guarded cell."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_GUARDED) else cell


def clean(text: str) -> str:
    """A text as the catalog keeps it: NFC, line feeds, no space around it."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _row(response: Response, locale: str, standing: str) -> Row:
    cites, there = response.cites, locale in response.texts
    return {
        "response": response.id,
        "locale": locale,
        "text": response.texts[locale].source if there else "",
        "status": standing,
        "when": response.when,
        "slots": ", ".join(f"{{{slot.name}}} {slot.kind}" for slot in response.slots.values()),
        "tags": ", ".join(sorted(response.tags)),
        "voice": response.voice or "",
        "author": response.author,
        "cites": f"{cites.document}: {cites.passage}".removesuffix(": ") if cites else "",
        "version": version_hash(response, locale)[:19] if there else "",
    }


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
