"""How often each line of logic was come to: by golden dialogues or by the turns of a log. Draws nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from constrained.audit.record import Record
from constrained.dialogues.coverage import read_counts
from constrained.errors import GoldenError
from constrained.pictures.flow import Box


@dataclass(frozen=True, slots=True)
class Counts:
    """Turns by line of logic.

    Attributes:
        offered: line -> turns in which it offered something. chosen: in which that was said.
    """

    offered: Counter[int] = field(default_factory=Counter)
    chosen: Counter[int] = field(default_factory=Counter)

    def of(self, box: Box) -> tuple[int, int] | None:
        """(offered, chosen) of a box; None for one that offers nothing itself."""
        return (self.offered[box.line], self.chosen[box.line]) if box.kind in ("response", "step") else None


def counts_of_coverage(path: Path, pack: str) -> Counts:
    """What a coverage file tells of a pack. Raises GoldenError."""
    found = read_counts(path).get(pack)
    if found is None:
        raise GoldenError(f"{path} tells nothing of {pack!r}", hint=f"constrained test {pack} --coverage {path}")
    return Counts(*(Counter({int(line): n for line, n in found[name].items()}) for name in ("lines", "chosen")))


def counts_of_log(records: Iterable[Record], logic: str) -> Counts:
    """What the turns of a log came to, of one logic file."""
    counts = Counts()
    name = Path(logic).name
    for record in records:
        obliged = [one.line for one in record.obligations]
        chosen = record.options[record.decision.index].line if 0 <= record.decision.index < len(record.options) else ""
        counts.offered.update({_line(place, name) for place in (*(one.line for one in record.options), *obliged)} - {0})
        counts.chosen.update({_line(place, name) for place in (chosen, *obliged)} - {0})
    return counts


def _line(place: str, name: str) -> int:
    """The line of ``FILE:LINE``, when it is of that file; else 0."""
    file, _, line = place.rpartition(":")
    return int(line) if line.isdigit() and Path(file).name == name else 0
