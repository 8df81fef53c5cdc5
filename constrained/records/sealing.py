"""One key per person, in a folder of small files: destroying the file makes what was sealed under it unreadable."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from constrained import _durable_files as files
from constrained._canonical_json import canonical_json
from constrained.errors import AuditError
from constrained.records.log import Log
from constrained.records.record import Chained, Erasure, Outcome, Record, SealedEntry

N_BYTES = 32  # of a key (AES-256) and of the secret that pseudonyms are made with


class SubjectKeys:
    """The keys of the people whose words a log holds. Keep the folder apart from the log, and out of its backups.

    Args:
        folder: made (readable by its owner only) when missing. Threads and processes may share it.

    Nothing is kept in memory: a key that another process erased is gone at once. What a disk or its file system keeps of a
    file that was overwritten is not in our hands; an encrypted volume answers for that.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _failed(self.folder, error) from error
        self._secret = self._made(self.folder / "pseudonyms.secret")

    def pseudonym(self, subject: str) -> str:
        """The name under which a person's key is kept; nobody without the folder can tell whose it is."""
        return hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=16).hexdigest()

    def made(self, pseudonym: str) -> bytes:
        """The key of a person, made when there is none."""
        return self._made(self._path(pseudonym))

    def find(self, pseudonym: str) -> bytes | None:
        """The key of a person; None when it was erased, or there never was one."""
        return _read(self._path(pseudonym))

    def erase(self, pseudonym: str) -> bool:
        """Destroys a key: overwritten, then deleted. False when there is none."""
        path = self._path(pseudonym)
        try:
            handle = files.open_file(path, os.O_WRONLY)
        except FileNotFoundError:
            return False
        try:
            try:
                files.write(handle, bytes(N_BYTES))
            finally:
                os.close(handle)  # Windows deletes no file that is open
            path.unlink()
        except OSError as error:
            raise _failed(path, error) from error
        files.sync_folder(path.parent)
        return True

    def _path(self, pseudonym: str) -> Path:
        return self.folder / pseudonym[:2] / f"{pseudonym}.key"

    def _made(self, path: Path) -> bytes:
        found = _read(path)
        if found is not None:
            return found
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # whoever is first makes the key
                files.write_once(path, secrets.token_bytes(N_BYTES), 0o600)
            files.sync_folder(path.parent.parent)  # the folder may be new itself, and what it holds would go with its name
        except OSError as error:
            raise _failed(path, error) from error
        return self._made(path)


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from error
    if len(content) != N_BYTES or not any(content):
        raise AuditError(f"{path} is no key", file=str(path), hint="nothing was released; the folder of keys is damaged")
    return content


def _failed(path: Path, error: OSError) -> AuditError:
    return AuditError(f"{path}: {error.strerror or error}", file=str(path), hint="nothing was released; see to the folder of keys")


# -- Sealing: what a person said, and what was said to them, encrypted under a key of their own. --

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
        sensitive: what is sealed, out of ``SENSITIVE``. ``prompt`` is a hash, but of words that could be guessed;
            ``effects`` and ``blocked`` hold the values of slots and state as text, ``memory`` what a running procedure
            was told in the turns before.

    A turn with a value that catalog, State or Heard mark sensitive is sealed in all of ``SENSITIVE``, whatever is asked
    for: a value of a slot stands in the text too, mostly in the state, and often in the message.
    """

    def __init__(
        self, log: Log, keys: SubjectKeys, *, subject: Callable[[Record], str] = by_conversation, sensitive: Iterable[str] = SENSITIVE
    ) -> None:
        self.log, self.keys, self._subject = log, keys, subject
        self.sensitive = tuple(name for name in SENSITIVE if name in set(sensitive))

    def append(self, record: T) -> T:
        """Seals and appends; the record that comes back is the sealed one."""
        if isinstance(record, Record):
            return self.log.append(sealed(record, self.keys, self._subject(record), self.sensitive))  # type: ignore[return-value]  # a Record is what came in
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


def sealed(record: Record, keys: SubjectKeys, subject: str, sensitive: Iterable[str] = SENSITIVE) -> Record:
    """The record with what is sensitive taken out and encrypted. Raises AuditError when it cannot be."""
    pseudonym, content = keys.pseudonym(subject), record.model_dump()
    fields = SENSITIVE if record.sensitive else tuple(sensitive)
    taken = {name: _take(content, name) for name in fields}
    try:
        plain = canonical_json(taken)
    except (ValueError, TypeError, RecursionError) as error:
        raise AuditError(
            f"turn {record.turn_id} cannot be recorded: {error}", hint="values must be ones that JSON has a form for"
        ) from error
    key, nonce = keys.made(pseudonym), secrets.token_bytes(12)
    data = _cipher(key).encrypt(nonce, plain, _bound(record.turn_id, pseudonym))
    entry = SealedEntry(
        subject=pseudonym,
        key=_key_id(key),
        fields=fields,
        nonce=base64.b64encode(nonce).decode(),
        data=base64.b64encode(data).decode(),
    )
    return Record.model_validate(content | {"sealed": entry})


def unsealed(record: Record, keys: SubjectKeys) -> Record | None:
    """The record as it was before it was sealed; None when its person's key was erased. Its hash is that of the sealed form."""
    entry = record.sealed
    if entry is None:
        return record
    key = keys.find(entry.subject)
    if key is None or _key_id(key) != entry.key:  # a person who came back after an erasure has another key
        return None
    from cryptography.exceptions import InvalidTag

    content = record.model_dump() | {"sealed": None}
    try:
        plain = _cipher(key).decrypt(base64.b64decode(entry.nonce), base64.b64decode(entry.data), _bound(record.turn_id, entry.subject))
        for name, value in json.loads(plain).items():
            _put_back(content, name, value)
        return Record.model_validate(content)
    except (InvalidTag, ValueError) as error:  # the second: it does not fit what stands in plain beside it
        message = f"what is sealed in turn {record.turn_id} was changed, or what stands beside it"
        raise AuditError(message, line=record.sequence, hint="verify the log") from error


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


def _bound(turn_id: str, pseudonym: str) -> bytes:
    """What is authenticated besides: sealed content of one turn cannot be put into another."""
    return f"{turn_id} {pseudonym}".encode()


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"constrained key " + key).hexdigest()[:16]


def _cipher(key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise AuditError("sealing needs the package cryptography", hint="pip install 'constrained[evidence]'") from error
    return AESGCM(key)
