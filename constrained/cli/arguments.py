"""What several commands take on the command line: a log, a pack or catalog, a day; and how its text is read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from constrained.errors import AuditError, PackError
from constrained.pack_folders import catalog_path
from constrained.records.log import read_log
from constrained.records.record import Record

LOG = Annotated[str, typer.Argument(help="A file of JSON lines, an SQLite file (.db), or postgresql://USER@HOST/NAME.")]
SUBJECT_KEYS = Annotated[Path | None, typer.Option("--keys", help="The folder of the keys that content is sealed under.")]
PACK = Annotated[str, typer.Option("--pack", help="The pack; the one that the log names when left out.")]
CATALOG = Annotated[str, typer.Argument(help="A pack or a catalog file (.yaml).")]


def find_catalog(target: str) -> Path:
    """The file of a catalog that is named by a pack or by itself. Raises PackError."""
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise PackError(f"there is no catalog {target}", name=target, hint="give a pack's name or the path of its .yaml file")
        return path
    return catalog_path(target)


def catalog_of(record: Record) -> str:
    """The name of the catalog that a record was made with."""
    return record.versions.get("catalog", "").split(" ")[0]


def first_catalog(log: str) -> str:
    """The catalog that a log names first."""
    first = next(iter(read_log(log)), None)
    if first is None:
        raise AuditError(f"{log} holds no turn", file=log, hint="nothing was said yet")
    return catalog_of(first)


def today() -> date:
    """The day in UTC: approvals are dated in it."""
    return datetime.now(UTC).date()


def parse_day(text: str | None, option: str) -> date | None:
    """A day given on the command line."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write it as 2026-12-31", param_hint=option) from None
