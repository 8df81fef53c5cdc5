"""Records in a file of JSON lines, one a line: survives a kill, is shared by threads and processes."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from constrained import _durable_files as files
from constrained.errors import AuditError
from constrained.records.chain import chain_entry, check_follows, from_line, refuse_unsealed
from constrained.records.record import Chained

BLOCK = 65_536  # bytes read at once when looking for the last line
T = TypeVar("T", bound=Chained)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The end of the file when we last saw it: its size, its last line and the entry in it (none when empty)."""

    size: int
    line: bytes = b""
    last: Chained | None = None


class JsonLinesFile:
    """A log in a file that is only read: nothing is made or mended. Its checkpoints lie beside it, in ``PATH.checkpoints``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._mark = (1, 0)  # a line that was asked for, and its place in bytes: who reads on need not begin at the front

    @property
    def name(self) -> str:
        return str(self.path)

    def lines(self, first: int = 1) -> Iterator[bytes]:
        number, at = self._mark if self._mark[0] <= first else (1, 0)
        for line in _lines(self.path, number, at):
            if number >= first:
                if number == first:
                    self._mark = number, at
                yield line
            number, at = number + 1, at + len(line)

    def checkpoints(self) -> list[bytes]:
        """Without a line that a crash left torn: nobody was told that it was signed."""
        path = self._checkpoints_path
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise AuditError(f"{path}: {error.strerror or error}", file=str(path), hint="see that it is a readable file") from error
        return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)

    def keep_checkpoint(self, number: int, line: bytes) -> bool:
        with _locked(self._checkpoints_path) as handle:
            kept = self.checkpoints()
            if number != len(kept) + 1:
                return False
            os.ftruncate(handle, sum(map(len, kept)))  # a torn line goes
            files.write(handle, line)
            files.sync_folder(self.path.parent)
            return True

    @property
    def _checkpoints_path(self) -> Path:
        return self.path.with_name(self.path.name + ".checkpoints")


class JsonLinesLog(JsonLinesFile):
    """An append-only file, one record a line, shared by threads and by processes of one machine.

    Args:
        path: the file; made (readable by its owner only) when missing, its folder is not.
        durable: flush to the disk before ``append`` returns. False survives a kill, not a power cut.
        recover: set a last line aside that is whole but damaged. Without it such a log is refused: a failing disk may have
            done it, or a person.

    Every append opens the file anew under a lock: so it works across threads and forks, and a log that was
    moved or deleted is noticed, not written to. A last line that a crash left torn is moved to ``PATH.torn``.
    """

    def __init__(self, path: str | Path, *, durable: bool = True, recover: bool = False) -> None:
        super().__init__(path)
        self.durable, self._may_recover = durable, recover
        self._tail: _Tail | None = None
        with self._opened(os.O_CREAT) as handle:
            self._tail = self._present_tail(handle)
            if durable:
                files.sync_folder(self.path.parent)

    def append(self, record: T) -> T:
        """Writes the record as the next line; see ``Log.append``."""
        refuse_unsealed(record)
        with self._opened() as handle:
            tail = self._present_tail(handle)
            sealed, line = chain_entry(record, tail.last)
            self._write(handle, line, at=tail.size)
            self._tail = _Tail(tail.size + len(line), line, sealed)
            return sealed

    @contextmanager
    def _opened(self, flags: int = 0) -> Iterator[int]:
        """The file, locked against every other writer; whatever goes wrong with it is an AuditError."""
        try:
            with files.open_locked(self.path, os.O_RDWR | os.O_APPEND | flags) as handle:
                yield handle
        except OSError as error:
            line = self._tail.last.sequence + 1 if self._tail and self._tail.last else 1
            raise AuditError(
                f"{self.path}:{line}: the record could not be written: {error.strerror or error}",
                file=str(self.path),
                line=line,
                hint="nothing was released; see that the folder is there, writable and not full",
            ) from error

    def _write(self, handle: int, line: bytes, *, at: int) -> None:
        try:
            files.write(handle, line, durable=self.durable)
        except OSError as error:
            self._take_back(handle, at, error)
            raise

    def _take_back(self, handle: int, size: int, error: OSError) -> None:
        """Cuts off what a failed write left, so that the next line stands whole."""
        try:
            os.ftruncate(handle, size)
        except OSError as second:
            error.add_note(f"what was written in part stays until the log is used again: {second}")

    # -- the end of the file ---------------------------------------------------------------------------

    def _present_tail(self, handle: int) -> _Tail:
        """The tail as it is now: ours, or read again when another process wrote after us."""
        status, tail = os.fstat(handle), self._tail
        if not stat.S_ISREG(status.st_mode):
            raise self._refused("not a regular file", "give a path to a file of its own")
        if tail is None:
            return self._read_tail(handle, status.st_size)
        if files.read_at(handle, len(tail.line), tail.size - len(tail.line)) != tail.line:
            raise self._refused(
                "the last record is not where it was written", "the file was cut, changed or replaced; keep it and find out why"
            )
        return tail if status.st_size == tail.size else self._read_tail(handle, status.st_size)

    def _read_tail(self, handle: int, size: int) -> _Tail:
        line, torn = _ending(handle, size)
        try:
            last = from_line(line, str(self.path), 0) if line else None
        except AuditError:
            if self._may_recover:
                self._set_aside(handle, line + torn, size - len(line) - len(torn))
                return self._read_tail(handle, size - len(line) - len(torn))
            number = _count_lines(handle, size - len(torn))  # costs a read of the whole file: only to name the line
            last = from_line(line, str(self.path), number)
        if not torn:
            return _Tail(size, line, last)
        if self._lacks_only_line_feed(torn, last):
            self._write(handle, b"\n", at=size)
            return _Tail(size + 1, torn + b"\n", from_line(torn + b"\n", str(self.path), 0))
        self._set_aside(handle, torn, size - len(torn))
        return _Tail(size - len(torn), line, last)

    def _lacks_only_line_feed(self, torn: bytes, last: Chained | None) -> bool:
        """Whether a torn line is a whole record after all: an editor took its line feed, or the crash did."""
        try:
            check_follows(from_line(torn + b"\n", str(self.path), 0), last, str(self.path), 0)
        except AuditError:
            return False
        return True

    def _set_aside(self, handle: int, torn: bytes, size: int) -> None:
        """Moves a torn line out of the log. It is safe elsewhere before it is cut off here."""
        aside = self.path.with_name(self.path.name + ".torn")
        target = files.open_file(aside, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            files.write(target, torn + b"\n")
        finally:
            os.close(target)
        files.sync_folder(aside.parent)
        os.ftruncate(handle, size)
        os.fsync(handle)
        logging.getLogger(__name__).warning("%s: a crash left %d bytes of a torn line; moved to %s", self.path, len(torn), aside)

    def _refused(self, message: str, hint: str) -> AuditError:
        line = self._tail.last.sequence if self._tail and self._tail.last else 0
        return AuditError(
            f"{self.path}:{line}: {message}" if line else f"{self.path}: {message}", file=str(self.path), line=line, hint=hint
        )


def _lines(path: Path, number: int, at: int) -> Iterator[bytes]:
    """The lines of a file from line ``number`` on, which begins at the byte ``at``.

    Up to where the file ended when no writer was in the middle of a line. Raises AuditError.
    """
    name = str(path)
    try:
        size = _whole_size(path)
        with open(path, "rb") as file:
            file.seek(at)
            while at < size:
                line = file.readline()
                number, at = number + 1, at + len(line)
                if not line.endswith(b"\n"):
                    hint = "a crash cut it; its reply was not released. Opening the log for writing sets it aside"
                    raise AuditError(f"{name}:{number - 1}: the last line is torn", file=name, line=number - 1, hint=hint)
                yield line
    except OSError as error:
        raise AuditError(f"{name}: {error.strerror or error}", file=name, hint="give the path of a log") from error


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A file that is appended to, made when missing, locked against every other writer."""
    try:
        with files.open_locked(path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as handle:
            yield handle
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror or error}", file=str(path), hint="see that the folder is writable") from error


def _whole_size(path: Path) -> int:
    """The size of a log at a moment when no writer is in the middle of a line."""
    with files.open_locked(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0), shared=True) as handle:  # a pipe must not be waited for
        status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):  # of a folder, opening it as a file tells
        return status.st_size
    raise AuditError(f"{path}: not a regular file", file=str(path), hint="give a path to a file of its own")


def _ending(handle: int, size: int) -> tuple[bytes, bytes]:
    """The last whole line of a file, and what stands after it: empty in a sound log."""
    block, start = b"", size
    while start and block.count(b"\n") < 2:
        step = min(BLOCK, start)
        start -= step
        block = files.read_at(handle, step, start) + block
    whole, feed, torn = block.rpartition(b"\n")
    return whole.rpartition(b"\n")[2] + feed, torn


def _count_lines(handle: int, size: int) -> int:
    return sum(files.read_at(handle, BLOCK, start).count(b"\n") for start in range(0, size, BLOCK))
