"""``constrained model``: gets models and lists them; and how every command loads one, with bars on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TaskID, TimeElapsedColumn
from rich.text import Text

from constrained.cli.screen import line, new_progress, new_table, show
from constrained.engines import loading as engines
from constrained.engines import model_files
from constrained.engines.protocol import Engine

MODEL_HELP = "small (no torch), a language model (short name, hub id, folder, GGUF file), or small+MODEL."
app = typer.Typer(help="Get models, and list them.", no_args_is_help=True, rich_markup_mode=None)


def fetch(name: str) -> str:
    """Gets a known model, showing how far it is; returns its folder."""
    with new_progress(BarColumn(), DownloadColumn(), TimeElapsedColumn()) as progress:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(f"{stage} {name}", total=total or None)
            progress.update(tasks[stage], completed=done, total=total or None)

        return str(model_files.get_model(name, report))


def model_or_default(name: str | None, *, learned: object = None) -> str:
    """The named model; else the small one, or the language model where something was ``learned`` by it or it runs elsewhere."""
    return name or (model_files.DEFAULT_MODEL if learned else model_files.SMALL_MODEL)


def load_engine(name: str, adapter: Path | None = None, fitted: Path | None = None) -> Engine:
    """The engine of a model that is on this machine. Raises EngineError, with the command that gets the model."""
    with loading(f"loading {name}"):
        return engines.load_engine(name, adapter, fitted)


def load_vllm(model: str, urls: list[str], *, served_as: str | None = None) -> Engine:
    """An engine whose model runs in vLLM servers; only its tokenizer is loaded here. Raises EngineError."""
    with loading(f"loading the tokenizer of {model}"):
        return engines.load_vllm(model, urls, served_as=served_as)


@contextmanager
def loading(what: str) -> Iterator[None]:
    """A spinner while something of unknown length runs; nothing where there is no terminal."""
    with new_progress(SpinnerColumn(), TimeElapsedColumn()) as progress:
        progress.add_task(what, total=None)
        yield


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="A short name or hub id; see: constrained model list")] = model_files.DEFAULT_MODEL,
) -> None:
    """Fetch a model, once."""
    line(fetch(name))


@app.command("list")
def list_models() -> None:
    """List the models that can be got, and where they are."""
    table = new_table("name", "hub id", "licence", "size", "here")
    for known in model_files.KNOWN_MODELS.values():
        size = f"{known.n_download_bytes / 1e6:.0f} MB"
        here = str(model_files.locate_model(known.name) or "no")
        table.add_row(*(Text(cell) for cell in (known.name, known.hub_id, known.licence, size, here)))
    show(table)
