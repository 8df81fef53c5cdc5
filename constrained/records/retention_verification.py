"""Verifies tombstones: nothing was erased before its age, nothing else than they tell, and what they tell was erased."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from constrained.errors import AuditError
from constrained.records.log import Readable, verified
from constrained.records.record import Chained, Erasure, Record, Retention
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


@dataclass(slots=True)
class _Check:
    name: str
    keys: SubjectKeys | None
    rules: RetentionRules | None
    now: datetime
    tombstones: list[Retention] = field(default_factory=list)
    n_records: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    unread: list[tuple[Record, tuple[str, ...]]] = field(default_factory=list)
    read: list[Record] = field(default_factory=list)
    erasures: dict[str, int] = field(default_factory=dict)  # pseudonym -> sequence of the last erasure
    told: dict[tuple[str, str], Retention] = field(default_factory=dict)  # (day, field) -> the last tombstone of it
    erased: Counter[tuple[str, int]] = field(default_factory=Counter)  # (field, days it was kept) -> turns

    def add(self, entry: Chained) -> None:
        at = getattr(entry, "at", "")
        if at and self.tombstones and datetime.fromisoformat(at) + SKEW < datetime.fromisoformat(self.tombstones[-1].at):
            raise self.bad(self.tombstones[-1], "it is dated after entries that follow it: an age may have been made up")
        if isinstance(entry, Erasure):
            self.erasures[entry.subject] = entry.sequence
        elif isinstance(entry, Retention):
            self._add_tombstone(entry)
        elif isinstance(entry, Record) and entry.sealed is not None:
            self._add_turn(entry)

    def _add_turn(self, record: Record) -> None:
        assert record.sealed is not None
        if record.sealed.day not in ("", sealing_day(record)):
            raise self.bad(record, f"it is sealed under the keys of {record.sealed.day}, which is not its day")
        for name in record.sealed.parts:
            self.n_records[record.sealed.day, name][record.conversation] += 1
        if self.keys is None:
            return
        _, missing = unsealed_parts(record, self.keys)  # raises where what is sealed was changed
        if missing:
            self.unread.append((record, missing))
        if record.sealed.parts and len(missing) < len(record.sealed.fields):
            self.read.append(record)

    def _add_tombstone(self, tombstone: Retention) -> None:
        at = datetime.fromisoformat(tombstone.at)
        if at > self.now + SKEW:
            raise self.bad(tombstone, "it is dated in the future: an age may have been made up")
        for one in tombstone.erased:
            limit = last_erased_day(at, one.kept_days)
            if any(date.fromisoformat(day) > limit for day in one.days):
                raise self.bad(tombstone, f"{one.field} of {max(one.days)} was erased before it was {one.kept_days} days old")
            asked = self.rules.kept_days(one.field) if self.rules is not None else one.kept_days
            if asked is None or one.kept_days < asked:
                raise self.bad(tombstone, f"{one.field} was erased after {one.kept_days} days; the rules keep it {asked or 'for ever'}")
            counts = {day: self._n_without(tombstone.held, day, one.field) for day in set(one.days)}
            if sum(counts.values()) != one.n_records or len(counts) < len(one.days):
                raise self.bad(tombstone, f"it tells of {one.n_records} turns that lost {one.field}, and there are {sum(counts.values())}")
            for day, count in counts.items():
                self.erased[one.field, one.kept_days] += 0 if (day, one.field) in self.told else count  # a second run may finish a first
                self.told[day, one.field] = tombstone
        self.tombstones.append(tombstone)

    def _n_without(self, held: Iterable[str], day: str, name: str) -> int:
        counts = self.n_records[day, name]
        return sum(counts.values()) - sum(counts[conversation] for conversation in held)

    def result(self) -> RetentionVerification:
        for record, missing in self.unread:
            self._see_that_it_is_told(record, missing)
        for record in self.read:
            self._see_that_it_is_gone(record)
        told = [
            f"{name} of {counted(n, 'turn')} by the rule of {counted(days, 'day')}" for (name, days), n in sorted(self.erased.items()) if n
        ]
        return RetentionVerification(tuple(told), tuple(self._open_points()))

    def _see_that_it_is_told(self, record: Record, missing: Iterable[str]) -> None:
        """Raises AuditError for a field that cannot be read and whose erasure nothing after the record tells."""
        assert record.sealed is not None
        if self.erasures.get(record.sealed.subject, 0) > record.sequence:
            return
        for name in missing:
            tombstone = self._told_of(record, name)
            if tombstone is None:
                raise self.bad(record, f"its {name} cannot be read, and no erasure and no rule of retention tells why")
            if record.conversation in set(tombstone.held) & set(self.tombstones[-1].held):
                raise self.bad(record, f"its {name} cannot be read, though its conversation is held")

    def _told_of(self, record: Record, name: str) -> Retention | None:
        """The tombstone after a record that tells of the erasure of one of its fields."""
        assert record.sealed is not None
        tombstone = self.told.get((record.sealed.day, name))
        return tombstone if tombstone is not None and tombstone.sequence > record.sequence else None

    def _see_that_it_is_gone(self, record: Record) -> None:
        """Raises AuditError for a field that can be read though a tombstone tells that it is erased, unless it is held."""
        assert record.sealed is not None
        assert self.keys is not None
        held = set(self.tombstones[-1].held) if self.tombstones else set()
        if record.conversation in held:
            return
        for name, part in record.sealed.parts.items():
            if (
                self._told_of(record, name) is not None
                and self.keys.days.find_share(record.sealed.day, name, record.turn_id, part.key) is not None
            ):
                raise self.bad(record, f"a tombstone tells that its {name} is erased, and it can be read: run audit retain again")

    def _open_points(self) -> Iterable[str]:
        if self.n_records and self.keys is None:
            yield "whether what is sealed can be read but for what the rules erased (give --keys)"
        if self.tombstones and self.rules is None:
            yield "whether the rules of that time were the ones that you know (give --rules)"

    def bad(self, entry: Chained, message: str) -> AuditError:
        text = f"{self.name}: record {entry.sequence}: {message}"
        return AuditError(text, file=self.name, line=entry.sequence, hint=_HINT)
