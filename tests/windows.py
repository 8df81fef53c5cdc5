"""Runs a program as on Windows, as far as Linux allows: ``python -m tests.windows FOLDER``; prints what was locked, as JSON.

There is no ``fcntl``, ``os`` lacks what it lacks on Windows, folders cannot be flushed, and ``msvcrt.locking`` is mandatory: it
is simulated for this one process, and reading a locked file fails.
"""

from __future__ import annotations

import asyncio
import errno
import importlib.metadata
import importlib.util
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import types
from pathlib import Path

import pytest

FOLDER = Path(sys.argv[1]) if __name__ == "__main__" else Path()
KEPT = {"fsync": os.fsync, "open": os.open, "close": os.close, "read": os.read, "write": os.write, "stat": os.stat, "link": os.link}
LOADED = (asyncio, importlib.metadata, shutil, socket, tempfile)  # before os.name changes: they look at it when they are loaded
O_BINARY = 0x4000_0000  # a bit that Linux does not use


class Windows:
    """The locks of this process, and the calls of ``os`` that see them."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.holder: dict[int, int] = {}  # inode -> handle
        self.names: dict[int, str] = {}  # handle -> file
        self.locked: set[str] = set()
        self.text: list[str] = []

    def locking(self, handle: int, mode: int, n_bytes: int) -> None:
        inode = os.fstat(handle).st_ino
        with self.guard:
            if mode == 0:
                assert self.holder.pop(inode) == handle
            elif inode in self.holder:
                raise OSError(errno.EACCES, "Permission denied")
            else:
                self.holder[inode] = handle
                self.locked.add(self.names[handle])

    def open(self, path: str | Path, flags: int, mode: int = 0o777, **rest: object) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        if str(path).startswith(str(FOLDER)) and not flags & O_BINARY:
            self.text.append(str(path))
        handle = KEPT["open"](path, flags & ~O_BINARY, mode)
        self.names[handle] = str(path)
        return handle

    def read(self, handle: int, n_bytes: int) -> bytes:
        with self.guard:
            if self.holder.get(os.fstat(handle).st_ino, handle) != handle:
                raise PermissionError(errno.EACCES, "another process has locked a part of the file")
        return KEPT["read"](handle, n_bytes)

    def fsync(self, handle: int) -> None:
        with self.guard:
            assert self.holder.get(os.fstat(handle).st_ino, handle) == handle
        KEPT["fsync"](handle)


def become_windows() -> Windows:
    windows = Windows()
    sys.modules["fcntl"] = None  # type: ignore[assignment]
    msvcrt = types.ModuleType("msvcrt")
    vars(msvcrt).update(locking=windows.locking, LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2, LK_RLCK=3, LK_NBRLCK=4)
    sys.modules["msvcrt"] = msvcrt
    _load_version_of_portalocker()
    os.name = "nt"
    importlib.import_module("portalocker")
    os.name = "posix"  # pathlib makes its paths by it
    for name in ("pread", "pwrite", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY", "O_NOFOLLOW", "register_at_fork", "fork"):
        delattr(os, name)
    os.O_BINARY = O_BINARY  # type: ignore[attr-defined]
    os.open, os.read, os.fsync = windows.open, windows.read, windows.fsync  # type: ignore[assignment]
    return windows


def _load_version_of_portalocker() -> None:
    """It makes a path when it is loaded, which cannot be done under another system's name."""
    folder = importlib.util.find_spec("portalocker").submodule_search_locations[0]  # type: ignore[union-attr,index]
    spec = importlib.util.spec_from_file_location("portalocker.__about__", Path(folder) / "__about__.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    sys.modules["portalocker.__about__"] = module


def talk(windows: Windows) -> dict[str, object]:
    from constrained import _durable_files

    _durable_files.IS_WINDOWS = True
    from constrained import Dialogue
    from constrained.errors import ConstrainedError
    from constrained.packs import load_policy
    from constrained.records.log import open_log, read_log
    from constrained.records.replay import replay
    from constrained.records.sealing import SubjectKeys
    from constrained.records.sinks import FolderSink
    from constrained.serve.storage.sessions import Sessions

    policy, places = load_policy("tavern"), [FOLDER / "audit.jsonl", FOLDER / "audit.db"]
    texts = []
    for place in places:
        log = open_log(place)

        def converse(log: object = log) -> None:
            dialogue = Dialogue(policy, log=log)
            texts.extend(dialogue.reply(message, policy.state_type()).text for message in ("Good evening", "Have you got a room?"))

        threads = [threading.Thread(target=converse) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        records = list(read_log(place))
        assert [one.error for one in replay(policy, records) if one.error] == []
        assert len(records) == 8
    assert b"\r" not in places[0].read_bytes()
    keys = SubjectKeys(FOLDER / "keys")
    assert keys.made("ab12") == keys.find("ab12")
    assert keys.erase("ab12")
    sink = FolderSink(FOLDER / "sink")
    assert sink.put("a", b"1")
    assert not sink.put("a", b"1")
    sessions = Sessions(f"sqlite:///{FOLDER / 'c.db'}")
    with pytest.raises(ConstrainedError, match="another server"):
        Sessions(f"sqlite:///{FOLDER / 'c.db'}")
    sessions.close()
    assert windows.holder == {}
    return {"texts": texts, "locked": sorted(windows.locked), "text mode": windows.text}


if __name__ == "__main__":
    print(json.dumps(talk(become_windows())))
