"""The process of one peer: reads requests as JSON lines, answers each with one line.

    python -m benchmarks.peers.worker '{"module": ..., "options": {...}, "limit_mb": ...}'

Requests: ``start`` (a bed), ``compile``, ``narrow``, ``decide``, ``stop``. What a peer prints goes to standard error;
an exception is an answer too: {"error": {"kind", "message"}}.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from benchmarks.peers import Entry, PeerAbsentError, PeerUnsupportedError

MIB = 2**20


class Worker:
    """Holds the peer and its bed between requests."""

    def __init__(self, module: str, options: dict[str, Any]) -> None:
        self._module, self._options = module, options
        self._bed: Any = None
        self._peer: Any = None

    def start(self, bed: dict[str, Any], repeat: int) -> dict[str, Any]:
        """Loads the model, then the peer; ``repeat`` passes of each suffix before and after a decision make F."""
        from benchmarks.peers import bed as beds

        if bed["settings"]["is_smoke"]:
            _compile_nothing()
        adapter = importlib.import_module(self._module if "." in self._module else f"benchmarks.peers.{self._module}")
        is_remote = getattr(adapter, "IS_REMOTE", False)
        self._repeat = 1 if is_remote else repeat  # a server would find the second one in its cache
        self._bed = beds.load(bed, has_network=not is_remote)
        self._peer = adapter.Peer(self._bed, **self._options)
        return {"versions": _versions()}

    def compile(self, entries: list[list[str]]) -> dict[str, Any]:
        """Seconds, and memory: what is kept afterwards and the peak, above what there was before."""
        lines = [Entry(*entry) for entry in entries]
        gc.collect()
        before = _resident_mb()
        _forget_peak()
        parts: dict[str, float] = {}
        took = _measured(lambda: parts.update(self._peer.compile(lines) or {}))
        peak = _peak_mb()
        gc.collect()
        return took | {"parts": parts, "kept_mb": max(0.0, _resident_mb() - before), "peak_mb": max(0.0, peak - before)}

    def narrow(self, rows: list[int]) -> dict[str, Any]:
        return _measured(lambda: self._peer.narrow(rows))

    def decide(self, prompt: int, max_tokens: int) -> dict[str, Any]:
        """One decision between two measurements of F: one forward pass of the same suffix."""
        asked = self._bed.prompts[prompt]
        suffix_pass = getattr(self._peer, "suffix_pass", self._bed.suffix_pass)  # a peer behind a server has its own
        found: dict[str, Any] = {}
        before = self._ready(asked, lambda: suffix_pass(asked), self._repeat)
        took = self._ready(asked, lambda: found.update(self._peer.decide(asked, max_tokens).to_json()))
        after = self._ready(asked, lambda: suffix_pass(asked), self._repeat)
        plain = {name: (before[name] + after[name]) / 2 for name in before}
        return {"answer": found, "took": took, "plain": plain}

    def _ready(self, prompt: Any, function: Callable[[], object], repeat: int = 1) -> dict[str, Any]:
        """Measured after what a peer must bring in order first (a server's cache), which does not count."""
        getattr(self._peer, "prepare", lambda _: None)(prompt)
        return _measured(function, repeat)

    def stop(self) -> dict[str, Any]:
        """Ends what the peer started (a server)."""
        getattr(self._peer, "stop", lambda: None)()
        return {}


def main() -> None:
    """Serves requests until standard input ends."""
    told = json.loads(sys.argv[1])
    _limit_memory(told["limit_mb"])
    out = _own_output()
    warnings.simplefilter("ignore")  # peers warn of what they import
    worker = Worker(told["module"], told["options"])
    for line in sys.stdin:
        request = json.loads(line)
        answer = _answered(getattr(worker, request.pop("op")), request)
        out.write(json.dumps(answer) + "\n")
        out.flush()


def _answered(operation: Callable[..., dict[str, Any]], request: dict[str, Any]) -> dict[str, Any]:
    """Whatever a peer raises is what it came to; it must not end the process, whose other cases may go well."""
    try:
        return operation(**request)
    except BaseException as error:  # pyo3's PanicException is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return {"error": {"kind": _kind(error), "message": f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]}}


def _kind(error: BaseException) -> str:
    known = {PeerUnsupportedError: "unsupported", PeerAbsentError: "absent", MemoryError: "memory"}
    said = str(error).lower()
    if any(word in said for word in ("bad_alloc", "can't allocate memory", "cannot allocate memory", "out of memory")):
        return "memory"
    return next((name for kind, name in known.items() if isinstance(error, kind)), "error")


def _own_output() -> TextIO:
    """Standard output for answers alone: whatever else is printed, by C++ and Rust too, goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _measured(function: Callable[[], object], repeat: int = 1) -> dict[str, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(repeat):
        function()
    return {"wall_s": (time.perf_counter() - wall) / repeat, "cpu_s": (time.process_time() - cpu) / repeat}


def _limit_memory(limit_mb: int) -> None:
    """Of private writable memory, so that address space that is only reserved (CUDA's) does not count."""
    if limit_mb:
        with contextlib.suppress(ValueError, OSError):  # a lower limit is set already, or the system has none
            resource.setrlimit(resource.RLIMIT_DATA, (limit_mb * MIB, limit_mb * MIB))


def _resident_mb() -> float:
    return dict(_status()).get("VmRSS", 0.0)


def _peak_mb() -> float:
    return dict(_status()).get("VmHWM", 0.0)


def _status() -> Iterator[tuple[str, float]]:
    """Sizes that Linux tells of this process, in MB; nothing elsewhere."""
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if value.endswith(" kB"):
                yield name, int(value.split()[0]) * 1024 / 1e6


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _compile_nothing() -> None:
    """Kernels that peers compile on first use take longer than a whole smoke run."""
    import torch

    torch.compiler.set_stance("force_eager")


def _versions() -> dict[str, str]:
    """Of what this peer's environment holds."""
    from benchmarks import measure

    return measure.versions()


if __name__ == "__main__":
    main()
