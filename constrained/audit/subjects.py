"""One key per person, in a folder of small files: destroying the file makes what was sealed under it unreadable."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from constrained import _durable_files as files
from constrained.errors import AuditError

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
