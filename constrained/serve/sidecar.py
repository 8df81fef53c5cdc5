"""A server as a companion of a game: it tells where it listens, and ends with the process that started it. Knows no route."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

INTERVAL_S = 0.5


def write_port_file(path: Path, *, url: str, token: str) -> None:
    """Writes ``{"url", "port", "token", "pid"}``, readable by the owner only, in one step: a reader sees all of it or nothing."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    told = {"url": url, "port": int(url.rpartition(":")[2]), "token": token, "pid": os.getpid()}
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")
    scratch.replace(path)


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
    was_child = os.getppid() == parent

    def look() -> None:
        if (os.getppid() != parent) if was_child else not _lives(parent):
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
