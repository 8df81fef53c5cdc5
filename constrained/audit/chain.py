"""The hash chain of a log: canonical JSON, digests, lines. Knows no file and no turn.

A record's line is the canonical JSON of its fields (sorted keys, no spaces, UTF-8, no NaN) and a line feed.
Its ``hash`` covers all other fields, among them ``previous``, the hash of the record before it: to change,
take out or move one record changes every hash after it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import ValidationError

from constrained.audit.record import FORMAT, Record
from constrained.errors import AuditError

GENESIS = ""  # ``previous`` of the first record


def canonical(value: Any) -> bytes:
    """The one JSON text of a JSON value. Raises ValueError or TypeError for what JSON has no form for."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest(content: dict[str, Any]) -> str:
    """``sha256:`` and hex digits over every field of a record but ``hash``."""
    return "sha256:" + hashlib.sha256(canonical({name: value for name, value in content.items() if name != "hash"})).hexdigest()


def seal(record: Record, before: Record | None) -> tuple[Record, bytes]:
    """The record that follows ``before`` in a log, and its line. Raises AuditError when JSON cannot hold it."""
    sequence, previous = (before.sequence, before.hash) if before else (0, GENESIS)
    placed = record.model_copy(update={"sequence": sequence + 1, "previous": previous})
    try:
        content = placed.model_dump()  # not mode="json": that would write NaN as null
        content["hash"] = digest(content)
        line = canonical(content) + b"\n"
    except (ValueError, TypeError, RecursionError) as error:
        raise AuditError(
            f"turn {record.turn_id} cannot be recorded: {error}", hint="state, slots and names must be values that JSON has a form for"
        ) from error
    return placed.model_copy(update={"hash": content["hash"]}), line


def from_line(line: bytes, file: str, number: int) -> Record:
    """The record of line ``number`` of ``file``, its own hash verified. Raises AuditError naming file and line."""
    content = _parsed(line, file, number)
    if content.get("format") != FORMAT:
        written = content.get("format")
        raise _refused(f"the record has format {written!r}, not {FORMAT}", file, number, "read it with the version that wrote it")
    try:
        record = Record.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _refused(f"not a record: {where}: {first['msg']}", file, number, "the line was not written by this library") from error
    if digest(content) != record.hash:
        raise _refused("the hash does not fit the record", file, number, "the line was changed after it was written")
    return record


def follows(record: Record, before: Record | None, file: str, number: int) -> None:
    """Raises AuditError unless ``record`` is the one that ``before`` (None: nothing) is followed by."""
    sequence, previous = (before.sequence, before.hash) if before else (0, GENESIS)
    if record.sequence != sequence + 1:
        hint = "lines were taken out, moved or put in"
        raise _refused(f"the record has sequence {record.sequence}, not {sequence + 1}", file, number, hint)
    if record.previous != previous:
        raise _refused("the record does not follow the one before it", file, number, "the line before was changed, or the line put in")


def _parsed(line: bytes, file: str, number: int) -> dict[str, Any]:
    try:
        content = json.loads(line)
        is_canonical = canonical(content) + b"\n" == line
    except (ValueError, RecursionError) as error:
        raise _refused("the line is not JSON", file, number, "the file was damaged or is no log of this library") from error
    if not isinstance(content, dict):
        raise _refused("the line is not a JSON object", file, number, "the file is no log of this library")
    if not is_canonical:  # a second "text" in one object would be read by one reader and not by another
        raise _refused("the line is not in canonical form", file, number, "it was written anew by something else")
    return content


def _refused(message: str, file: str, number: int, hint: str) -> AuditError:
    return AuditError(f"{file}:{number}: {message}", file=file, line=number, hint=hint)
