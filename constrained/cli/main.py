"""The entry point ``constrained``: gathers the commands and turns every error into a message and an exit status."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from constrained.cli import (
    approve,
    check,
    demo,
    diff,
    draw,
    evaluate,
    fit,
    list_packs,
    models,
    new,
    play,
    prove,
    replay,
    schema,
    serve,
    sheet,
    tune,
)
from constrained.cli import test as tests
from constrained.cli.audit import audit_app
from constrained.cli.screen import prepare_streams, show_error
from constrained.errors import ConstrainedError

app = typer.Typer(
    name="constrained",
    help="Your catalog holds the words. Your Python holds the rules. The model only ever picks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("play")(play.play)
app.command("demo")(demo.demo)
app.command("list")(list_packs.list_all)
app.command("check")(check.check)
app.command("prove")(prove.prove)
app.command("test")(tests.golden)
app.command("draw")(draw.draw)
app.command("new")(new.new)
app.command("approve")(approve.approve)
app.command("recall")(approve.recall)
app.command("diff")(diff.diff)
app.command("eval")(evaluate.evaluate)
app.command("fit")(fit.fit)
app.command("replay")(replay.replay_log)
app.command("schema")(schema.schema)
app.command("serve")(serve.serve)
app.command("tune")(tune.tune)
app.add_typer(approve.keys_app, name="keys")
app.add_typer(sheet.app, name="sheet")
app.add_typer(audit_app, name="audit")
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
    prepare_streams()
    try:
        app(arguments, prog_name="constrained")
    except ConstrainedError as error:
        show_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has enough; a second write at exit would complain again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(0)
