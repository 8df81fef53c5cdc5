"""Runs golden dialogues file by file, with what came of each. Prints nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from constrained.choice import Engine
from constrained.dialogues.coverage import Coverage
from constrained.errors import ConstrainedError, GoldenError
from constrained.folders import find_pack, folders
from constrained.golden import GoldenDialogue, GoldenFile, GoldenResult, load_golden, run_golden
from constrained.logic.policy import Policy
from constrained.packs import load_policy_file


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of one golden dialogue.

    Attributes:
        error: why it could not be begun; empty when it was.
    """

    path: Path
    pack: str
    dialogue: GoldenDialogue
    results: tuple[GoldenResult, ...]
    seconds: float = 0.0
    error: str = ""

    @property
    def line(self) -> int:
        """Where it stands in its file."""
        return self.dialogue.turns[0].line if self.dialogue.turns else 0

    @property
    def is_as_written(self) -> bool:
        return not self.error and len(self.results) == len(self.dialogue.turns) and not any(one.differences for one in self.results)

    @property
    def picks(self) -> tuple[GoldenResult, ...]:
        """Turns in which the engine under test had something to pick."""
        return tuple(one for one in self.results if one.picked is not None and one.n_options > 1)


@dataclass(slots=True)
class Tests:
    """What came of all of them; ``coverage``: pack -> what they cover of it."""

    tested: list[Tested] = field(default_factory=list)
    coverage: dict[str, Coverage] = field(default_factory=dict)

    @property
    def failed(self) -> list[Tested]:
        return [one for one in self.tested if not one.is_as_written]

    @property
    def agreement(self) -> tuple[int, int]:
        """(picked as intended, turns with something to pick) of the engine under test."""
        picks = [one for tested in self.tested for one in tested.picks]
        return sum(one.is_right for one in picks), len(picks)


def files_of(targets: Sequence[str]) -> list[Path]:
    """The files that are meant: packs by name, files by path; every pack's when nothing is named. Raises PackError or GoldenError."""
    if not targets:
        found = [path for folder in folders() for path in sorted((folder / "dialogues").glob("*.yaml"))]
        return list({path.name: path for path in reversed(found)}.values())[::-1]
    return [_file_of(target) for target in targets]


def policy_of(path: Path, file: GoldenFile) -> Policy:
    """The policy that a file of golden dialogues is about: beside it, or the pack of that name. Raises PackError or PolicyError."""
    beside = path.resolve().parent.parent / "logic" / f"{file.pack}.py"
    return load_policy_file(beside if beside.is_file() else find_pack(file.pack).logic_path)


def run_files(paths: Sequence[Path], engine: Engine | None = None, *, by_rules: bool = False) -> Iterator[tuple[Tested, Coverage]]:
    """Each dialogue of each file, as it was run; with the coverage of its pack so far. Raises GoldenError, PackError, PolicyError."""
    known: dict[str, Coverage] = {}
    for path in paths:
        file = load_golden(path)
        policy = policy_of(path, file)
        coverage = known.setdefault(file.pack, Coverage.of(policy))
        for dialogue in file.dialogues:
            tested = run_one(path, file.pack, policy, dialogue, engine, by_rules=by_rules)
            for result in tested.results:
                coverage.add(result.reply)
            yield tested, coverage


def run_one(
    path: Path, pack: str, policy: Policy, dialogue: GoldenDialogue, engine: Engine | None = None, *, by_rules: bool = False
) -> Tested:
    """One dialogue; what stops it is told, not raised."""
    began = time.perf_counter()
    results: list[GoldenResult] = []
    try:
        results += run_golden(policy, dialogue, engine, by_rules=by_rules)
    except ConstrainedError as error:
        return Tested(path, pack, dialogue, tuple(results), time.perf_counter() - began, str(error))
    return Tested(path, pack, dialogue, tuple(results), time.perf_counter() - began)


def _file_of(target: str) -> Path:
    path = Path(target)
    if path.suffix in (".yaml", ".yml"):
        return path
    pack = find_pack(target)
    if pack.dialogues_path is None:
        where = pack.logic_path.parent.parent / "dialogues" / f"{target}.yaml"
        raise GoldenError(f"the pack {target!r} has no golden dialogues", hint=f"write {where}")
    return pack.dialogues_path
