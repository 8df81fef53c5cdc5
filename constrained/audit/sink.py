"""Where copies go that nobody can change any more: a protocol for write-once stores, and a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from constrained._durable_files import write_once
from constrained.errors import AuditError


@runtime_checkable
class Sink(Protocol):
    """A write-once store: a bucket with object lock, a tape, a notary. A name is written once and never again."""

    def put(self, name: str, content: bytes) -> bool:
        """Keeps ``content`` under ``name``. False when exactly that is there already.

        Raises AuditError when something else is there under that name, OSError when it could not be kept.
        """
        ...


class FolderSink:
    """A folder whose files are written once and then read-only: for a mounted write-once volume, and for trying it out."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AuditError(f"{folder} cannot be made: {error.strerror or error}", file=str(folder), hint="name a folder") from error

    def put(self, name: str, content: bytes) -> bool:
        path = self.folder / name
        try:
            write_once(path, content, 0o444)
        except FileExistsError:
            if path.read_bytes() != content:
                hint = "keep both: one of them was written by somebody else, or the log was written anew"
                raise AuditError(f"{path} holds something else already", file=str(path), hint=hint) from None
            return False
        return True


def checkpoints_in(folder: Path) -> list[bytes]:
    """The checkpoints that were put into a folder, oldest first: what a log is held against. Raises AuditError."""
    try:
        return [path.read_bytes() for path in sorted(folder.glob("checkpoint-*.json"))]
    except OSError as error:
        raise AuditError(f"{folder} cannot be read: {error.strerror or error}", file=str(folder), hint="see to the folder") from error
