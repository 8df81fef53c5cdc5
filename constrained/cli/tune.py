"""``constrained tune``: a model learns from a pack's examples which response answers what; figures before and after."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from constrained.cli.evaluate import check_installed
from constrained.cli.models import load_engine
from constrained.cli.screen import StageBars, line, new_progress, note, show
from constrained.engines.model_files import DEFAULT_MODEL, home
from constrained.errors import EngineError
from constrained.packs import load_policy

if TYPE_CHECKING:
    from constrained.logic.policy import Policy
    from constrained.quality.labelled_data import Example
    from constrained.quality.tuning import TuneReport


STAGES = {"before": "measuring before", "tune": "tuning", "after": "measuring after"}


def tune(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    data: Annotated[Path | None, typer.Option(help="More messages to learn from: .jsonl or .csv with message, expects.")] = None,
    check: Annotated[Path | None, typer.Option(help="Other messages, to measure on before and after; nothing is learned of them.")] = None,
    model: Annotated[str, typer.Option(help="A model's short name, hub id, folder or GGUF file.")] = DEFAULT_MODEL,
    encoder: Annotated[str | None, typer.Option(help="Tune this sentence encoder instead: minilm, or a folder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the adapter goes; a folder of the pack's name in the cache if left out.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="How often every message is read.")] = 8,
    rate: Annotated[float | None, typer.Option(help="Learning rate; chosen for model or encoder if left out.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed on the same machine gives the same adapter.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Measure on so many messages only, evenly spaced over the file.")] = None,
    skip_before: Annotated[bool, typer.Option("--skip-before", help="Do not measure before tuning.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew where an interrupted run could go on.")] = False,
) -> None:
    """Tune a model on a pack's examples, so that it picks better. Interrupted, the same command goes on where it was."""
    _check_installed()
    from constrained.quality.training import CHECKPOINT, Settings
    from constrained.quality.tuning import tune as run

    policy = load_policy(name)
    more, checked = _read(data, policy, None), _read(check, policy, limit)
    folder = out or home() / "adapters" / policy.catalog.name
    if restart:
        (folder / CHECKPOINT).unlink(missing_ok=True)
    defaults = Settings.for_encoder() if encoder else Settings()
    settings = defaults.changed(epochs=epochs, seed=seed, **({"rate": rate} if rate is not None else {}))
    engine: Any = load_engine(model)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with new_progress(*columns) as progress:
        report = run(
            policy,
            engine,
            folder,
            settings,
            encoder=encoder,
            more=more,
            check=checked,
            is_before_checked=not skip_before,
            renew=_renew(name, data, model, encoder, out),
            report_progress=StageBars(progress, STAGES),
        )
    _show(report)


def _check_installed() -> None:
    try:
        import peft  # noqa: F401  # the low-rank changes are its
    except ModuleNotFoundError as error:
        raise EngineError("tuning needs peft, which is not installed", hint="pip install 'constrained[tune]'") from error
    check_installed("tuning")


def _read(file: Path | None, policy: Policy, limit: int | None) -> tuple[Example, ...]:
    if file is None:
        return ()
    from constrained.quality.labelled_data import read_examples

    found = read_examples(file, policy)
    return found if limit is None or limit >= len(found) else tuple(found[index * len(found) // limit] for index in range(limit))


def _renew(name: str, data: Path | None, model: str, encoder: str | None, out: Path | None) -> str:
    """The command that makes this adapter again."""
    given = {"--data": data, "--model": None if model == DEFAULT_MODEL else model, "--encoder": encoder, "--out": out}
    parts = [part for option, value in given.items() if value is not None for part in (option, str(value))]
    return shlex.join(["constrained", "tune", name, *parts])


def _show(report: TuneReport) -> None:
    line(f"{report.n_rows} messages for {report.n_responses} responses, {report.n_steps} steps in {report.seconds:.0f} s", "bold")
    if report.after:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("", *(["before"] if report.before else []), "after"):
            table.add_column(title, justify="left" if not title else "right")
        for figure, value in report.after.items():
            if not math.isnan(value):
                table.add_row(figure, *([f"{report.before[figure]:.4f}"] if report.before else []), f"{value:.4f}")
        show(table)
    if report.accuracy is not None:
        one = report.accuracy
        line(f"more is right by {one.value:+.4f} (95 % interval {one.low:+.4f} to {one.high:+.4f}; {report.n_checked} messages)")
    if not report.after:
        note("nothing was measured: --check FILE names messages that are not learned from")
    line(f"the adapter: {report.folder}")
    note(f"use it: constrained play {report.catalog} --adapter {shlex.quote(report.folder)}")
