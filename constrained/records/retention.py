"""Erases what has reached its age: the keys of its day are destroyed, no line of the log changes, and the log tells it.

A tombstone (``Retention``) is written first and the keys are destroyed after it: what a crash interrupts is finished by the next run, and
a key that is missing without a tombstone is found (``retention_verification``). Held conversations keep what they need of a day's key.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from constrained.errors import AuditError
from constrained.records.key_files import turn_name
from constrained.records.log import Log, Readable
from constrained.records.record import ErasedField, Retention
from constrained.records.retention_rules import PERSONS, RetentionRules, last_erased_day
from constrained.records.sealing import SENSITIVE, SubjectKeys, erase


@dataclass(slots=True)
class RetentionRun:
    """What one run erased, or would erase.

    Attributes:
        erased: field by field. persons: pseudonyms whose keys were destroyed.
        n_held: fields of held conversations that were kept. n_let_go: of conversations that are not held any more.
        n_out_of_reach: turns older than a rule says that are not sealed day by day: their fields cannot be erased one by one.
        sequence: of the tombstone; 0 where none was needed.
    """

    erased: tuple[ErasedField, ...] = ()
    persons: tuple[str, ...] = ()
    n_held: int = 0
    n_let_go: int = 0
    n_out_of_reach: int = 0
    sequence: int = 0

    def lines(self, verb: str = "erased") -> Iterator[str]:
        """For people, one fact a line."""
        for one in self.erased:
            yield f"{verb}: {one.field} of {counted(one.n_records, 'turn')} older than {counted(one.kept_days, 'day')}"
        if self.persons:
            yield f"{verb}: the keys of {counted(len(self.persons), 'person')}"
        if self.n_held:
            yield f"held: {counted(self.n_held, 'field')} of conversations under legal hold"
        if self.n_let_go:
            yield f"{verb}: {counted(self.n_let_go, 'field')} of conversations that are not held any more"
        if self.n_out_of_reach:
            yield f"out of reach: {counted(self.n_out_of_reach, 'turn')} not sealed day by day; only a person's key erases them"


def counted(number: int, what: str) -> str:
    """A number of things, for people."""
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def retain(
    log: Log, store: Readable, keys: SubjectKeys, rules: RetentionRules, *, now: datetime, by: str, is_dry: bool = False
) -> RetentionRun:
    """Erases what has reached its age.

    Args:
        log: where the tombstone goes. store: the same log, for reading. is_dry: says what would be erased, and changes nothing.

    Raises AuditError where the log or the keys cannot be used. Running it again finishes what was interrupted.
    """
    survey = Survey.of(store)
    due = survey.due(keys, rules, now)
    run = RetentionRun(n_out_of_reach=survey.n_out_of_reach(rules, now))
    run.erased = tuple(
        ErasedField(field=name, kept_days=kept, days=days, n_records=sum(survey.n_records(day, name, rules.held) for day in days))
        for name, (kept, days) in due.items()
    )
    run.persons = tuple(survey.persons(keys, rules, now))
    held = [(day, one, name) for name, (_, days) in due.items() for day in days for one in survey.held(day, name, rules.held)]
    staying = survey.held_names(rules.held)
    let_go = [one for one in keys.days.held() if one not in staying]
    run.n_held, run.n_let_go = len(held), len(let_go)
    if is_dry:
        return run
    for day, one, name in held:
        keys.days.hold(day, name, one.turn_id, one.parts[name])
    if run.erased or let_go:
        tombstone = Retention(at=now.isoformat(), by=by, rules=rules.hash, erased=run.erased, held=tuple(sorted(rules.held)))
        run.sequence = log.append(tombstone).sequence
    for name, (_, days) in due.items():
        for day in days:
            keys.days.destroy(day, name)
    for name, turn in let_go:
        keys.days.let_go(name, turn)
    for pseudonym in run.persons:
        erase(log, keys, pseudonym, by=by, reason=f"retention: {rules.days[PERSONS]} days", at=now)
    return run


@dataclass(frozen=True, slots=True)
class SealedTurn:
    """What retention must know of a sealed turn. ``parts``: field -> the name of its day's key; empty where it is not sealed by day."""

    turn_id: str
    conversation: str
    subject: str
    day: str
    parts: Mapping[str, str]


@dataclass(slots=True)
class Survey:
    """The turns of a log, counted by day, field and conversation."""

    counts: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    plain: Counter[str] = field(default_factory=Counter)  # day -> turns that are not sealed day by day
    last_days: dict[str, str] = field(default_factory=dict)  # of a person: the newest turn
    conversations: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # of a person
    turns: dict[str, list[SealedTurn]] = field(default_factory=lambda: defaultdict(list))  # by conversation

    @classmethod
    def of(cls, store: Readable) -> Survey:
        survey = cls()
        for turn in sealed_turns(store.lines(), store.name):
            survey.add(turn)
        return survey

    def add(self, turn: SealedTurn) -> None:
        if turn.subject:
            self.last_days[turn.subject] = max(self.last_days.get(turn.subject, ""), turn.day)
            self.conversations[turn.subject].add(turn.conversation)
        if not turn.parts:
            self.plain[turn.day] += 1
            return
        self.turns[turn.conversation].append(turn)
        for name in turn.parts:
            self.counts[turn.day, name][turn.conversation] += 1

    def due(self, keys: SubjectKeys, rules: RetentionRules, now: datetime) -> dict[str, tuple[int, tuple[str, ...]]]:
        """Field -> days that it is kept, and the days whose keys are there and past that."""
        found: dict[str, list[str]] = defaultdict(list)
        for day, name in keys.days.present():
            last = rules.last_day(name, now)
            if last is not None and day <= last.isoformat():
                found[name].append(day)
        kept = {name: rules.kept_days(name) or 0 for name in found}
        return {name: (kept[name], tuple(sorted(found[name]))) for name in SENSITIVE if name in found}

    def n_records(self, day: str, name: str, held: Iterable[str] = ()) -> int:
        """Turns of a day with this field, without those of held conversations."""
        counts = self.counts.get((day, name), Counter())
        return sum(counts.values()) - sum(counts[conversation] for conversation in held)

    def held(self, day: str, name: str, held: Iterable[str]) -> list[SealedTurn]:
        return [
            turn for conversation in sorted(held) for turn in self.turns.get(conversation, ()) if turn.day == day and name in turn.parts
        ]

    def held_names(self, held: Iterable[str]) -> set[tuple[str, str]]:
        """Pairs of field and turn, as ``DayKeys.held`` gives them, that stay held."""
        turns = [turn for conversation in held for turn in self.turns.get(conversation, ())]
        return {(name, turn_name(turn.turn_id)) for turn in turns for name in turn.parts}

    def persons(self, keys: SubjectKeys, rules: RetentionRules, now: datetime) -> Iterator[str]:
        """Persons of whom nothing is newer than the rule says, who are in no held conversation, and whose key is there."""
        if PERSONS not in rules.days:
            return
        last = last_erased_day(now, rules.days[PERSONS]).isoformat()
        for subject, day in sorted(self.last_days.items()):
            if day <= last and not self.conversations[subject] & rules.held and keys.find(subject) is not None:
                yield subject

    def n_out_of_reach(self, rules: RetentionRules, now: datetime) -> int:
        limits = [limit.isoformat() for name in SENSITIVE if (limit := rules.last_day(name, now)) is not None]
        return sum(count for day, count in self.plain.items() if limits and day <= max(limits))


def sealed_turns(lines: Iterable[bytes], name: str) -> Iterator[SealedTurn]:
    """What retention must know of every turn of a log. The lines are not verified here. Raises AuditError for one that is none."""
    for number, line in enumerate(lines, 1):
        try:
            content = json.loads(line)
            if content.get("kind", "turn") == "turn":
                yield _turn_of(content)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            hint = "constrained audit verify names what is wrong"
            raise AuditError(f"{name}:{number}: the line is no entry", file=name, line=number, hint=hint) from error


def _turn_of(content: Mapping[str, Any]) -> SealedTurn:
    sealed = content.get("sealed") or {}
    parts = {name: part["key"] for name, part in sealed.get("parts", {}).items()}
    day = sealed.get("day") or content["at"][:10]
    return SealedTurn(content["turn_id"], content["conversation"], sealed.get("subject", ""), day, parts)
