"""Sinks: where signed checkpoints are kept outside a log, so that a log put back to an older copy is found."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from constrained._durable_files import write_once
from constrained.errors import AuditError

WAIT_S = 10.0  # for a webhook


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


class WebhookSink:
    """Puts each checkpoint to ``URL/NAME`` by HTTP, once: for a notary, or an archive in front of a bucket with object lock.

    The other side answers 201 when it keeps the content, 200 when it had exactly that, and 409 when it holds something else under
    the name. Any other answer, and none in ten seconds, is an OSError: the checkpoint goes out again with the next one.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            import httpx
        except ImportError as error:
            raise AuditError("a webhook needs the package httpx", hint="pip install 'constrained[serve]'") from error
        self._client = httpx.Client(timeout=WAIT_S, headers={"content-type": "application/json"})

    def put(self, name: str, content: bytes) -> bool:
        import httpx

        try:
            answer = self._client.put(f"{self.url}/{name}", content=content)
        except httpx.HTTPError as error:
            raise OSError(f"{_host(self.url)} cannot be reached: {type(error).__name__}") from error
        if answer.status_code == 409:
            hint = "keep both: one of them was written by somebody else, or the log was written anew"
            raise AuditError(f"{_host(self.url)} holds something else as {name}", file=name, hint=hint)
        if answer.status_code not in (200, 201):
            raise OSError(f"{_host(self.url)} answered {answer.status_code}")
        return answer.status_code == 201


def sink_at(place: str | Path) -> Sink:
    """The sink at a place: a URL (``https://...``) or a folder, made when it is missing. Raises AuditError."""
    is_url = isinstance(place, str) and place.startswith(("https://", "http://"))
    return WebhookSink(str(place)) if is_url else FolderSink(place)


def checkpoints_in(folder: Path) -> list[bytes]:
    """The checkpoints that were put into a folder, oldest first: what a log is held against. Raises AuditError."""
    try:
        return [path.read_bytes() for path in sorted(folder.glob("checkpoint-*.json"))]
    except OSError as error:
        raise AuditError(f"{folder} cannot be read: {error.strerror or error}", file=str(folder), hint="see to the folder") from error


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
