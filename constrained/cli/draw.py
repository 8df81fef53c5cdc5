"""``constrained draw``: a policy or procedure as a Mermaid picture, with what dialogues or a log came to painted on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from constrained.analysis.flow import Counts, counts_of_coverage, counts_of_log, flow_of, markdown, mermaid
from constrained.cli.screen import out, write
from constrained.logic.policy import Policy
from constrained.packs import load_policy, load_policy_file
from constrained.records.log import read_log

_HINT = "name a file in a folder that is yours"


def draw(
    target: Annotated[str, typer.Argument(help="A pack, or a logic file (.py).")],
    file: Annotated[Path | None, typer.Option("--out", help="The file to write, .mmd or .md (Markdown); else standard output.")] = None,
    coverage: Annotated[Path | None, typer.Option(help="Paint what golden dialogues come to: a file of test --coverage.")] = None,
    log: Annotated[str | None, typer.Option(help="Paint the turns of a log: a file, or postgresql://USER@HOST/NAME")] = None,
) -> None:
    """Draw the graph of a pack as Mermaid text: conditions, responses, steps and effects, each with how often it was reached."""
    policy = load_policy_file(target) if target.endswith(".py") else load_policy(target)
    flow, counts = flow_of(policy), _counts(policy, coverage, log)
    if file is None:
        out.file.write(mermaid(flow, counts))
    else:
        write(file, (markdown if file.suffix.lower() == ".md" else mermaid)(flow, counts), _HINT, done="wrote")


def _counts(policy: Policy, coverage: Path | None, log: str | None) -> Counts | None:
    if coverage is not None:
        return counts_of_coverage(coverage, policy.name)
    return counts_of_log(read_log(log), policy.file) if log is not None else None
