"""What was proved, as a value: verdicts, what they rest on, and the hashes that they hold for. Proves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from constrained.errors import PropertyError
from constrained.golden import GoldenDialogue

Status = Literal["proved", "held", "violated", "open"]
"""``proved``: no conversation of the scope breaks it, all were looked at. ``held``: none of those looked at does.
``violated``: one does. ``open``: nothing broke it, and something that should be seen was not seen yet."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(_Frozen):
    """What became of one property.

    Attributes:
        wrong: what is wrong, in a sentence. dialogue: a shortest conversation that shows it.
        is_built_in: nobody declared it.
    """

    name: str
    says: str
    status: Status
    wrong: str = ""
    is_built_in: bool = False
    dialogue: GoldenDialogue | None = None


class Bound(_Frozen):
    """What a proof holds for: change any of these, and it is stale."""

    catalog: str
    logic: str
    properties: str = ""


class Explored(_Frozen):
    """What was looked at.

    Attributes:
        n_points: points of conversations found, ``n_explored`` of them with all their turns. n_turns: turns between them.
        is_closed: all that can be reached was explored.
        heard: field -> which values it was tried with.
        sampled: fields of which not every value could be tried, and that the logic read.
    """

    n_starts: int
    n_points: int
    n_explored: int
    n_turns: int
    is_closed: bool
    seconds: float
    heard: dict[str, str] = {}
    sampled: tuple[str, ...] = ()


class Proof(_Frozen):
    """The result of ``constrained prove``.

    Attributes:
        pack: its name. bound: hashes that it holds for.
    """

    pack: str
    bound: Bound
    explored: Explored
    verdicts: tuple[Verdict, ...]

    @property
    def violated(self) -> tuple[Verdict, ...]:
        return tuple(one for one in self.verdicts if one.status == "violated")

    def rests_on(self) -> str:
        """What the verdicts rest on, in a sentence."""
        found = self.explored
        starts = "1 start" if found.n_starts == 1 else f"{found.n_starts:,} starts"
        if not found.is_closed:
            return f"{found.n_explored:,} of at least {found.n_points:,} points from {starts}: the rest was not explored"
        rest = f"; of {', '.join(found.sampled)} only values next to the logic's constants" if found.sampled else ""
        return f"all {found.n_points:,} points that can be reached from {starts}{rest}"

    def stale(self, bound: Bound) -> tuple[str, ...]:
        """Which of the files changed since; none when the proof holds."""
        return tuple(name for name in type(bound).model_fields if getattr(bound, name) != getattr(self.bound, name))

    def text(self) -> str:
        """As the JSON text of a file."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def read_proof(path: Path) -> Proof:
    """Raises PropertyError when the file holds no proof."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        return Proof.model_validate(data)
    except (OSError, ValueError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise PropertyError(f"{path} holds no proof: {first}", hint="write it anew: constrained prove NAME --save") from error
