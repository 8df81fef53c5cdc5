"""``constrained model``: gets models onto this machine, and tells which are there."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from constrained import models
from constrained.cli.loading import fetch
from constrained.cli.screen import line, show

app = typer.Typer(help="Get models, and list them.", no_args_is_help=True, rich_markup_mode=None)


@app.command("get")
def get(name: Annotated[str, typer.Argument(help="A short name or hub id; see: constrained model list")] = models.DEFAULT_MODEL) -> None:
    """Fetch a model, once."""
    line(fetch(name))


@app.command("list")
def list_models() -> None:
    """List the models that can be got, and where they are."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("name", "hub id", "licence", "size", "here"):
        table.add_column(title, overflow="fold")
    for known in models.KNOWN_MODELS.values():
        size = f"{known.n_download_bytes / 1e6:.0f} MB"
        here = str(models.locate_model(known.name) or "no")
        table.add_row(*(Text(cell) for cell in (known.name, known.hub_id, known.licence, size, here)))
    show(table)
