"""Suite serve: conversations over HTTP, while the server is killed; deadlines; rules alone; memory. Knows no wording.

What is shown is the server's process as users start it. A reply that is lost is asked for again with its key.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench, BenchmarkError
from constrained.audit.log import read_log
from constrained.audit.replay import replay
from constrained.dialogue import Dialogue
from constrained.folders import shipped_folder
from constrained.models import DEFAULT_MODEL
from constrained.packs import load_policy
from constrained.serve.journal import Journal
from constrained.serve.models import TurnRequest
from constrained.serve.packs import Packs
from constrained.serve.sessions import Sessions
from constrained.serve.settings import ServerSettings
from constrained.serve.turns import Turns

PACK = "tavern"
MESSAGES = (
    "Good evening, what have you got to eat?",
    "Sixty gold for the cellar key, old man?",
    "What do you charge for a room?",
    "Any rumours tonight?",
    "An ale, please.",
)
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: a measurement, or a smoke run."""

    n_conversations: int
    duration_s: float
    n_kills: int
    n_alone: int
    n_rules: int
    n_at_once: int
    model: str | None


FULL = Size(32, 600.0, 20, 60, 20_000, 64, DEFAULT_MODEL)
SMOKE = Size(4, 1.0, 1, 5, 40, 4, None)


@dataclass(slots=True)
class Process:
    """A server's process, which can be killed and started again on the same files and port."""

    folder: Path
    arguments: Sequence[str]
    port: int = 0
    token: str = ""
    child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        told = self.folder / "port.json"
        code = "from constrained.cli.main import main; main()"
        command = [
            sys.executable,
            "-c",
            code,
            "serve",
            PACK,
            "--port",
            str(self.port),
            "--data",
            str(self.folder),
            "--port-file",
            str(told),
        ]
        with (self.folder / "errors").open("a", encoding="utf-8") as errors:
            self.child = subprocess.Popen(
                [*command, *self.arguments], cwd=shipped_folder(), stdout=subprocess.PIPE, stderr=errors, text=True
            )
        if not self.child.stdout or not self.child.stdout.readline():
            raise BenchmarkError(f"the server did not start: {(self.folder / 'errors').read_text(encoding='utf-8')[-500:]}")
        found = json.loads(told.read_text(encoding="utf-8"))
        self.port, self.token = found["port"], found["token"]

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.child is not None:
            self.child.send_signal(how)
            self.child.communicate()

    def cpu_s(self) -> float:
        """Processor time so far, on Linux."""
        fields = Path(f"/proc/{self.child.pid if self.child else 0}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Resident memory, on Linux."""
        status = Path(f"/proc/{self.child.pid if self.child else 0}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1e3  # type: ignore[index]  # every status has it


@dataclass(slots=True)
class Talk:
    """One conversation's client: sends each message with a key until it is answered."""

    process: Process
    name: str
    values: dict[str, Any] = field(default_factory=dict)
    replies: list[dict[str, Any]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    n_repeated: int = 0
    errors: list[str] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def turn(self) -> None:
        number = len(self.replies) + 1
        body = {"pack": PACK, "message": MESSAGES[number % len(MESSAGES)], "conversation": self.name, "idempotency_key": str(number)}
        start_s, content = time.perf_counter(), json.dumps({**body, "state": {"gold": 80}, **self.values})
        while (reply := self._sent(content)) is None:
            if time.perf_counter() - start_s > PATIENCE_S:
                raise BenchmarkError(f"{self.name}: no reply within {PATIENCE_S:g} s")
            self.n_repeated += 1
            time.sleep(0.1)
        self.times_s.append(time.perf_counter() - start_s)
        self.replies.append({name: reply[name] for name in ("turn_id", "text", "number", "source")})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _sent(self, content: str) -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {self.process.token}", "Content-Type": "application/json"}
        try:
            self._connection = self._connection or http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=60)
            self._connection.request("POST", "/v1/turns", content, headers)
            answer = self._connection.getresponse()
            found: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):  # killed on the way
            self.close()
            return None
        if answer.status == 200:
            return found
        if answer.status != 503:
            self.errors.append(f"{answer.status} {found}")
        return None


@dataclass(slots=True)
class Hasty(Talk):
    """The same over a socket of its own, with as little work as can be: client and server share the processors.

    Replies are read as bytes, and looked at when the time is taken.
    """

    raw: list[bytes] = field(default_factory=list)
    _socket: socket.socket | None = None

    def turn(self) -> None:
        number = len(self.raw) + 1
        body = {"pack": PACK, "message": MESSAGES[number % len(MESSAGES)], "conversation": self.name, "idempotency_key": str(number)}
        content = json.dumps({**body, "state": {"gold": 80}, **self.values}).encode()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.process.port), timeout=60)
        head = f"POST /v1/turns HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.process.token}\r\n"
        self._socket.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        self.raw.append(self._read(self._socket))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        found = [json.loads(one) for one in self.raw]
        self.replies = [{name: one[name] for name in ("turn_id", "text", "number", "source")} for one in found]

    def _read(self, connection: socket.socket) -> bytes:
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65_536) or b"\r\n\r\n"
        head, _, body = answer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise BenchmarkError(f"{self.name}: {head[:40]!r} {body[:200]!r}")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        parts = [body]
        while sum(map(len, parts)) < length:
            parts.append(connection.recv(65_536))
        return b"".join(parts)


def run(bench: Bench) -> None:
    size = SMOKE if bench.is_smoke else FULL
    brain = ["--rules"] if size.model is None else ["--model", size.model]
    _in_process(bench, size)
    _rules(bench, size)
    alone_s = _alone(bench, size, brain)
    _killed(bench, size, brain, alone_s)
    _deadlines(bench, size, brain)


@contextmanager
def _process(arguments: Sequence[str]) -> Iterator[Process]:
    with tempfile.TemporaryDirectory() as folder:
        process = Process(Path(folder), arguments)
        process.start()
        try:
            yield process
        finally:
            process.end()


def _in_process(bench: Bench, size: Size) -> None:
    """What a turn without a model costs before HTTP: the dialogue by itself, then kept and recorded as the server does."""
    case, policy, n = "rules alone, in this process", load_policy(PACK), max(16, size.n_rules // 10)
    dialogue, state = Dialogue(policy), policy.state_type.from_json({"gold": 80})
    start_s, start_cpu = time.perf_counter(), time.process_time()
    for number in range(n):
        dialogue.reply(MESSAGES[number % len(MESSAGES)], state)
    bench.add(case, "a dialogue's turns a second", n / (time.perf_counter() - start_s), "1/s")
    bench.add(case, "a dialogue's turn, processor time", (time.process_time() - start_cpu) / n * 1e6, "us")
    with tempfile.TemporaryDirectory() as folder:
        settings = ServerSettings(tokens={"t": "local"}, database=f"sqlite:///{folder}/c.db", log=f"{folder}/log.jsonl")
        sessions = Sessions(settings.database)
        turns = Turns(settings, Packs({PACK: policy}), {}, sessions, Journal.at(settings.log))

        def talking(name: int) -> None:
            for number in range(max(1, n // size.n_at_once)):
                asked = {"pack": PACK, "message": MESSAGES[number % len(MESSAGES)], "conversation": f"c{name}", "state": {"gold": 80}}
                request = TurnRequest.model_validate({**asked, "idempotency_key": str(number), "effects": "hand_over"})
                turns.take(turns.job("local", request))

        start_s, start_cpu = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(size.n_at_once) as threads:
            list(threads.map(talking, range(size.n_at_once)))
        n_taken = size.n_at_once * max(1, n // size.n_at_once)
        bench.add(case, "kept and recorded turns a second", n_taken / (time.perf_counter() - start_s), "1/s")
        bench.add(case, "a kept and recorded turn, processor time", (time.process_time() - start_cpu) / n_taken * 1e6, "us")
        sessions.close()


def _rules(bench: Bench, size: Size) -> None:
    """Turns without a model, from many conversations at once, and what they leave in memory: as many turns as the model takes in hours."""
    with _process(["--rules", "--no-watch", "--concurrency", str(size.n_at_once)]) as process:
        talks = [Hasty(process, f"rules-{n}", {"effects": "hand_over"}) for n in range(size.n_at_once)]
        n_each = max(1, size.n_rules // size.n_at_once)
        _together(talks, lambda talk: _turns(talk, max(1, n_each // 4)))
        begin_mb, begin_cpu, start_s = process.memory_mb(), process.cpu_s(), time.perf_counter()
        _together(talks, lambda talk: _turns(talk, n_each))
        n_taken, took_s = size.n_at_once * n_each, time.perf_counter() - start_s
        bench.add("rules alone", "turns a second", n_taken / took_s, "1/s", at_least=None if bench.is_smoke else 2_000)
        bench.add("rules alone", "a turn, processor time of the server", (process.cpu_s() - begin_cpu) / n_taken * 1e6, "us")
        grown = (process.memory_mb() - begin_mb) / (n_taken / 1_000)
        bench.add("rules alone", "memory grown in 1,000 turns", grown, "MB", reference=f"after warming up, over {n_taken} turns")
        _sound(bench, "rules alone", process, talks)


def _alone(bench: Bench, size: Size, brain: Sequence[str]) -> float:
    """One conversation, turn after turn: what the others are held against."""
    with _process([*brain, "--no-watch"]) as process:
        talk = Talk(process, "alone")
        _turns(talk, 2)
        talk.times_s.clear()
        _turns(talk, size.n_alone)
        middle = statistics.median(talk.times_s)
        bench.add("one conversation", "a turn, median", middle * 1e3, "ms")
        _sound(bench, "one conversation", process, [talk])
        return middle


def _killed(bench: Bench, size: Size, brain: Sequence[str], alone_s: float) -> None:
    """Many conversations, while the server is killed and started again."""
    case = f"{size.n_conversations} conversations, {size.n_kills} kills"
    with _process([*brain, "--no-watch"]) as process:
        talks = [Talk(process, f"talk-{n}") for n in range(size.n_conversations)]
        over = time.perf_counter() + size.duration_s

        def talking(talk: Talk) -> None:
            while time.perf_counter() < over or not talk.replies:
                talk.turn()

        threads = [threading.Thread(target=talking, args=(talk,)) for talk in talks]
        start_s = time.perf_counter()
        for thread in threads:
            thread.start()
        for _ in range(size.n_kills):
            time.sleep(size.duration_s / (size.n_kills + 1))
            process.end(signal.SIGKILL)
            process.start()
        for thread in threads:
            thread.join()
        times = sorted(one for talk in talks for one in talk.times_s)
        rate = len(times) / (time.perf_counter() - start_s)
        bench.add(case, "turns", len(times), "")
        bench.add(case, "requests sent again", sum(talk.n_repeated for talk in talks), "")
        bench.add(case, "errors", sum(len(talk.errors) for talk in talks), "", at_most=0)
        bench.add(case, "throughput", rate * alone_s, "x", reference="one conversation, turn after turn")
        for share in (0.5, 0.95):
            taken = times[min(len(times) - 1, int(share * len(times)))] / alone_s
            bench.add(case, f"a turn, p{share * 100:.0f}", taken, "x", reference="one conversation, a turn, median")
        _sound(bench, case, process, talks)


def _deadlines(bench: Bench, size: Size, brain: Sequence[str]) -> None:
    """A deadline of 150 ms in each turn; how many of the replies are the rules'."""
    with _process([*brain, "--no-watch"]) as process:
        talk = Talk(process, "hasty", {"within": 0.15})
        _turns(talk, 2)
        talk.times_s.clear()
        _turns(talk, size.n_alone)
        talk.close()
        late = sum(one > 0.15 for one in talk.times_s)
        bench.add("a deadline of 150 ms", "turns that were late", late, "", at_most=None if bench.is_smoke else 0)
        bench.add("a deadline of 150 ms", "the slowest turn", max(talk.times_s) * 1e3, "ms")
        bench.add("a deadline of 150 ms", "turns by the rules", _share(talk, "rules"), "share")


def _share(talk: Talk, source: str) -> float:
    return Counter(one["source"] for one in talk.replies)[source] / len(talk.replies)


def _turns(talk: Talk, n: int) -> None:
    for _ in range(n):
        talk.turn()


def _together(talks: Sequence[Talk], work: Callable[[Talk], None]) -> None:
    threads = [threading.Thread(target=work, args=(talk,)) for talk in talks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _sound(bench: Bench, case: str, process: Process, talks: Sequence[Talk]) -> None:
    """Every reply that was released is in the log, once, in its order, and is what the policy gives: nothing off the catalog."""
    for talk in talks:
        talk.close()
    logged = {record.turn_id: record for record in read_log(process.folder / "turns.jsonl")}
    released = [one for talk in talks for one in talk.replies]
    lost = sum(one["turn_id"] not in logged or logged[one["turn_id"]].text != one["text"] for one in released)
    places = Counter((record.conversation, record.number) for record in logged.values())
    doubled = sum(n - 1 for n in places.values())
    disordered = sum(one["number"] != number for talk in talks for number, one in enumerate(talk.replies, 1))
    bench.check(f"{case}: replies that are not in the log", lost, 0)
    bench.check(f"{case}: turns that were taken twice", doubled, 0)
    bench.check(f"{case}: replies out of order", disordered, 0)
    records = list(logged.values())
    wrong = sum(not one.is_same for one in replay(load_policy(PACK), records[:: max(1, len(records) // 2_000)]))
    bench.check(f"{case}: records that do not replay", wrong, 0)
