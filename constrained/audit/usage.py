"""First and last use, counts, what was never used and never tested: of the responses of a log. Knows no file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from constrained.audit.record import Record


@dataclass(slots=True)
class Use:
    """How often a response was said, since when and until when.

    Attributes:
        n_chosen: said because it was chosen. n_obliged: said because it had to be. n_allowed: it could have been chosen.
        n_abstained: of ``n_chosen``, as the fallback of an abstention.
        versions: the catalog in force -> turns in which it was said: each stands for one exact wording.
        is_tested: a golden dialogue says it, or obliges to it. is_current: it is in the present catalog.
    """

    id: str
    n_chosen: int = 0
    n_obliged: int = 0
    n_allowed: int = 0
    n_abstained: int = 0
    first: str = ""
    last: str = ""
    versions: dict[str, int] = field(default_factory=dict)
    is_tested: bool = False
    is_current: bool = True

    @property
    def n_said(self) -> int:
        return self.n_chosen + self.n_obliged

    def said(self, record: Record) -> None:
        self.first, self.last = min(self.first or record.at, record.at), max(self.last, record.at)
        catalog = record.versions.get("catalog", "")
        self.versions[catalog] = self.versions.get(catalog, 0) + 1


def usage(records: Iterable[Record], current: Iterable[str] = (), tested: Iterable[str] = ()) -> list[Use]:
    """The use of every response, most said first.

    Args:
        current: ids of the present catalog; what is in it and was never said is listed as well. Empty: all that occur.
        tested: ids that golden dialogues reach.
    """
    present, tests = set(current), set(tested)
    uses = {one: Use(one) for one in sorted(present)}

    def of(response_id: str) -> Use:
        return uses.setdefault(response_id, Use(response_id, is_current=not present))

    for record in records:
        for option in record.options:
            of(option.id).n_allowed += 1
        chosen = of(record.decision.chosen)
        chosen.n_chosen += 1
        chosen.n_abstained += record.decision.abstained
        chosen.said(record)
        for obligation in record.obligations:
            obliged = of(obligation.id)
            obliged.n_obliged += 1
            obliged.said(record)
    for use in uses.values():
        use.is_tested = use.id in tests
    return sorted(uses.values(), key=lambda use: (-use.n_said, use.id))
