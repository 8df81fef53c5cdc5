"""A command in a process of its own: how long it took, its processor time, its peak memory.

The command is started by a small process in between: a child's peak counts from the memory of the process that
started it, and ours may hold a model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness import BenchmarkError
from benchmarks.machine import ROOT
from benchmarks.timing import Sample

_LAUNCHER = """
import json, resource, subprocess, sys, time
began = time.monotonic()
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
wall = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
json.dump({"began_s": began, "wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime,
           "peak_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024), "status": done.returncode,
           "stdout": done.stdout.decode(errors="replace"), "stderr": done.stderr.decode(errors="replace")}, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Child:
    """A command that ended well.

    Attributes:
        began_s: when it was started, on the monotonic clock that all processes share.
    """

    began_s: float
    wall_s: float
    cpu_s: float
    peak_bytes: int
    stdout: str

    @property
    def sample(self) -> Sample:
        return Sample(self.wall_s, self.cpu_s)


def run_child(command: Sequence[str]) -> Child:
    """Runs ``command`` at the root of the repository, without input. Raises BenchmarkError when it fails."""
    launch = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    launched = subprocess.run(launch, cwd=ROOT, env=os.environ | {"PYTHONWARNINGS": "ignore"}, capture_output=True, text=True, check=True)
    told = json.loads(launched.stdout)
    status, stderr = told.pop("status"), told.pop("stderr")
    if status:
        last = stderr.strip().splitlines()[-1:] or ["without a word"]
        raise BenchmarkError(f"{' '.join(command)[:200]} ended with {status}: {last[0]}")
    return Child(**told)


def python(code: str) -> Child:
    """Runs a few lines of Python in a fresh interpreter of this environment."""
    return run_child([sys.executable, "-c", code])
