"""Keys in files: made once, readable by their owner only, destroyed by overwriting.

Nothing is kept in memory: a key that another process destroyed is gone at once. What a disk or its file system keeps of a file that
was overwritten is not in our hands; an encrypted volume answers for that.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from constrained import _durable_files as files
from constrained.errors import AuditError

N_BYTES = 32


def read_key(path: Path) -> bytes | None:
    """The key in a file; None where there is none. Raises AuditError where the file holds no key."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failed(path, error) from error
    if len(content) != N_BYTES or not any(content):
        raise AuditError(f"{path} is no key", file=str(path), hint="nothing was released; the folder of keys is damaged")
    return content


def make_key(path: Path) -> bytes:
    """The key in a file, made when there is none."""
    found = read_key(path)
    if found is not None:
        return found
    keep_key(path, secrets.token_bytes(N_BYTES))
    return make_key(path)


def keep_key(path: Path, key: bytes) -> None:
    """Writes a key, unless there is one already; the folders above are made."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # whoever is first makes the key
            files.write_once(path, key, 0o600)
        files.sync_folder(path.parent.parent)  # the folder may be new itself, and what it holds would go with its name
    except OSError as error:
        raise failed(path, error) from error


def destroy_key(path: Path) -> bool:
    """Overwrites a key, then deletes it. False when there is none."""
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
        raise failed(path, error) from error
    files.sync_folder(path.parent)
    return True


def key_id(key: bytes) -> str:
    """Names a key, and gives nothing of it away."""
    return hashlib.sha256(b"constrained key " + key).hexdigest()[:16]


def failed(path: Path, error: OSError) -> AuditError:
    return AuditError(f"{path}: {error.strerror or error}", file=str(path), hint="nothing was released; see to the folder of keys")


class DayKeys:
    """A key for each day and field: what was sealed on a day can be erased field by field, and person by person beside it.

    Args:
        folder: of the keys: ``FOLDER/2026-03-02/message.key``. ``FOLDER/held`` has shares of single turns under legal hold.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make_share(self, day: str, field: str, turn_id: str) -> tuple[str, bytes]:
        """The name of the day's key, made when there is none, and what it adds to the key of one turn's field."""
        key = make_key(self._path(day, field))
        return key_id(key), _share(key, field, turn_id)

    def find_share(self, day: str, field: str, turn_id: str, name: str) -> bytes | None:
        """As ``make_share``, by the key of that name; None when it was destroyed and the turn is not held."""
        key = read_key(self._path(day, field))
        if key is not None and key_id(key) == name:
            return _share(key, field, turn_id)
        return read_key(self._held_path(field, turn_id))

    def hold(self, day: str, field: str, turn_id: str, name: str) -> None:
        """Keeps what the day's key adds for this turn, so that the turn can be read when that key is destroyed."""
        share = self.find_share(day, field, turn_id, name)
        if share is not None:
            keep_key(self._held_path(field, turn_id), share)

    def held(self) -> Iterator[tuple[str, str]]:
        """Pairs of field and ``turn_name`` that are held."""
        for path in sorted((self.folder / "held").glob("*/*.key")):
            yield path.stem, path.parent.name

    def let_go(self, field: str, name: str) -> bool:
        """Ends the hold on a field of a turn, by its ``turn_name``."""
        return destroy_key(self.folder / "held" / name / f"{field}.key")

    def destroy(self, day: str, field: str) -> bool:
        return destroy_key(self._path(day, field))

    def present(self) -> Iterator[tuple[str, str]]:
        """Pairs of day and field whose key is there."""
        for path in sorted(self.folder.glob("????-??-??/*.key")):
            yield path.parent.name, path.stem

    def _path(self, day: str, field: str) -> Path:
        return self.folder / day / f"{field}.key"

    def _held_path(self, field: str, turn_id: str) -> Path:
        """By a hash of the turn's id, which a log may hold as any text."""
        return self.folder / "held" / turn_name(turn_id) / f"{field}.key"


def turn_name(turn_id: str) -> str:
    """The name of a turn among held ones."""
    return hashlib.sha256(turn_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _share(key: bytes, field: str, turn_id: str) -> bytes:
    return hmac.new(key, f"{field} {turn_id}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
