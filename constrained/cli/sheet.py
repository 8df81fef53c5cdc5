"""``constrained sheet``: a catalog as a review sheet or a translation file, and back into the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from constrained.approval.in_force import NO_LEDGER, ApprovalSnapshot, has_ledger
from constrained.approval.ledger import ledger_path, read_ledger
from constrained.approval.people import load_people, people_path
from constrained.approval.rewrite import rewrite
from constrained.approval.sheets import Texts, read_rows, read_sheet, rows, write_sheet
from constrained.approval.translations import from_xliff, to_xliff
from constrained.catalog.load import load_catalog
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog
from constrained.cli.screen import CATALOG, find_catalog, line, today, write
from constrained.errors import PackError

app = typer.Typer(help="Review sheets (.xlsx, .csv) and translation files (.xlf).", no_args_is_help=True)

_XLIFF = (".xlf", ".xliff")


@app.command("export")
def export(
    name: CATALOG,
    file: Annotated[Path, typer.Argument(help="The file to write: .xlsx, .csv, or .xlf for translators.")],
    locale: Annotated[list[str] | None, typer.Option(help="A locale to translate into; its missing texts get empty rows.")] = None,
) -> None:
    """Write one row for each version: text, status, and what a reviewer needs to read it."""
    catalog = load_catalog(find_catalog(name))
    locales = [_tag(one) for one in locale or ()]
    if file.suffix.lower() in _XLIFF:
        if len(locales) != 1:
            raise PackError("a translation file has one target locale", name=str(file), hint="--locale es")
        write(file, to_xliff(catalog, locales[0]))
        n_texts = sum(len(response.texts[catalog.locale].each) for response in catalog.responses.values())
        line(f"{file}: {n_texts} texts, {catalog.locale} to {locales[0]}")
        return
    written = rows(catalog, _snapshot(catalog), today(), locales)
    write_sheet(file, written)
    line(f"{file}: {len(written)} rows; only the column text is read back")


@app.command("import")
def import_texts(
    name: CATALOG,
    file: Annotated[Path, typer.Argument(help="The edited file.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False,
) -> None:
    """Put edited texts into the catalog's file. Every changed text waits for an approval again."""
    path = find_catalog(name)
    catalog = load_catalog(path)
    texts = from_xliff(catalog, file) if file.suffix.lower() in _XLIFF else read_rows(catalog, read_sheet(file), str(file))
    _show(texts, catalog)
    if not texts:
        line(f"{file}: no text differs from the catalog", "bold green")
    elif not dry_run:
        rewrite(path, texts)
        n_texts = len(texts)
        line(f"{path}: {n_texts} {'text' if n_texts == 1 else 'texts'} changed", "bold")
        if has_ledger(catalog):
            line(f"they wait for an approval: constrained approve {catalog.name}", "bold yellow")


def _show(texts: Texts, catalog: Catalog) -> None:
    for (response_id, locale), text in texts.items():
        present = catalog[response_id].texts.get(locale)
        line(f"{response_id} ({locale})", "bold")
        if present is not None:
            line(f"  - {present.source}", "red")
        line(f"  + {text}", "green")


def _snapshot(catalog: Catalog) -> ApprovalSnapshot:
    if not has_ledger(catalog):
        return NO_LEDGER
    people = load_people(people_path(catalog.path), catalog.name)
    return ApprovalSnapshot(read_ledger(ledger_path(catalog.path), people, catalog.name), people)


def _tag(given: str) -> str:
    tag = canonical_tag(given)
    if tag is None:
        raise typer.BadParameter(f"{given!r} is not a BCP 47 locale", param_hint="--locale")
    return tag
