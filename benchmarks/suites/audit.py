"""Suite audit: what a record costs a turn, records a second in each store, deciding anew and verifying in the large."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, Sample, Spread, interleaved
from benchmarks.sets.desk import write_desk

N_CONVERSATIONS = 32
MESSAGE = "Good evening, have you got anything to eat, and a bed for the night?"
POSTGRES = "CONSTRAINED_POSTGRES"  # the address of a database that may be filled; without it PostgreSQL is left out


def run(bench: Bench) -> None:
    parts = {"turns": _turns, "stores": _stores, "re-decide": _redecide, "verify": _verify}
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in parts.items():
            if name in (bench.options.parts or parts):
                measure(bench, Path(folder))


# -- what a record costs a turn --------------------------------------------------------------------------


def _turns(bench: Bench, folder: Path) -> None:
    """32 conversations, each in a thread of its own, as fast as they can; then each with pauses, as people do."""
    from constrained.packs import load_policy_file
    from constrained.records.log import MemoryLog
    from constrained.records.sqlite import SqliteLog

    policy = load_policy_file(write_desk(folder, 100, bench.seed))
    state = policy.state_type.from_json({"topic": 3})
    logs = {"memory": MemoryLog(), "SQLite": SqliteLog(folder / "turns.db")}
    for case, pause_s, n_turns in (("without a pause", 0.0, 40), ("with pauses", 0.2, 10)):
        loads = {name: _Load(policy, state, log, 2 if bench.is_smoke else n_turns, pause_s) for name, log in logs.items()}
        found = interleaved([dict(loads)] * (1 if bench.is_smoke else 9), seed=bench.seed)
        title = f"a turn by the rules, {N_CONVERSATIONS} conversations at a time, {case}"
        for name, load in loads.items():
            bench.add(title, f"median from message to reply, records in {name}", Spread.of(load.medians_ms), "ms")
        latency = [sql - mem for sql, mem in zip(loads["SQLite"].medians_ms, loads["memory"].medians_ms, strict=True)]
        bench.add(title, "longer by, median from message to reply", Spread.of(latency), "ms", reference="records in memory", at_most=0.3)
        if not pause_s:
            bench.add(title, "time of the process for each turn, more by", found["SQLite"].above(found["memory"]) * 1e3, "ms",
                      reference="records in memory", at_most=0.3)  # fmt: skip


class _Load:
    """Many conversations over one log; one sample is the time of the whole load, divided by its turns."""

    def __init__(self, policy: Any, state: Any, log: Any, n_turns: int, pause_s: float) -> None:
        from constrained import Dialogue

        self._dialogues = [Dialogue(policy, log=log) for _ in range(N_CONVERSATIONS)]
        self._state, self._n_turns, self._pause_s = state, n_turns, pause_s
        self.medians_ms: list[float] = []
        if any(dialogue.reply(MESSAGE, state).record.hash == "" for dialogue in self._dialogues):
            raise BenchmarkError("audit: a reply was released without its record")

    def __call__(self) -> Sample:
        times: list[float] = []
        threads = [threading.Thread(target=self._talk, args=(number, times)) for number in range(N_CONVERSATIONS)]
        cpu, wall = time.process_time(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        n_turns = N_CONVERSATIONS * self._n_turns
        self.medians_ms.append(statistics.median(times) * 1e3)
        return Sample((time.perf_counter() - wall) / n_turns, (time.process_time() - cpu) / n_turns)

    def _talk(self, number: int, times: list[float]) -> None:
        dialogue = self._dialogues[number]
        time.sleep(self._pause_s * number / N_CONVERSATIONS)
        for _ in range(self._n_turns):
            start = time.perf_counter()
            dialogue.reply(MESSAGE, self._state)
            took = time.perf_counter() - start
            times.append(took)
            time.sleep(max(0.0, self._pause_s - took))


# -- records a second ------------------------------------------------------------------------------------


def _stores(bench: Bench, folder: Path) -> None:
    from constrained.records.log import open_log

    places = {"JSON lines": str(folder / "many.jsonl"), "SQLite": str(folder / "many.db")}
    if os.environ.get(POSTGRES):
        places["PostgreSQL"] = os.environ[POSTGRES]
    records = _records(2 if bench.is_smoke else 200)
    for name, place in places.items():
        log = open_log(place)
        for n_threads in (1, N_CONVERSATIONS):
            per_s = [_appended(log, records, n_threads, 2 if bench.is_smoke else 2_000) for _ in range(1 if bench.is_smoke else 3)]
            bench.add(f"append to {name}, {n_threads} threads", "records a second", Spread.of(per_s), "1/s")
        if name == "SQLite":
            _check_chain(bench, place)


def _appended(log: Any, records: list[Any], n_threads: int, n_records: int) -> float:
    """Records a second. Each is durable before its thread appends the next."""

    def append() -> None:
        for number in range(n_records // n_threads or 1):
            log.append(records[number % len(records)])

    threads = [threading.Thread(target=append) for _ in range(n_threads)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(n_records // n_threads, 1) * n_threads / (time.perf_counter() - start)


def _check_chain(bench: Bench, place: str) -> None:
    from constrained.records import verifier
    from constrained.records.log import existing

    verifier.check_log(map(verifier.fact, existing(place).lines()), [])
    bench.tell("the chain of that log is whole")


# -- in the large ----------------------------------------------------------------------------------------


def _records(n_records: int, pack: str = "bank_disputes") -> list[Any]:
    """Turns of a pack, taken by the rules, through its golden dialogues again and again."""
    from constrained import Dialogue
    from constrained.pack_folders import find_pack
    from constrained.quality.golden import load_golden
    from constrained.records.log import MemoryLog

    log, goldens = MemoryLog(), load_golden(str(find_pack(pack).dialogues_path)).dialogues
    while True:
        for golden in goldens:
            dialogue = Dialogue(pack, log=log, locale=golden.locale)
            state = dialogue.policy.state_type.from_json(golden.state or {})
            for turn in golden.turns:
                state = dialogue.reply(turn.says, state).apply(state)
                if len(log.records) == n_records:
                    return list(log.records)


@contextmanager
def _file(folder: Path, n_records: int, pack: str) -> Iterator[Path]:
    """A log of so many records in JSON lines: real turns, each placed in the chain anew."""
    from constrained.records.chain import START, EntryDraft

    path, before = folder / f"{n_records}.jsonl", START
    drafts = [EntryDraft.of(record) for record in _records(min(n_records, 500), pack)]
    with open(path, "wb") as file:
        for number in range(n_records):
            before, line = drafts[number % len(drafts)].place_after(before)
            file.write(line)
    try:
        yield path
    finally:
        path.unlink()


def _redecide(bench: Bench, folder: Path) -> None:
    """From the file to the counts: every line read, its chain verified, its turn decided anew."""
    from constrained.packs import load_policy
    from constrained.records.log import read_log
    from constrained.records.redecide import compare, redecide

    n_turns = 50 if bench.is_smoke else 100_000
    policy = load_policy("bank_disputes")
    with _file(folder, n_turns, policy.catalog.name) as path:
        took_s, found = _timed(lambda: compare(redecide(policy, read_log(path))))
    bench.check("turns decided anew", abs(found.n_turns - n_turns), 0)
    bench.check("turns that the same files change", len(found.changed), 0)
    bench.add(f"re-decide {n_turns:,} turns by the rules", "read, verified and decided", took_s, "s", at_most=60)


def _verify(bench: Bench, folder: Path) -> None:
    for n_records in (100,) if bench.is_smoke else (100_000, 1_000_000):
        _verify_records(bench, folder, n_records)


def _verify_records(bench: Bench, folder: Path, n_records: int) -> None:
    """By the stand-alone verifier, as an examiner runs it, and by the command, which reads with a process for each processor."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from benchmarks.measure import run_child
    from constrained.records import verifier
    from constrained.records.checkpoints import checkpoint
    from constrained.records.jsonl import JsonLinesFile
    from constrained.records.sinks import FolderSink

    key = Ed25519PrivateKey.generate()
    (folder / "key.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with _file(folder, n_records, "tavern") as path:
        size = path.stat().st_size
        store = JsonLinesFile(path)
        sign_s, _ = _timed(lambda: _sign_all(checkpoint, store, key, n_records))
        checkpoints = path.with_name(path.name + ".checkpoints")
        shutil.copy(verifier.__file__, folder / "verify.py")
        asked = ["--log", str(path), "--checkpoints", str(checkpoints), "--key", str(folder / "key.pem")]
        child = run_child([_python(), str(folder / "verify.py"), *asked])
        command = ["-c", "from constrained.cli.main import main; main()", "audit", "verify"]
        sink = FolderSink(folder / "sink")
        for number, line in enumerate(store.checkpoints(), 1):
            sink.put(f"checkpoint-{number:08d}.json", line)
        many = run_child([_python(), *command, str(path), "--key", str(folder / "key.pem"), "--sink", str(sink.folder)])
        shutil.rmtree(sink.folder)
        checkpoints.unlink()
    for told in (child.stdout, many.stdout):
        if f"{n_records} records in an unbroken chain, signed up to record {n_records}" not in told:
            raise BenchmarkError(f"audit: the log did not verify: {told}")
    case = f"verify {n_records:,} records"
    bench.add(case, "size of the log", size / 1e6, "MB")
    at_most = 60 if n_records == 1_000_000 else None
    bench.add(case, "stand-alone verifier, chain, roots and signatures", child.wall_s, "s", at_most=at_most)
    bench.add(case, "of which processor", child.cpu_s, "s")
    bench.add(case, "peak memory", child.peak_bytes / 1e6, "MB")
    bench.add(case, "constrained audit verify, a process for each processor", many.wall_s, "s", at_most=at_most)
    bench.add(case, "signing all its segments of 1,000", sign_s, "s")


def _sign_all(checkpoint: Callable[..., Any], store: Any, key: Any, n_records: int) -> None:
    for last in range(min(1_000, n_records), n_records + 1, 1_000):
        body = checkpoint(store, key, last=last)
        if body is None or json.loads(store.checkpoints()[-1])["body"]["last"] != last:
            raise BenchmarkError("audit: a segment was not signed")


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def _python() -> str:
    import sys

    return sys.executable
