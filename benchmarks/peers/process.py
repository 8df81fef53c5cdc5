"""A peer's process, seen from the suite: started, asked, and killed when it takes too long. Failures are results."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from benchmarks.measure import ROOT, Sample
from benchmarks.peers import Answer, Entry, Spec

START_S = 300.0  # for loading a model, or for a server to come up


class PeerFailedError(Exception):
    """A peer did not do what it was asked.

    Attributes:
        kind: ``timeout``, ``memory``, ``crash``, ``error``, ``unsupported`` (it cannot do this at all) or ``absent``.
        after_s: seconds until it failed.
    """

    def __init__(self, stage: str, kind: str, message: str, after_s: float) -> None:
        super().__init__(f"{kind} in {stage}: {message}")
        self.stage, self.kind, self.message, self.after_s = stage, kind, message, after_s


@dataclass(frozen=True, slots=True)
class Compiled:
    """What compiling cost; memory above what the process held before; seconds of parts of it, where a peer tells."""

    took: Sample
    kept_mb: float
    peak_mb: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, and F measured around it in the same process."""

    answer: Answer
    took: Sample
    plain: Sample


class PeerProcess:
    """One running peer. Use it in a ``with`` statement.

    Args:
        python: the interpreter of the peer's environment.
        limit_mb, limit_s: of memory for its process, of time for one request.
    """

    def __init__(self, spec: Spec, python: str, *, limit_mb: int, limit_s: float) -> None:
        self._limit_s = limit_s
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  # closed by __exit__
        given = json.dumps({"module": spec.module, "options": spec.options, "limit_mb": limit_mb})
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.peers.worker", given],
            cwd=ROOT,
            env=os.environ | {"PYTHONWARNINGS": "ignore", "TOKENIZERS_PARALLELISM": "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # so that whatever it starts can be ended with it
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it, in good order if it still answers."""
        if self._process.poll() is None:
            with contextlib.suppress(PeerFailedError):
                self._ask("stop", 20.0)
        self._kill()
        self._errors.close()

    def start(self, bed: dict[str, Any], repeat: int) -> dict[str, str]:
        """Loads model and peer; returns the versions of its environment. This and all below raise PeerFailedError."""
        versions: dict[str, str] = self._ask("start", max(START_S, self._limit_s), bed=bed, repeat=repeat)["versions"]
        return versions

    def compile(self, entries: Sequence[Entry]) -> Compiled:
        told = self._ask("compile", self._limit_s, entries=[[one.text, one.key, one.when] for one in entries])
        return Compiled(Sample(told["wall_s"], told["cpu_s"]), told["kept_mb"], told["peak_mb"], told["parts"])

    def narrow(self, rows: Sequence[int]) -> Sample:
        return Sample(**self._ask("narrow", self._limit_s, rows=list(rows)))

    def decide(self, prompt: int, max_tokens: int) -> Decided:
        told = self._ask("decide", self._limit_s, prompt=prompt, max_tokens=max_tokens)
        return Decided(Answer.from_json(told["answer"]), Sample(**told["took"]), Sample(**told["plain"]))

    def _ask(self, stage: str, within_s: float, **request: Any) -> dict[str, Any]:
        began = time.monotonic()
        if self._process.poll() is not None:
            raise PeerFailedError(stage, *self._last_words(), 0.0)
        try:
            assert_open(self._process.stdin).write(json.dumps({"op": stage, **request}) + "\n")
            assert_open(self._process.stdin).flush()
            line = self._lines.get(timeout=within_s)
        except (BrokenPipeError, queue.Empty) as error:
            late = isinstance(error, queue.Empty) and self._process.poll() is None
            self._kill()
            kind, message = ("timeout", f"no answer within {within_s:g} s") if late else self._last_words()
            raise PeerFailedError(stage, kind, message, time.monotonic() - began) from None
        if not line:
            self._kill()
            raise PeerFailedError(stage, *self._last_words(), time.monotonic() - began)
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise PeerFailedError(stage, told["error"]["kind"], told["error"]["message"], time.monotonic() - began)
        return told

    def _read(self, stdout: IO[str] | None) -> None:
        """Lines as they come; an empty one when the process has ended."""
        for line in assert_open(stdout):
            self._lines.put(line)
        self._lines.put("")

    def _last_words(self) -> tuple[str, str]:
        """Why a process that ended did so, as well as it can be told from outside."""
        status = self._process.wait()
        self._errors.seek(0)
        said = [line for line in self._errors.read()[-20_000:].splitlines() if line.strip()]
        tail = " ".join(said[-3:])[-300:]
        by = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        end = "\n".join(said[-30:]).lower()
        is_memory = any(word in end for word in ("memory allocation", "bad_alloc", "memoryerror", "allocate memory"))
        return ("memory" if is_memory else "crash"), f"ended with {by}: {tail or 'without a word'}"

    def _kill(self) -> None:
        """It and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(timeout=5)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError, OSError):
                assert_open(pipe).close()


def assert_open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise ValueError("the process was started without pipes")
    return pipe
