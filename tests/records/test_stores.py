"""Every store: what append returned is there to read, in one chain, whoever writes; nothing in it can be changed unnoticed."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from constrained import Dialogue
from constrained.errors import AuditError
from constrained.records.chain import chain_entry
from constrained.records.log import Log, Store, existing, open_log, read_entries, read_log
from constrained.records.record import Outcome
from constrained.records.replay import replay
from constrained.records.sqlite import SqliteLog
from constrained.testing import RandomEngine
from tests.strategies import ROOT, record


def numbers(place):
    return [one.number for one in read_log(place)]


def test_a_store_is_a_log_and_the_lines_are_those_of_any_other(place):
    store = open_log(place)
    assert isinstance(store, Log)
    assert isinstance(store, Store)
    first, second = store.append(record(1)), store.append(record(2))
    expected, line = chain_entry(record(1), None)
    assert first == expected
    assert (second.sequence, second.previous) == (2, first.hash)
    lines = [*existing(place).lines()]
    assert lines[0] == line
    assert [*existing(place).lines(2)] == lines[1:]
    assert list(read_log(place)) == [first, second]


def test_a_log_goes_on_after_it_was_opened_again(place):
    for number in range(1, 5):
        store = open_log(place)
        store.append(record(number))
        getattr(store, "close", lambda: None)()
    assert numbers(place) == [1, 2, 3, 4]


def test_a_closed_log_opens_by_itself(place):
    store = open_log(place)
    for number in (1, 2):
        store.append(record(number))
        getattr(store, "close", lambda: None)()
    assert numbers(place) == [1, 2]


def test_many_threads_keep_one_chain(place):
    store, go, failed = open_log(place), threading.Barrier(16), []

    def write(thread):
        go.wait()
        for number in range(10):
            mine = record(thread * 100 + number)
            kept = store.append(mine)
            if (kept.number, kept.turn_id) != (mine.number, mine.turn_id):
                failed.append(mine)

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    found = numbers(place)
    assert sorted(found) == sorted(thread * 100 + number for thread in range(16) for number in range(10))
    for thread in range(16):
        own = [one for one in found if one // 100 == thread]
        assert own == sorted(own)


WRITER = """
import sys
from constrained.records.log import open_log
from tests.strategies import record
log = open_log(sys.argv[1])
for number in range(20):
    log.append(record(int(sys.argv[2]) * 100 + number))
"""


def test_many_processes_keep_one_chain(place):
    open_log(place)
    run = [sys.executable, "-c", WRITER, place]
    writers = [subprocess.Popen([*run, str(one)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}) for one in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert sorted(numbers(place)) == sorted(one * 100 + number for one in range(4) for number in range(20))


def test_a_log_may_be_carried_over_a_fork(place):
    store = open_log(place)
    store.append(record(1))

    def write():
        store.append(record(2))

    child = multiprocessing.get_context("fork").Process(target=write)
    child.start()
    child.join()
    assert child.exitcode == 0
    store.append(record(3))
    assert numbers(place) == [1, 2, 3]


def test_a_dialogue_writes_into_it_and_its_turns_come_out_the_same(place, library):
    dialogue = Dialogue(library, engine=RandomEngine(4), log=place)
    state = library.state_type(owed=3)
    for message in ("hello", "Emma until Friday, please", "Here are 2 euros", "bye"):
        state = dialogue.reply(message, state).apply(state)
    records = list(read_log(place))
    assert len(records) == 4
    assert [one.error for one in replay(library, records) if one.error] == []
    ordered = [one for one in records if one.effects]
    told = [one for one in read_entries(place) if isinstance(one, Outcome)]
    assert [one.turn_id for one in told] == [one.turn_id for one in ordered]
    assert all(outcome.status == "done" for one in told for outcome in one.outcomes)


def test_what_json_cannot_hold_fails_alone(place):
    store = open_log(place)
    with pytest.raises(AuditError, match="turn-1 cannot be recorded"):
        store.append(record(1, state={"gold": float("nan")}))
    store.append(record(2))
    assert numbers(place) == [2]


def test_checkpoints_are_kept_once_each_and_in_order(place):
    store = open_log(place)
    assert store.checkpoints() == []
    assert store.keep_checkpoint(1, b"one\n")
    assert not store.keep_checkpoint(1, b"another\n")
    assert store.keep_checkpoint(2, b"two\n")
    assert existing(place).checkpoints() == [b"one\n", b"two\n"]


def test_places_that_are_none(tmp_path):
    for place in (tmp_path / "missing" / "audit.db", tmp_path):
        with pytest.raises(AuditError) as caught:
            SqliteLog(place)
        assert caught.value.hint
    with pytest.raises(AuditError, match=r"ftp:// is no place"):
        open_log("ftp://example/log")
    for missing in ("missing.db", "missing.jsonl"):
        with pytest.raises(AuditError, match="missing"):
            list(read_log(tmp_path / missing))
        assert not (tmp_path / missing).exists()
    (tmp_path / "text.db").write_text("this is no database, though it is long enough to be one" * 40)
    with pytest.raises(AuditError, match="not a database"):
        SqliteLog(tmp_path / "text.db")


def test_a_server_that_is_not_there_is_told(tmp_path):
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install 'constrained[evidence]'")
    with pytest.raises(AuditError, match="could not be used") as caught:
        open_log(f"postgresql://me:secret@/nothing?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_a_connection_that_was_lost_is_replaced(database):
    import psycopg

    log = open_log(database)
    log.append(record(1))
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    log.append(record(2))
    assert numbers(database) == [1, 2]


# -- SQLite --------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.db"


def test_the_file_belongs_to_its_owner_and_every_commit_is_synced(path):
    log = SqliteLog(path)
    log.append(record(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_name("audit.db-wal").stat().st_mode) == 0o600
    assert log._held[0].execute("PRAGMA synchronous").fetchone() == (2,)
    assert log._held[0].execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("statement", ["UPDATE entries SET line = x'00'", "DELETE FROM entries", "DELETE FROM checkpoints"])
def test_the_tables_refuse_changes(place, statement):
    if place.endswith(".jsonl"):
        pytest.skip("a file has no tables")
    store = open_log(place)
    store.append(record(1))
    store.keep_checkpoint(1, b"one\n")
    if place.endswith(".db"):
        with sqlite3.connect(place) as other, pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(statement)
    else:
        import psycopg

        for table in ("entries", "checkpoints"):
            statement = statement.replace(table, f"constrained_{table}").replace("x'00'", "'x'")
        with psycopg.connect(place) as other, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            other.execute(statement)
    assert numbers(place) == [1]


def tamper(place, statement):
    with sqlite3.connect(place) as other:
        for trigger in ("entries_stay", "entries_remain"):
            other.execute(f"DROP TRIGGER {trigger}")
        other.execute(statement)


def test_a_log_that_was_cut_or_changed_while_open_is_refused(path):
    log = SqliteLog(path)
    for number in (1, 2):
        log.append(record(number))
    tamper(path, "DELETE FROM entries WHERE sequence = 2")
    with pytest.raises(AuditError, match=rf"{path}:2: the last record is not where it was written"):
        log.append(record(3))
    assert numbers(path) == [1]


def test_a_log_that_was_deleted_or_replaced_while_open_is_refused(path, tmp_path):
    log = SqliteLog(path)
    log.append(record(1))
    other = SqliteLog(tmp_path / "other.db")
    other.append(record(9))
    other.close()
    os.replace(tmp_path / "other.db", path)
    with pytest.raises(AuditError, match="another file is in the place"):
        log.append(record(2))
    path.unlink()
    with pytest.raises(AuditError, match="No such file"):
        log.append(record(2))


def test_a_last_record_that_was_changed_is_refused_at_opening(path):
    SqliteLog(path).append(record(1))
    tamper(path, "UPDATE entries SET line = CAST(replace(CAST(line AS TEXT), 'evening', 'morning') AS BLOB)")
    with pytest.raises(AuditError, match=rf"{path}:1: the hash does not fit"):
        SqliteLog(path)


def fill(log):
    for number in range(2, 200):
        log.append(record(number, message="x" * 2000))


def test_a_failed_commit_fails_for_all_who_waited_and_leaves_nothing(path, monkeypatch):
    log = SqliteLog(path)
    log.append(record(1))
    log._held[0].execute("PRAGMA max_page_count = 1")  # refused below what it has; so it cannot grow
    with pytest.raises(AuditError, match="full"):
        fill(log)
    kept = numbers(path)
    assert kept == list(range(1, len(kept) + 1))
    log._held[0].execute("PRAGMA max_page_count = 100000")
    log.append(record(len(kept) + 1))
    assert numbers(path) == [*kept, len(kept) + 1]


# -- power cuts ----------------------------------------------------------------------------------------


def crashed(path, folder, n_records):
    """A log with ``n_records`` as it lies on the disk before any checkpoint of SQLite, and where the last transaction begins."""
    log = SqliteLog(path)
    for number in range(1, n_records):
        log.append(record(number))
    log_file = path.with_name(path.name + "-wal")
    start = log_file.stat().st_size
    log.append(record(n_records))
    files = {path.name: path.read_bytes(), log_file.name: log_file.read_bytes()}
    end = log_file.stat().st_size
    log.close()
    return files, start, end


def restore(files, folder):
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def every(start, end, step):
    return [*range(start, end, step), end - 1]


STEP = int(os.environ.get("CONSTRAINED_EVERY", "41"))  # 1: every byte; minutes, and the result goes to benchmarks/results


def tell(what, n_damaged):
    if STEP == 1:
        told = {"what": what, "last record damaged": n_damaged, "not recovered to the last whole record": 0}
        place = Path(__file__).parents[2] / "benchmarks" / "results" / f"power-cuts-{what.replace(' ', '-')}.json"
        place.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_sqlite_goes_on_after_the_last_whole_transaction_when_the_end_is_torn_or_damaged(path, tmp_path, how):
    files, start, end = crashed(path, tmp_path, 3)
    whole = files["audit.db-wal"]
    places = every(start, end, STEP * 5 if STEP > 1 else 1)
    for at in places:
        damaged = whole[:at] if how == "cut" else whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        copy = restore(files | {"audit.db-wal": damaged}, tmp_path / "copy")
        log = SqliteLog(copy)
        found = numbers(copy)
        assert found == [1, 2] if how == "cut" else found in ([1, 2], [1, 2, 3]), at
        log.append(record(7))
        assert numbers(copy) == [*found, 7]
        log.close()
    tell(f"sqlite {how}", len(places))


@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_torn_or_damaged_last_line_of_a_file(tmp_path, caplog, how):
    path = tmp_path / "audit.jsonl"
    log = open_log(path)
    for number in (1, 2):
        log.append(record(number))
    start = path.stat().st_size
    log.append(record(3))
    whole = path.read_bytes()
    places = every(start + 1, len(whole) - 1, STEP)
    for at in places:
        caplog.clear()
        damaged = whole[:at] if how == "cut" else whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :]
        path.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            if how == "flip" and b"\n" not in damaged[start:-1]:
                with pytest.raises(AuditError, match=rf"{path}:3: "):  # a whole line: a disk, or a person
                    open_log(path)
            recovered = type(log)(path, recover=True)
        assert any("moved to" in message for message in caplog.messages), at
        recovered.append(record(7))
        assert numbers(path) == [1, 2, 7]
        assert damaged[start:].rstrip(b"\n") in path.with_name("audit.jsonl.torn").read_bytes()
        path.with_name("audit.jsonl.torn").unlink()
    tell(f"jsonl {how}", len(places))


def test_nothing_is_told_after_an_orderly_end(path, caplog):
    log = SqliteLog(path)
    log.append(record(1))
    with caplog.at_level(logging.WARNING):
        SqliteLog(path).append(record(2))
        log.close()
        SqliteLog(Path(path))
    assert caplog.messages == []
    assert json.loads(next(iter(existing(path).lines())))["sequence"] == 1


def test_only_sqlite_writes_its_write_ahead_log(path, monkeypatch):
    """Anything else written there can destroy a transaction that another process is about to finish."""
    opened, real = [], os.open
    monkeypatch.setattr(os, "open", lambda name, *rest, **named: (opened.append(str(name)), real(name, *rest, **named))[1])
    log = SqliteLog(path)
    for number in range(1, 100):
        log.append(record(number))
    assert str(path) in opened
    assert [name for name in opened if name.endswith(("-wal", "-shm"))] == []


@pytest.mark.parametrize(
    ("value", "told"),
    [("CAST(line AS TEXT)", ""), ("7", "not a JSON object"), ("zeroblob(9)", "not JSON"), ("'x'", "not JSON")],
)
def test_a_row_of_another_type_is_bad_and_never_a_traceback(tmp_path, value, told):
    log = SqliteLog(tmp_path / "audit.db")
    for number in range(1, 4):
        log.append(record(number))
    log.close()
    with sqlite3.connect(tmp_path / "audit.db") as database:
        database.execute("DROP TRIGGER entries_stay")
        database.execute(f"UPDATE entries SET line = {value} WHERE sequence = 2")
    database.close()
    if not told:
        assert numbers(tmp_path / "audit.db") == [1, 2, 3]
    else:
        with pytest.raises(AuditError, match=f":2: the line is {told}"):
            numbers(tmp_path / "audit.db")


def test_a_sequence_that_no_database_can_count_to_is_told(tmp_path):
    open_log(tmp_path / "audit.db").append(record(1))
    with pytest.raises(AuditError, match="could not be used"):
        list(existing(tmp_path / "audit.db").lines(10**30))


@pytest.mark.parametrize("address", ["postgresql://u@host:port/log", "postgresql://[::1/log"])
def test_an_address_that_is_none_is_told(address):
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed: pip install 'constrained[evidence]'")
    with pytest.raises(AuditError, match="PostgreSQL"):
        list(existing(address).lines())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("is_crashed", [False, True])
def test_an_sqlite_log_in_a_folder_that_cannot_be_written_is_read_whole_or_refused(is_crashed):
    """As the owner of nothing: root may write everywhere."""
    with tempfile.TemporaryDirectory() as name:
        folder, whole = Path(name) / "copy", Path(name) / "whole.db"
        log = SqliteLog(whole)
        for number in (1, 2):
            log.append(record(number))
        if not is_crashed:
            log.close()
        folder.mkdir()
        for one in Path(name).glob("whole.db*"):
            if not one.name.endswith("-shm"):
                (folder / one.name).write_bytes(one.read_bytes())
                (folder / one.name).chmod(0o444)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        assert read_by_nobody(folder / whole.name) == (b"refused" if is_crashed else b"[1, 2]")
        folder.chmod(0o755)
        log.close()


def read_by_nobody(path):
    """What a process without rights reads of a log."""
    there, here = os.pipe()
    child = os.fork()
    if not child:
        try:
            if not os.getuid():
                os.setgid(65_534)
                os.setuid(65_534)
            try:
                told = str(numbers(path)).encode()
            except AuditError:
                told = b"refused"
            os.write(here, told)
        finally:
            os._exit(0)
    os.close(here)
    os.waitpid(child, 0)
    told = os.read(there, 100)
    os.close(there)
    return told
