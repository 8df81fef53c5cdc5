"""``constrained audit`` and ``replay``: verify, show, replay and sign a log, erase a person from it."""

from __future__ import annotations

import getpass
import json
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from constrained.approval.keys import load_public, load_signer
from constrained.cli import audit_redecide, audit_reports, audit_retention
from constrained.cli.screen import LOG, SUBJECT_KEYS, catalog_of, line, write
from constrained.errors import AuditError
from constrained.logic.policy import Policy
from constrained.packs import load_policy, load_policy_file
from constrained.records import checkpoints
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import Readable, existing, is_postgres, open_log, read_entries, read_log, sqlite_path
from constrained.records.log_verification import verify_log
from constrained.records.record import Chained, Record
from constrained.records.replay import replay as replay_turns
from constrained.records.retention_rules import load_rules
from constrained.records.retention_verification import verify_retention
from constrained.records.sealing import SubjectKeys, erase, unsealed, unsealed_parts
from constrained.records.sinks import checkpoints_in, sink_at


def replay_log(
    log: Annotated[str, typer.Argument(help="A log: a file of JSON lines, an SQLite file (.db), or postgresql://USER@HOST/NAME")],
    logic: Annotated[Path | None, typer.Option(help="The logic file, when it is not the one of the pack that the log names.")] = None,
) -> None:
    """Reproduce every reply of a log, without a model.

    The first one that differs is named, and the exit status is then 1.
    """
    replay_records(read_log(log), logic, None)


def replay_records(records: Iterable[Record], logic: Path | None, keys: SubjectKeys | None) -> None:
    """Takes records again; what is sealed is read with ``keys``, and counted where it cannot be."""
    policies: dict[str, Policy] = {}
    n_same = n_unreadable = n_masked = n_signed = n_drafts = 0
    for record in records:
        readable = unsealed(record, keys) if keys else None if record.sealed else record
        if readable is None:
            n_unreadable += 1
            continue
        for replayed in replay_turns(_policy(record, logic, policies), [readable]):
            if replayed.error is not None:
                raise replayed.error
            n_masked += replayed.is_undecidable
            n_same += replayed.is_same
            n_signed += "logic" in record.versions
            n_drafts += "drafts" in record.versions
    _tell_replayed(n_same, n_unreadable, n_masked, n_signed, n_drafts)


def _tell_replayed(n_same: int, n_unreadable: int, n_masked: int, n_signed: int, n_drafts: int) -> None:
    sealed = f"; {n_unreadable} cannot be read: their content is sealed, or was erased" if n_unreadable else ""
    masked = f"; {n_masked} cannot be decided anew: what may not be logged was masked in them" if n_masked else ""
    line(f"{n_same} {'reply' if n_same == 1 else 'replies'} reproduced, byte for byte, and the chain of records is whole{sealed}{masked}")
    if n_signed or n_drafts:
        others = n_same + n_masked - n_signed - n_drafts
        line(
            f"by logic that was signed on that day: {n_signed}; with drafts allowed: {n_drafts}; where no signature was asked for: {others}"
        )


def _policy(record: Record, logic: Path | None, policies: dict[str, Policy]) -> Policy:
    """The policy of a record: of the pack with the name of its catalog, unless ``logic`` is given."""
    pack = catalog_of(record)
    if pack not in policies:
        policies[pack] = load_policy_file(logic) if logic else load_policy(pack)
    return policies[pack]


# -- the commands of ``constrained audit`` ---------------------------------------------------------------------

PUBLIC = Annotated[Path | None, typer.Option("--key", help="The public key that must have signed the checkpoints.")]
PRIVATE = Annotated[Path, typer.Option("--key", help="The private key that signs (with --signer: its public key).")]
SIGNER = Annotated[str, typer.Option(help="A command that signs with the key: an HSM's or a KMS's client. See docs/evidence.md.")]
SINKS = Annotated[list[str] | None, typer.Option("--sink", help="A write-once folder or a URL that gets every checkpoint too.")]
NOT_ESTABLISHED = 3  # exit status: whole, as far as can be seen from here

app = typer.Typer(help="Verify, show, replay and export a log.", no_args_is_help=True, rich_markup_mode=None)


@app.command("verify")
def verify(
    log: LOG,
    key: PUBLIC = None,
    record: Annotated[str, typer.Option(help="Only this record, by its sequence or turn, with its proof.")] = "",
    sink: Annotated[Path | None, typer.Option(help="The write-once folder that its checkpoints were put into as well.")] = None,
    keys: SUBJECT_KEYS = None,
    rules: Annotated[Path | None, typer.Option(help="The rules of retention that erasures are held against.")] = None,
) -> None:
    """Check a whole log, or one record with its proof.

    Names the first bad record; the exit status is then 1. What could not be established is said first; the exit status is then 3.
    """
    if sink is not None and (record or key is None):
        raise AuditError("--sink holds a whole log against a key", hint="give --key PUBLIC, and no --record")
    store = existing(log)
    if record:
        _verify_one(store, record, key)
        return
    found = verify_log(store, None if key is None else load_public(key), None if sink is None else checkpoints_in(sink))
    kept = verify_retention(store, SubjectKeys(keys) if keys else None, load_rules(rules) if rules else None)
    not_established = (*found.not_established, *kept.not_established)
    if not_established:
        line("NOT ESTABLISHED: " + "; ".join(not_established))
    line(found.summary)
    for one in kept.erased:
        line(f"erased: {one}")
    if not_established:
        raise typer.Exit(NOT_ESTABLISHED)


@app.command("show")
def show(
    log: LOG,
    which: Annotated[str, typer.Argument(help="A sequence, a turn or a conversation; the last ones when left out.")] = "",
    last: Annotated[int, typer.Option(help="How many of the last entries.")] = 5,
    plain: Annotated[bool, typer.Option("--plain", help="Do not mask card, account and other long numbers.")] = False,
    keys: SUBJECT_KEYS = None,
) -> None:
    """Print entries as JSON, redacted unless --plain.

    What is sealed is shown only with --keys.
    """
    wanted = (entry for entry in read_entries(log) if not which or _is_named(entry, which))
    found = deque(wanted, maxlen=None if which else max(0, last))
    if which and not found:
        raise AuditError(f"{log} holds no {which!r}", hint="give a sequence, the id of a turn, or of a conversation")
    for entry in found:
        line(json.dumps(_view(entry, plain, SubjectKeys(keys) if keys else None), ensure_ascii=False, indent=1))


@app.command("replay")
def replay(
    log: LOG,
    logic: Annotated[Path | None, typer.Option(help="The logic file, when it is not the one of the pack that the log names.")] = None,
    keys: SUBJECT_KEYS = None,
) -> None:
    """Reproduce every reply of a log, without a model.

    The first one that differs is named, and the exit status is then 1.
    """
    replay_records(read_log(log), logic, SubjectKeys(keys) if keys else None)


@app.command("checkpoint")
def checkpoint(
    log: LOG,
    key: PRIVATE,
    signer: SIGNER = "",
    sink: SINKS = None,
) -> None:
    """Sign what no checkpoint covers yet."""
    body = checkpoints.checkpoint(existing(log), load_signer(key, signer), [sink_at(place) for place in sink or ()], puts_all=True)
    line(f"signed records {body['first']} to {body['last']}, root {body['root']}" if body else "everything is signed already")


@app.command("rotate")
def rotate(
    log: LOG,
    key: PRIVATE,
    to: Annotated[Path, typer.Option(help="The private key that takes over (with --to-signer: its public key).")],
    signer: SIGNER = "",
    to_signer: Annotated[str, typer.Option(help="As --signer, for the key that takes over.")] = "",
    by: Annotated[str, typer.Option(help="Who orders it.")] = "",
    sink: SINKS = None,
) -> None:
    """Let another key sign from now on; the old one signs that it hands over.

    Either public key then verifies the whole log.
    """
    before, after = load_signer(key, signer), load_signer(to, to_signer)
    sinks = [sink_at(place) for place in sink or ()]
    body = checkpoints.rotate(open_log(log), before, after, by=by or getpass.getuser(), sinks=sinks)
    line(f"{body['key']} signs from record {body['first']} on")


@app.command("prove")
def prove(
    log: LOG,
    records: Annotated[list[str], typer.Argument(help="Sequences or turns.")],
    to: Annotated[Path, typer.Option("--to", help="Where the proofs go, a line each.")],
) -> None:
    """Write proofs of single records, which show nothing of the others."""
    store = existing(log)
    proofs = checkpoints.prove(store, [sequence for record in records for sequence in _sequences(store, record)])
    write(to, b"".join(proofs))
    what = "1 proof" if len(proofs) == 1 else f"{len(proofs)} proofs"
    line(f"{what} in {to}; check with a bundle's verify.py: python verify.py --proofs {to} --key PUBLIC.pem")


@app.command("erase")
def erase_subject(
    log: LOG,
    subject: Annotated[str, typer.Argument(help="The person, as the host names them; or the pseudonym that a record shows.")],
    keys: Annotated[Path, typer.Option("--keys", help="The folder of the keys that content is sealed under.")],
    by: Annotated[str, typer.Option(help="Who orders it.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Destroy the key of a person: what they said can never be read again.

    Chain, checkpoints and counts stay as they are; the log tells that it was done.
    """
    folder = SubjectKeys(keys)
    name = subject if folder.find(subject) else folder.pseudonym(subject)
    entry = erase(open_log(log), folder, name, by=by or getpass.getuser(), reason=reason, at=datetime.now(UTC))
    if entry is None:
        raise AuditError(f"there is no key of {subject!r} in {keys}", file=str(keys), hint="it was erased before, or nothing was sealed")
    line(f"erased; told in record {entry.sequence}")


@app.command("recover")
def recover(log: Annotated[Path, typer.Argument(help="A file of JSON lines whose last line is damaged.")]) -> None:
    """Set a damaged last line aside, so that the log can be used again.

    A disk may have done it, or a person: keep what was set aside.
    """
    if sqlite_path(log) or is_postgres(str(log)):
        raise AuditError("a database recovers by itself when it is opened", hint="constrained audit verify LOG")
    before = log.stat().st_size if log.exists() else 0
    JsonLinesLog(log, recover=True)
    n_bytes = before - log.stat().st_size
    line(f"{n_bytes} bytes are now in {log}.torn" if n_bytes > 0 else "the last line is sound")


app.command("re-decide")(audit_redecide.redecide)
app.command("retain")(audit_retention.retain)
app.command("usage")(audit_reports.show_usage)
app.command("report")(audit_reports.write_report)
app.command("export")(audit_reports.export)


def _verify_one(store: Readable, record: str, key: Path | None) -> None:
    if key is None:
        raise AuditError("one record is proved by a signature", hint="give --key PUBLIC.pem")
    for proof in checkpoints.prove(store, _sequences(store, record)):
        entry = checkpoints.check(store, proof, load_public(key))
        body = json.loads(proof)["body"]
        line(f"record {entry['sequence']} is the one that was signed, with {body['first']} to {body['last']}, at {body['at'][:19]}")


def _sequences(store: Readable, which: str) -> list[int]:
    """The places of what is meant, read without trusting the chain: the proof decides."""
    is_sequence = which.isdecimal() and len(which) < 19  # what a database can count to
    lines: Iterable[bytes] = islice(store.lines(int(which)), 1) if is_sequence else store.lines()
    found = [sequence for sequence, turn in map(_sequence_and_turn, lines) if which in (str(sequence), turn)]
    if not found:
        raise AuditError(f"{store.name} holds no {which!r}", hint="give a sequence, or the id of a turn")
    return found


def _sequence_and_turn(line: bytes) -> tuple[int, str]:
    """Sequence and turn that a line names; none for a damaged line."""
    try:
        content = json.loads(line)
        return int(content["sequence"]), str(content.get("turn_id", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0, ""


def _is_named(entry: Chained, which: str) -> bool:
    return which in (str(entry.sequence), getattr(entry, "turn_id", ""), getattr(entry, "conversation", ""))


def _view(entry: Chained, plain: bool, keys: SubjectKeys | None) -> dict[str, Any]:
    from constrained.records.redaction import redacted, redacted_value

    if isinstance(entry, Record):
        entry = unsealed_parts(entry, keys)[0] if keys else entry
        return entry.model_dump(mode="json") if plain else redacted(entry)
    content: dict[str, Any] = entry.model_dump(mode="json")
    return (
        content if plain else content | {name: redacted_value(content[name]) for name in ("outcomes", "text", "slots") if name in content}
    )
