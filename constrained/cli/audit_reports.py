"""``constrained audit`` for people who decide: usage, report, and export, the bundle for an examiner with all its files."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from constrained.approval.in_force import Approvals
from constrained.approval.ledger import ledger_path
from constrained.approval.people import people_path
from constrained.cli.keys import read_private_key
from constrained.cli.models import load_engine
from constrained.cli.screen import LOG, PACK, SUBJECT_KEYS, catalog_of, first_catalog, line, new_table, note, parse_day, show, today, write
from constrained.errors import AuditError, PackError
from constrained.logic.policy import Policy
from constrained.pack_folders import Pack, find_pack
from constrained.packs import load_policy
from constrained.quality.golden import load_golden, run_files, run_golden
from constrained.quality.model_card import (
    FALLBACK,
    HANDED_OVER,
    LOW,
    Measured,
    RiskFile,
    card_sections,
    measured_in_file,
    measured_on_golden,
    risk_file,
)
from constrained.records.bundle import as_json, write_bundle
from constrained.records.drift import N_LEAST
from constrained.records.log import existing, read_entries, read_log
from constrained.records.record import Chained, Record
from constrained.records.report import ResponseUse, report, usage
from constrained.records.sealing import SubjectKeys, unsealed_parts
from constrained.serve.alerts import Limit, alert_rules

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


def show_usage(
    log: LOG,
    pack: PACK = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """First and last use of every response, counts, what was never used or never tested."""
    found = _pack(pack or first_catalog(log))
    policy = load_policy(found.name) if found else None
    uses = usage(_records_of(read_log(log), found.name if found else ""), policy.catalog.responses if policy else (), _tested_ids(found))
    if as_json:
        line(json.dumps([asdict(use) | {"n_said": use.n_said} for use in uses], ensure_ascii=False, indent=1))
        return
    table = new_table("response", "said", "obliged", "allowed", "first", "last", "")
    for use in uses:
        cells = (use.id, str(use.n_said), str(use.n_obliged), str(use.n_allowed), use.first[:16], use.last[:16], _remark(use, found))
        table.add_row(*map(Text, cells))
    show(table)


def write_report(
    log: LOG,
    html: Annotated[Path | None, typer.Option(help="Where the page goes.")] = None,
    to_json: Annotated[Path | None, typer.Option("--json", help="Where the model card and risk file go as JSON.")] = None,
    prometheus: Annotated[Path | None, typer.Option(help="Where alert rules go; check them with: promtool check rules FILE")] = None,
    pack: PACK = "",
    golden: Annotated[str, typer.Option(help="Measure this engine on the golden dialogues: rules, or a model.")] = "",
    results: Annotated[list[Path] | None, typer.Option(help="A result of constrained eval --json; can be given again.")] = None,
    weeks: Annotated[int, typer.Option(min=1, help="The newest weeks, which are held against what was measured and what came before.")] = 4,
    keys: SUBJECT_KEYS = None,
) -> None:
    """Write a page for the examiner: the engine, what was measured, drift, limits, coverage, use, approvals.

    What was not measured is told as not measured.
    """
    if not (html or to_json or prometheus):
        raise AuditError("nothing is asked for", hint="give --html FILE, --json FILE or --prometheus FILE")
    found = _pack(pack or first_catalog(log))
    policy = load_policy(found.name) if found else None
    records = list(_records_of(read_log(log), found.name if found else ""))
    if keys:
        opened = SubjectKeys(keys)
        records = [unsealed_parts(record, opened)[0] for record in records]
    path = found.dialogues_path if found else None
    card = risk_file(records, policy, list(_measured(policy, path, golden, results or [])), weeks=weeks, golden=path)
    if html:
        write(html, _report(log, found, keys, card=card_sections(card)).encode())
        line(f"written: {html}")
    if to_json:
        write(to_json, as_json(card.to_json()))
        line(f"written: {to_json}")
    if prometheus:
        write(prometheus, _alerts(card).encode())
        line(f"written: {prometheus}")
    for one in card.not_measured:
        note(f"not measured: {one}")


def _measured(policy: Policy | None, path: Path | None, golden: str, results: Sequence[Path]) -> Iterator[Measured]:
    if golden:
        if policy is None or path is None:
            raise AuditError("there are no golden dialogues of this log's pack", hint="leave out --golden, or name the pack: --pack")
        engine = None if golden == "rules" else load_engine(golden)
        runs = [result for result, _ in run_files([path], engine, by_rules=engine is None)]
        yield measured_on_golden(runs, policy, engine.identity if engine else {"engine": "rules"}, path)
    for one in results:
        yield measured_in_file(one, policy)


def _alerts(card: RiskFile) -> str:
    """Alert rules whose limits rest on the log's own shares."""
    shares = {"fallback": card.share(FALLBACK), "hand_over": card.share(HANDED_OVER), "low": card.share(LOW)}
    enough = {name: share.interval if share.n >= N_LEAST else None for name, share in shares.items()}
    limits = {name: Limit.of(name, ends[1] if ends else None, str(shares[name])) for name, ends in enough.items()}
    return alert_rules(**limits)


def export(
    log: LOG,
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    key: Annotated[Path, typer.Option("--key", help="The private key that signs; see: constrained keys new.")],
    pack: PACK = "",
    conversation: Annotated[list[str] | None, typer.Option(help="Only this conversation; can be given again.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this day on: 2026-03-01.")] = None,
    until: Annotated[str | None, typer.Option(help="Only until this day.")] = None,
    with_report: Annotated[bool, typer.Option("--report/--no-report", help="Put the report page in.")] = True,
) -> None:
    """Write an examiner's bundle: records with proofs, pack, approvals, tests, use, models, verifier.

    A slice holds a proof for each of its records and shows nothing of the others.
    """
    found = _pack(pack or first_catalog(log))
    policy = load_policy(found.name) if found else None
    is_slice, days = bool(conversation or since or until), (parse_day(since, "--since"), parse_day(until, "--until"))
    chosen = [entry.sequence for entry in read_entries(log) if _is_in(entry, conversation, *days)] if is_slice else None
    if chosen == []:
        raise AuditError(f"{log} holds nothing of that slice", hint="constrained audit show LOG lists the last records")
    wanted = set(chosen or ())
    files = dict(_pack_files(found, policy)) if found and policy else {}
    records = [record for record in read_log(log) if chosen is None or record.sequence in wanted]
    uses = usage(_records_of(records, found.name if found else ""), policy.catalog.responses if policy else (), _tested_ids(found))
    files |= dict(_use_files(uses, len(policy.catalog.responses) if policy else 0))
    files["model_card.md"] = _model_card(records)
    if with_report:
        files["report.html"] = _report(log, found, None, records if is_slice else None).encode()
    n_records = write_bundle(folder, existing(log), read_private_key(key), files, only=chosen)
    line(f"{n_records} records and {len(files)} files in {folder}; check it with: cd {folder} && python verify.py")
    if any(record.sealed is None for record in records):
        note("the records hold what people said, in plain text: give the bundle only to those who may read that")


def _report(
    log: str, pack: Pack | None, keys: Path | None, records: Iterable[Record] | None = None, card: Mapping[str, Any] | None = None
) -> str:
    policy = load_policy(pack.name) if pack else None
    entries: Iterable[Chained] = read_entries(log) if records is None else records
    return report(
        entries,
        title=f"{policy.catalog.name}: what was said" if policy else "What was said",
        subtitle=f"{existing(log).name}, {today()}",
        catalog=policy.catalog if policy else None,
        tested=_tested_ids(pack),
        standing=Approvals(policy.catalog).now() if policy else None,
        today=today(),
        card=card,
    )


def _records_of(records: Iterable[Record], catalog: str) -> Iterator[Record]:
    return (record for record in records if not catalog or catalog_of(record) == catalog)


def _pack(name: str) -> Pack | None:
    try:
        return find_pack(name)
    except PackError:
        note(f"the pack {name!r} is not here: what is in its catalog and tests is left out")
        return None


def _remark(use: ResponseUse, pack: Pack | None) -> str:
    remarks = [] if use.n_said else ["never used"]
    if pack is not None and not use.is_tested:
        remarks.append("never tested")
    return ", ".join(remarks + ([] if use.is_current else ["not in the catalog"]))


def _is_in(entry: Chained, conversations: list[str] | None, since: date | None, until: date | None) -> bool:
    at = getattr(entry, "at", "")[:10]
    is_wanted = not conversations or getattr(entry, "conversation", None) in conversations
    return is_wanted and (since is None or at >= str(since)) and (until is None or at <= str(until))


def _tested_ids(pack: Pack | None) -> set[str]:
    """The responses that golden dialogues say or oblige to."""
    if pack is None or pack.dialogues_path is None:
        return set()
    turns = [turn for dialogue in load_golden(pack.dialogues_path).dialogues for turn in dialogue.turns]
    return {turn.expects for turn in turns} | {one for turn in turns for one in turn.obliged or ()}


def _pack_files(pack: Pack, policy: Policy) -> Iterator[tuple[str, bytes]]:
    """The files of a pack by the name that they have in a bundle."""
    catalog = pack.catalog_path
    yield f"pack/{catalog.name}", catalog.read_bytes()
    yield f"pack/{pack.logic_path.name}", pack.logic_path.read_bytes()
    for path in (ledger_path(catalog), people_path(catalog)):  # by name: a key or a log may lie there too
        if path.is_file():
            yield f"pack/{path.name}", path.read_bytes()
    if pack.dialogues_path is not None:
        yield f"pack/{pack.dialogues_path.stem}.dialogues.yaml", pack.dialogues_path.read_bytes()
        yield "golden.json", as_json(list(_golden_turns(policy, pack.dialogues_path)))
    history = _history([catalog, ledger_path(catalog)])
    if history:
        yield "pack/history.patch", history


def _use_files(uses: Sequence[ResponseUse], n_current: int) -> Iterator[tuple[str, bytes]]:
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


def _model_card(records: Iterable[Record]) -> bytes:
    """Which models chose, with all that identifies them, how often, and how."""
    models: Counter[tuple[tuple[str, str], ...]] = Counter()
    modes: Counter[str] = Counter()
    n_abstained = 0
    for record in records:
        models[tuple(sorted((name, value) for name, value in record.versions.items() if name not in _NO_MODEL))] += 1
        modes[record.decision.mode] += 1
        n_abstained += record.decision.abstained
    sections = "\n\n".join(_model(identity, count) for identity, count in models.most_common()) or "No turn was taken."
    rows = "\n".join(f"| {mode} | {count} |" for mode, count in modes.most_common())
    return _CARD.format(models=sections, modes=rows, n_abstained=n_abstained, n_turns=sum(modes.values())).encode()


def _model(identity: tuple[tuple[str, str], ...], count: int) -> str:
    values = dict(identity)
    name = "No model: the rules alone" if values.get("engine") == "none" else values.get("model", "a model without a name")
    rows = "\n".join(f"| {key} | `{value}` |" for key, value in identity)
    return f"## {name}\n\n{count} turns.\n\n| | |\n|---|---|\n{rows}"


def _golden_turns(policy: Policy, path: Path) -> Iterator[dict[str, object]]:
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
