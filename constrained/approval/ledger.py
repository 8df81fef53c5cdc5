"""The ledger: a signed, append-only file of approvals, recalls and restorations beside a catalog.

One entry a line, as canonical JSON. ``previous`` is the hash of the line before, ``signature`` is Ed25519 over all
other fields: an entry cannot be changed, taken out, moved or put in without a key, or without breaking the chain.
Taking away the last lines leaves a whole chain; a running process notices it, and so does whoever compares the
``approvals`` of the log's records with the ledger.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from constrained import _durable_files as files
from constrained._canonical_json import canonical_json, sha256
from constrained.approval.keys import from_text, sign, to_text, verify
from constrained.approval.people import People, is_same_name
from constrained.errors import ApprovalError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


FORMAT: Literal[1] = 1
ANY = "*"  # every channel, every jurisdiction, every locale
LOGIC, PEOPLE = "@logic", "@people"  # in the place of a response: the files that decide, and people.toml; no response has such an id
Kind = Literal["approve", "recall", "restore"]


class DraftEntry(BaseModel):
    """What somebody is about to sign.

    Attributes:
        response: its id; ``@logic`` and ``@people`` stand for the files that decide and for the people.
        version: of the response as it was before the signer (see ``version_hash``), or of the files; ``text``: its wording, or theirs.
        locale: of the text; a recall may name ``*``.
        channels, jurisdictions: where it counts; ``*`` is everywhere.
        begins, until: first and last day on which an approval counts; no end when None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind
    response: str
    locale: str
    version: str
    text: str
    channels: tuple[str, ...] = (ANY,)
    jurisdictions: tuple[str, ...] = (ANY,)
    begins: date | None = None
    until: date | None = None
    author: str = ""
    reason: str = ""


class Entry(DraftEntry):
    """One signed line.

    Attributes:
        at: when it was signed, in UTC. key: the public key that belongs to the signature.
    """

    format: Literal[1] = FORMAT
    sequence: int
    previous: str
    catalog: str
    by: str
    at: str
    key: str
    signature: str

    @property
    def signed_on(self) -> date:
        return datetime.fromisoformat(self.at).date()

    @property
    def first_day(self) -> date:
        """An approval counts from the day it was signed at the earliest, whatever it says."""
        return max(self.begins or self.signed_on, self.signed_on)

    @property
    def last_day(self) -> date | None:
        return self.until


@dataclass(frozen=True, slots=True)
class Ledger:
    """All entries of a ledger file, verified.

    Attributes:
        content: the bytes that were read; a later reading must begin with them.
        head: hash of the last line, empty for an empty ledger.
    """

    path: str
    content: bytes = b""
    entries: tuple[Entry, ...] = ()
    head: str = ""
    by_response: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)

    def first(self, n_entries: int) -> Ledger:
        """The ledger as it was when it held so many entries."""
        lines = self.content.splitlines(keepends=True)[:n_entries]
        return _ledger(self.path, b"".join(lines), self.entries[:n_entries])


def ledger_path(catalog_path: str | Path) -> Path:
    """The ledger beside a catalog: ``catalogs/NAME.approvals.jsonl``."""
    path = Path(catalog_path)
    return path.with_name(path.stem + ".approvals.jsonl")


def read_ledger(path: str | Path, people: People, catalog: str, before: Ledger | None = None) -> Ledger:
    """Reads and verifies a ledger: chain, signatures, people.

    Args:
        before: an earlier reading of the same file; only what follows it is verified.

    Raises:
        ApprovalError: naming file and line of the first entry that cannot be trusted.
    """
    return _parsed(path, _content(Path(path)), people, catalog, before)


def _parsed(path: str | Path, content: bytes, people: People, catalog: str, before: Ledger | None = None) -> Ledger:
    start = before if before is not None and before.path == str(path) else Ledger(str(path))
    if not content.startswith(start.content):
        raise _refused(
            path, len(start.entries), "entries that were read before are gone or changed", "put the ledger back from its history"
        )
    entries, head = list(start.entries), start.head
    for line in content[len(start.content) :].splitlines(keepends=True):
        entry = _entry(line, path, len(entries) + 1)
        _follows(entry, entries[-1] if entries else None, head, path)
        _is_signed(entry, people, catalog, path)
        entries.append(entry)
        head = sha256(line)
    return _ledger(str(path), content, tuple(entries))


def append(
    path: str | Path, drafts: list[DraftEntry], *, by: str, key: Ed25519PrivateKey, people: People, catalog: str, known: int | None = None
) -> tuple[Entry, ...]:
    """Signs and appends entries, all or none; durable on return.

    Args:
        known: entries that the ledger held when the drafts were made. A recall that came since is not lifted unseen.

    Raises:
        ApprovalError: the signer is not among the people, signs for their own words, lifts a recall that they have not seen,
            or the ledger cannot be written.
    """
    public = to_text(key.public_key())
    _may_sign(by, public, people)
    if not drafts:
        return ()
    for draft in drafts:
        if draft.kind != "recall" and is_same_name(by, draft.author):
            hint = "somebody else approves; the author stands in the catalog"
            what = "the logic" if draft.response == LOGIC else repr(draft.response)
            raise ApprovalError(f"{by} wrote {what} and cannot approve it", file=str(path), hint=hint)
    with _locked(Path(path)) as handle:
        content = _whole(_all(handle, path))
        ledger = _parsed(path, content, people, catalog)
        _sees_recalls(drafts, ledger.entries[known:] if known is not None else (), path)
        entries = list(ledger.entries)
        head, lines = ledger.head, b""
        for draft in drafts:
            entry, line = _signed(draft, entries[-1] if entries else None, head, by=by, key=key, public=public, catalog=catalog)
            entries.append(entry)
            lines, head = lines + line, sha256(line)
        _write(handle, lines, len(content), path)
    return tuple(entries[len(ledger.entries) :])


def covers(entry: Entry, channel: str | None, jurisdiction: str | None) -> bool:
    """Whether an entry speaks of this place, however it is capitalised.

    A recall reaches a place that is not named (None); an approval does not.
    """
    is_recall = entry.kind == "recall"
    return all(
        ANY in given or (is_recall if wanted is None else any(is_same_name(wanted, one) for one in given))
        for given, wanted in ((entry.channels, channel), (entry.jurisdictions, jurisdiction))
    )


# -- reading ---------------------------------------------------------------------------------------------


def _ledger(path: str, content: bytes, entries: tuple[Entry, ...]) -> Ledger:
    grouped: dict[str, list[Entry]] = {}
    for entry in entries:
        grouped.setdefault(entry.response, []).append(entry)
    last = content.splitlines(keepends=True)[-1:]
    return Ledger(path, content, entries, sha256(last[0]) if last else "", {name: tuple(one) for name, one in grouped.items()})


def _content(path: Path) -> bytes:
    """The bytes of the ledger at a moment when nobody is in the middle of a line; none when there is no file."""
    try:
        handle = files.open_file(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe in its place must not be waited for
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return b""
        raise _refused(path, 0, f"cannot be read: {error.strerror or error}", "see that the ledger is a readable file") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _refused(path, 0, "is not a file", "put the ledger back from its history")
        with files.hold_lock(handle, path, shared=True), os.fdopen(handle, "rb", closefd=False) as file:
            return _whole(file.read())
    except OSError as error:
        raise _refused(path, 0, f"cannot be read: {error.strerror or error}", "see that the ledger is a readable file") from error
    finally:
        os.close(handle)


def _whole(content: bytes) -> bytes:
    """Without a line that a crash left torn: nobody was told that it was signed."""
    return content[: content.rfind(b"\n") + 1]


def _entry(line: bytes, path: str | Path, number: int) -> Entry:
    try:
        entry = Entry.model_validate_json(line)
        is_canonical = canonical_json(entry.model_dump(mode="json")) + b"\n" == line and _is_canonical_time(entry.at)
    except (ValueError, RecursionError) as error:
        raise _refused(path, number, "not an entry of a ledger", "the line was damaged, or written by something else") from error
    if not is_canonical:
        raise _refused(path, number, "the entry is not in canonical form", "it was written anew by something else")
    return entry


def _is_canonical_time(at: str) -> bool:
    """Whether a time is in UTC and written in the one way that we write it: times are compared as text."""
    return datetime.fromisoformat(at).astimezone(UTC).isoformat(timespec="seconds") == at


def _follows(entry: Entry, before: Entry | None, head: str, path: str | Path) -> None:
    number = before.sequence + 1 if before else 1
    if entry.sequence != number or entry.previous != head:
        raise _refused(path, number, "the entry does not follow the one before it", "lines were taken out, moved, changed or put in")
    if before is not None and entry.at < before.at:
        raise _refused(path, number, "the entry was signed before the one above it", "an old day was written into a new entry")


def _is_signed(entry: Entry, people: People, catalog: str, path: str | Path) -> None:
    number = entry.sequence
    if entry.catalog != catalog:
        raise _refused(path, number, f"the entry is for the catalog {entry.catalog!r}, not {catalog!r}", "take the ledger of this catalog")
    person = people.people.get(entry.by)
    key = next((one for one in person.keys if one.text == entry.key), None) if person else None
    if key is None:
        hint = f"put {entry.by} back into {people.path} with that key; end a key with until, and keep the line"
        raise _refused(path, number, f"the key of {entry.by} is not theirs in {people.path}", hint)
    if key.until is not None and entry.signed_on > key.until:
        raise _refused(
            path, number, f"the key of {entry.by} ended on {key.until}, before the entry was signed", "sign with the present key"
        )
    try:
        signature = base64.b64decode(entry.signature, validate=True)
    except ValueError:
        signature = b""
    if not verify(from_text(entry.key), signature, _unsigned(entry.model_dump(mode="json"))):
        raise _refused(path, number, f"the signature of {entry.by} does not fit the entry", "the line was changed after it was signed")
    if entry.kind != "recall" and is_same_name(entry.by, entry.author):
        raise _refused(path, number, f"{entry.by} approved their own words", "somebody else approves")


# -- writing ---------------------------------------------------------------------------------------------


def _may_sign(by: str, public: str, people: People) -> None:
    person = people.people.get(by)
    if person is None:
        known = ", ".join(sorted(people.people)) or "nobody"
        raise ApprovalError(f"{by} is not in {people.path}", file=people.path, hint=f"there are {known}")
    key = next((one for one in person.keys if one.text == public), None)
    if key is None:
        raise ApprovalError(f"this key is not the key of {by} in {people.path}", file=people.path, hint=f"put it there: {public}")
    if key.until is not None and datetime.now(UTC).date() > key.until:
        raise ApprovalError(f"the key of {by} ended on {key.until}", file=people.path, hint="make a new one: constrained keys new")


def _sees_recalls(drafts: list[DraftEntry], since: tuple[Entry, ...], path: str | Path) -> None:
    """Raises ApprovalError for a restoration of what was recalled after the signer looked."""
    restored = {draft.response for draft in drafts if draft.kind == "restore"}
    late = next((entry for entry in since if entry.kind == "recall" and entry.response in restored), None)
    if late is not None:
        message = f"{late.response!r} was recalled by {late.by} meanwhile; nothing was signed"
        raise _refused(path, late.sequence, message, "read why, then restore it again")


def _signed(
    draft: DraftEntry, before: Entry | None, head: str, *, by: str, key: Ed25519PrivateKey, public: str, catalog: str
) -> tuple[Entry, bytes]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    content: dict[str, Any] = draft.model_dump(mode="json") | {
        "format": FORMAT,
        "sequence": before.sequence + 1 if before else 1,
        "previous": head,
        "catalog": catalog,
        "by": by,
        "at": max(now, before.at) if before else now,  # clocks of several machines differ by a little
        "key": public,
    }
    content["signature"] = base64.b64encode(sign(key, _unsigned(content))).decode()
    line = canonical_json(content) + b"\n"
    return Entry.model_validate_json(line), line


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    try:
        with files.open_locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644) as handle:
            yield handle
    except OSError as error:
        raise _refused(path, 0, f"cannot be written: {error.strerror or error}", "see that the catalog's folder is writable") from error


def _all(handle: int, path: str | Path) -> bytes:
    try:
        with os.fdopen(handle, "rb", closefd=False) as file:
            file.seek(0)
            return file.read()
    except OSError as error:
        raise _refused(path, 0, f"cannot be read: {error.strerror or error}", "see that the ledger is a readable file") from error


def _write(handle: int, lines: bytes, size: int, path: str | Path) -> None:
    try:
        os.ftruncate(handle, size)  # a torn line goes
        files.write(handle, lines)
        if not size:  # with a power cut the name of a new ledger could vanish, and a recall with it
            files.sync_folder(Path(path).parent)
    except OSError as error:
        refused = _refused(path, 0, f"cannot be written: {error.strerror or error}", "nothing was signed; see that the disk is not full")
        try:
            os.ftruncate(handle, size)
        except OSError as second:
            refused.add_note(f"what was written in part may count: {second}")
        raise refused from error


def _unsigned(content: Mapping[str, Any]) -> bytes:
    return canonical_json({name: value for name, value in content.items() if name != "signature"})


def _refused(path: str | Path, line: int, message: str, hint: str) -> ApprovalError:
    place = f"{path}:{line}" if line else str(path)
    return ApprovalError(f"{place}: {message}", file=str(path), line=line, hint=hint)
