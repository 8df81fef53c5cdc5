"""Obligations of a whole conversation: what must go before, after, or never after what.

    obligations=(at_start("automated"), before("advice", "disclaimer"), after("rate", "rate_note"))

``what`` is a response id or a tag. They are met by construction: ``Schedule`` puts what is due into the turn, and an
option that would break one is not allowed. Time is an input: the turn's clock.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from constrained.catalog.response import Catalog, Response, Source
from constrained.errors import PolicyError, Problem
from constrained.logic.effects import EffectKind
from constrained.logic.options import source_of
from constrained.logic.state import Memory

ClauseKind = Literal["at_start", "before", "after", "once", "every", "before_commitment", "never_after"]


@dataclass(frozen=True, slots=True)
class Audience:
    """Where a conversation takes place; None: not told."""

    channel: str | None = None
    jurisdiction: str | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """One obligation of the conversation.

    Attributes:
        what: a response id or tag that it is about; empty for those that are about the conversation.
        response_id: what must be said; for ``never_after``, the id or tag that may not be said any more.
        slots: of that response; constants. turns, minutes: of ``every``. effects: names, of ``before_commitment``; none: any.
        is_earlier: for ``before_commitment``: said in an earlier turn, so that the user could answer it.
        channel, jurisdiction: where it holds; None: everywhere. Where a conversation does not tell its place, it holds.
    """

    kind: ClauseKind
    response_id: str
    what: str = ""
    slots: tuple[tuple[str, Any], ...] = ()
    turns: int = 0
    minutes: float = 0
    effects: tuple[str, ...] = ()
    is_earlier: bool = False
    channel: str | None = None
    jurisdiction: str | None = None
    source: Source = field(default=Source(), compare=False)

    def holds_at(self, place: Audience) -> bool:
        own, there = (self.channel, self.jurisdiction), (place.channel, place.jurisdiction)
        return all(one is None or other is None or one == other for one, other in zip(own, there, strict=True))

    def __str__(self) -> str:
        told = {"what": self.what, "id": self.response_id, "turns": self.turns, "minutes": self.minutes, "effects": ", ".join(self.effects)}
        parts = [f"{value!r}" if name in ("what", "id") else f"{name}={value}" for name, value in told.items() if value]
        return f"{self.kind}({', '.join(parts)})"


def at_start(response_id: str, *, channel: str | None = None, jurisdiction: str | None = None, **slots: Any) -> Clause:
    """Said before anything else in the conversation."""
    return _clause("at_start", response_id, "", slots, channel, jurisdiction)


def before(what: str, response_id: str, *, channel: str | None = None, jurisdiction: str | None = None, **slots: Any) -> Clause:
    """Said before the first ``what`` of the conversation: in an earlier turn, or in the same one in front of it."""
    return _clause("before", response_id, what, slots, channel, jurisdiction)


def after(what: str, response_id: str, *, channel: str | None = None, jurisdiction: str | None = None, **slots: Any) -> Clause:
    """Said after every ``what``, in the same turn."""
    return _clause("after", response_id, what, slots, channel, jurisdiction)


def once(response_id: str, *, channel: str | None = None, jurisdiction: str | None = None) -> Clause:
    """Said at most once in the conversation, whoever asks for it."""
    return _clause("once", response_id, "", {}, channel, jurisdiction)


def every(
    response_id: str, *, turns: int = 0, minutes: float = 0, channel: str | None = None, jurisdiction: str | None = None, **slots: Any
) -> Clause:
    """Said in every stretch of so many turns, or with the first turn after so many minutes."""
    clause = _clause("every", response_id, "", slots, channel, jurisdiction, turns=turns, minutes=minutes)
    if (turns > 0) is (minutes > 0) or turns < 0 or minutes < 0:
        hint = 'every("reminder", turns=10), or minutes=30'
        raise PolicyError("every() takes turns or minutes", [Problem(clause.source.file, clause.source.line, 0, str(clause), hint)])
    return clause


def before_commitment(
    response_id: str,
    *effects: EffectKind,
    earlier: bool = False,
    channel: str | None = None,
    jurisdiction: str | None = None,
    **slots: Any,
) -> Clause:
    """Said before the first turn with one of these effects (with any, where none is named).

    ``earlier``: in a turn before it, so that the user could answer; until then no option with such an effect is allowed.
    """
    names = tuple(one.name for one in effects)
    return _clause("before_commitment", response_id, "", slots, channel, jurisdiction, effects=names, is_earlier=earlier)


def never_after(what: str, then: str, *, channel: str | None = None, jurisdiction: str | None = None) -> Clause:
    """Once ``what`` was said, ``then`` is never said again; both are response ids or tags."""
    return _clause("never_after", then, what, {}, channel, jurisdiction)


def _clause(kind: ClauseKind, response_id: str, what: str, slots: Any, channel: Any, jurisdiction: Any, **more: Any) -> Clause:
    caller = sys._getframe(2)
    source = source_of(caller.f_code, caller)
    return Clause(kind, response_id, what, tuple(sorted(slots.items())), channel=channel, jurisdiction=jurisdiction, source=source, **more)


def is_meant(what: str, response: Response) -> bool:
    """Whether an id or tag names this response."""
    return what == response.id or what in response.tags


def clause_problems(clauses: Sequence[Clause], catalog: Catalog) -> list[Problem]:
    """Everything in which the obligations do not fit the catalog."""
    problems = []
    for clause in clauses:
        for reason, hint in _misfits(clause, catalog):
            problems.append(Problem(clause.source.file, clause.source.line, 0, f"{clause}: {reason}", hint))
    return problems


def _misfits(clause: Clause, catalog: Catalog) -> list[tuple[str, str]]:
    found = []
    tags = {tag for response in catalog.responses.values() for tag in response.tags}
    names = [clause.what] if clause.what else []
    if clause.kind == "never_after":
        names.append(clause.response_id)
    elif clause.response_id not in catalog:
        found.append((f"the catalog {catalog.name!r} has no response {clause.response_id!r}", "name a response id"))
    found += [
        (f"{name!r} is neither a response nor a tag", "name one of them") for name in names if name not in catalog and name not in tags
    ]
    if clause.kind != "never_after" and clause.response_id == catalog.fallback:
        found.append(("the fallback cannot be an obligation", "it is an option of every turn"))
    if clause.kind == "never_after" and is_meant(clause.response_id, catalog[catalog.fallback]):
        found.append(("the fallback may always be said", "name another response"))
    response = catalog.responses.get(clause.response_id)
    given = {name for name, _ in clause.slots}
    if response is not None and clause.kind not in ("never_after", "once") and given != set(response.slots):
        wanted = ", ".join(sorted(response.slots)) or "none"
        found.append((f"{response.id!r} has the slots {wanted}", "give each of them, as constants"))
    return found


@dataclass(frozen=True, slots=True)
class ScheduledClauses:
    """What the obligations make of one option.

    Attributes:
        before, after: obligations that put their response into the turn. broken: the one that forbids the option.
        reason: why, for a reader.
    """

    before: tuple[Clause, ...] = ()
    after: tuple[Clause, ...] = ()
    broken: Clause | None = None
    reason: str = ""


_NOTHING = ScheduledClauses()


@dataclass(slots=True)
class Schedule:
    """The obligations of one turn. ``now``: seconds since the epoch; None where nobody told the time."""

    clauses: tuple[Clause, ...]
    catalog: Catalog
    memory: Memory
    now: float | None = None
    due: list[Clause] = field(init=False)
    neighbours: tuple[Clause, ...] = field(init=False)
    causes: dict[Clause, str] = field(init=False)

    def __post_init__(self) -> None:
        """What is the same for every option of the turn: what is due, and what was said that forbids something."""
        nevers = [clause for clause in self.clauses if clause.kind == "never_after"]
        self.neighbours = tuple(clause for clause in self.clauses if clause.kind in ("before", "after"))
        self.due = [clause for clause in self.clauses if self._is_due(clause)]
        self.causes = {clause: self._cause(clause) for clause in nevers}

    def of(self, spoken: Sequence[Response], effects: Sequence[str]) -> ScheduledClauses:
        """What goes with an option that says these responses, in this order, and has these effects."""
        last: list[Clause] = []
        first = [clause for clause in self.due if not _is_met(clause, spoken)]
        broken = self._commitment(spoken, effects, first)
        if broken is not None:
            return ScheduledClauses(broken=broken, reason=f"{broken.response_id!r} was not said in an earlier turn")
        for _ in range(len(self.clauses) + 1):
            if not self._grow(first, spoken, last):
                break
        else:
            return ScheduledClauses(broken=self.clauses[0], reason="the obligations demand each other without end")
        first, last = self._kept(first), self._kept(last)
        return self._forbidden(first, spoken, last) or (ScheduledClauses(tuple(first), tuple(last)) if first or last else _NOTHING)

    def _cause(self, clause: Clause) -> str:
        """A response that was said and is what the clause means; empty when there is none."""
        said = self.memory.said
        return next((one.id for one in self.catalog.responses.values() if is_meant(clause.what, one) and one.id in said), "")

    def _is_due(self, clause: Clause) -> bool:
        said, memory = self.memory.said, self.memory
        if clause.kind == "at_start":
            return clause.response_id not in said
        if clause.kind != "every":
            return False
        if clause.turns:
            return memory.number + 1 - said.get(clause.response_id, 0) >= clause.turns
        clock: Mapping[str, float] = dict(memory.clock)
        since = clock.get(clause.response_id, clock.get("", self.now or 0.0))
        return self.now is not None and self.now - since >= clause.minutes * 60

    def _commitment(self, spoken: Sequence[Response], effects: Sequence[str], first: list[Clause]) -> Clause | None:
        """Adds what must precede these effects; the clause that was to be met in an earlier turn, and was not."""
        for clause in self.clauses:
            if clause.kind != "before_commitment" or clause.response_id in self.memory.said or not effects:
                continue
            if clause.effects and not set(clause.effects) & set(effects):
                continue
            if clause.is_earlier:
                return clause
            if clause.response_id not in {one.id for one in spoken} | {one.response_id for one in first}:
                first.append(clause)
        return None

    def _grow(self, first: list[Clause], spoken: Sequence[Response], last: list[Clause]) -> bool:
        """Adds the first thing that is still missing; whether there was one."""
        order = [self.catalog[one.response_id] for one in first] + list(spoken) + [self.catalog[one.response_id] for one in last]
        for place, response in enumerate(order):
            for clause in self.neighbours:
                if clause.kind == "before" and is_meant(clause.what, response) and not self._precedes(clause, order[:place]):
                    first.insert(min(place, len(first)), clause)
                    return True
                if clause.kind == "after" and is_meant(clause.what, response) and not _follows(clause, order[place + 1 :]):
                    last.append(clause)
                    return True
        return False

    def _precedes(self, clause: Clause, earlier: Sequence[Response]) -> bool:
        return clause.response_id in self.memory.said or any(one.id == clause.response_id for one in earlier)

    def _kept(self, added: list[Clause]) -> list[Clause]:
        """Without what is said once and was said."""
        if not added:
            return added
        said_once = {one.response_id for one in self.clauses if one.kind == "once" and one.response_id in self.memory.said}
        return [one for one in added if one.response_id not in said_once]

    def _forbidden(self, first: list[Clause], spoken: Sequence[Response], last: list[Clause]) -> ScheduledClauses | None:
        order = [self.catalog[one.response_id] for one in first] + list(spoken) + [self.catalog[one.response_id] for one in last]
        for clause in self.clauses:
            if clause.kind == "once":
                n_times = sum(one.id == clause.response_id for one in order)
                if n_times and (n_times > 1 or clause.response_id in self.memory.said):
                    return ScheduledClauses(broken=clause, reason=f"{clause.response_id!r} is said once in a conversation")
            elif clause.kind == "never_after":
                reason = self._too_late(clause, order)
                if reason:
                    return ScheduledClauses(broken=clause, reason=reason)
        return None

    def _too_late(self, clause: Clause, order: Sequence[Response]) -> str:
        cause = self.causes[clause]
        for response in order:
            if cause and is_meant(clause.response_id, response):
                return f"{response.id!r} is never said after {cause!r}"
            cause = cause or (response.id if is_meant(clause.what, response) else "")
        return ""


def _is_met(clause: Clause, spoken: Sequence[Response]) -> bool:
    """Whether what is due is said anyway; at the start that is in front of all else."""
    ids = [one.id for one in spoken[: 1 if clause.kind == "at_start" else None]]
    return clause.response_id in ids


def _follows(clause: Clause, later: Sequence[Response]) -> bool:
    return any(one.id == clause.response_id for one in later)
