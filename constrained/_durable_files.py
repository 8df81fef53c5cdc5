"""File locks and durable writes, the same way on Linux, macOS and Windows.

Where the systems differ (``docs/platforms.md``):

- A lock on Windows is mandatory: no other handle can read the locked bytes. So the lock of ``PATH`` is taken on ``PATH.lock``
  there, and readers of the data are never shut out. On POSIX it is taken on the file itself.
- Windows has shared locks only with another package, and no wait for a lock without limit: a shared lock is an exclusive
  one there, and is asked for again every ``POLL_S`` seconds.
- Windows cannot flush a folder; NTFS keeps names in a journal of its own.
"""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IS_WINDOWS = os.name == "nt"
POLL_S = 0.002
N_REOPENED = 100  # times that a file is opened which others keep replacing


# -- locks -----------------------------------------------------------------------------------------------


@contextmanager
def hold_lock(handle: int, path: Path, *, shared: bool = False) -> Iterator[None]:
    """Waits for the lock of ``path``, which is open as ``handle``. The death of the process releases it too.

    It is released by name and not by closing: a child that was forked meanwhile has the handle as well, and would keep the lock.
    Raises OSError when the lock cannot be had.
    """
    if not IS_WINDOWS:
        _lock(handle, shared=shared, wait=True)
        try:
            yield
        finally:
            _unlock(handle)
        return
    own = _open_lock_file(path, shared=shared)
    if own is None:
        yield
        return
    try:
        _lock(own, shared=shared, wait=True)
        try:
            yield
        finally:
            _unlock(own)
    finally:
        os.close(own)


@contextmanager
def open_locked(path: Path, flags: int, mode: int = 0o600, *, shared: bool = False) -> Iterator[int]:
    """The file that is at ``path`` once the lock is there, open and locked. Raises OSError."""
    for _ in range(N_REOPENED):
        handle = open_file(path, flags, mode)
        try:
            with hold_lock(handle, path, shared=shared):
                if _is_at(path, handle):  # it may have been moved, deleted or replaced while the lock was another's
                    yield handle
                    return
        finally:
            os.close(handle)
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))


def _is_at(path: Path, handle: int) -> bool:
    """Whether ``handle`` is what lies at ``path``. Always so on Windows, which moves no file that is open."""
    if IS_WINDOWS:
        return True
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def claim(lock_file: Path) -> int:
    """An exclusive lock on a file that is for locking only, made when missing; ``release`` ends it.

    Raises BlockingIOError when another has it, OSError when the file cannot be used.
    """
    handle = open_file(lock_file, os.O_RDWR | os.O_CREAT)
    try:
        _lock(handle, shared=False, wait=False)
    except BaseException:
        os.close(handle)
        raise
    return handle


def release(handle: int) -> None:
    """Ends what ``claim`` took."""
    _unlock(handle)
    os.close(handle)


def _open_lock_file(path: Path, *, shared: bool) -> int | None:
    """None for a reader where no writer ever was: reading makes no file, and works in a folder that may not be written to."""
    lock_file = path.with_name(path.name + ".lock")
    if not shared:
        return open_file(lock_file, os.O_RDWR | os.O_CREAT)
    try:
        return open_file(lock_file, os.O_RDONLY)
    except FileNotFoundError:
        return None


def _lock(handle: int, *, shared: bool, wait: bool) -> None:
    import portalocker  # takes 40 ms, which a program without files of ours need not pay

    flags = portalocker.LockFlags.SHARED if shared and not IS_WINDOWS else portalocker.LockFlags.EXCLUSIVE
    if IS_WINDOWS or not wait:
        flags |= portalocker.LockFlags.NON_BLOCKING
    while True:
        try:
            portalocker.lock(handle, flags)
            return
        except portalocker.AlreadyLocked as error:
            if not IS_WINDOWS or not wait:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
        except portalocker.LockException as error:
            cause = error.__cause__
            number = cause.errno if isinstance(cause, OSError) and cause.errno else errno.ENOLCK
            raise OSError(number, os.strerror(number)) from error
        time.sleep(POLL_S)


def _unlock(handle: int) -> None:
    """Before the handle is closed: Windows releases the locks of a closed file only when it comes to it."""
    import portalocker

    portalocker.unlock(handle)


# -- files -----------------------------------------------------------------------------------------------


def open_file(path: str | Path, flags: int, mode: int = 0o600) -> int:
    """``os.open``, for bytes on every system: Windows would write a line feed as two characters."""
    return os.open(path, flags | getattr(os, "O_BINARY", 0), mode)


def read_at(handle: int, n_bytes: int, start: int) -> bytes:
    """Up to ``n_bytes`` from the byte ``start`` on. Where the file is read next is not defined after it."""
    if hasattr(os, "pread"):
        return os.pread(handle, n_bytes, start)
    os.lseek(handle, start, os.SEEK_SET)
    return os.read(handle, n_bytes)


def write(handle: int, data: bytes, *, durable: bool = True) -> None:
    """All of ``data``; on the disk on return if ``durable``."""
    while data:
        data = data[os.write(handle, data) :]
    if durable:
        os.fsync(handle)


def flush_file(path: str | Path) -> None:
    """Makes durable what anybody wrote to a file."""
    handle = open_file(path, os.O_RDWR if IS_WINDOWS else os.O_RDONLY)  # Windows flushes only what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: str | Path) -> None:
    """Makes the names in a folder durable; a new file could else vanish with a power cut. Does nothing on Windows."""
    if not IS_WINDOWS:
        flush_file(folder)


def write_new(path: str | Path, content: bytes, mode: int = 0o600) -> None:
    """A new file, durable but for its name (``sync_folder``). Raises FileExistsError when there is one."""
    handle = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        write(handle, content)
    finally:
        os.close(handle)


def write_once(path: Path, content: bytes, mode: int) -> None:
    """A durable new file that no reader sees half of. Raises FileExistsError, with the other's name durable, when it is taken."""
    partial = _partial_path(path)
    try:
        write_new(partial, content)
        if not IS_WINDOWS:
            partial.chmod(mode)
        os.link(partial, path)  # fails when the name is taken, where a rename would replace
    except FileExistsError:
        sync_folder(path.parent)
        raise
    finally:
        partial.unlink(missing_ok=True)
    if IS_WINDOWS:  # it deletes no read-only file, so the partial one could not be
        path.chmod(mode)
    sync_folder(path.parent)


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """A durable file in the place of the one that may be there: a reader sees all of one or all of the other."""
    partial = _partial_path(path)
    try:
        write_new(partial, content, mode)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move_into_place(partial: str | Path, path: Path) -> None:
    """Puts a finished file in the place of ``path``, in the same folder, in one step; durable on return."""
    flush_file(partial)
    os.replace(partial, path)
    sync_folder(path.parent)


def move_folder_into_place(made: Path, folder: Path) -> None:
    """Moves a finished folder of files to a name that is free, in one step; durable on return. Raises OSError when it is taken."""
    for path in made.rglob("*"):
        if path.is_file():
            flush_file(path)
        else:
            sync_folder(path)
    sync_folder(made)
    made.rename(folder)
    sync_folder(folder.parent)


def _partial_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")
