"""A server's process as users start it, and clients that talk to it over HTTP.

A reply that is lost is asked for again with its key.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench
from benchmarks.measure import ROOT, BenchmarkError
from constrained.pack_folders import shipped_folder
from constrained.packs import load_policy
from constrained.records.log import read_log
from constrained.records.replay import replay

PACK = "tavern"
MESSAGES = (
    "Good evening, what have you got to eat?",
    "Sixty gold for the cellar key, old man?",
    "What do you charge for a room?",
    "Any rumours tonight?",
    "An ale, please.",
)
PATIENCE_S = 120.0
KEPT = ("turn_id", "text", "number", "source")  # of a reply


@dataclass(slots=True)
class Process:
    """A server's process, which can be killed and started again on the same files and port.

    Attributes:
        log: where its records are; ``turns.jsonl`` in the folder unless the arguments name another place.
        environment: variables beside those of this process. program: what is run in place of ``constrained serve PACK``.
    """

    folder: Path
    arguments: Sequence[str]
    pack: str = PACK
    log: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = ()
    port: int = 0
    token: str = ""
    child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        told = self.folder / "port.json"
        code = "from constrained.cli.main import main; main()"
        program = self.program or (sys.executable, "-c", code, "serve", self.pack)
        command = [*program, "--port", str(self.port), "--data", str(self.folder), "--port-file", str(told)]
        with (self.folder / "errors").open("a", encoding="utf-8") as errors:
            self.child = subprocess.Popen(
                [*command, *self.arguments],
                cwd=shipped_folder(),
                env={**os.environ, **self.environment},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        if not self.child.stdout or not self.child.stdout.readline():
            raise BenchmarkError(f"the server did not start: {(self.folder / 'errors').read_text(encoding='utf-8')[-500:]}")
        found = json.loads(told.read_text(encoding="utf-8"))
        self.port, self.token = found["port"], found["token"]

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        child, self.child = self.child, None
        if child is not None:
            child.send_signal(how)
            child.communicate()

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
    messages: Sequence[str] = MESSAGES
    state: Mapping[str, Any] = field(default_factory=lambda: {"gold": 80})
    replies: list[dict[str, Any]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    n_repeated: int = 0
    errors: list[str] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def turn(self) -> None:
        start_s, content = time.perf_counter(), self._content(len(self.replies) + 1)
        while (reply := self._sent(content)) is None:
            if time.perf_counter() - start_s > PATIENCE_S:
                raise BenchmarkError(f"{self.name}: no reply within {PATIENCE_S:g} s")
            self.n_repeated += 1
            time.sleep(0.1)
        self.times_s.append(time.perf_counter() - start_s)
        self.replies.append({name: reply[name] for name in KEPT})

    def _content(self, number: int) -> str:
        message = self.messages[number % len(self.messages)]
        body = {"pack": self.process.pack, "message": message, "conversation": self.name, "idempotency_key": str(number)}
        return json.dumps({**body, "state": self.state, **self.values})

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
        content = self._content(len(self.raw) + 1).encode()
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.process.port), timeout=60)
        start_s = time.perf_counter()
        head = f"POST /v1/turns HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.process.token}\r\n"
        self._socket.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        self.raw.append(self._read(self._socket))
        self.times_s.append(time.perf_counter() - start_s)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        found = [json.loads(one) for one in self.raw]
        self.replies = [{name: one[name] for name in KEPT} | {"mode": one["decision"]["mode"]} for one in found]

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


@contextmanager
def serving(arguments: Sequence[str]) -> Iterator[Process]:
    """A server on a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        process = Process(Path(folder), arguments)
        process.start()
        try:
            yield process
        finally:
            process.end()


@contextmanager
def peer_serving(*arguments: str) -> Iterator[int]:
    """The port of another server than ours, once it answers: this Python with the arguments and, as the last one, the port."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    child = subprocess.Popen([sys.executable, *arguments, str(port)], cwd=ROOT)
    try:
        _await_port(port, child)
        yield port
    finally:
        child.terminate()
        child.wait(30)


def _await_port(port: int, child: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if child.poll() is not None:
            break
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.1)
    raise BenchmarkError("the other server did not start")


def take(talk: Talk, n: int) -> None:
    for _ in range(n):
        talk.turn()


def together(talks: Sequence[Talk], work: Callable[[Talk], None]) -> None:
    """Does the work of all talks at once. Raises what one of them raised."""
    with ThreadPoolExecutor(len(talks)) as threads:
        list(threads.map(work, talks))


def sound(bench: Bench, case: str, process: Process, talks: Sequence[Talk]) -> None:
    """Every reply that was released is in the log, once, in its order, and is what the policy gives: nothing off the catalog."""
    for talk in talks:
        talk.close()
    logged = {record.turn_id: record for record in read_log(process.log or process.folder / "turns.jsonl")}
    released = [one for talk in talks for one in talk.replies]
    lost = sum(one["turn_id"] not in logged or logged[one["turn_id"]].text != one["text"] for one in released)
    places = Counter((record.conversation, record.number) for record in logged.values())
    doubled = sum(n - 1 for n in places.values())
    disordered = sum(one["number"] != number for talk in talks for number, one in enumerate(talk.replies, 1))
    bench.check(f"{case}: replies that are not in the log", lost, 0)
    bench.check(f"{case}: turns that were taken twice", doubled, 0)
    bench.check(f"{case}: replies out of order", disordered, 0)
    records = list(logged.values())
    wrong = sum(not one.is_same for one in replay(load_policy(process.pack), records[:: max(1, len(records) // 2_000)]))
    bench.check(f"{case}: records that do not replay", wrong, 0)
