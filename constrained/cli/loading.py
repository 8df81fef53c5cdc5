"""Fetches and loads models for the commands, with progress bars on standard error. Knows no policy."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from constrained import models
from constrained.choice import Engine
from constrained.cli.screen import err
from constrained.errors import EngineError

ENVIRONMENT = {
    "TRANSFORMERS_VERBOSITY": "error",  # one progress bar is enough
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "passive",  # idle threads sleep: on a busy machine spinning ones double the time of a turn
}


def fetch(name: str) -> str:
    """Gets a known model, showing how far it is; returns its folder."""
    with _progress(BarColumn(), DownloadColumn()) as progress:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(f"{stage} {name}", total=total or None)
            progress.update(tasks[stage], completed=done, total=total or None)

        return str(models.get_model(name, report))


def load_engine(name: str) -> Engine:
    """The engine of a model that is on this machine. Raises EngineError, with the command that gets the model."""
    if models.known_model(name) and models.locate_model(name) is None:
        raise models.model_not_found(name)
    with loading(f"loading {name}"), _uncollected():
        for variable, value in ENVIRONMENT.items():  # before torch is imported; a user's own setting stands
            os.environ.setdefault(variable, value)
        try:
            from constrained.engines.transformers import TransformersEngine
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("torch", "transformers", "numpy", "safetensors"):
                raise
            raise EngineError(
                f"a model needs a package that is not installed: {error.name}",
                hint="pip install 'constrained[transformers]', or choose --rules to talk without a model",
            ) from error
        return TransformersEngine(name)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection while a million objects are made that all stay: a quarter of the loading time is spent on it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def loading(what: str) -> Iterator[None]:
    """A spinner while something of unknown length runs; nothing where there is no terminal."""
    with _progress(SpinnerColumn()) as progress:
        progress.add_task(what, total=None)
        yield


def _progress(*columns: ProgressColumn) -> Progress:
    text = TextColumn("{task.description}")
    return Progress(text, *columns, TimeElapsedColumn(), console=err, transient=True, disable=not err.is_terminal)
