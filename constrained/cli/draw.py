"""``constrained draw``: a policy or procedure as a picture, with what dialogues or a log came to painted on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from constrained.analysis.flow import Counts, counts_of_coverage, counts_of_log, flow_of, mermaid
from constrained.analysis.svg import svg
from constrained.cli.screen import out, write
from constrained.logic.policy import Policy
from constrained.packs import load_policy, load_policy_file
from constrained.records.stores import read_log

_HINT = "name a file in a folder that is yours"


def draw(
    target: Annotated[str, typer.Argument(help="A pack, or a logic file (.py).")],
    svg_file: Annotated[Path | None, typer.Option("--svg", help="Write an SVG picture there.")] = None,
    mermaid_file: Annotated[Path | None, typer.Option("--mermaid", help="Write Mermaid text there; on standard output by default.")] = None,
    coverage: Annotated[Path | None, typer.Option(help="Paint what golden dialogues come to: a file of test --coverage.")] = None,
    log: Annotated[str | None, typer.Option(help="Paint the turns of a log: a file, or postgresql://USER@HOST/NAME")] = None,
) -> None:
    """Draw the graph of a pack: conditions, responses, steps and effects, each with how often it was come to."""
    policy = load_policy_file(target) if target.endswith(".py") else load_policy(target)
    flow, counts = flow_of(policy), _counts(policy, coverage, log)
    if svg_file is not None:
        write(svg_file, svg(flow, counts), _HINT, done="wrote")
    if mermaid_file is not None:
        write(mermaid_file, mermaid(flow, counts), _HINT, done="wrote")
    if svg_file is None and mermaid_file is None:
        out.file.write(mermaid(flow, counts))


def _counts(policy: Policy, coverage: Path | None, log: str | None) -> Counts | None:
    if coverage is not None:
        return counts_of_coverage(coverage, policy.name)
    return counts_of_log(read_log(log), policy.file) if log is not None else None
