"""A server as a companion of a game: it tells where it listens, and ends with the process that started it."""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from constrained._durable_files import IS_WINDOWS, replace_file

INTERVAL_S = 0.5
_SYNCHRONIZE, _ENDED, _ACCESS_DENIED = 0x0010_0000, 0, 5  # the right to wait for a process; the answer for an ended one; an error


def write_port_file(path: Path, *, url: str, token: str) -> None:
    """Writes ``{"url", "port", "token", "pid"}``, readable by the owner only, in one step: a reader sees all of it or nothing."""
    told = {"url": url, "port": int(url.rpartition(":")[2]), "token": token, "pid": os.getpid()}
    replace_file(path, f"{json.dumps(told)}\n".encode())


def remove_port_file(path: Path) -> None:
    """Removes the file if it is still this process's."""
    try:
        if json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid():
            path.unlink()
    except (OSError, ValueError, KeyError):  # gone or another server's: then there is nothing of ours to remove
        return


class Watch:
    """Calls ``look`` every half second in a thread of its own, until it is stopped."""

    def __init__(self, look: Callable[[], None], name: str, interval_s: float = INTERVAL_S) -> None:
        self._look, self._interval_s, self._over = look, interval_s, threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Watch:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._interval_s):
            self._look()


def parent_watch(parent: int, stop: Callable[[], None]) -> Callable[[], None]:
    """A look that calls ``stop`` once the process ``parent`` is not our parent, or not there, any more."""
    if IS_WINDOWS:
        return _windows_watch(parent, stop)
    was_child = os.getppid() == parent

    def look() -> None:
        if (os.getppid() != parent) if was_child else not _lives(parent):
            stop()

    return look


def _windows_watch(parent: int, stop: Callable[[], None]) -> Callable[[], None]:
    """By a handle on the process: Windows never gives a child another parent, and ``os.kill(pid, 0)`` would send it Ctrl-C."""
    windows: Any = ctypes  # what only Windows has is unknown to type checkers elsewhere
    kernel = windows.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype, kernel.WaitForSingleObject.restype = ctypes.c_void_p, ctypes.c_uint32
    kernel.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    handle = kernel.OpenProcess(_SYNCHRONIZE, False, parent)  # kept open: the number is given to no other process meanwhile

    is_hidden = not handle and windows.get_last_error() == _ACCESS_DENIED

    def look() -> None:
        if not is_hidden and (not handle or kernel.WaitForSingleObject(handle, 0) == _ENDED):
            stop()

    return look


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, and alive
        return True
    return True
