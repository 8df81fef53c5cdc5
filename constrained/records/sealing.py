"""Who may read a record: sealing under one key a person, and destroying that key. Views with less in them: ``redaction``."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from constrained._canonical_json import canonical_json
from constrained.errors import AuditError
from constrained.records.key_files import DayKeys, destroy_key, failed, key_id, make_key, read_key
from constrained.records.log import Log
from constrained.records.record import MASKED_FORMAT, Chained, Erasure, Outcome, Record, SealedEntry, SealedPart


class SubjectKeys:
    """The keys of the people whose words a log holds. Keep the folder apart from the log, and out of its backups.

    Args:
        folder: made (readable by its owner only) when missing. Threads and processes may share it.

    See ``key_files`` for how keys are destroyed. ``days`` holds the keys that retention destroys.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise failed(self.folder, error) from error
        self.days = DayKeys(self.folder / "days")
        self._secret = make_key(self.folder / "pseudonyms.secret")

    def pseudonym(self, subject: str) -> str:
        """The name under which a person's key is kept; nobody without the folder can tell whose it is."""
        return hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=16).hexdigest()

    def made(self, pseudonym: str) -> bytes:
        """The key of a person, made when there is none."""
        return make_key(self._path(pseudonym))

    def find(self, pseudonym: str) -> bytes | None:
        """The key of a person; None when it was erased, or there never was one."""
        return read_key(self._path(pseudonym))

    def erase(self, pseudonym: str) -> bool:
        """Destroys a key: overwritten, then deleted. False when there is none."""
        return destroy_key(self._path(pseudonym))

    def _path(self, pseudonym: str) -> Path:
        return self.folder / pseudonym[:2] / f"{pseudonym}.key"


T = TypeVar("T", bound=Chained)
SENSITIVE = ("message", "state", "heard", "slots", "text", "effects", "blocked", "prompt", "memory")
_LISTS = ("options", "obligations")  # what has slots


def by_conversation(record: Record) -> str:
    """Whose record it is, where a host says nothing else: each conversation is a person of its own."""
    return record.conversation


class SealedLog:
    """A log that seals what is sensitive before it is chained.

    Args:
        log: where the sealed records go. keys: where the key of each person is kept.
        subject: whose record it is: ``lambda record: record.state["customer"]``.
        by_day: seal each field by itself, under the keys of its day as well: ``retention`` can then erase field by field.
        sensitive: what is sealed, out of ``SENSITIVE``. ``prompt`` is a hash, but of words that could be guessed;
            ``effects`` and ``blocked`` hold the values of slots and state as text, ``memory`` what a running procedure
            was told in the turns before.

    A turn with a value that catalog, State or Heard mark sensitive is sealed in all of ``SENSITIVE``, whatever is asked
    for: a value of a slot stands in the text too, mostly in the state, and often in the message.
    """

    def __init__(
        self,
        log: Log,
        keys: SubjectKeys,
        *,
        subject: Callable[[Record], str] = by_conversation,
        sensitive: Iterable[str] = SENSITIVE,
        by_day: bool = False,
    ) -> None:
        self.log, self.keys, self._subject, self.by_day = log, keys, subject, by_day
        self.sensitive = tuple(name for name in SENSITIVE if name in set(sensitive))

    def append(self, record: T) -> T:
        """Seals and appends; the record that comes back is the sealed one."""
        if isinstance(record, Record):
            kept = sealed(record, self.keys, self._subject(record), self.sensitive, by_day=self.by_day)
            return self.log.append(kept)  # type: ignore[return-value]  # a Record is what came in
        if isinstance(record, Outcome):  # it cannot tell whether its turn held anything sensitive
            named = tuple(one.model_copy(update={"effect": one.effect.partition("(")[0], "detail": ""}) for one in record.outcomes)
            return self.log.append(record.model_copy(update={"outcomes": named}))
        return self.log.append(record)

    def erase(self, subject: str, *, by: str, reason: str = "", now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Erasure | None:
        """Destroys a person's key, and says so in the log. None when there was none."""
        return erase(self.log, self.keys, self.keys.pseudonym(subject), by=by, reason=reason, at=now())


def erase(log: Log, keys: SubjectKeys, pseudonym: str, *, by: str, reason: str, at: datetime) -> Erasure | None:
    """Destroys the key of a pseudonym; see ``SealedLog.erase``. Raises AuditError when the log cannot tell; the key is gone then."""
    if not keys.erase(pseudonym):
        return None
    try:
        return log.append(Erasure(subject=pseudonym, at=at.isoformat(), by=by, reason=reason))
    except AuditError as error:
        message = f"the key of {pseudonym} is destroyed, and the log could not tell so: {error.message}"
        raise AuditError(message, file=error.file, line=error.line, hint="note by hand who ordered it, and when") from error


def sealed(record: Record, keys: SubjectKeys, subject: str, sensitive: Iterable[str] = SENSITIVE, *, by_day: bool = False) -> Record:
    """The record with what is sensitive taken out and encrypted; see ``SealedLog``. Raises AuditError when it cannot be."""
    pseudonym, content = keys.pseudonym(subject), record.model_dump()
    fields = SENSITIVE if record.sensitive else tuple(sensitive)
    taken = {name: _take(content, name) for name in fields}
    try:
        plain = {name: canonical_json(value) for name, value in taken.items()} if by_day else {"": canonical_json(taken)}
    except (ValueError, TypeError, RecursionError) as error:
        raise AuditError(
            f"turn {record.turn_id} cannot be recorded: {error}", hint="values must be ones that JSON has a form for"
        ) from error
    key = keys.made(pseudonym)
    entry = SealedEntry(subject=pseudonym, key=key_id(key), fields=fields, nonce="", data="")
    if by_day:
        day = sealing_day(record)
        kept = {name: _sealed_part(keys, key, entry, record, day, name, part) for name, part in plain.items()}
        entry, content["format"] = entry.model_copy(update={"day": day, "parts": kept}), MASKED_FORMAT
    else:
        nonce = secrets.token_bytes(12)
        data = _cipher(key).encrypt(nonce, plain[""], _bound(record.turn_id, pseudonym))
        entry = entry.model_copy(update={"nonce": base64.b64encode(nonce).decode(), "data": base64.b64encode(data).decode()})
    return Record.model_validate(content | {"sealed": entry})


def _sealed_part(keys: SubjectKeys, key: bytes, entry: SealedEntry, record: Record, day: str, name: str, plain: bytes) -> SealedPart:
    """One field under a key that needs both the person's and the day's: whichever is destroyed, it is gone."""
    day_key, share = keys.days.make_share(day, name, record.turn_id)
    nonce = secrets.token_bytes(12)
    data = _cipher(_joined(key, share)).encrypt(nonce, plain, _bound(record.turn_id, entry.subject, name))
    return SealedPart(key=day_key, data=base64.b64encode(nonce + data).decode())


def unsealed(record: Record, keys: SubjectKeys) -> Record | None:
    """The record as it was before it was sealed; None when its person's key was erased, or a field of it was.

    Its hash is that of the sealed form.
    """
    found, missing = unsealed_parts(record, keys)
    return None if missing else found


def unsealed_parts(record: Record, keys: SubjectKeys) -> tuple[Record, tuple[str, ...]]:
    """The record with all that can be read put back, and the names of the fields that cannot: ``sealed`` tells of these alone.

    Raises AuditError where what is sealed was changed.
    """
    entry = record.sealed
    if entry is None:
        return record, ()
    key = keys.find(entry.subject)
    if key is None or key_id(key) != entry.key:  # a person who came back after an erasure has another key
        return record, entry.fields
    from cryptography.exceptions import InvalidTag

    content = record.model_dump() | {"sealed": None}
    try:
        found = _opened(record, entry, keys, key)
        for name, value in found.items():
            _put_back(content, name, value)
        missing = tuple(name for name in entry.fields if name not in found)
        if missing:
            content["sealed"] = entry.model_copy(update={"fields": missing})
        return Record.model_validate(content), missing
    except (InvalidTag, ValueError, KeyError) as error:  # the second: it does not fit what stands in plain beside it
        message = f"what is sealed in turn {record.turn_id} was changed, or what stands beside it"
        raise AuditError(message, line=record.sequence, hint="verify the log") from error


def _opened(record: Record, entry: SealedEntry, keys: SubjectKeys, key: bytes) -> dict[str, Any]:
    """The value of each sealed field whose keys are there. Raises InvalidTag, ValueError or KeyError where something was changed."""
    if not entry.day:
        plain = _cipher(key).decrypt(base64.b64decode(entry.nonce), base64.b64decode(entry.data), _bound(record.turn_id, entry.subject))
        whole: dict[str, Any] = json.loads(plain)
        if set(entry.fields) != set(whole):
            raise ValueError("other fields than the sealed ones")
        return whole
    if entry.day != sealing_day(record) or set(entry.fields) != set(entry.parts):
        raise ValueError("another day than the record's, or other fields than the parts are")
    found: dict[str, Any] = {}
    for name in entry.fields:
        part = entry.parts[name]
        share = keys.days.find_share(entry.day, name, record.turn_id, part.key)
        if share is not None:
            data, bound = base64.b64decode(part.data), _bound(record.turn_id, entry.subject, name)
            found[name] = json.loads(_cipher(_joined(key, share)).decrypt(data[:12], data[12:], bound))
    return found


def readable(records: Iterable[Record], keys: SubjectKeys | None) -> Iterator[Record]:
    """The records that can be read: those that were never sealed, and with ``keys`` those whose key was not erased."""
    for record in records:
        found = unsealed(record, keys) if keys is not None else record if record.sealed is None else None
        if found is not None:
            yield found


def _take(content: dict[str, Any], name: str) -> Any:
    """Takes a field out of a record's content; what stays in its place says nothing."""
    if name == "slots":
        slots = [[one["slots"] for one in content[kind]] for kind in _LISTS]
        for kind in _LISTS:
            content[kind] = [one | {"slots": dict.fromkeys(one["slots"])} for one in content[kind]]
        return slots
    if name == "heard":
        values = [one["value"] for one in content["heard"]]
        content["heard"] = [one | {"value": None} for one in content["heard"]]
        return values
    value, content[name] = content[name], {"state": None, "effects": (), "blocked": (), "memory": {}}.get(name, "")
    return value


def _put_back(content: dict[str, Any], name: str, value: Any) -> None:
    if name == "slots":
        for kind, slots in zip(_LISTS, value, strict=True):
            content[kind] = [one | {"slots": own} for one, own in zip(content[kind], slots, strict=True)]
    elif name == "heard":
        content["heard"] = [one | {"value": own} for one, own in zip(content["heard"], value, strict=True)]
    else:
        content[name] = value


def sealing_day(record: Record) -> str:
    """The day, by UTC, whose keys a record is sealed under."""
    return datetime.fromisoformat(record.at).astimezone(UTC).date().isoformat()


def _joined(key: bytes, share: bytes) -> bytes:
    return hmac.new(key, share, hashlib.sha256).digest()


def _bound(turn_id: str, pseudonym: str, field: str = "") -> bytes:
    """What is authenticated besides: sealed content of one turn cannot be put into another, nor that of one field."""
    return f"{turn_id} {pseudonym} {field}".rstrip().encode()


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise AuditError("sealing needs the package cryptography", hint="pip install 'constrained[evidence]'") from error
    return AESGCM(key)
