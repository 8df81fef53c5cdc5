"""``constrained test``: golden dialogues, run as written, with what they cover."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from constrained.cli.models import load_engine
from constrained.cli.screen import line, new_table, percent, show, write
from constrained.engines.protocol import Engine
from constrained.errors import GoldenError
from constrained.quality.coverage import Coverage
from constrained.quality.golden import DialogueResult, GoldenResult, GoldenRun, describe_failure, files_of, run_files

_HINT = "name a file in a folder that is yours"


def golden(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Packs, or files of golden dialogues; every pack's when none is named.")
    ] = None,
    engine: Annotated[str, typer.Option(help="What picks besides: scripted (nothing), rules, or a model.")] = "scripted",
    at_least: Annotated[
        float, typer.Option("--at-least", min=0, max=1, help="Share of turns that the engine has to pick as written.")
    ] = 0.0,
    coverage: Annotated[Path | None, typer.Option(help="Write what is covered there, as JSON, for: constrained draw --coverage")] = None,
    covers: Annotated[float, typer.Option("--covers", min=0, max=1, help="Share of responses that the dialogues have to say.")] = 0.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only what is not as written.")] = False,
) -> None:
    """Run golden dialogues: what should be heard, allowed, obliged, blocked, done and true after each message.

    Exit status 1 when a dialogue does not go as written, or less is covered or picked than is asked for.
    """
    paths, picker = files_of(targets or []), _engine(engine)
    if not paths:
        raise GoldenError("there are no golden dialogues here", hint="write dialogues/NAME.yaml; see docs/testing.md")
    run = GoldenRun()
    for result, covered in run_files(paths, picker, by_rules=engine == "rules"):
        run.results.append(result)
        run.coverage[result.pack] = covered
        _show(result, quiet)
    if coverage is not None:
        text = json.dumps([one.to_json() for one in run.coverage.values()], indent=1, ensure_ascii=False) + "\n"
        write(coverage, text, _HINT, done="wrote")
    if not quiet:
        _show_coverage(run)
    failed = _summary(run, engine, at_least, covers)
    if failed:
        raise typer.Exit(1)


def _engine(name: str) -> Engine | None:
    return None if name in ("scripted", "rules") else load_engine(name)


def _show(dialogue: DialogueResult, quiet: bool) -> None:
    if not dialogue.is_as_written:
        line(f"FAILED {dialogue.pack}: {dialogue.dialogue.name}", "bold red")
        for text in describe_failure(dialogue):
            line(text, _style(text))
    elif not quiet:
        line(f"as written  {dialogue.pack}: {dialogue.dialogue.name} ({len(dialogue.results)} turns)")
    for result in dialogue.picks if not quiet else ():
        if not result.is_right:
            line("  " + _missed(result), "yellow")


def _style(text: str) -> str:
    return {"  - ": "green", "  + ": "red"}.get(text[:4], "")


def _missed(result: GoldenResult) -> str:
    picked = result.picked.response_id if result.picked else ""
    misheard = f"; misheard {', '.join(result.misheard)}" if result.misheard else ""
    return f"{result.golden.says!r}: picks {picked}, not {result.golden.expects}, of {result.n_options}{misheard}"


def _show_coverage(run: GoldenRun) -> None:
    table = new_table("pack", "responses said", "by locale", "lines of logic", "turns")
    for one in run.coverage.values():
        locales = ", ".join(f"{locale} {one.n_said_in(locale)}" for locale in one.locales)
        lines = f"{len(one.lines) - len(one.unreached())} of {len(one.lines)}"
        table.add_row(*map(Text, (one.pack, f"{_n_said(one)} of {len(one.responses)}", locales, lines, str(one.n_turns))))
    line()
    show(table)
    for one in run.coverage.values():
        if one.unsaid():
            line(f"{one.pack}: never said: {', '.join(one.unsaid())}", "dim")
        if one.unreached():
            line(f"{one.pack}: never reached: {', '.join(f'{Path(one.logic).name}:{number}' for number in one.unreached())}", "dim")


def _n_said(one: Coverage) -> int:
    return len(one.responses) - len(one.unsaid())


def _summary(run: GoldenRun, engine: str, at_least: float, covers: float) -> bool:
    """Says what came of it all; whether it is a failure."""
    n_failed, n_all = len(run.failed), len(run.results)
    line()
    line(f"{n_all - n_failed} of {n_all} dialogues as written", "bold red" if n_failed else "bold green")
    right, n_picks = run.agreement
    is_short = False
    if engine != "scripted" and n_picks:
        line(f"{engine} picks as written in {right} of {n_picks} turns with a choice ({percent(right / n_picks)})")
        is_short = right < at_least * n_picks
        if is_short:
            line(f"that is less than {percent(at_least)}", "bold red")
    thin = [one.pack for one in run.coverage.values() if _n_said(one) < covers * len(one.responses)]
    if thin:
        line(f"less than {percent(covers)} of the responses said: {', '.join(thin)}", "bold red")
    return bool(n_failed or is_short or thin)
