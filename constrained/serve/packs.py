"""The packs of a server, each replaced between turns by a new version that passes its check."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from constrained.analysis.check import examine
from constrained.errors import ConstrainedError, PackError, PolicyError, Problem
from constrained.logic.policy import Policy
from constrained.pack_folders import find_pack
from constrained.packs import load_policy, load_policy_file
from constrained.quality.golden import load_golden, run_golden


class Packs:
    """Name -> Policy. Who asked for a pack keeps what it got until its turn is over.

    Args:
        policies: what is served from the start; only packs loaded by name can be reloaded.
    """

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        self._policies = dict(policies)
        self._seen = {name: digest(name, policy) for name, policy in policies.items()}
        self._lock = threading.Lock()

    @classmethod
    def named(cls, names: tuple[str, ...]) -> Packs:
        """The packs of these names. Raises PackError, CatalogError or PolicyError."""
        return cls({name: load_policy(name) for name in names})

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._policies)

    def get(self, name: str) -> Policy:
        try:
            return self._policies[name]
        except KeyError:
            raise PackError(f"no pack {name!r} is served here", name=name, hint=f"there are {', '.join(self._policies)}") from None

    def changed(self) -> list[str]:
        """Packs whose files are not what they were when last looked at, the refused ones included."""
        return [name for name, policy in self._policies.items() if digest(name, policy) != self._seen[name]]

    def reload(self, name: str, check: Callable[[Policy], object] = lambda policy: None) -> Policy:
        """Takes over what the pack's files are now, if its check passes. Raises ConstrainedError; the old version then stays.

        Args:
            check: what else must hold of the new version; raises ConstrainedError.
        """
        with self._lock:
            before = self._policies[name]
            seen = digest(name, before)
            self._seen[name] = seen
            policy = checked(name)
            check(policy)
            after = digest(name, policy)  # before the last look, so that no change falls between the two
            if digest(name, before) != seen or not policy.catalog.is_current():
                raise PackError(f"the files of {name!r} changed while they were checked", name=name, hint="they are looked at again")
            self._policies[name], self._seen[name] = policy, after
            return policy


def checked(name: str) -> Policy:
    """The policy of a pack that passes the same check as ``constrained check``: it runs, fits, and its golden dialogues hold."""
    pack = find_pack(name)
    policy = load_policy_file(pack.logic_path)
    problems = list(examine(policy, today=datetime.now(UTC).date()).problems)
    if pack.dialogues_path is not None:
        problems += _golden_problems(policy, pack.dialogues_path)
    if problems:
        raise PolicyError(f"the check of {name!r} fails", problems, hint=f"constrained check {name}")
    return policy


def _golden_problems(policy: Policy, path: Path) -> list[Problem]:
    return [
        Problem(str(path), 0, 0, f"{dialogue.name!r}, turn {number}: {text}")
        for dialogue in load_golden(path).dialogues
        for number, result in enumerate(run_golden(policy, dialogue), start=1)
        for text in result.problems
    ]


def digest(name: str, policy: Policy) -> str:
    """Of the contents of a pack's files, its policy's catalog among them; empty while they cannot be read, or where there are none."""
    try:
        pack = find_pack(name)
        paths = [Path(policy.catalog.path or pack.catalog_path), pack.logic_path, *([pack.dialogues_path] if pack.dialogues_path else [])]
        return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()
    except (OSError, ConstrainedError):
        return ""
