"""``constrained import``: the draft of a pack from a project of another tool, and a report of what could not be carried.

``constrained export`` is the way back of the formats that writers work in: edited texts go into the source's own files.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from constrained._durable_files import replace_file
from constrained.approval.rewrite import rewrite
from constrained.catalog.load import load_catalog
from constrained.catalog.locales import canonical_tag
from constrained.cli.importing.agent_builder import import_agent_builder
from constrained.cli.importing.draft import Draft, Names
from constrained.cli.importing.faq import import_faq
from constrained.cli.importing.lines import import_lines, speakers
from constrained.cli.importing.rasa import import_rasa
from constrained.cli.importing.renpy import import_renpy
from constrained.cli.importing.texts import KEPT, Changes, agreed, changes, kept_texts, patched, read_kept
from constrained.cli.importing.write import counts, write_pack
from constrained.cli.importing.yarn import import_yarn
from constrained.cli.new import refuse_to_overwrite, write_new
from constrained.cli.screen import CATALOG, find_catalog, line, new_table, note, show
from constrained.errors import DataError, PackError
from constrained.pack_folders import check_name


class Format(StrEnum):
    """What can be imported."""

    RASA = "rasa"
    FAQ = "faq"
    AGENT_BUILDER = "agent-builder"
    YARN = "yarn"
    RENPY = "renpy"
    LINES = "lines"


READERS: dict[Format, Callable[[Path, Draft], None]] = {
    Format.RASA: import_rasa,
    Format.FAQ: import_faq,
    Format.AGENT_BUILDER: import_agent_builder,
    Format.YARN: import_yarn,
    Format.RENPY: import_renpy,
}


def import_pack(
    format: Annotated[Format, typer.Argument(help="What the source is.")],
    source: Annotated[Path, typer.Argument(help="A file, or the folder of the project.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.")],
    name: Annotated[str, typer.Option("--name", help="Name of the pack; made from the source's by default.")] = "",
    locale: Annotated[str, typer.Option("--locale", help="The language of the texts.")] = "en",
    column: Annotated[list[str] | None, typer.Option("--column", help="Of lines: what a column holds, such as text=Dialogue.")] = None,
    speaker: Annotated[str, typer.Option("--speaker", help="Of lines: only those of this speaker.")] = "",
    each_speaker: Annotated[bool, typer.Option("--each-speaker", help="Of lines: a pack for each speaker.")] = False,
) -> None:
    """Make the draft of a pack of scripts for Yarn Spinner or Ren'Py, a sheet of lines or an FAQ (CSV, XLSX), Rasa, or Agent Builder.

    What could not be carried is listed in NAME.import.md, by file and line.
    """
    tag = canonical_tag(locale)
    if tag is None:
        raise DataError(f"{locale!r} is not a language tag", hint="write one such as en, de or pt-BR")
    columns = dict(_pair(one) for one in column or ())
    if format is not Format.LINES and (columns or speaker or each_speaker):
        raise DataError(f"--column, --speaker and --each-speaker are of lines, not of {format}", hint="leave them out")
    names = Names()
    wanted = speakers(source, columns) if each_speaker else [speaker]
    if not wanted:
        raise DataError(f"{source} names no speaker", hint="name the column: --column speaker=TITLE")
    for who in wanted:
        draft = Draft(names.new(f"{name} {who}" if each_speaker else name or source.resolve().stem), tag, str(source))
        check_name(draft.name)
        options: dict[str, object] = {"columns": columns, "speaker": who} if format is Format.LINES else {}
        read_source(format, source, draft, options)
        refuse_to_overwrite(draft.name, [out / KEPT.format(name=draft.name)])
        files = write_pack(draft, out)
        if draft.places:
            files.append(out / KEPT.format(name=draft.name))
            write_new(draft.name, files[-1], kept_texts(draft, format, options))
        _show_counts(draft, files)


def _pair(given: str) -> tuple[str, str]:
    key, equals, title = given.partition("=")
    if not equals or not title:
        raise DataError(f"--column {given}: what it holds is missing", hint="write --column text=TITLE")
    return key, title


def read_source(format: Format, source: Path, draft: Draft, options: dict[str, object]) -> None:
    """Fills the draft from a source, in the same way each time."""
    if format is Format.LINES:
        columns = options.get("columns")
        import_lines(source, draft, dict(columns) if isinstance(columns, dict) else {}, str(options.get("speaker") or ""))
    else:
        READERS[format](source, draft)


def _show_counts(draft: Draft, files: list[Path]) -> None:
    table = new_table("item", "found", "carried", "reported")
    for kind, row in counts(draft.items).items():
        table.add_row(kind, *map(str, row))
    show(table)
    for path in files:
        line(str(path))


def export_texts(
    name: CATALOG,
    source: Annotated[Path, typer.Argument(help="The scripts or the sheet that the pack was imported of.")],
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write changed files into; without it, only show.")] = None,
    take: Annotated[bool, typer.Option("--take", help="Put texts that were edited in the source into the catalog.")] = False,
) -> None:
    """Put texts that were edited in the catalog back into the scripts or sheets that it was imported of, and the other way round.

    Files are patched: whatever is no edited text stays as it was. What both sides edited is listed and left alone.
    """
    path = find_catalog(name)
    kept_path = path.parent.parent / KEPT.format(name=path.stem)
    read, kept = read_kept(kept_path)
    draft = Draft(path.stem, read["locale"], str(source))
    read_source(Format(read["format"]), source, draft, read["options"])
    catalog = load_catalog(path)
    found = changes(draft.places, catalog, kept)
    files, problems = patched(found.out)
    _show_changes(found)
    if out is not None:
        root = source if source.is_dir() else source.parent
        targets = {out / Path(file).relative_to(root): content for file, content in files.items()}
        taken = [str(target) for target in targets if target.exists()]
        if taken:
            raise PackError(f"{', '.join(taken)} would be overwritten; nothing was written", name=name, hint="choose another --out")
        for target, content in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            line(str(target), "bold")
    if take and found.back:
        catalog = rewrite(path, found.back)
        line(f"{path}: {len(found.back)} of its texts changed", "bold")
    if out is not None or take:
        draft.places = agreed(draft.places, catalog, kept)
        replace_file(kept_path, kept_texts(draft, read["format"], read["options"]).encode(), 0o644)
    for problem in (*found.problems, *problems):
        note(problem)
    if found.problems or problems:
        raise typer.Exit(1)


def _show_changes(found: Changes) -> None:
    for place, text in found.out:
        line(f"{place.file}:{place.line}: {place.response_id} ({place.locale})", "bold")
        line(f"  - {place.text}", "red")
        line(f"  + {text}", "green")
    for (response_id, locale), text in found.back.items():
        line(f"edited in the source: {response_id} ({locale}): {text}", "bold yellow")
    if not found.out and not found.back:
        line("no text differs", "bold green")
