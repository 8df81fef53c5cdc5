"""What an examiner gets besides the records: catalog and its history, logic, approvals, tests, use, models. Knows no log."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from constrained.approval.ledger import ledger_path
from constrained.approval.people import people_path
from constrained.audit.bundle import as_json
from constrained.audit.record import Record
from constrained.audit.usage import Use
from constrained.folders import Pack
from constrained.golden import load_golden, run_golden
from constrained.logic.policy import Policy

_NO_MODEL = ("catalog", "policy", "library", "approvals", "people", "channel", "jurisdiction", "drafts", "suspended")
_CARD = """# Models

A model never writes what is said: it gives a probability to each response that the rules allow, and one of them is said word for
word. Every decision below was made that way; `rules` means that no model was asked, or that it was late.

{models}

## Decisions

| how | turns |
|---|---|
{modes}

Abstentions (the fallback was said because nothing was likely enough): {n_abstained} of {n_turns}.
"""


def tested_ids(pack: Pack | None) -> set[str]:
    """The responses that golden dialogues say or oblige to."""
    if pack is None or pack.dialogues_path is None:
        return set()
    turns = [turn for dialogue in load_golden(pack.dialogues_path).dialogues for turn in dialogue.turns]
    return {turn.expects for turn in turns} | {one for turn in turns for one in turn.obliged or ()}


def pack_files(pack: Pack, policy: Policy) -> Iterator[tuple[str, bytes]]:
    """The files of a pack by the name that they have in a bundle."""
    catalog = pack.catalog_path
    yield f"pack/{catalog.name}", catalog.read_bytes()
    yield f"pack/{pack.logic_path.name}", pack.logic_path.read_bytes()
    for beside in (ledger_path(catalog), people_path(catalog)):  # by name: a key or a log may lie there too
        if beside.is_file():
            yield f"pack/{beside.name}", beside.read_bytes()
    if pack.dialogues_path is not None:
        yield f"pack/{pack.dialogues_path.stem}.dialogues.yaml", pack.dialogues_path.read_bytes()
        yield "golden.json", as_json(list(_golden(policy, pack.dialogues_path)))
    history = _history([catalog, ledger_path(catalog)])
    if history:
        yield "pack/history.patch", history


def use_files(uses: Sequence[Use], n_current: int) -> Iterator[tuple[str, bytes]]:
    """The use of responses, and how far tests and use cover the catalog."""
    yield "usage.json", as_json([asdict(use) | {"n_said": use.n_said} for use in uses])
    current = [use for use in uses if use.is_current]
    coverage = {
        "responses": n_current,
        "tested": sum(use.is_tested for use in current),
        "used": sum(use.n_said > 0 for use in current),
        "never_used": [use.id for use in current if not use.n_said],
        "never_tested": [use.id for use in current if not use.is_tested],
    }
    yield "coverage.json", as_json(coverage)


def model_card(records: Iterable[Record]) -> bytes:
    """Which models chose, with all that identifies them, how often, and how."""
    models: Counter[tuple[tuple[str, str], ...]] = Counter()
    modes: Counter[str] = Counter()
    n_abstained = 0
    for record in records:
        models[tuple(sorted((name, value) for name, value in record.versions.items() if name not in _NO_MODEL))] += 1
        modes[record.decision.mode] += 1
        n_abstained += record.decision.abstained
    told = "\n\n".join(_model(identity, count) for identity, count in models.most_common()) or "No turn was taken."
    rows = "\n".join(f"| {mode} | {count} |" for mode, count in modes.most_common())
    return _CARD.format(models=told, modes=rows, n_abstained=n_abstained, n_turns=sum(modes.values())).encode()


def _model(identity: tuple[tuple[str, str], ...], count: int) -> str:
    values = dict(identity)
    name = "No model: the rules alone" if values.get("engine") == "none" else values.get("model", "a model without a name")
    rows = "\n".join(f"| {key} | `{value}` |" for key, value in identity)
    return f"## {name}\n\n{count} turns.\n\n| | |\n|---|---|\n{rows}"


def _golden(policy: Policy, path: Path) -> Iterator[dict[str, object]]:
    for dialogue in load_golden(path).dialogues:
        for number, result in enumerate(run_golden(policy, dialogue), 1):
            said = result.reply.text if result.reply else None
            yield {
                "dialogue": dialogue.name,
                "turn": number,
                "message": result.golden.says,
                "expects": result.golden.expects,
                "said": said,
                "problems": list(result.problems),
            }


def _history(paths: Sequence[Path]) -> bytes:
    """Every change of these files, newest first, where git keeps them; empty elsewhere."""
    names = [str(path.resolve()) for path in paths]
    command = ["git", "-C", str(paths[0].resolve().parent), "log", "-p", "--date=iso-strict", "--", *names]
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return b""
