"""The entry point ``constrained``: gathers the commands, and turns every error into a message and an exit status.

The two that need a few lines stand here: ``list``, the packs that can be played, and ``schema``, for editors of catalogs.
"""

from __future__ import annotations

import json
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from constrained.catalog.load import load_catalog
from constrained.catalog.schema import json_schema
from constrained.cli import (
    approve,
    audit,
    check,
    coverage,
    demo,
    diff,
    draw,
    evaluate,
    fit,
    import_pack,
    keys,
    models,
    new,
    pack,
    play,
    prove,
    serve,
    sheet,
    tune,
    watch,
)
from constrained.cli import test as tests
from constrained.cli.screen import new_table, note, run_app, show
from constrained.errors import ConstrainedError
from constrained.pack_folders import find_pack, list_packs, shipped_folder


def list_all() -> None:
    """List the packs that can be played from here."""
    names = list_packs()
    if not names:
        return note("no pack here; make one with: constrained new NAME")
    table = new_table("pack", "speaker", "responses", "from")
    for name in names:
        table.add_row(*(Text(cell) for cell in _row(name)))
    show(table)
    return None


def _row(name: str) -> tuple[str, str, str, str]:
    try:
        path = find_pack(name).catalog_path
        catalog = load_catalog(path)
    except ConstrainedError:  # a list goes on; the check tells what is wrong
        return name, f"broken; see: constrained check {name}", "", ""
    return name, catalog.speaker, str(len(catalog.responses)), "shipped" if path.parents[1] == shipped_folder() else "here"


def schema() -> None:
    """Print the JSON Schema of catalogs/NAME.yaml.

    constrained schema > catalog.schema.json
    """
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


app = typer.Typer(
    name="constrained",
    help="Your catalog holds the words. Your Python holds the rules. The model only ever picks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("play")(play.play)
app.command("watch")(watch.watch)
app.command("demo")(demo.demo)
app.command("list")(list_all)
app.command("check")(check.check)
app.command("prove")(prove.prove)
app.command("test")(tests.golden)
app.command("coverage")(coverage.coverage)
app.command("draw")(draw.draw)
app.command("new")(new.new)
app.command("import")(import_pack.import_pack)
app.command("export")(import_pack.export_texts)
app.command("pack")(pack.pack)
app.command("approve")(approve.approve)
app.command("recall")(approve.recall)
app.command("diff")(diff.diff)
app.command("eval")(evaluate.evaluate)
app.command("fit")(fit.fit)
app.command("replay")(audit.replay_log)
app.command("schema")(schema)
app.command("serve")(serve.serve)
app.command("tune")(tune.tune)
app.add_typer(keys.app, name="keys")
app.add_typer(sheet.app, name="sheet")
app.add_typer(audit.app, name="audit")
app.add_typer(models.app, name="model")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"constrained {version('constrained')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Your catalog holds the words. Your Python holds the rules. The model only ever picks."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs a command. Exit status: 0 done, 1 an error that was told, 2 wrong usage, 130 interrupted."""
    run_app(lambda: app(arguments, prog_name="constrained"))
