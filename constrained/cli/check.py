"""``constrained check``: everything that is wrong with a pack or a file, at once, or a table of what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from constrained.analysis.check import examine
from constrained.analysis.review_lint import lint_promises, lint_review
from constrained.analysis.voice_files import EXTENSIONS, voice_report
from constrained.approval.ledger import ledger_path
from constrained.approval.logic_signatures import unsigned_logic
from constrained.approval.worklist import approval_report, n_in_force
from constrained.catalog.box import box_report
from constrained.catalog.lint import lint
from constrained.catalog.load import load_catalog
from constrained.catalog.response import Catalog
from constrained.cli.prove import judge_conversations
from constrained.cli.screen import line, show, today
from constrained.dialogue.turn import Turn
from constrained.errors import ConstrainedError, PackError, Problem
from constrained.logic.options import Allowed, with_it
from constrained.logic.policy import Policy
from constrained.pack_folders import find_pack
from constrained.packs import files_of, load_policy_file
from constrained.quality.golden import GoldenFile, load_golden, run_golden

T = TypeVar("T")
PROVING_S, PROVING_POINTS = 3.0, 2_000  # of a look at conversations; constrained prove looks at all of them


@dataclass(slots=True)
class Findings:
    """What a check found: problems fail it, remarks do not."""

    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    catalog: Catalog | None = None
    policy: Policy | None = None
    golden: GoldenFile | None = None
    n_runs: int = 0
    conversations: str = ""

    def read(self, reader: Callable[[Path], T], path: Path) -> T | None:
        """What ``reader`` makes of the file; None when it raises, its problems are then noted, each once."""
        try:
            return reader(path)
        except ConstrainedError as error:
            listed = getattr(error, "problems", ()) or [Problem(str(path), 0, 0, error.message, error.hint)]
            self.problems += [problem for problem in listed if problem not in self.problems]
            return None

    def forget_unreached(self, turn: Turn | None) -> None:
        """Drops remarks on responses that no sampled run reached: a golden turn shows that they can be said."""
        allowed = turn.trace.allowed if turn is not None else Allowed(())
        reached = [option.id for option in allowed.options]
        reached += [one.id for option in allowed.options for one in with_it(option, allowed.obligations)]
        about = tuple(f"the response {response_id!r} was offered in none of" for response_id in reached)
        self.remarks = [remark for remark in self.remarks if not remark.message.startswith(about)]


def check(
    target: Annotated[str, typer.Argument(help="A pack, a catalog file (.yaml) or a logic file (.py).")],
    strict: Annotated[bool, typer.Option("--strict", help="Remarks fail the check as well: for a build server.")] = False,
    voices: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder of recordings: is there one for every voice?")] = None,
    ext: Annotated[str, typer.Option(help="The endings of recordings, with commas between them.")] = ",".join(EXTENSIONS),
) -> None:
    """List everything that is wrong with a pack or a file.

    The catalog and its approvals, the logic, whether both fit, the golden dialogues, and what conversations come to.
    Exit status 1 when a problem is found.
    """
    findings = Findings()
    _check(target, findings)
    if voices is not None and findings.catalog is not None:
        missing, unused = voice_report(findings.catalog, voices, ext.split(","))
        findings.problems += missing
        findings.remarks += unused
    if strict:
        findings.problems, findings.remarks = findings.problems + findings.remarks, []
    for problem in findings.problems:
        line(str(problem))
    for remark in findings.remarks:
        line(f"remark: {remark}", "yellow")
    if findings.problems:
        n_problems = len(findings.problems)
        line(f"{target}: {n_problems} {'problem' if n_problems == 1 else 'problems'}", "bold red")
        raise typer.Exit(1)
    _show(findings)
    line(f"{target}: no problem", "bold green")


def _check(target: str, findings: Findings) -> None:
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        _check_catalog(path, findings)
    elif path.suffix == ".py":
        _check_logic(path, findings)
    elif path.suffix or path.name != target:
        raise PackError(f"{target} is neither a pack nor a .yaml or .py file", name=target, hint="constrained check NAME, or a file")
    else:
        pack = find_pack(target)
        _check_catalog(pack.catalog_path, findings, is_alone=False)
        if findings.catalog is not None:  # else the logic could only repeat the catalog's problems
            _check_logic(pack.logic_path, findings)
        if findings.policy is not None and pack.dialogues_path is not None:
            _check_golden(findings.policy, pack.dialogues_path, findings)
        if findings.policy is not None and not findings.problems:  # else the conversations could only repeat what is wrong
            _check_conversations(findings.policy, pack.logic_path, findings)


def _check_catalog(path: Path, findings: Findings, *, is_alone: bool = True) -> None:
    """``is_alone``: no logic is at hand, which would tell what is picked, and among what."""
    findings.catalog = findings.read(load_catalog, path)
    if findings.catalog is not None:
        if is_alone:
            findings.remarks += _lint_alone(findings.catalog)
        problems, remarks = approval_report(findings.catalog, today())
        too_long, may_be_long = box_report(findings.catalog)
        findings.problems += problems + too_long
        findings.remarks += remarks + may_be_long
        findings.remarks += lint_review(findings.catalog)


def _lint_alone(catalog: Catalog) -> Iterator[Problem]:
    """Remarks that hold whatever the logic is, and one that counts those which only the logic can decide."""
    certain = lint(catalog, picked=(), together=lambda one, other: False)
    yield from certain
    n_open = len(lint(catalog)) - len(certain)
    if n_open:
        message = f"{n_open} {'remark depends' if n_open == 1 else 'remarks depend'} on the logic: what is offered, and what together"
        yield Problem(catalog.path, 0, 0, message, f"see them with: constrained check {catalog.name}")


def _check_logic(path: Path, findings: Findings) -> None:
    findings.policy = findings.read(load_policy_file, path)
    if findings.policy is not None:
        findings.catalog = findings.policy.catalog
        findings.remarks += unsigned_logic(findings.policy.catalog, partial(files_of, findings.policy), today())
        examined = examine(findings.policy, today=today())
        findings.problems += examined.problems
        findings.remarks += lint(findings.catalog, picked=examined.picked, together=examined.are_together)
        findings.remarks += lint_promises(findings.policy)
        findings.remarks += examined.remarks
        findings.n_runs = examined.n_runs


def _check_golden(policy: Policy, path: Path, findings: Findings) -> None:
    findings.golden = findings.read(load_golden, path)
    for dialogue in findings.golden.dialogues if findings.golden else ():
        for number, result in enumerate(run_golden(policy, dialogue), start=1):
            findings.problems += [Problem(str(path), 0, 0, f"{dialogue.name!r}, turn {number}: {text}") for text in result.problems]
            findings.forget_unreached(result.reply)


def _check_conversations(policy: Policy, logic: Path, findings: Findings) -> None:
    """The properties, declared and built in: by the proof that is kept, or a short look."""
    report = findings.read(lambda path: judge_conversations(policy, path, seconds=PROVING_S, states=PROVING_POINTS), logic)
    if report is not None:
        findings.problems += report.problems
        findings.remarks += report.remarks
        findings.conversations = report.fact


def _show(findings: Findings) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, text in _facts(findings):
        table.add_row(name, Text(text))
    show(table)


def _facts(findings: Findings) -> Iterator[tuple[str, str]]:
    catalog, policy, golden = findings.catalog, findings.policy, findings.golden
    if catalog is not None:
        locales = sorted({locale for response in catalog.responses.values() for locale in response.texts})
        n_approved = sum(response.approval is not None for response in catalog.responses.values())
        signed = n_in_force(catalog, today())
        yield "catalog", f"{catalog.name} version {catalog.version}, {catalog.path}"
        dated = f" ({n_approved} with an approval)" if signed is None else ""
        yield "responses", f"{len(catalog.responses)}{dated}, fallback {catalog.fallback}"
        if signed is not None:
            yield "approvals", f"{signed[0]} of {signed[1]} versions in force, {ledger_path(catalog.path)}"
        yield "locales", ", ".join(locales)
        yield "hash", catalog.hash[:23]
    if policy is not None:
        questions = policy.heard_type.model_fields if policy.heard_type else ()
        yield "logic", policy.file
        yield "state", ", ".join(policy.state_type.model_fields) or "nothing"
        yield "hears", ", ".join(questions) or "nothing"
        yield "tried", f"{findings.n_runs} sampled states and messages"
    if findings.conversations:
        yield "conversations", findings.conversations
    if golden is not None:
        n_turns = sum(len(dialogue.turns) for dialogue in golden.dialogues)
        yield "golden", f"{len(golden.dialogues)} dialogues, {n_turns} turns, as written"
