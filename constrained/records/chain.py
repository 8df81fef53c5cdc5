"""The hash chain of a log, entry by entry, and the Merkle tree over a segment of its lines (RFC 6962, section 2.1)."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from constrained._canonical_json import canonical_json, sha256
from constrained.errors import AuditError
from constrained.records.record import ENTRIES, READABLE, Chained, Record

GENESIS = ""  # ``previous`` of the first entry
_PLACE = ("hash", "previous", "sequence")  # what an entry gets when it is placed; sorted, as canonical JSON is
T = TypeVar("T", bound=Chained)


def digest(content: dict[str, Any]) -> str:
    """``sha256:`` and hex digits over every field of an entry but ``hash``."""
    return sha256(canonical_json({name: value for name, value in content.items() if name != "hash"}))


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where an entry stands in a log; the place before the first one is ``START``."""

    sequence: int
    hash: str


START = LogPosition(0, GENESIS)


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """An entry as canonical JSON but for its place, so that placing it costs one hash: that is done under a lock.

    Attributes:
        parts: the fields that sort before ``hash``, between it and ``previous``, between that and ``sequence``, and
            after it; each without braces, empty where there are none.
    """

    parts: tuple[bytes, bytes, bytes, bytes]

    @classmethod
    def of(cls, entry: Chained) -> EntryDraft:
        """Raises AuditError when JSON cannot hold the entry."""
        content = entry.model_dump()  # not mode="json": that would write NaN as null
        try:
            return cls(_parts(content))
        except (ValueError, TypeError, RecursionError) as error:
            raise AuditError(
                f"turn {content.get('turn_id')} cannot be recorded: {error}",
                hint="state, slots and names must be values that JSON has a form for",
            ) from error

    def place_after(self, before: LogPosition) -> tuple[LogPosition, bytes]:
        """The entry's place after ``before``, and its line."""
        first, second, third, last = self.parts
        previous, sequence = b'"previous":"%b"' % before.hash.encode(), b'"sequence":%d' % (before.sequence + 1)
        place = LogPosition(before.sequence + 1, sha256(_object(first, second, previous, third, sequence, last)))
        return place, _object(first, b'"hash":"%b"' % place.hash.encode(), second, previous, third, sequence, last) + b"\n"


def chain_entry(entry: T, before: Chained | LogPosition | None) -> tuple[T, bytes]:
    """The entry that follows ``before`` in a log, and its line. Raises AuditError when JSON cannot hold it."""
    where = START if before is None else LogPosition(before.sequence, before.hash)
    place, line = EntryDraft.of(entry).place_after(where)
    return with_position(entry, place, where), line


def refuse_unsealed(entry: Chained) -> None:
    """Raises AuditError for a turn with values marked sensitive that nothing has sealed: no lasting log may hold them."""
    if isinstance(entry, Record) and entry.sensitive and entry.sealed is None:
        raise AuditError(
            f"turn {entry.turn_id} holds {entry.sensitive[0]}, which is marked sensitive, and this log does not seal",
            hint="give the dialogue a SealedLog (constrained.records.sealing); nothing was released",
        )


def with_position(entry: T, place: LogPosition, before: LogPosition) -> T:
    """The entry with its place filled in."""
    return entry.model_copy(update={"sequence": place.sequence, "previous": before.hash, "hash": place.hash})


def from_line(line: bytes, file: str, number: int) -> Chained:
    """The entry of line ``number`` of ``file``, its own hash verified. Raises AuditError naming file and line."""
    content = _parsed(line, file, number)
    if content.get("format") not in READABLE:
        written = content.get("format")
        known = " or ".join(map(str, READABLE))
        raise _refused(f"the record has format {written!r}, not {known}", file, number, "read it with the version that wrote it")
    kind = ENTRIES.get(str(content.get("kind", "turn")))
    if kind is None:
        raise _refused(f"an entry of the kind {content['kind']!r} is not known", file, number, "read it with the version that wrote it")
    try:
        entry = kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _refused(f"not a record: {where}: {first['msg']}", file, number, "the line was not written by this library") from error
    before, _, after = line[:-1].partition(b',"hash":"' + entry.hash.encode() + b'"')  # the line is canonical: so is the rest
    if sha256(before + after) != entry.hash:
        raise _refused("the hash does not fit the record", file, number, "the line was changed after it was written")
    return entry


def from_row(place: LogPosition, line: bytes, name: str) -> Chained:
    """The entry of a row of a database, in its place. Raises AuditError naming the database and the row."""
    entry = from_line(line, name, place.sequence)
    if LogPosition(entry.sequence, entry.hash) != place:
        raise _refused("the row is not that of its record", name, place.sequence, "the row was changed after it was written")
    return entry


def check_follows(entry: Chained, before: Chained | LogPosition | None, file: str, number: int) -> None:
    """Raises AuditError unless ``entry`` is the one that ``before`` (None: nothing) is followed by."""
    sequence, previous = (before.sequence, before.hash) if before else (0, GENESIS)
    if entry.sequence != sequence + 1:
        hint = "lines were taken out, moved or put in"
        raise _refused(f"the record has sequence {entry.sequence}, not {sequence + 1}", file, number, hint)
    if entry.previous != previous:
        raise _refused("the record does not follow the one before it", file, number, "the line before was changed, or the line put in")


def lines_in_place(name: str, rows: Iterable[tuple[int, bytes]]) -> list[bytes]:
    """The lines of checkpoints in a table, in their order. Raises AuditError where a row's number, from 1, is not its place."""
    lines = []
    for place, (number, line) in enumerate(rows, 1):
        if number != place:
            hint = "a row was changed, taken out or put in; keep the log as it is, and compare it with a copy and with the sink"
            raise AuditError(f"{name}: the row of checkpoint {place} has the number {number}", file=name, hint=hint)
        lines.append(bytes(line))
    return lines


def _parts(content: dict[str, Any]) -> tuple[bytes, bytes, bytes, bytes]:
    """Canonical JSON in one pass over each run of fields, cut where the place will be filled in."""
    runs: list[dict[str, Any]] = [{}, {}, {}, {}]
    for name, value in content.items():
        if name not in _PLACE:
            runs[bisect(_PLACE, name)][name] = value
    first, second, third, last = (canonical_json(run)[1:-1] for run in runs)
    return first, second, third, last


def _object(*parts: bytes) -> bytes:
    return b"{" + b",".join(part for part in parts if part) + b"}"


def _parsed(line: bytes, file: str, number: int) -> dict[str, Any]:
    try:
        content = json.loads(line)
        is_canonical = canonical_json(content) + b"\n" == line
    except (ValueError, RecursionError) as error:
        raise _refused("the line is not JSON", file, number, "the file was damaged or is no log of this library") from error
    if not isinstance(content, dict):
        raise _refused("the line is not a JSON object", file, number, "the file is no log of this library")
    if not is_canonical:  # a second "text" in one object would be read by one reader and not by another
        raise _refused("the line is not in canonical form", file, number, "it was written anew by something else")
    return content


def _refused(message: str, file: str, number: int, hint: str) -> AuditError:
    return AuditError(f"{file}:{number}: {message}", file=file, line=number, hint=hint)


# -- Merkle trees -------------------------------------------------------------------------------------------


def leaf_hash(line: bytes) -> bytes:
    """Of an entry's line, without its line feed."""
    return hashlib.sha256(b"\x00" + line.removesuffix(b"\n")).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of leaf hashes, at least one."""
    if len(leaves) == 1:
        return leaves[0]
    half = _half(len(leaves))
    return _node(root(leaves[:half]), root(leaves[half:]))


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from leaf ``index`` up to the root, nearest first: log2(n) of 32 bytes."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*path(leaves[:half], index), root(leaves[half:])]
    return [*path(leaves[half:], index - half), root(leaves[:half])]


def _half(n_leaves: int) -> int:
    """The largest power of two below ``n_leaves``."""
    return 1 << (n_leaves - 1).bit_length() - 1


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
