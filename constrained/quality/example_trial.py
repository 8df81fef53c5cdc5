"""What one more example changes: the picks of a pack's golden turns and of its own examples, with it and without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from constrained.catalog.response import Catalog, offer_id
from constrained.engines.protocol import Engine
from constrained.logic.policy import Policy
from constrained.quality.golden import load_golden, run_golden
from constrained.quality.left_out import allowed_at_first, catalog_choice

Verdict = Literal["better", "worse", "other"]


@dataclass(frozen=True, slots=True)
class Pick:
    """What an engine picks for one message.

    Attributes:
        place: file and line that the message stands in. wanted: the response that is meant; empty where it may not be said.
        said: the response that is picked.
    """

    place: str
    message: str
    wanted: str
    said: str

    @property
    def likeness(self) -> int:
        """2 for what is meant, 1 for the question whether it is, 0 for anything else."""
        return 2 if self.said == self.wanted else int(self.said == offer_id(self.wanted))


@dataclass(frozen=True, slots=True)
class ChangedPick:
    """A message for which another response is picked."""

    before: Pick
    after: Pick

    @property
    def verdict(self) -> Verdict:
        """Whether it comes nearer to what is meant; ``other`` where both are wrong, or nothing is."""
        change = self.after.likeness - self.before.likeness
        return "better" if change > 0 else "worse" if change < 0 else "other"


def changed_picks(policy: Policy, catalog: Catalog, engine: Engine) -> tuple[list[ChangedPick], int]:
    """The picks that are others with ``catalog``, worse ones first, and how many messages were decided.

    Decided are the turns of the golden dialogues beside the logic, and the examples of all responses that are allowed at the beginning
    of a conversation, beside each other.

    Args:
        catalog: that of ``policy`` with other examples.

    Raises EngineError, or GoldenError for golden dialogues that cannot be read.
    """
    asked = policy.catalog
    before, after = list(_picks(policy, asked, engine)), list(_picks(policy.__replace__(catalog=catalog), asked, engine))
    changed = [ChangedPick(one, other) for one, other in zip(before, after, strict=True) if one.said != other.said]
    return sorted(changed, key=lambda one: ("worse", "better", "other").index(one.verdict)), len(before)


def _picks(policy: Policy, asked: Catalog, engine: Engine) -> Iterator[Pick]:
    golden = Path(policy.file).resolve().parent.parent / "dialogues" / f"{policy.name}.yaml"
    for dialogue in load_golden(golden).dialogues if golden.is_file() else ():
        for result in run_golden(policy, dialogue, engine):
            if result.picked is not None:
                said, place = result.picked.response_id, f"{golden.name}:{result.golden.line}"
                yield Pick(place, result.golden.says, result.golden.expects, said)
    allowed = allowed_at_first(policy)
    for locale in sorted({locale for one in asked.responses.values() for locale in one.examples}):
        choice, scene = catalog_choice(policy, locale)
        choice = replace(choice, candidates=tuple(one for one in choice.candidates if one.text in allowed or not allowed))
        for candidate in choice.candidates:
            response = asked[candidate.text]
            for message in response.examples.get(locale, ()):
                (found,) = engine.choose([choice], replace(scene, message=message))
                place = f"{Path(response.source.file).name}:{response.source.line}"
                yield Pick(place, message, response.id, choice.candidates[found.best].text)
