"""What golden dialogues cover of a pack: which responses are said, in which language, and which lines of the logic file offer something."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constrained.dialogue.turn import Turn
from constrained.errors import GoldenError
from constrained.logic.matching import is_yielded
from constrained.logic.options import Obligation, Option, with_it
from constrained.logic.policy import Policy
from constrained.logic.source_offers import find_offers


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
        responses = tuple(one.id for one in catalog.responses.values() if one.id == catalog.fallback or is_yielded(catalog, one))
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
