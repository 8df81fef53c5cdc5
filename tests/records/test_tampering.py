"""The tamper matrix: every column of every table and file, edited, deleted, inserted, doubled, swapped, cut and put back.

Each way of tampering names the least that finds it: the chain alone, a key, or a key and a sink. With less the log passes, and the
verification says that this cannot be established.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from constrained.errors import AuditError
from constrained.records.chain import START, LogPosition, chain_entry, from_line
from constrained.records.checkpoints import checkpoint
from constrained.records.log import MemoryLog, existing, open_log
from constrained.records.log_verification import LogVerification, verify_log
from constrained.records.record import ErasedField, Retention
from constrained.records.sinks import FolderSink, checkpoints_in
from tests.records.evidence import KEY, OTHER_KEY, PUBLIC
from tests.strategies import record

N_RECORDS, EVERY, N_UNSIGNED, N_CHECKPOINTS = 11, 4, 2, 3  # the last two records are covered by no checkpoint
CHAIN, WITH_KEY, WITH_SINK, NOTHING = range(4)


@dataclass
class Tables:
    """What a log's tables or files hold: entries (sequence, hash, line), checkpoints (number, line)."""

    entries: list[tuple]
    checkpoints: list[tuple]


class SqliteTables:
    def __init__(self, place: str) -> None:
        self.place = place

    def read(self) -> Tables:
        with closing(sqlite3.connect(self.place)) as database:
            entries = database.execute("SELECT sequence, hash, line FROM entries ORDER BY sequence").fetchall()
            return Tables(entries, database.execute("SELECT number, line FROM checkpoints ORDER BY number").fetchall())

    def write(self, tables: Tables) -> None:
        """Without triggers and primary keys: whoever holds the file needs none."""
        with closing(sqlite3.connect(self.place)) as database:
            database.executescript(
                "DROP TABLE entries; DROP TABLE checkpoints; CREATE TABLE entries (sequence INTEGER, hash TEXT, line BLOB);"
                "CREATE TABLE checkpoints (number INTEGER, line BLOB);"
            )
            database.executemany("INSERT INTO entries VALUES (?, ?, ?)", tables.entries)
            database.executemany("INSERT INTO checkpoints VALUES (?, ?)", tables.checkpoints)
            database.commit()


class PostgresTables:
    def __init__(self, place: str) -> None:
        self.place = place

    def read(self) -> Tables:
        import psycopg

        with psycopg.connect(self.place) as database:
            entries = database.execute("SELECT sequence, hash, line FROM constrained_entries ORDER BY sequence").fetchall()
            return Tables(entries, database.execute("SELECT number, line FROM constrained_checkpoints ORDER BY number").fetchall())

    def write(self, tables: Tables) -> None:
        import psycopg

        with psycopg.connect(self.place) as database:
            for name in ("entries", "checkpoints"):
                database.execute(f"ALTER TABLE constrained_{name} DISABLE TRIGGER ALL")
                database.execute(f"ALTER TABLE constrained_{name} DROP CONSTRAINT IF EXISTS constrained_{name}_pkey")
                database.execute(f"DELETE FROM constrained_{name}")
            cursor = database.cursor()
            cursor.executemany("INSERT INTO constrained_entries VALUES (%s, %s, %s)", tables.entries)
            cursor.executemany("INSERT INTO constrained_checkpoints VALUES (%s, %s)", tables.checkpoints)


class JsonLinesFiles:
    """Lines alone: what only changes a column cannot be done."""

    def __init__(self, place: str) -> None:
        self.log, self.signed = Path(place), Path(place + ".checkpoints")

    def read(self) -> Tables:
        lines = [path.read_bytes().splitlines(keepends=True) for path in (self.log, self.signed)]
        return Tables([(*_place(line), line) for line in lines[0]], list(enumerate(lines[1], 1)))

    def write(self, tables: Tables) -> None:
        self.log.write_bytes(b"".join(row[-1] for row in tables.entries))
        self.signed.write_bytes(b"".join(row[-1] for row in tables.checkpoints))


def _place(line: bytes) -> tuple[int, str]:
    content = json.loads(line)
    return content["sequence"], content["hash"]


# -- ways of tampering: each changes the tables in place ----------------------------------------------------------

Way = Callable[[Tables], None]
Make = Callable[[Tables], object]
TOMBSTONE = 7  # where the log tells of an erasure
FIRST, MIDDLE, LAST_SIGNED, LAST = 0, 5, N_RECORDS - N_UNSIGNED - 1, N_RECORDS - 1


def edit(table: str, at: int, column: int, make: Make) -> Way:
    def change(tables: Tables) -> None:
        rows = getattr(tables, table)
        rows[at] = (*rows[at][:column], make(tables), *rows[at][column + 1 :])

    return change


def replace_in(table: str, at: int, old: bytes, new: bytes) -> Way:
    """In the line, the last column: the last place of ``old``."""

    def make(tables: Tables) -> bytes:
        before, found, after = bytes(getattr(tables, table)[at][-1]).rpartition(old)
        assert found
        return before + new + after

    return edit(table, at, 2 if table == "entries" else 1, make)


def double(table: str, at: int) -> Way:
    return lambda tables: getattr(tables, table).insert(at, getattr(tables, table)[at])


def keep(n_entries: int | None, n_checkpoints: int | None) -> Way:
    """Cuts the tables to their first rows; None keeps all."""

    def change(tables: Tables) -> None:
        del tables.entries[n_entries if n_entries is not None else len(tables.entries) :]
        del tables.checkpoints[n_checkpoints if n_checkpoints is not None else len(tables.checkpoints) :]

    return change


def delete(table: str, at: int) -> Way:
    return lambda tables: getattr(tables, table).pop(at)


def insert(at: int, sequence: int) -> Way:
    """A copy of the fourth entry."""
    return lambda tables: tables.entries.insert(at, (sequence, *tables.entries[3][1:]))


def swap(table: str, first: int, second: int, column: int) -> Way:
    """Exchanges one column of two rows."""

    def change(tables: Tables) -> None:
        rows = getattr(tables, table)
        values = rows[first][column], rows[second][column]
        for at, value in zip((second, first), values, strict=True):
            rows[at] = (*rows[at][:column], value, *rows[at][column + 1 :])

    return change


def tell_otherwise(start: int) -> Way:
    """The records from ``start`` on, with all hashes computed again."""

    def change(tables: Tables) -> None:
        before = LogPosition(*_place(tables.entries[start - 1][2])) if start else START
        for index in range(start, len(tables.entries)):
            entry = from_line(bytes(tables.entries[index][2]), "log", index + 1)
            told = {"by": "Somebody"} if isinstance(entry, Retention) else {"text": "Told otherwise."}
            placed, line = chain_entry(entry.model_copy(update=told), before)
            before = LogPosition(placed.sequence, placed.hash)
            tables.entries[index] = (placed.sequence, placed.hash, line)

    return change


def sign_anew(tables: Tables) -> None:
    """Everything told otherwise and signed by somebody else."""
    tell_otherwise(0)(tables)
    log = MemoryLog()
    log._lines = [bytes(line) for *_, line in tables.entries]
    checkpoint(log, OTHER_KEY)
    tables.checkpoints[:] = list(enumerate(log.checkpoints(), 1))


def ways_in_lines(numbered: int) -> Iterator[tuple[str, int, Way]]:
    """Name, the least that finds it, and the change: of what every kind of log has.

    Args:
        numbered: what finds a row that is missing or too many: the chain where rows have numbers, else a key.
    """
    for where, at in {"first": FIRST, "middle": MIDDLE, "last signed": LAST_SIGNED, "last": LAST}.items():
        yield f"a letter of the {where} line", CHAIN, replace_in("entries", at, b"evening", b"evenind")
        yield f"the {where} line is that of another", CHAIN, edit("entries", at, 2, lambda tables: tables.entries[3][2])
        yield f"the {where} entry doubled", CHAIN, double("entries", at)
    for where, at in {"first": FIRST, "middle": MIDDLE, "last signed": LAST_SIGNED}.items():
        yield f"the {where} entry deleted", CHAIN, delete("entries", at)
    for field in (b'"at":"', b'"by":"', b'"rules":"', b'"field":"', b'"kept_days":', b'"days":["', b'"n_records":', b'"held":["'):
        yield f"{field.decode()} of a tombstone", CHAIN, replace_in("entries", TOMBSTONE, field, field + b"0" * (field[-1:] == b'"') + b"9")
    yield "a tombstone deleted", CHAIN, delete("entries", TOMBSTONE)
    yield "a line put in before the first", CHAIN, insert(0, 0)
    yield "a line put in after the last", CHAIN, insert(N_RECORDS, N_RECORDS + 1)
    yield "two lines swapped", CHAIN, swap("entries", 2, 3, 2)
    yield "told otherwise within the signed part, all hashes computed again", WITH_KEY, tell_otherwise(MIDDLE)
    yield "told otherwise and signed by another key", WITH_KEY, sign_anew
    yield "cut within the signed part", WITH_KEY, keep(MIDDLE, None)
    yield "log cut to nothing", WITH_KEY, keep(0, None)
    yield "checkpoints removed", WITH_KEY, keep(None, 0)
    yield "log and checkpoints cut to nothing", WITH_KEY, keep(0, 0)
    yield "the last checkpoint removed", WITH_SINK, keep(None, -1)
    yield "log and checkpoints put back to an older copy", WITH_SINK, keep(EVERY, 1)
    yield "told otherwise after the last checkpoint", NOTHING, tell_otherwise(LAST_SIGNED + 1)
    yield "cut after the last checkpoint", NOTHING, keep(LAST, None)
    for at in range(N_CHECKPOINTS):
        for field in (b'"root":"sha256:', b'"head":"sha256:', b'"signature":"', b'"marks":"', b'"at":"', b'"key":"sha256:'):
            yield f"{field.decode()} of checkpoint {at + 1}", WITH_KEY, replace_in("checkpoints", at, field, field + b"0")
        for number in (b'"first":', b'"last":', b'"number":'):
            yield f"{number.decode()} of checkpoint {at + 1}", WITH_KEY, replace_in("checkpoints", at, number, number + b"1")
        yield f"checkpoint {at + 1} doubled", numbered, double("checkpoints", at)
    for at in range(N_CHECKPOINTS - 1):
        yield f"checkpoint {at + 1} removed", numbered, delete("checkpoints", at)
    yield "two checkpoints swapped", WITH_KEY, swap("checkpoints", 0, 1, 1)


def ways_in_columns() -> Iterator[tuple[str, int, Way]]:
    """Of the columns that a table has beside its lines."""
    for where, at in {"first": FIRST, "middle": MIDDLE, "last": LAST}.items():
        yield f"hash of the {where} row", CHAIN, edit("entries", at, 1, lambda _: "sha256:" + "0" * 64)
        yield f"hash of the {where} row is that of another", CHAIN, edit("entries", at, 1, lambda tables: tables.entries[3][1])
        yield f"sequence of the {where} row is far off", CHAIN, edit("entries", at, 0, lambda _, number=1_000 + at: number)
        yield f"sequence of the {where} row is below zero", CHAIN, edit("entries", at, 0, lambda _, number=-1 - at: number)
    yield "two hashes swapped", CHAIN, swap("entries", 2, 3, 1)
    for sequence in (0, -1, -5):
        yield f"a row put in at {sequence}", CHAIN, insert(0, sequence)
    for at in range(N_CHECKPOINTS):
        yield f"number of the row of checkpoint {at + 1}", CHAIN, edit("checkpoints", at, 0, lambda _, number=50 + at: number)


KINDS = {"jsonl": JsonLinesFiles, "sqlite": SqliteTables, "postgres": PostgresTables}


def outcome(place: str, means: int, sink: Path) -> LogVerification | None:
    """What the verification says with these means; None where it finds something bad."""
    public = PUBLIC if means >= WITH_KEY else None
    try:
        return verify_log(existing(place), public, checkpoints_in(sink) if means >= WITH_SINK else None)
    except AuditError:
        return None


@pytest.fixture
def signed(place: str, tmp_path: Path) -> str:
    log = open_log(place)
    gone = ErasedField(field="message", kept_days=30, days=("2026-01-01",), n_records=0)
    erased = Retention(at="2026-03-02T12:00:00+00:00", by="the officer", rules="sha256:0", erased=(gone,), held=("c",))
    for number in range(1, N_RECORDS + 1):
        log.append(erased if number == TOMBSTONE + 1 else record(number))
        if number % EVERY == 0 or number == N_RECORDS - N_UNSIGNED:
            checkpoint(log, KEY, [FolderSink(tmp_path / "sink")], last=number)
    return place


def test_every_way_of_tampering_is_found_or_said_to_be_out_of_reach(signed, tmp_path, request):
    kind = request.node.callspec.params["place"]
    files, sink = KINDS[kind](signed), tmp_path / "sink"
    whole = files.read()
    means = {CHAIN: "the chain", WITH_KEY: "a key", WITH_SINK: "a key and a sink", NOTHING: "nothing"}
    ways = ways_in_lines(WITH_KEY) if kind == "jsonl" else [*ways_in_lines(CHAIN), *ways_in_columns()]
    for name, least, change in ways:
        tables = Tables(list(whole.entries), list(whole.checkpoints))
        change(tables)
        files.write(tables)
        for given in sorted({max(CHAIN, least - 1), min(least, WITH_SINK)}):  # what just does not find it, and what does
            found = outcome(signed, given, sink)
            if given >= least:
                assert found is None, f"{name}: not found with {means[given]}"
            else:
                assert found is not None, f"{name}: found with {means[given]} already; the docs say {means[least]}"
                assert found.not_established, f"{name}: with {means[given]} it looks whole, and nothing says that this is not known"
    files.write(whole)
    assert [outcome(signed, given, sink) is not None for given in (CHAIN, WITH_KEY, WITH_SINK)] == [True] * 3


def test_nothing_is_open_where_all_is_signed_and_lies_outside(place, tmp_path):
    log, sink = open_log(place), tmp_path / "sink"
    log.append(record(1))
    for means, said in ((CHAIN, "who wrote it"), (WITH_KEY, "put back to an older copy"), (WITH_SINK, "")):
        checkpoint(log, KEY, [FolderSink(sink)])
        found = outcome(place, means, sink)
        assert found is not None
        assert [said in one for one in found.not_established] == ([True] if said else [])
    log.append(record(2))
    assert outcome(place, WITH_SINK, sink).not_established == (
        "whether records 2 to 2, which no checkpoint covers yet, are as they were written",
    )
