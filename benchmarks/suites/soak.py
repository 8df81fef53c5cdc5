"""Suite soak: a server that signs its log, under what happens to servers: kills, a full disk, a database that goes away, a clock
that jumps, a client that is slow. And what a turn costs beside FastAPI's own echo.
"""

from __future__ import annotations

import random
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import BenchmarkError, Spread
from benchmarks.options import PARTS
from benchmarks.suites.faults import FakeClock, SlowClient, SmallDisk
from benchmarks.suites.serve_process import Hasty, Process, Talk, peer_serving, sound, take, together
from constrained.records.log import existing, read_log
from constrained.records.log_verification import verify_log
from constrained.records.sinks import checkpoints_in
from tests.postgres import PostgresServer, find_initdb

DESK = "bank_disputes"
MESSAGES = (
    "Good afternoon.",
    "There is a debit from Gamepoint Online that I have not made.",
    "What can you do for me?",
    "Which payments do you see?",
    "I would like to talk to a person.",
)
STATE = {
    "today": "2026-03-16",
    "identified": True,
    "transactions": [
        {"id": "t1", "merchant": "Gamepoint Online", "amount": "420.00", "day": "2026-03-11"},
        {"id": "t2", "merchant": "Lesezeit Books", "amount": "31.50", "day": "2026-03-05"},
    ],
}
ECHO = """
import sys, uvicorn
from typing import Any
from fastapi import FastAPI
from pydantic import BaseModel
class Turn(BaseModel):
    pack: str
    message: str
    conversation: str
    idempotency_key: str
    state: dict[str, Any]
    effects: str
app = FastAPI()
@app.post("/v1/turns")
async def echo(body: Turn) -> Turn:
    return body
uvicorn.run(app, port=int(sys.argv[-1]), log_level="critical", access_log=False, timeout_keep_alive=600, http="httptools")
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: a measurement, or a smoke run."""

    n_kills: int
    duration_s: float
    n_conversations: int
    pause_s: float
    n_rounds: int
    n_in_round: int


FULL = Size(500, 1_800.0, 32, 2.0, 7, 2_000)
SMOKE = Size(2, 6.0, 4, 0.05, 2, 20)


def run(bench: Bench) -> None:
    size = SMOKE if bench.is_smoke else FULL
    parts = bench.options.parts or (("load",) if bench.is_smoke else PARTS["soak"])  # the others need PostgreSQL, root and gcc
    if "load" in parts:
        _load(bench, size)
    if "kills" in parts:
        for store in ("sqlite", "postgresql"):
            _kills(bench, size, store)
    if "faults" in parts:
        _faults(bench, size)


# -- servers that sign ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Signed:
    """A server whose log is signed, and its database's server where it has one of its own."""

    process: Process
    database: PostgresServer | None

    def verify(self, bench: Bench, case: str) -> None:
        """The log with its key and its sink: whole, all of it signed. The server has ended before."""
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        folder = self.process.folder
        public: Any = load_pem_public_key((folder / "log.pub.pem").read_bytes())
        outside = checkpoints_in(folder / "sink")
        found = verify_log(existing(self.process.log), public, outside)
        bench.check(f"{case}: points that the evidence leaves open", len(found.not_established), 0)
        bench.add(case, "signed checkpoints", len(outside), "")


@contextmanager
def _signed(store: str, *arguments: str, folder: Path | None = None, environment: dict[str, str] | None = None) -> Iterator[Signed]:
    """Conversations and log in ``store``, sqlite or postgresql; signed every 200 records and every second, and put into a folder."""
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = _postgres(stack) if store == "postgresql" else None
        log = database.url if database else str(place / "log.sqlite")
        conversations = database.url.replace("postgresql://", "postgresql+psycopg://") if database else f"sqlite:///{place / 'c.sqlite'}"
        _make_key(place)
        signing = ["--sign", str(place / "log.pem"), "--sink", str(place / "sink"), "--sign-every", "200", "--sign-seconds", "1"]
        kept = ["--database", conversations, "--log", log, "--conversation-key", str(place / "conversations.key")]
        options = [*kept, *signing, "--no-watch", "--no-page", *arguments]
        process = Process(place, options, pack=DESK, log=log, environment=environment or {})
        process.start()
        try:
            yield Signed(process, database)
        finally:
            process.end()


def _postgres(stack: ExitStack) -> PostgresServer:
    initdb = find_initdb()
    if initdb is None:
        raise BenchmarkError("PostgreSQL is not installed here")
    server = PostgresServer(initdb)
    server.start()
    stack.callback(server.remove)
    return server


def _make_key(folder: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    (folder / "log.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "log.pem").chmod(0o600)
    (folder / "log.pub.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _talk(process: Process, name: str) -> Talk:
    return Talk(process, name, messages=MESSAGES, state=STATE)


@contextmanager
def _talking(talks: Sequence[Talk], pause_s: float) -> Iterator[None]:
    """The conversations go on in threads of their own until the block is left; what one of them raises is raised then."""
    is_over, failed = threading.Event(), list[BaseException]()

    def work(talk: Talk) -> None:
        try:
            while not is_over.wait(pause_s):
                talk.turn()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(talk,)) for talk in talks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def _tell(bench: Bench, case: str, talks: Sequence[Talk], wall_s: float) -> None:
    times = sorted(one for talk in talks for one in talk.times_s)
    bench.add(case, "turns", len(times), "")
    bench.add(case, "turns a second", len(times) / wall_s, "1/s")
    bench.add(case, "requests sent again", sum(talk.n_repeated for talk in talks), "")
    for error in sorted({one for talk in talks for one in talk.errors})[:5]:
        bench.tell(f"an error: {error}")
    bench.add(case, "answers that were neither a reply nor 503", sum(len(talk.errors) for talk in talks), "", at_most=0)
    for share in (0.5, 0.95):
        bench.add(case, f"a turn, repeats included, p{share * 100:.0f}", times[min(len(times) - 1, int(share * len(times)))] * 1e3, "ms")


# -- kills ---------------------------------------------------------------------------------------------------


def _kills(bench: Bench, size: Size, store: str) -> None:
    """Eight conversations; the process is killed at random moments and started again."""
    case, moment = f"{size.n_kills} kills, {store}, signed", random.Random(bench.seed)
    with _signed(store, "--rules") as server:
        talks = [_talk(server.process, f"talk-{n}") for n in range(8)]
        start_s = time.perf_counter()
        with _talking(talks, 0.0):
            for number in range(size.n_kills):
                before = _n_replies(talks)
                while _n_replies(talks) < before + len(talks) // 2:  # on a busy machine nothing would ever be answered
                    time.sleep(0.01)
                time.sleep(0.2 * moment.random())
                server.process.end(signal.SIGKILL)
                server.process.start()
                if number % 50 == 49:
                    bench.tell(f"{store}: {number + 1} kills")
        _tell(bench, case, talks, time.perf_counter() - start_s)
        server.process.end()
        sound(bench, case, server.process, talks)
        _check_texts(bench, case, server.process)
        server.verify(bench, case)


def _n_replies(talks: Sequence[Talk]) -> int:
    return sum(len(talk.replies) for talk in talks)


def _check_texts(bench: Bench, case: str, process: Process) -> None:
    """Every text that was ever released is one that the policy gives: a record of each is taken again."""
    from constrained.packs import load_policy
    from constrained.records.replay import replay

    records = {record.text: record for record in read_log(process.log)}
    wrong = sum(not one.is_same for one in replay(load_policy(process.pack), list(records.values())))
    bench.check(f"{case}: texts that the policy does not give", wrong, 0)
    bench.add(case, "different texts", len(records), "")


# -- faults --------------------------------------------------------------------------------------------------


def _faults(bench: Bench, size: Size) -> None:
    """Two servers with half of the conversations each: SQLite on a disk that fills up, and PostgreSQL that stops; both are killed,
    their clocks jump, and slow clients sit on them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = stack.enter_context(SmallDisk(folder / "disk", megabytes=600))
        clock = FakeClock(folder)
        brain = ("--rules",) if bench.is_smoke else ("--model", "small")
        files = stack.enter_context(_signed("sqlite", *brain, folder=disk.folder, environment=clock.environment))
        rows = stack.enter_context(_signed("postgresql", *brain, environment=clock.environment))
        servers = [files, rows]
        talks = {id(one): [_talk(one.process, f"talk-{n}") for n in range(size.n_conversations // 2)] for one in servers}
        slow = [SlowClient(one.process) for one in servers]
        start_s = time.perf_counter()
        with _talking([talk for one in talks.values() for talk in one], size.pause_s):
            _go_through_faults(bench, size, servers, disk, clock, slow)
        wall_s = time.perf_counter() - start_s
        bench.add("soak", "slow clients cut off", sum(one.n_refused for one in slow), "")
        for server, name in zip(servers, ("sqlite", "postgresql"), strict=True):
            case = f"soak of {wall_s / 60:.0f} min, {name}"
            _tell(bench, case, talks[id(server)], wall_s)
            bench.add(case, "memory at the end", server.process.memory_mb(), "MB")
            server.process.end()
            sound(bench, case, server.process, talks[id(server)])
            _check_texts(bench, case, server.process)
            server.verify(bench, case)


def _go_through_faults(
    bench: Bench, size: Size, servers: Sequence[Signed], disk: SmallDisk, clock: FakeClock, slow: Sequence[SlowClient]
) -> None:
    """One fault after the other, round and round, with quiet between, until the time is over."""
    quiet_s, short_s = (0.3, 0.3) if bench.is_smoke else (12.0, 4.0)
    over = time.perf_counter() + size.duration_s

    def kill(server: Signed) -> None:
        server.process.end(signal.SIGKILL)
        server.process.start()

    def stop_database() -> None:
        database = servers[1].database
        if database is not None:
            database.stop()
            time.sleep(short_s)
            database.start()

    def fill_disk() -> None:
        disk.fill()
        time.sleep(short_s)
        disk.free()

    faults: list[tuple[str, Callable[[], object]]] = [
        ("kill, sqlite", lambda: kill(servers[0])),
        ("the disk is full", fill_disk),
        ("the clock jumps ahead", lambda: clock.jump(7_200)),
        ("kill, postgresql", lambda: kill(servers[1])),
        ("the database stops", stop_database),
        ("the clock jumps back", lambda: clock.jump(-3_600)),
        ("a slow client", lambda: [one.send() for one in slow]),
    ]
    counts, number = dict.fromkeys((name for name, _ in faults), 0), 0
    while time.perf_counter() < over or number < len(faults):
        name, fault = faults[number % len(faults)]
        fault()
        counts[name] += 1
        number += 1
        time.sleep(quiet_s)
    for name, n in counts.items():
        bench.add("soak", name, n, "times")


# -- load ----------------------------------------------------------------------------------------------------


class EchoTalk(Hasty):
    """The same requests to a server that answers with what it got."""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _load(bench: Bench, size: Size) -> None:
    """Rules-only turns, each durable in the log before it is answered, and the echo: in turns, eight clients each."""
    n_clients, rates = 8, dict[str, list[float]]({"turns": [], "echo": []})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        process = Process(folder, ["--rules", "--no-watch", "--no-page"], pack=DESK)
        process.start()
        stack.callback(process.end)
        values = {"effects": "hand_over"}
        talks = [Hasty(process, f"load-{n}", values, MESSAGES, STATE) for n in range(n_clients)]
        echo = Process(folder, (), pack=DESK, port=stack.enter_context(peer_serving("-c", ECHO)))
        echoes = [EchoTalk(echo, f"echo-{n}", values, MESSAGES, STATE) for n in range(n_clients)]
        for one in echoes:
            stack.callback(one.close)
        for number in range(size.n_rounds + 1):
            for name, clients in (("echo", echoes), ("turns", talks)):
                start_s = time.perf_counter()
                together(clients, lambda talk: take(talk, max(1, size.n_in_round // n_clients)))
                if number:  # the first round warms up
                    rates[name].append(size.n_in_round / (time.perf_counter() - start_s))
        sound(bench, "load", process, talks)
    ratios = [turns / echo for turns, echo in zip(rates["turns"], rates["echo"], strict=True)]
    for name in rates:
        bench.add(f"load, {n_clients} clients", f"{name} a second", statistics.median(rates[name]), "1/s")
    spread = Spread(statistics.median(ratios), min(ratios), max(ratios))
    bench.add(f"load, {n_clients} clients", "turns, rules only", spread, "x", reference="FastAPI's echo of the same body, in turns")
