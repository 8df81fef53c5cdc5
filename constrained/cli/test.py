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
from constrained.quality.golden import GoldenResult
from constrained.quality.golden_runs import Coverage, Tested, Tests, files_of, run_files
from constrained.quality.junit import junit, told

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
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Write the results there, as JUnit XML.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only what is not as written.")] = False,
) -> None:
    """Run golden dialogues: what should be heard, allowed, obliged, blocked, done and true after each message.

    Exit status 1 when a dialogue does not go as written, or less is covered or picked than is asked for.
    """
    paths, picker = files_of(targets or []), _engine(engine)
    if not paths:
        raise GoldenError("there are no golden dialogues here", hint="write dialogues/NAME.yaml; see docs/testing.md")
    tests = Tests()
    for tested, covered in run_files(paths, picker, by_rules=engine == "rules"):
        tests.tested.append(tested)
        tests.coverage[tested.pack] = covered
        _show(tested, quiet)
    if junit_file is not None:
        write(junit_file, junit(tests.tested), _HINT, done="wrote")
    if coverage is not None:
        write(
            coverage,
            json.dumps([one.to_json() for one in tests.coverage.values()], indent=1, ensure_ascii=False) + "\n",
            _HINT,
            done="wrote",
        )
    if not quiet:
        _show_coverage(tests)
    failed = _summary(tests, engine, at_least, covers)
    if failed:
        raise typer.Exit(1)


def _engine(name: str) -> Engine | None:
    return None if name in ("scripted", "rules") else load_engine(name)


def _show(tested: Tested, quiet: bool) -> None:
    if not tested.is_as_written:
        line(f"FAILED {tested.pack}: {tested.dialogue.name}", "bold red")
        for text in told(tested):
            line(text, _style(text))
    elif not quiet:
        line(f"as written  {tested.pack}: {tested.dialogue.name} ({len(tested.results)} turns)")
    for result in tested.picks if not quiet else ():
        if not result.is_right:
            line("  " + _missed(result), "yellow")


def _style(text: str) -> str:
    return {"  - ": "green", "  + ": "red"}.get(text[:4], "")


def _missed(result: GoldenResult) -> str:
    picked = result.picked.response_id if result.picked else ""
    misheard = f"; misheard {', '.join(result.misheard)}" if result.misheard else ""
    return f"{result.golden.says!r}: picks {picked}, not {result.golden.expects}, of {result.n_options}{misheard}"


def _show_coverage(tests: Tests) -> None:
    table = new_table("pack", "responses said", "by locale", "lines of logic", "turns")
    for one in tests.coverage.values():
        locales = ", ".join(f"{locale} {one.n_said_in(locale)}" for locale in one.locales)
        lines = f"{len(one.lines) - len(one.unreached())} of {len(one.lines)}"
        table.add_row(*map(Text, (one.pack, f"{_n_said(one)} of {len(one.responses)}", locales, lines, str(one.n_turns))))
    line()
    show(table)
    for one in tests.coverage.values():
        if one.unsaid():
            line(f"{one.pack}: never said: {', '.join(one.unsaid())}", "dim")
        if one.unreached():
            line(f"{one.pack}: never reached: {', '.join(f'{Path(one.logic).name}:{number}' for number in one.unreached())}", "dim")


def _n_said(one: Coverage) -> int:
    return len(one.responses) - len(one.unsaid())


def _summary(tests: Tests, engine: str, at_least: float, covers: float) -> bool:
    """Says what came of it all; whether it is a failure."""
    n_failed, n_all = len(tests.failed), len(tests.tested)
    line()
    line(f"{n_all - n_failed} of {n_all} dialogues as written", "bold red" if n_failed else "bold green")
    right, n_picks = tests.agreement
    is_short = False
    if engine != "scripted" and n_picks:
        line(f"{engine} picks as written in {right} of {n_picks} turns with a choice ({percent(right / n_picks)})")
        is_short = right < at_least * n_picks
        if is_short:
            line(f"that is less than {percent(at_least)}", "bold red")
    thin = [one.pack for one in tests.coverage.values() if _n_said(one) < covers * len(one.responses)]
    if thin:
        line(f"less than {percent(covers)} of the responses said: {', '.join(thin)}", "bold red")
    return bool(n_failed or is_short or thin)
