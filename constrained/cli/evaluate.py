"""``constrained eval``: how well a pack's messages are answered, as a table, JSON and a page."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.table import Table

from constrained.cli.models import MODEL_HELP, load_engine, model_or_default
from constrained.cli.screen import line, new_progress, show, write
from constrained.engines.protocol import Engine
from constrained.errors import DataError, EngineError
from constrained.logic.policy import Policy
from constrained.packs import load_policy

if TYPE_CHECKING:
    from constrained.quality.evaluation import MessageOutcome
    from constrained.quality.evaluation_report import EarlierResult, Setting
    from constrained.quality.labelled_data import Example
    from constrained.quality.metrics import Summary


NEEDED = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "matplotlib": "matplotlib"}
N_PAIRS = 5  # on the screen; the page lists more
_HINT = "name a file in a folder that is there"


def evaluate(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    data: Annotated[Path, typer.Option(help="Labelled messages: .jsonl or .csv with message, expects; state, heard, locale, group.")],
    model: Annotated[str | None, typer.Option(help=MODEL_HELP)] = None,
    adapter: Annotated[Path | None, typer.Option(help="A folder that constrained tune wrote.")] = None,
    fitted: Annotated[Path | None, typer.Option(help="A folder that constrained fit wrote.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="No model: the rules alone choose, nothing is heard.")] = False,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="The fallback is said below this probability.")] = 0.3,
    heard_given: Annotated[bool, typer.Option("--heard-given", help="Hear what the file says: measures the choice alone.")] = False,
    protected: Annotated[list[str] | None, typer.Option(help="A response or question whose misses are told; several times.")] = None,
    against: Annotated[Path | None, typer.Option(help="An earlier --json result, to compare with message by message.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many messages, evenly spaced over the file.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Messages put to the model at once.")] = 16,
    to_json: Annotated[Path | None, typer.Option("--json", help="Write every figure and message there.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page there, with plots and what is mixed up.")] = None,
) -> None:
    """Measure how well labelled messages are answered.

    Accuracy, calibration, abstention, protected responses, what is taken for each other. Drafts count as approved.
    """
    check_installed("measuring")
    from constrained.quality.evaluation_report import compare, describe_setting
    from constrained.quality.evaluation_report import to_json as result_of
    from constrained.quality.labelled_data import read_examples
    from constrained.quality.metrics import summarise

    policy = load_policy(name)
    examples = _thinned(read_examples(data, policy), limit)
    _check_protected(policy, protected or [])
    engine = None if rules else load_engine(model_or_default(model, learned=adapter or fitted), adapter, fitted)
    start = time.perf_counter()
    outcomes = _run(policy, engine, examples, threshold, heard_given, batch)
    identity = engine.identity if engine else {"engine": "none"}
    setting = describe_setting(policy, identity, data, threshold, heard_given, time.perf_counter() - start)
    fallback = policy.catalog.fallback
    summary = summarise(outcomes, fallback, protected or [])
    result = result_of(setting, summary, outcomes, fallback)
    earlier = compare(against, result) if against else None
    _show(setting, summary, earlier)
    _write(policy, setting, summary, result, earlier, to_json, html)


def check_installed(task: str) -> None:
    """Raises EngineError unless the packages of the extra ``evaluate`` are there. ``task``: what needs them."""
    missing = next((name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None), "")
    if missing:
        raise EngineError(f"{task} needs {missing}, which is not installed", hint="pip install 'constrained[evaluate]'")


def _check_protected(policy: Policy, ids: list[str]) -> None:
    questions = policy.heard_type.model_fields if policy.heard_type else {}
    unknown = [one for one in ids if one not in policy.catalog.responses and one not in questions]
    if unknown:
        message = f"there is neither a response nor a question {unknown[0]!r} in the pack {policy.catalog.name!r}"
        raise DataError(message, hint="give the id of a response, or the name of a field of Heard")


def _thinned(examples: tuple[Example, ...], limit: int | None) -> tuple[Example, ...]:
    if limit is None or limit >= len(examples):
        return examples
    return tuple(examples[index * len(examples) // limit] for index in range(limit))


def _run(
    policy: Policy, engine: Engine | None, examples: tuple[Example, ...], threshold: float, heard_given: bool, batch: int
) -> list[MessageOutcome]:
    from constrained.quality.evaluation import run_examples

    with new_progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("messages", total=len(examples))
        return run_examples(
            policy,
            engine,
            examples,
            threshold=threshold,
            is_heard_given=heard_given,
            batch=batch,
            report_progress=lambda n_done: progress.update(task, completed=n_done),
        )


def _show(setting: Setting, summary: Summary, against: EarlierResult | None) -> None:
    line(f"{setting.file}: {summary.n} messages; {setting.name}; {setting.seconds:.1f} s", "bold")
    table = Table.grid(padding=(0, 2))
    for _ in range(4 if against else 2):
        table.add_column()
    for name, value in summary.figures.items():
        if not math.isnan(value):
            earlier = [f"{against.figures.get(name, math.nan):.4f}"] if against else []
            table.add_row(name, f"{value:.4f}", *earlier)
    show(table)
    for question, share in summary.heard.items():
        line(f"heard as expected, {question}: {share}")
    for group, share in summary.groups.items():
        line(f"group {group}: {share}")
    for one in summary.protected:
        line(f"protected {one.name}: missed {one.missed} of {one.n}; false alarms {one.false_alarms} of {one.n_others}")
    for pair in summary.pairs[:N_PAIRS]:
        line(f"taken for each other: {pair.one} and {pair.other}, {pair.n + pair.n_back} times")
    if against:
        line(f"against {against.name}, {against.n} messages in both:", "bold")
        for name, found in against.differences.items():
            line(f"  {name}: {found.value:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f}, p {found.p:.4f})")


def _write(
    policy: Policy,
    setting: Setting,
    summary: Summary,
    result: dict[str, object],
    against: EarlierResult | None,
    to_json: Path | None,
    html: Path | None,
) -> None:
    from constrained.quality.evaluation_report import to_html

    if to_json:
        write(to_json, json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False) + "\n", _HINT, done="written:")
    if html:
        write(html, to_html(setting, summary, policy.catalog, against), _HINT, done="written:")
