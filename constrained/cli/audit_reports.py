"""``constrained audit`` for people who decide: re-decide, usage, report, export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from constrained.approval.in_force import NO_LEDGER, Approvals, ApprovalSnapshot, snapshot_at
from constrained.cli.desks import day
from constrained.cli.evidence import model_card, pack_files, tested_ids, use_files
from constrained.cli.screen import line, note, show, write
from constrained.errors import AuditError, PackError
from constrained.logic.policy import Policy
from constrained.pack_folders import Pack, find_pack
from constrained.packs import load_policy, load_policy_file
from constrained.records.log import existing, read_entries, read_log
from constrained.records.record import Chained, Record
from constrained.records.redecide import CHANGES, Comparison, compare, sign_off_page, workbook
from constrained.records.redecide import redecide as decided_anew
from constrained.records.report import ResponseUse, report, usage
from constrained.records.sealing import SubjectKeys, unsealed

LOG = Annotated[str, typer.Argument(help="A file of JSON lines, an SQLite file (.db), or postgresql://USER@HOST/NAME.")]
PACK = Annotated[str, typer.Option("--pack", help="The pack; the one that the log names when left out.")]
KEYS = Annotated[Path | None, typer.Option("--keys", help="The folder of the keys that content is sealed under.")]


def redecide(
    log: LOG,
    pack: PACK = "",
    logic: Annotated[Path | None, typer.Option(help="A logic file, with its catalog in ../catalogs, in place of the pack's.")] = None,
    model: Annotated[str, typer.Option(help="Ask this model anew; without it the recorded answers choose.")] = "",
    calibration: Annotated[Path | None, typer.Option(help="A JSON file with the calibration of --model.")] = None,
    threshold: Annotated[float | None, typer.Option(help="In place of the recorded ones.")] = None,
    approvals: Annotated[str, typer.Option(help="Which count: none, now, or then (as each turn had them).")] = "none",
    html: Annotated[Path | None, typer.Option(help="Write a page for sign-off.")] = None,
    xlsx: Annotated[Path | None, typer.Option(help="Write a workbook with every turn that changes.")] = None,
    keys: KEYS = None,
    ray: Annotated[int, typer.Option(help="Spread a log in JSON lines over so many workers of Ray Data.")] = 0,
) -> None:
    """Decide recorded turns anew: who would now get which other reply?

    By the logic and the catalog as they are now, or by other ones.
    """
    policy = load_policy_file(logic) if logic else load_policy(pack or _named(log))
    what = f"{policy.catalog.name} version {policy.catalog.version}, {policy.catalog.path}; {policy.file}" + (f"; {model}" if model else "")
    if ray:
        if keys or calibration or approvals != "none":
            raise AuditError("--ray decides without --keys, --calibration and --approvals", hint="leave them out, or leave out --ray")
        from constrained.cli.evidence import compared_by_ray

        spread = compared_by_ray([log], policy.catalog.name, logic=policy.file, model=model, threshold=threshold, n_workers=ray)
        return _told(spread, html, xlsx, what)
    decide = None
    if model:
        from constrained.cli.evidence import deciding, engine_for

        decide = deciding(policy, engine_for(model, calibration), threshold)
    readable = _Readable(read_log(log), policy.catalog.name, keys)
    found = compare(decided_anew(policy, readable, threshold=threshold, decide=decide, standing=_standing(policy, approvals)))
    found.n_unreadable = readable.n_unreadable
    if readable.n_others:
        note(f"{readable.n_others} turns are of other catalogs; name one with --pack")
    _told(found, html, xlsx, what)
    return None


def _told(found: Comparison, html: Path | None, xlsx: Path | None, what: str) -> None:
    _show_comparison(found)
    if html:
        write(html, sign_off_page(found, what=what).encode())
    if xlsx:
        write(xlsx, workbook(found, what=what))


def show_usage(
    log: LOG,
    pack: PACK = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """First and last use of every response, counts, what was never used or never tested."""
    found = _pack(pack or _named(log))
    policy = load_policy(found.name) if found else None
    uses = usage(_of(read_log(log), found.name if found else ""), policy.catalog.responses if policy else (), tested_ids(found))
    if as_json:
        line(json.dumps([asdict(use) | {"n_said": use.n_said} for use in uses], ensure_ascii=False, indent=1))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("response", "said", "obliged", "allowed", "first", "last", ""):
        table.add_column(title, overflow="fold")
    for use in uses:
        cells = (use.id, str(use.n_said), str(use.n_obliged), str(use.n_allowed), use.first[:16], use.last[:16], _remark(use, found))
        table.add_row(*map(Text, cells))
    show(table)


def write_report(
    log: LOG,
    html: Annotated[Path, typer.Option(help="Where the page goes.")],
    pack: PACK = "",
    keys: KEYS = None,
) -> None:
    """Write a page: coverage, use, approvals, confusions, abstentions over time, protected triggers."""
    write(html, _report(log, _pack(pack or _named(log)), keys).encode())
    line(f"written: {html}")


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
    from constrained.cli.audit import private_key
    from constrained.records.bundle import write_bundle

    found = _pack(pack or _named(log))
    policy = load_policy(found.name) if found else None
    is_slice, days = bool(conversation or since or until), (day(since, "--since"), day(until, "--until"))
    chosen = [entry.sequence for entry in read_entries(log) if _is_in(entry, conversation, *days)] if is_slice else None
    if chosen == []:
        raise AuditError(f"{log} holds nothing of that slice", hint="constrained audit show LOG lists the last records")
    wanted = set(chosen or ())
    files = dict(pack_files(found, policy)) if found and policy else {}
    records = [record for record in read_log(log) if chosen is None or record.sequence in wanted]
    uses = usage(_of(records, found.name if found else ""), policy.catalog.responses if policy else (), tested_ids(found))
    files |= dict(use_files(uses, len(policy.catalog.responses) if policy else 0))
    files["model_card.md"] = model_card(records)
    if with_report:
        files["report.html"] = _report(log, found, None, records if is_slice else None).encode()
    n_records = write_bundle(folder, existing(log), private_key(key), files, only=chosen)
    line(f"{n_records} records and {len(files)} files in {folder}; check it with: cd {folder} && python verify.py")
    if any(record.sealed is None for record in records):
        note("the records hold what people said, in plain text: give the bundle only to those who may read that")


class _Readable:
    """The records of one catalog that can be read, counting the others and those that cannot be read."""

    def __init__(self, records: Iterable[Record], catalog: str, keys: Path | None) -> None:
        self._records, self._catalog, self._keys = records, catalog, SubjectKeys(keys) if keys else None
        self.n_unreadable = self.n_others = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            if _catalog(record) != self._catalog:
                self.n_others += 1
                continue
            found = unsealed(record, self._keys) if self._keys else None if record.sealed else record
            self.n_unreadable += found is None
            if found is not None:
                yield found


def _report(log: str, pack: Pack | None, keys: Path | None, records: Iterable[Record] | None = None) -> str:
    policy = load_policy(pack.name) if pack else None
    today = datetime.now(UTC).date()
    entries: Iterable[Chained] = read_entries(log) if records is None else records
    return report(
        entries,
        title=f"{policy.catalog.name}: what was said" if policy else "What was said",
        subtitle=f"{existing(log).name}, {today}",
        catalog=policy.catalog if policy else None,
        tested=tested_ids(pack),
        standing=Approvals(policy.catalog).now() if policy else None,
        today=today,
    )


def _standing(policy: Policy, approvals: str) -> Callable[[Record], ApprovalSnapshot]:
    if approvals == "then":
        return lambda record: snapshot_at(policy.catalog, record.versions)
    if approvals == "now":
        return lambda record: Approvals(
            policy.catalog, channel=record.versions.get("channel"), jurisdiction=record.versions.get("jurisdiction")
        ).now()
    if approvals != "none":
        raise AuditError(f"there are no approvals {approvals!r}", hint="--approvals none, now or then")
    return lambda record: NO_LEDGER


def _show_comparison(found: Comparison) -> None:
    n_changed = len(found.changed)
    line(f"{found.n_turns} turns decided anew: {found.n_turns - n_changed} the same, {n_changed} not", "bold")
    for change in CHANGES:
        if found.n_by_change(change):
            line(f"{change}: {found.n_by_change(change)}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("turns", "change", "said then", "said now"):
        table.add_column(title, overflow="fold")
    for (then, now, what), count in found.moves.most_common(20):
        table.add_row(*map(Text, (str(count), what, then, now or "nothing")))
    if found.moves:
        show(table)
    line(f"{len(found.affected)} of {len(found.conversations)} conversations are affected")
    if found.n_unscored:
        note(f"in {found.n_unscored} turns something is allowed now that no model has scored; --model asks one")
    if found.n_unreadable:
        note(f"{found.n_unreadable} turns cannot be read: their content is sealed; give --keys, unless it was erased")


def _named(log: str) -> str:
    """The catalog that a log names first."""
    first = next(iter(read_log(log)), None)
    if first is None:
        raise AuditError(f"{log} holds no turn", file=log, hint="nothing was said yet")
    return _catalog(first)


def _catalog(record: Record) -> str:
    return record.versions.get("catalog", "").split(" ")[0]


def _of(records: Iterable[Record], catalog: str) -> Iterator[Record]:
    return (record for record in records if not catalog or _catalog(record) == catalog)


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
