"""Recorded turns decided anew, by another catalog, logic, threshold or model: who would now get which other reply? Knows no file.

Everything that was true and heard then is taken from the record. Without a model the recorded probabilities choose among what
is allowed now; an option that was not allowed then has none, and a turn with such an option says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from constrained.approval.in_force import OPEN, Standing
from constrained.audit.record import OptionEntry, Record, to_json
from constrained.audit.replay import allowed_then, by_rules
from constrained.errors import ConstrainedError
from constrained.logic.allow import likeliest, rest_of
from constrained.logic.options import Allowed, Option
from constrained.logic.policy import Policy
from constrained.verify import compose

Change = Literal["same", "wording", "effects", "reply", "no reply"]
CHANGES: tuple[Change, ...] = ("reply", "wording", "effects", "no reply")  # most to be looked at first


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said now: the id chosen, the whole text, the effects; ``why_not`` when nothing could be."""

    id: str
    text: str
    effects: tuple[str, ...] = ()
    why_not: str = ""


Decide = Callable[[Record], Reply]
"""Decides one recorded turn with a model; see ``cli.redeciding``."""


@dataclass(frozen=True, slots=True)
class Redecided:
    """One recorded turn, and what would come of it now.

    Attributes:
        unscored: options allowed now that no model has scored; the model might choose one of them.
    """

    record: Record
    now: Reply
    change: Change
    unscored: tuple[str, ...] = ()


@dataclass(slots=True)
class Comparison:
    """The count of it all, and the turns that are not the same.

    Attributes:
        moves: (id said then, id said now, what changed) -> turns. affected: conversations with at least one.
        n_unreadable: turns whose person's key was erased, or whose content is sealed and no keys were given.
    """

    n_turns: int = 0
    n_unreadable: int = 0
    moves: Counter[tuple[str, str, Change]] = field(default_factory=Counter)
    affected: set[str] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)
    changed: list[Redecided] = field(default_factory=list)
    n_unscored: int = 0

    def add(self, one: Redecided) -> None:
        self.n_turns += 1
        self.conversations.add(one.record.conversation)
        self.n_unscored += bool(one.unscored)
        if one.change != "same":
            self.moves[one.record.decision.chosen, one.now.id, one.change] += 1
            self.affected.add(one.record.conversation)
            self.changed.append(one)

    def n_by_change(self, change: Change) -> int:
        return sum(count for (_, _, what), count in self.moves.items() if what == change)


def redecide(
    policy: Policy,
    records: Iterable[Record],
    *,
    threshold: float | None = None,
    decide: Decide | None = None,
    standing: Callable[[Record], Standing] = lambda record: OPEN,
) -> Iterator[Redecided]:
    """Decides each recorded turn by ``policy``.

    Args:
        threshold: in place of the recorded one. decide: asks a model; without one the recorded probabilities choose.
        standing: which approvals count. By default none are asked for, but those written in the catalog: what is to be signed
            off is not approved yet.
    """
    for record in records:
        unscored: tuple[str, ...] = ()
        try:
            if decide is None:
                allowed = allowed_then(policy, record, standing(record))
                chosen, unscored = _chosen(policy, record, allowed, record.decision.threshold if threshold is None else threshold)
                now = Reply(chosen.id, compose(chosen, allowed.obligations), tuple(map(str, chosen.effects)))
            else:
                now = decide(record)
        except (ConstrainedError, ValueError) as error:
            now = Reply("", "", why_not=str(error).splitlines()[0])
        yield Redecided(record, now, _change(record, now), unscored)


def compared(redecided: Iterable[Redecided], n_unreadable: int = 0) -> Comparison:
    """The count of all turns."""
    comparison = Comparison(n_unreadable=n_unreadable)
    for one in redecided:
        comparison.add(one)
    return comparison


def _change(record: Record, now: Reply) -> Change:
    if now.why_not:
        return "no reply"
    if now.id != record.decision.chosen:
        return "reply"
    if now.text != record.text:
        return "wording"
    return "same" if now.effects == record.effects else "effects"


def _chosen(policy: Policy, record: Record, allowed: Allowed, threshold: float) -> tuple[Option, tuple[str, ...]]:
    """The option that the recorded answers choose now, and those that no answer speaks of."""
    options = allowed.options
    if record.decision.mode == "rules":
        was_alone = len(record.options) == 1 and record.versions.get("engine") != "none" and len(options) > 1
        return by_rules(record, options), tuple(option.id for option in options) if was_alone else ()
    known = _recorded(record.options, options)
    scored = [(probability, option) for option, probability in zip(options, known, strict=True) if probability is not None]
    unscored = tuple(option.id for option, probability in zip(options, known, strict=True) if probability is None)
    if not scored:
        return by_rules(record, options), unscored
    best, probability = likeliest([option for _, option in scored], [share for share, _ in scored])
    fallback = rest_of(options, policy.catalog.fallback)
    return (fallback if fallback is not None and probability < threshold else best), unscored


def _recorded(entries: Sequence[OptionEntry], options: Sequence[Option]) -> list[float | None]:
    """The recorded probability of each option: of the same response with the same slots, else of the same response."""
    if len(entries) == len(options) and all(entry.id == option.id for entry, option in zip(entries, options, strict=True)):
        return [entry.probability for entry in entries]
    by_id: dict[str, list[OptionEntry]] = {}
    for entry in entries:
        by_id.setdefault(entry.id, []).append(entry)
    return [_alike(by_id.get(option.id, []), option) for option in options]


def _alike(entries: list[OptionEntry], option: Option) -> float | None:
    slots = to_json(option.slots) if len(entries) > 1 else None
    found = next((entry for entry in entries if entry.slots == slots), entries[0] if len(entries) == 1 else None)
    return found.probability if found else None
