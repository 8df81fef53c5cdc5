"""Fetches and loads models for the commands, with progress bars on standard error. Knows no policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from constrained import models
from constrained.choice import Engine
from constrained.cli.screen import err
from constrained.engines import loading as engines


def fetch(name: str) -> str:
    """Gets a known model, showing how far it is; returns its folder."""
    with _progress(BarColumn(), DownloadColumn()) as progress:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(f"{stage} {name}", total=total or None)
            progress.update(tasks[stage], completed=done, total=total or None)

        return str(models.get_model(name, report))


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
    with _progress(SpinnerColumn()) as progress:
        progress.add_task(what, total=None)
        yield


def _progress(*columns: ProgressColumn) -> Progress:
    text = TextColumn("{task.description}")
    return Progress(text, *columns, TimeElapsedColumn(), console=err, transient=True, disable=not err.is_terminal)
