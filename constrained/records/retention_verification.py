"""Verifies tombstones: nothing was erased before its age, nothing else than they tell, and what they tell was erased."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from constrained.errors import AuditError
from constrained.records.log import Readable, verified
from constrained.records.record import Chained, Erasure, Record, Retention, SealedEntry
from constrained.records.retention import counted
from constrained.records.retention_rules import RetentionRules, last_erased_day
from constrained.records.sealing import SubjectKeys, sealing_day, unsealed_parts

_HINT = "keep log and keys as they are, and compare them with a copy"
_SIGNS = (b'"kind":"retention"', b'"parts":{')  # of a line of canonical JSON that retention has to do with
SKEW = timedelta(days=1)  # by which the clock of a later entry may be behind


@dataclass(frozen=True, slots=True)
class RetentionVerification:
    """What was found. ``erased``: how much by which rule. ``not_established``: what nothing here can show."""

    erased: tuple[str, ...]
    not_established: tuple[str, ...]


def verify_retention(
    store: Readable, keys: SubjectKeys | None = None, rules: RetentionRules | None = None, *, now: datetime | None = None
) -> RetentionVerification:
    """Checks every tombstone of a log, whose chain is verified apart from it.

    Args:
        keys: also read all that is sealed: what cannot be read must have a tombstone or an erasure, and what has one must be gone.
        rules: also hold each tombstone against these: none may have erased earlier than they say.
        now: the present; a tombstone of later is one whose age was made up.

    Raises AuditError that names the entry.
    """
    if keys is None and not any(one in line for line in store.lines() for one in _SIGNS):
        return RetentionVerification((), ())  # read as bytes alone: a large log need not be parsed once more for nothing
    check = _Check(store.name, keys, rules, now or datetime.now(UTC))
    for entry in verified(store.lines(), store.name):
        check.add(entry)
    return check.result()


@dataclass(frozen=True, slots=True)
class _OpenedTurn:
    """A sealed turn, read with the keys. ``readable`` names fields that are sealed by day, ``missing`` any that are sealed."""

    sequence: int
    conversation: str
    subject: str
    day: str
    missing: tuple[str, ...]
    readable: tuple[str, ...]


@dataclass(slots=True)
class _Check:
    name: str
    keys: SubjectKeys | None
    rules: RetentionRules | None
    now: datetime
    tombstones: list[Retention] = field(default_factory=list)
    n_records: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    turns: list[_OpenedTurn] = field(default_factory=list)
    erasures: dict[str, int] = field(default_factory=dict)  # pseudonym -> sequence of the last erasure
    told: dict[tuple[str, str], Retention] = field(default_factory=dict)  # (day, field) -> the last tombstone of it
    erased: Counter[tuple[str, int]] = field(default_factory=Counter)  # (field, days it was kept) -> turns

    def add(self, entry: Chained) -> None:
        at = getattr(entry, "at", "")
        if at and self.tombstones and datetime.fromisoformat(at) + SKEW < datetime.fromisoformat(self.tombstones[-1].at):
            raise self.bad(self.tombstones[-1].sequence, "it is dated after entries that follow it: an age may have been made up")
        if isinstance(entry, Erasure):
            self.erasures[entry.subject] = entry.sequence
        elif isinstance(entry, Retention):
            self._add_tombstone(entry)
        elif isinstance(entry, Record) and entry.sealed is not None:
            self._add_turn(entry, entry.sealed)

    def _add_turn(self, record: Record, sealed: SealedEntry) -> None:
        if sealed.day not in ("", sealing_day(record)):
            raise self.bad(record.sequence, f"it is sealed under the keys of {sealed.day}, which is not its day")
        for name in sealed.parts:
            self.n_records[sealed.day, name][record.conversation] += 1
        if self.keys is None:
            return
        _, missing = unsealed_parts(record, self.keys)  # raises where what is sealed was changed
        readable = tuple(name for name in sealed.parts if name not in missing)
        if missing or readable:
            self.turns.append(_OpenedTurn(record.sequence, record.conversation, sealed.subject, sealed.day, missing, readable))

    def _add_tombstone(self, tombstone: Retention) -> None:
        at = datetime.fromisoformat(tombstone.at)
        if at > self.now + SKEW:
            raise self.bad(tombstone.sequence, "it is dated in the future: an age may have been made up")
        for one in tombstone.erased:
            limit = last_erased_day(at, one.kept_days)
            if any(date.fromisoformat(day) > limit for day in one.days):
                raise self.bad(tombstone.sequence, f"{one.field} of {max(one.days)} was erased before it was {one.kept_days} days old")
            asked = self.rules.kept_days(one.field) if self.rules is not None else one.kept_days
            if asked is None or one.kept_days < asked:
                raise self.bad(
                    tombstone.sequence, f"{one.field} was erased after {one.kept_days} days; the rules keep it {asked or 'for ever'}"
                )
            counts = {day: self._n_without(tombstone.held, day, one.field) for day in set(one.days)}
            if sum(counts.values()) != one.n_records or len(counts) < len(one.days):
                raise self.bad(
                    tombstone.sequence, f"it tells of {one.n_records} turns that lost {one.field}, and there are {sum(counts.values())}"
                )
            for day, count in counts.items():
                self.erased[one.field, one.kept_days] += 0 if (day, one.field) in self.told else count  # a second run may finish a first
                self.told[day, one.field] = tombstone
        self.tombstones.append(tombstone)

    def _n_without(self, held: Iterable[str], day: str, name: str) -> int:
        counts = self.n_records[day, name]
        return sum(counts.values()) - sum(counts[conversation] for conversation in held)

    def result(self) -> RetentionVerification:
        held = set(self.tombstones[-1].held) if self.tombstones else set[str]()
        for turn in self.turns:
            self._see_that_it_is_told(turn, held)
        for turn in self.turns:
            self._see_that_it_is_gone(turn, held)
        told = [
            f"{name} of {counted(n, 'turn')} by the rule of {counted(days, 'day')}" for (name, days), n in sorted(self.erased.items()) if n
        ]
        return RetentionVerification(tuple(told), tuple(self._open_points()))

    def _see_that_it_is_told(self, turn: _OpenedTurn, held: Set[str]) -> None:
        """Raises AuditError for a field that cannot be read and whose erasure nothing after the turn tells."""
        if self.erasures.get(turn.subject, 0) > turn.sequence:
            return
        for name in turn.missing:
            tombstone = self._told_of(turn, name)
            if tombstone is None:
                raise self.bad(turn.sequence, f"its {name} cannot be read, and no erasure and no rule of retention tells why")
            if turn.conversation in held and turn.conversation in tombstone.held:
                raise self.bad(turn.sequence, f"its {name} cannot be read, though its conversation is held")

    def _told_of(self, turn: _OpenedTurn, name: str) -> Retention | None:
        """The tombstone after a turn that tells of the erasure of one of its fields."""
        tombstone = self.told.get((turn.day, name))
        return tombstone if tombstone is not None and tombstone.sequence > turn.sequence else None

    def _see_that_it_is_gone(self, turn: _OpenedTurn, held: Set[str]) -> None:
        """Raises AuditError for a field that can be read though a tombstone tells that it is erased, unless it is held."""
        for name in turn.readable if turn.conversation not in held else ():
            if self._told_of(turn, name) is not None:
                raise self.bad(turn.sequence, f"a tombstone tells that its {name} is erased, and it can be read: run audit retain again")

    def _open_points(self) -> Iterable[str]:
        if self.n_records and self.keys is None:
            yield "whether what is sealed can be read but for what the rules erased (give --keys)"
        if self.tombstones and self.rules is None:
            yield "whether the rules of that time were the ones that you know (give --rules)"

    def bad(self, sequence: int, message: str) -> AuditError:
        return AuditError(f"{self.name}: record {sequence}: {message}", file=self.name, line=sequence, hint=_HINT)
