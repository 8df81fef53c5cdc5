"""What golden dialogues, or a log, show of a pack: responses in each locale, and lines of logic. Runs nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constrained.dialogue.turn import Turn
from constrained.engines.protocol import Engine
from constrained.errors import ConstrainedError, GoldenError
from constrained.logic.matching import RESERVE
from constrained.logic.options import Obligation, Option, with_it
from constrained.logic.policy import Policy
from constrained.logic.source_offers import find_offers
from constrained.pack_folders import find_pack, folders
from constrained.packs import load_policy_file
from constrained.quality.golden import GoldenDialogue, GoldenFile, GoldenResult, load_golden, run_golden


@dataclass(slots=True)
class Coverage:
    """Counts of what was said and offered.

    Attributes:
        responses: ids that some dialogue should show. lines: lines of the logic file that offer something.
        said: (id, locale) -> how often it was said. offered: ids that were options or obligations.
        reached: line -> in how many turns it offered something.
        chosen: line -> in how many turns what it offered was said.
    """

    pack: str
    logic: str
    responses: tuple[str, ...]
    lines: tuple[int, ...]
    locales: tuple[str, ...]
    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    offered: Counter[str] = field(default_factory=Counter)
    reached: Counter[int] = field(default_factory=Counter)
    chosen: Counter[int] = field(default_factory=Counter)
    n_turns: int = 0

    @classmethod
    def of(cls, policy: Policy) -> Coverage:
        """Of a pack of which nothing was shown yet."""
        catalog = policy.catalog
        responses = tuple(one.id for one in catalog.responses.values() if RESERVE not in one.tags)
        lines = {made.call.lineno for made in find_offers(policy.script, policy.functions) if not made.is_dead}
        locales = sorted({locale for one in catalog.responses.values() for locale in one.texts})
        return cls(policy.name, policy.file, responses, tuple(sorted(lines)), tuple(locales))

    def add(self, turn: Turn | None) -> None:
        """Counts one turn; nothing for one that was not taken."""
        if turn is None:
            return
        allowed, chosen = turn.trace.allowed, turn.decision.chosen
        self.n_turns += 1
        spoken: list[Option | Obligation] = [chosen, *with_it(chosen, allowed.obligations)]
        self.said.update((one.id, one.locale) for one in spoken)
        every: list[Option | Obligation] = [
            *allowed.options,
            *allowed.obligations,
            *(one for option in allowed.options for one in option.obligations),
        ]
        self.offered.update({one.id for one in every})
        blocked = [one.source for one in allowed.blocked]
        self.reached.update({source.line for source in (*(one.source for one in every), *blocked) if source.file == self.logic})
        self.chosen.update({one.source.line for one in spoken if one.source.file == self.logic})

    def unsaid(self) -> list[str]:
        """Responses that no turn said."""
        said = {response_id for response_id, _ in self.said}
        return [one for one in self.responses if one not in said]

    def unreached(self) -> list[int]:
        """Lines that offered nothing in any turn."""
        return [line for line in self.lines if line not in self.reached]

    def n_said_in(self, locale: str) -> int:
        return sum(1 for one in self.responses if (one, locale) in self.said)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for ``constrained draw --coverage``."""
        said: Counter[str] = Counter()
        for (response_id, _), count in self.said.items():
            said[response_id] += count
        return {
            "pack": self.pack,
            "turns": self.n_turns,
            "said": dict(said),
            "said_in": {locale: self.n_said_in(locale) for locale in self.locales},
            "unsaid": self.unsaid(),
            "lines": {str(line): self.reached[line] for line in self.lines},
            "chosen": {str(line): count for line, count in sorted(self.chosen.items())},
        }


def read_counts(path: Path) -> dict[str, Any]:
    """What a coverage file holds. Raises GoldenError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        packs = data if isinstance(data, list) else [data]
        return {one["pack"]: one for one in packs}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GoldenError(f"{path} holds no coverage: {error}", hint="write it with: constrained test NAME --coverage FILE") from error


# -- Runs golden dialogues file by file, with what came of each. Prints nothing. --


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
