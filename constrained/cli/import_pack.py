"""``constrained import``: the draft of a pack from a project of another tool, and a report of what could not be carried."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from constrained.catalog.locales import canonical_tag
from constrained.cli.importing.agent_builder import import_agent_builder
from constrained.cli.importing.draft import Draft, Names
from constrained.cli.importing.faq import import_faq
from constrained.cli.importing.rasa import import_rasa
from constrained.cli.importing.write import counts, write_pack
from constrained.cli.screen import line, new_table, show
from constrained.errors import DataError
from constrained.pack_folders import check_name


class Format(StrEnum):
    """What can be imported."""

    RASA = "rasa"
    FAQ = "faq"
    AGENT_BUILDER = "agent-builder"


READERS: dict[Format, Callable[[Path, Draft], None]] = {
    Format.RASA: import_rasa,
    Format.FAQ: import_faq,
    Format.AGENT_BUILDER: import_agent_builder,
}


def import_pack(
    format: Annotated[Format, typer.Argument(help="What the source is.")],
    source: Annotated[Path, typer.Argument(help="A file, or the folder of the project.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.")],
    name: Annotated[str, typer.Option("--name", help="Name of the pack; made from the source's by default.")] = "",
    locale: Annotated[str, typer.Option("--locale", help="The language of the texts.")] = "en",
) -> None:
    """Make the draft of a pack of a Rasa project, an FAQ (CSV, XLSX) or the code of an Agent Builder workflow.

    What could not be carried is listed in NAME.import.md, by file and line.
    """
    tag = canonical_tag(locale)
    if tag is None:
        raise DataError(f"{locale!r} is not a language tag", hint="write one such as en, de or pt-BR")
    draft = Draft(name or Names().new(source.resolve().stem), tag, str(source))
    check_name(draft.name)
    READERS[format](source, draft)
    files = write_pack(draft, out)
    table = new_table("item", "found", "carried", "reported")
    for kind, row in counts(draft.items).items():
        table.add_row(kind, *map(str, row))
    show(table)
    for path in files:
        line(str(path))
