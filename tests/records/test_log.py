"""Logs: what append returned is there to read, whole and in order, or nothing was appended at all."""

from __future__ import annotations

import multiprocessing
import os
import resource
import stat
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.errors import AuditError
from constrained.records.chain import chain_entry
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import Log, MemoryLog, read_log
from tests.strategies import record


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def numbers(path):
    return [one.number for one in read_log(path)]


@pytest.mark.parametrize("make", [lambda path: MemoryLog(), JsonLinesLog, lambda path: JsonLinesLog(path, durable=False)])
def test_a_log_seals_what_it_is_given(make, path):
    log = make(path)
    assert isinstance(log, Log)
    first, second = log.append(record(1)), log.append(record(2))
    assert (first.sequence, second.sequence) == (1, 2)
    assert (first.previous, second.previous) == ("", first.hash)


def test_what_was_appended_is_read_and_goes_on_after_reopening(path):
    kept = [JsonLinesLog(path).append(record(number)) for number in range(1, 6)]
    assert list(read_log(path)) == kept
    assert path.read_bytes().count(b"\n") == 5


def test_an_empty_log_holds_nothing_and_belongs_to_its_owner(path):
    JsonLinesLog(path)
    assert numbers(path) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_append_returns_after_the_file_and_its_folder_were_synced(path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(stat.S_ISDIR(os.fstat(handle).st_mode)), real(handle))[1])
    log = JsonLinesLog(path)
    assert synced == [True]
    log.append(record())
    assert synced == [True, False]
    JsonLinesLog(path, durable=False).append(record())
    assert synced == [True, False]


# -- a crash in the middle of a line -------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_torn_last_line_is_set_aside_and_the_log_goes_on(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("torn") / "audit.jsonl"
    log = JsonLinesLog(path, durable=False)
    before = log.append(record(1)) if data.draw(st.booleans()) else None
    whole = path.read_bytes()
    _, line = chain_entry(record(2), before)
    cut = data.draw(st.integers(1, len(line) - 2))
    garbage = data.draw(st.sampled_from([b"", b"\x00" * 70_000]))  # a power cut can leave zeros
    with open(path, "ab") as file:
        file.write(line[:cut] + garbage)
    with pytest.raises(AuditError, match=rf"{path}:{2 if before else 1}: the last line is torn"):
        numbers(path)
    writer = log if data.draw(st.booleans()) else JsonLinesLog(path)  # noticed at opening, and by a log that is open
    writer.append(record(3))
    assert numbers(path) == ([1, 3] if before else [3])
    assert path.read_bytes().startswith(whole)
    assert path.with_name("audit.jsonl.torn").read_bytes() == line[:cut] + garbage + b"\n"


def test_torn_lines_are_kept_one_after_the_other(path):
    JsonLinesLog(path).append(record(1))
    for torn in (b"one", b"two"):
        with open(path, "ab") as file:
            file.write(torn)
        JsonLinesLog(path)
    assert path.with_name("audit.jsonl.torn").read_bytes() == b"one\ntwo\n"


def test_a_line_that_lacks_only_its_line_feed_is_whole(path):
    log = JsonLinesLog(path)
    log.append(record(1))
    log.append(record(2))
    path.write_bytes(path.read_bytes()[:-1])
    JsonLinesLog(path).append(record(3))
    assert numbers(path) == [1, 2, 3]
    assert not path.with_name("audit.jsonl.torn").exists()


# -- a log that cannot be trusted, or not written -------------------------------------------------------


def change(path, old, new):
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))


def test_a_changed_last_line_is_refused_at_opening_with_its_line(path):
    log = JsonLinesLog(path)
    for number in range(1, 4):
        log.append(record(number))
    change(path, b'"number":3', b'"number":4')
    with pytest.raises(AuditError, match=rf"{path}:3: the hash does not fit"):
        JsonLinesLog(path)


def test_reading_stops_at_the_line_that_was_changed_moved_or_taken_out(path):
    log = JsonLinesLog(path)
    for number in range(1, 5):
        log.append(record(number))
    lines = path.read_bytes().splitlines(keepends=True)
    for kept, number in (([0, 2, 3], 2), ([1, 2, 3], 1), ([0, 2, 1, 3], 2), ([0, 1, 1, 2, 3], 3)):
        path.write_bytes(b"".join(lines[index] for index in kept))
        read = read_log(path)
        for _ in range(number - 1):
            next(read)
        with pytest.raises(AuditError, match=rf"{path}:{number}: "):
            next(read)


@pytest.mark.parametrize("content", [b"\n", b"hello\n", b"{}\n", b"\x00\n", b'{"format":1}\n'])
def test_a_file_that_is_no_log_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(AuditError, match=rf"{path}:1: "):
        JsonLinesLog(path)
    assert path.read_bytes() == content


def test_places_that_hold_no_log_are_refused(tmp_path):
    for place in (tmp_path, tmp_path / "missing" / "audit.jsonl", tmp_path / ("x" * 300)):
        with pytest.raises(AuditError) as caught:
            JsonLinesLog(place)
        assert caught.value.file == str(place)
        assert caught.value.hint
    with pytest.raises(AuditError, match="not a regular file"):
        JsonLinesLog("/dev/null")
    with pytest.raises(AuditError, match="No such file"):
        list(read_log(tmp_path / "missing.jsonl"))


def test_a_log_that_was_cut_deleted_or_replaced_while_open_is_refused(path):
    log = JsonLinesLog(path)
    log.append(record(1))
    log.append(record(2))
    lines = path.read_bytes()
    path.write_bytes(lines.splitlines(keepends=True)[0])
    with pytest.raises(AuditError, match=rf"{path}:2: the last record is not where it was written"):
        log.append(record(3))
    path.unlink()
    with pytest.raises(AuditError, match=rf"{path}:3: .*No such file"):
        log.append(record(3))
    assert not path.exists()
    other = JsonLinesLog(path)
    for number in range(4):
        other.append(record(number))
    with pytest.raises(AuditError, match="the last record is not where it was written"):
        log.append(record(3))
    path.write_bytes(lines)
    log.append(record(3))
    assert numbers(path) == [1, 2, 3]


def test_a_failed_sync_leaves_no_line_behind(path, monkeypatch):
    log = JsonLinesLog(path)
    log.append(record(1))

    def fail(handle):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(AuditError, match=rf"{path}:2: the record could not be written: Input/output error"):
            log.append(record(2))
    log.append(record(3))
    assert numbers(path) == [1, 3]


def test_a_full_disk_is_refused_and_what_was_written_in_part_is_taken_back(path):
    """A real limit on the size of files, in a process of its own: the write stops in the middle of the line."""
    log = JsonLinesLog(path)
    log.append(record(1))
    size = path.stat().st_size

    def fill(connection):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, size + 20))
        try:
            log.append(record(2))
        except AuditError as error:
            connection.send(str(error))

    here, there = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(target=fill, args=(there,))
    child.start()
    child.join()
    assert f"{path}:2: the record could not be written: File too large" in here.recv()
    assert path.stat().st_size == size
    log.append(record(3))
    assert numbers(path) == [1, 3]


def test_a_failed_write_that_cannot_be_taken_back_is_set_aside_later(path, monkeypatch):
    log = JsonLinesLog(path)
    log.append(record(1))
    real = os.write

    def write_a_little(handle, data):
        if real(handle, data[:10]):
            raise OSError(28, "No space left on device")

    def fail(handle, size):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", write_a_little)
        broken.setattr(os, "ftruncate", fail)
        with pytest.raises(AuditError, match="No space left") as caught:
            log.append(record(2))
        assert caught.value.__cause__.__notes__
    log.append(record(3))
    assert numbers(path) == [1, 3]
    assert len(path.with_name("audit.jsonl.torn").read_bytes()) == 11


def test_a_record_that_json_cannot_hold_changes_nothing(path):
    log = JsonLinesLog(path)
    log.append(record(1))
    for bad in ({"state": float("nan")}, {"state": object()}, {"conversation": "\ud800"}):
        with pytest.raises(AuditError, match="cannot be recorded"):
            log.append(record(2).model_copy(update=bad))
    log.append(record(3))
    assert numbers(path) == [1, 3]


# -- several writers -----------------------------------------------------------------------------------


def write_many(path, name, count):
    log = JsonLinesLog(path, durable=False)
    for number in range(count):
        log.append(record(number, conversation=name))


def test_threads_and_processes_share_one_whole_chain(path):
    fork = multiprocessing.get_context("fork")
    shared = JsonLinesLog(path, durable=False)  # opened before the fork, used on both sides of it

    def write_shared(name):
        for number in range(100):
            shared.append(record(number, conversation=name))

    workers = [fork.Process(target=write_many, args=(path, f"process {index}", 100)) for index in range(2)]
    workers += [fork.Process(target=write_shared, args=("forked",))]
    for worker in workers:
        worker.start()
    threads = [threading.Thread(target=write_shared, args=(f"thread {index}",)) for index in range(3)]
    for thread in threads:
        thread.start()
    while any(worker.is_alive() for worker in workers):
        list(read_log(path))  # a reader in the middle of it all sees whole lines only
        workers[0].join(0.01)
    for one in (*workers, *threads):
        one.join()
    kept = list(read_log(path))
    assert len(kept) == 600
    for name in {one.conversation for one in kept}:
        assert [one.number for one in kept if one.conversation == name] == list(range(100))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_in_the_place_of_a_log_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "log")
    with pytest.raises(AuditError, match="not a regular file"):
        list(read_log(tmp_path / "log"))
