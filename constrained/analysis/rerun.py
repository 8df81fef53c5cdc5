"""Runs a policy's sample in a process of its own and writes the digests: the second opinion of ``check``."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

from constrained.analysis.explore import explore
from constrained.errors import PolicyError
from constrained.logic.policy import Policy


def main(file: str, function: str, n_runs: str, answer: str) -> None:
    """Imports ``file``, runs its policy ``function`` and writes one digest a run to the file ``answer``."""
    policy = load(file, function)
    digests = [run.digest for run in explore(policy, int(n_runs))]
    Path(answer).write_text(json.dumps(digests), encoding="utf-8")


def load(file: str, function: str) -> Policy:
    """The policy of that name in a logic file, which is executed anew."""
    name = "constrained_rerun"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PolicyError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks annotations up in the module by name
    spec.loader.exec_module(module)
    policy = getattr(module, function, None)
    if not isinstance(policy, Policy):
        raise PolicyError(f"{function} is not a policy at the top level of {file}")
    return policy


if __name__ == "__main__":
    main(*sys.argv[1:])
