"""``constrained coverage``: what a writer should look at: lines never reachable, never said, always said, and examples that clash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from constrained.analysis.writer_coverage import KINDS, Finding, Kind, Vectors, cover
from constrained.cli.screen import line, new_table, note, show
from constrained.pack_folders import find_pack
from constrained.packs import load_policy
from constrained.records.log import read_log

TITLES: dict[Kind, str] = {
    "unreachable": "never reachable: look at the conditions of the lines that yield them",
    "clash": "examples that pull two ways: keep each where it fits best, or say it in other words",
    "unsaid": "never said: write a golden dialogue, or examples that lead there",
    "always": "always said when allowed: nothing beside them is ever meant",
}


def coverage(
    name: Annotated[str, typer.Argument(help="A pack; see: constrained list")],
    log: Annotated[str | None, typer.Option(help="Count the turns of a log, too: a file, or postgresql://USER@HOST/NAME")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
) -> None:
    """Show which lines of a catalog need a writer: never reachable, never said, always said; examples that clash.

    Looks at every conversation as far as it can, at the golden dialogues and, with --log, at what was really said.
    """
    policy, golden = load_policy(name), find_pack(name).dialogues_path
    found = cover(policy, golden, read_log(log) if log is not None else (), _vectors())
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return
    for kind in KINDS:
        _show(TITLES[kind], [one for one in found.findings if one.kind == kind])
    line(f"{found.pack}: {len(found.findings)} to look at; by {', '.join(found.rests_on)}")


def _show(title: str, findings: list[Finding]) -> None:
    if not findings:
        return
    line(title, "bold")
    table = new_table("", "", "")
    table.show_header = False
    for one in findings:
        table.add_row(*map(Text, (one.place, one.response_id, one.detail)))
        if one.other:
            table.add_row(*map(Text, (one.other, one.other_id, "")))
    show(table)
    line()


def _vectors() -> Vectors | None:
    """Those of the small engine; None, and a remark, where it is not installed."""
    try:
        import numpy  # noqa: F401  # only to see whether it is there
        import onnxruntime  # noqa: F401  # likewise
    except ModuleNotFoundError:
        note("only equal examples are compared: for the others, pip install 'constrained[small]'")
        return None
    from constrained.engines.small.encoder import shared_pair

    def vectors(language: str, messages: Sequence[str]) -> Any:
        return shared_pair(language).vectors(list(messages))

    return vectors
