"""``constrained prove``: what no conversation with a pack can come to, and a shortest one for whatever can."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from constrained.analysis.prover import proofs
from constrained.analysis.prover.proofs import Proof, Verdict, golden_text, read_proof
from constrained.analysis.prover.properties import DeclaredProperties, proof_path, properties_path, read_properties
from constrained.analysis.samples import try_build
from constrained.cli.screen import line, new_progress, note, out, show
from constrained.errors import Problem, PropertyError
from constrained.logic.policy import Policy
from constrained.pack_folders import find_pack
from constrained.packs import load_policy_file

_STYLES = {"proved": "bold green", "held": "green", "violated": "bold red", "open": "yellow"}


def prove(
    name: Annotated[str, typer.Argument(help="A pack.")],
    states: Annotated[int, typer.Option("--states", min=1, help="Most points of conversations to explore.")] = proofs.MOST_POINTS,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="Longest time to explore.")] = proofs.MOST_SECONDS,
    dialogues: Annotated[Path | None, typer.Option("--dialogues", help="Write counterexamples there, as golden dialogues.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The proof as JSON on standard output.")] = False,
    save: Annotated[bool, typer.Option("--save", help="Keep the proof in proofs/NAME.json, for check.")] = False,
) -> None:
    """Explore the conversations of a pack, and judge every property of them.

    Built in: no point without an option, no response that is never said, a person in reach, no loop of fallbacks, obligations that
    can be said, rules that do not conflict, effects that can run. Your own stand in properties/NAME.py. Exit status 1 when one is violated.
    """
    pack = find_pack(name)
    policy = load_policy_file(pack.logic_path)
    declared = read_properties(properties_path(pack.logic_path))
    proof = _proved(policy, declared, states, seconds)
    if save:
        _save(proof, proof_path(pack.logic_path))
    if as_json:
        out.file.write(proof.text())
    else:
        _show(proof)
    shown = [one for one in proof.verdicts if one.dialogue is not None]
    if dialogues is not None:
        text = golden_text(name, [one.dialogue for one in shown if one.dialogue], {one.name: _about(one) for one in shown})
        dialogues.write_text(text, encoding="utf-8")
    elif not as_json:
        for one in shown:
            _show_dialogue(name, one)
    if proof.violated:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class ConversationReport:
    """What ``check`` is told of a pack's conversations: problems fail it, remarks do not; ``fact`` says what was looked at."""

    problems: tuple[Problem, ...] = ()
    remarks: tuple[Problem, ...] = ()
    fact: str = ""


def judge_conversations(policy: Policy, logic: Path, seconds: float, states: int) -> ConversationReport:
    """By the kept proof while it holds, else by a short exploration. Raises PropertyError for a file that cannot be used."""
    declared, path = read_properties(properties_path(logic)), proof_path(logic)
    stale: tuple[Problem, ...] = ()
    if path.is_file():
        proof = read_proof(path)
        changed = proof.stale(proofs.bound(policy, declared.text))
        if not changed:
            return ConversationReport(_problems(proof, str(path)), (), f"{len(proof.verdicts)} properties, {proof.rests_on()}")
        hint = f"constrained prove {logic.stem} --save"
        stale = (Problem(str(path), 0, 0, f"the proof is stale: {' and '.join(changed)} changed since", hint),)
    if not declared.scope.starts and try_build(policy.state_type.default) is None:
        return ConversationReport((), stale, "nowhere to start: no state without values")
    proof = proofs.prove(policy, declared.properties, declared.scope, source=declared.text, most_points=states, most_seconds=seconds)
    found, fact = _problems(proof, policy.file), f"{len(proof.verdicts)} properties, {proof.rests_on()}"
    return ConversationReport(found, stale, fact) if declared.text else ConversationReport((), (*stale, *found), fact)


def _problems(proof: Proof, file: str) -> tuple[Problem, ...]:
    hint = f"see the conversation: constrained prove {proof.pack}"
    return tuple(Problem(file, 0, 0, f"{one.name}: {one.wrong or 'not so: ' + one.says}", hint) for one in proof.violated)


def _proved(policy: Policy, declared: DeclaredProperties, states: int, seconds: float) -> Proof:
    """With a bar on a terminal: of the points found so far, how many were explored."""
    with new_progress(BarColumn(), TextColumn("{task.completed:,} of {task.total:,} points"), TimeElapsedColumn()) as progress:
        task = progress.add_task("exploring", total=1)
        return proofs.prove(
            policy,
            declared.properties,
            declared.scope,
            source=declared.text,
            most_points=states,
            most_seconds=seconds,
            progress=lambda found, done, turns: progress.update(task, total=min(found, states), completed=done),
        )


def _save(proof: Proof, path: Path) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(proof.text(), encoding="utf-8")
    except OSError as error:
        raise PropertyError(f"{path} cannot be written: {error.strerror}", hint="prove in a folder that is yours") from error
    note(f"wrote {path}")


def _show(proof: Proof) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column()
    table.add_column(overflow="fold")
    for one in proof.verdicts:
        table.add_row(Text(one.status, style=_STYLES[one.status]), one.name, Text(_about(one)))
    show(table)
    line()
    line(f"rests on {proof.rests_on()}")
    for field, values in proof.explored.heard.items():
        line(f"heard {field}: {values}", "dim")
    found = proof.explored
    line(f"{proof.pack}: {found.n_explored:,} points, {found.n_turns:,} turns in {found.seconds:.1f} s", "dim")


def _about(one: Verdict) -> str:
    return f"{one.says}: {one.wrong}" if one.wrong else one.says


def _show_dialogue(name: str, one: Verdict) -> None:
    if one.dialogue is None:
        return
    line()
    line(f"# {one.name}: a shortest conversation; keep it with --dialogues FILE, replay it with: constrained test FILE", "bold")
    for text in golden_text(name, [one.dialogue], {one.name: _about(one)}).splitlines():
        line(text)
