"""Locks and durable files: what they promise, and that the library runs where there is no fcntl."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import _durable_files as files
from constrained.serve import server
from tests.strategies import ROOT


def test_the_library_talks_and_logs_as_on_windows(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.windows", str(tmp_path)]
    child = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert child.returncode == 0, child.stderr
    seen = json.loads(child.stdout)
    assert len(seen["texts"]) == 16
    assert all(seen["texts"])
    assert seen["locked"] == [str(tmp_path / "audit.jsonl.lock"), str(tmp_path / "c.db.lock")]  # never the bytes that others read
    assert seen["text mode"] == []


@pytest.mark.parametrize("is_windows", [False, True])
def test_a_lock_is_held_against_every_other_handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_windows: bool) -> None:
    monkeypatch.setattr(files, "IS_WINDOWS", is_windows)
    path = tmp_path / "file"
    lock_file = path.with_name("file.lock") if is_windows else path
    with files.open_locked(path, os.O_RDWR | os.O_CREAT):
        with pytest.raises(BlockingIOError):
            files.claim(lock_file)
        assert path.read_bytes() == b""
    files.release(files.claim(lock_file))


@pytest.mark.parametrize("is_windows", [False, True])
def test_who_waits_for_a_lock_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_windows: bool) -> None:
    monkeypatch.setattr(files, "IS_WINDOWS", is_windows)
    path, seen = tmp_path / "file", []
    path.touch()

    def count() -> None:
        for _ in range(50):
            with files.open_locked(path, os.O_RDWR) as handle:
                number = int(files.read_at(handle, 10, 0) or b"0") + 1
                os.ftruncate(handle, 0)
                os.lseek(handle, 0, os.SEEK_SET)
                files.write(handle, str(number).encode(), durable=False)
                seen.append(number)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(1, 201))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_that_was_forked_under_a_lock_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    waiting, go_on = os.pipe()
    with files.open_locked(path, os.O_RDWR | os.O_CREAT):
        child = os.fork()
        if not child:
            os.close(go_on)
            os.read(waiting, 1)
            os._exit(0)
    try:
        files.release(files.claim(path))
    finally:
        os.close(waiting)
        os.close(go_on)
        os.waitpid(child, 0)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_who_waited_for_a_lock_gets_the_file_that_is_there_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_replaced: bool) -> None:
    path, lock = tmp_path / "file", files._lock
    path.write_bytes(b"before")

    def lock_late(handle: int, **wanted: bool) -> None:
        monkeypatch.setattr(files, "_lock", lock)
        path.rename(tmp_path / "moved")
        if is_replaced:
            path.write_bytes(b"after")
        lock(handle, **wanted)

    monkeypatch.setattr(files, "_lock", lock_late)
    if is_replaced:
        with files.open_locked(path, os.O_RDWR) as handle:
            assert files.read_at(handle, 10, 0) == b"after"
    else:
        with pytest.raises(FileNotFoundError), files.open_locked(path, os.O_RDWR):
            pass


def test_a_file_that_is_replaced_again_and_again_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_is_at", lambda path, handle: False)
    with pytest.raises(OSError, match=r"[Ss]tale"), files.open_locked(tmp_path / "file", os.O_RDWR | os.O_CREAT):
        pass


def test_readers_share_a_lock(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with files.open_locked(tmp_path / "file", os.O_RDONLY, shared=True), files.open_locked(tmp_path / "file", os.O_RDONLY, shared=True):
        pass


def test_on_windows_reading_makes_no_file_and_waits_for_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "IS_WINDOWS", True)
    path = tmp_path / "file"
    path.write_bytes(b"one")
    with files.open_locked(path, os.O_RDONLY, shared=True) as handle:
        assert files.read_at(handle, 10, 0) == b"one"
    assert list(tmp_path.iterdir()) == [path]
    naps: list[float] = []
    with files.open_locked(path, os.O_RDWR):

        def give_up(nap: float) -> None:
            naps.append(nap)
            if len(naps) == 3:
                raise InterruptedError

        monkeypatch.setattr(files.time, "sleep", give_up)
        with pytest.raises(InterruptedError), files.open_locked(path, os.O_RDONLY, shared=True):
            pass
    assert len(naps) == 3


def test_a_lock_that_fails_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    import portalocker.portalocker

    def fail(*_: object) -> None:
        raise OSError(37, "No locks available")

    assert portalocker.portalocker.LOCKER is fcntl.flock
    monkeypatch.setattr(portalocker.portalocker, "LOCKER", fail)
    with pytest.raises(OSError, match="No locks available"), files.open_locked(tmp_path / "file", os.O_RDWR | os.O_CREAT):
        pass


@given(content=st.binary(max_size=300), before=st.none() | st.binary(max_size=9))
def test_a_replaced_file_holds_exactly_what_was_given(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, before: bytes | None
) -> None:
    path = tmp_path_factory.mktemp("replaced") / "file"
    if before is not None:
        path.write_bytes(before)
    files.replace_file(path, content)
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("stage", ["write", "fsync", "replace"])
def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, stage, fail)
    with pytest.raises(OSError, match="No space left"):
        files.replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_windows", [False, True])
def test_what_is_replaced_is_flushed_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_windows: bool) -> None:
    path, calls, sync, replace = tmp_path / "file", [], os.fsync, os.replace
    monkeypatch.setattr(files, "IS_WINDOWS", is_windows)
    monkeypatch.setattr(
        os, "fsync", lambda handle: (calls.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file"), sync(handle))
    )
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("replace"), replace(*names)))
    files.replace_file(path, b"new")
    assert calls == ["file", "replace", *([] if is_windows else ["folder"])]


@pytest.mark.parametrize("is_windows", [False, True])
def test_a_name_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_windows: bool) -> None:
    monkeypatch.setattr(files, "IS_WINDOWS", is_windows)
    files.write_once(tmp_path / "file", b"one", 0o444)
    with pytest.raises(FileExistsError):
        files.write_once(tmp_path / "file", b"two", 0o444)
    assert (tmp_path / "file").read_bytes() == b"one"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o444
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


class Kernel:
    """Windows' kernel32 as far as the watch asks it."""

    def __init__(self, handle: int | None, answer: int) -> None:
        class Function:
            def __init__(self, value: int | None) -> None:
                self.value = value

            def __call__(self, *_: object) -> int | None:
                return self.value

        self.OpenProcess, self.WaitForSingleObject = Function(handle), Function(answer)


@pytest.mark.parametrize(
    ("handle", "answer", "error", "stops"),
    [(7, 0x102, 0, False), (7, 0, 0, True), (None, 0x102, 87, True), (None, 0x102, 5, False)],
    ids=["lives", "ended", "was not there", "is somebody else's"],
)
def test_on_windows_the_parent_is_watched_by_a_handle(
    monkeypatch: pytest.MonkeyPatch, handle: int | None, answer: int, error: int, stops: bool
) -> None:
    def kill(*_: object) -> None:
        raise AssertionError("on Windows this ends the process, or sends it Ctrl-C")

    monkeypatch.setattr(server, "IS_WINDOWS", True)
    monkeypatch.setattr(ctypes, "WinDLL", lambda *_, **__: Kernel(handle, answer), raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: error, raising=False)
    monkeypatch.setattr(os, "kill", kill)
    stopped: list[bool] = []
    server.parent_watch(1, lambda: stopped.append(True))()
    assert bool(stopped) is stops
