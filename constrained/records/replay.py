"""Recorded turns once more, without a model: does the same record still give the same reply?

Everything but the model's answers is computed anew from the record: what the policy allows, the text, its
verification, the effects. What a model answered is taken from the record; the choice that follows from it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any, cast

from constrained.approval.in_force import ApprovalSnapshot, snapshot_at
from constrained.errors import ConstrainedError, ReplayError
from constrained.logic.acts import Ruling, choose_late, choose_option
from constrained.logic.allow import TurnOptions, allow, bark_of, likeliest, most_salient, rest_of, with_outcomes
from constrained.logic.clarifying import (
    OfferReading,
    may_stand_together,
    opened,
    read_open_offers,
    resolve,
    resolve_too_long,
    way_out_of,
)
from constrained.logic.evidence import ACT_THRESHOLD, evidence_of
from constrained.logic.objections import OTHER_ACT, OVERTAKEN
from constrained.logic.options import Allowed, Option, compose, with_it
from constrained.logic.policy import Policy
from constrained.logic.state import HISTORY_TURNS, Memory
from constrained.logic.wishes import Wish, answer_wishes
from constrained.procedures.run import heard_text
from constrained.records.record import ASKED_FORMAT, RULED_FORMAT, Chained, Outcome, Record, portable, to_json, versions
from constrained.understanding.answers import JUDGE, AnswerMeaning
from constrained.verify import verify

POOLED = 5  # format of records from which on responses of one intent share their probability


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the replay found otherwise than the record tells: ``what``, as recorded, as replayed."""

    what: str
    recorded: Any
    replayed: Any

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded!r}, replayed {self.replayed!r}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A turn taken again from its record. ``text`` is None when the turn could not be taken again.

    Where it differs and the record is masked, nothing follows: what may not be logged was taken out of what it was decided by.
    """

    record: Record
    text: str | None
    differences: tuple[Difference, ...]

    @property
    def is_same(self) -> bool:
        return not self.differences

    @property
    def is_undecidable(self) -> bool:
        """Whether it differs by what was masked, as far as can be told; that catalog and policy are the same is still told."""
        return bool(self.differences and self.record.masked)

    @property
    def error(self) -> ReplayError | None:
        """What differs, as an error to show or to raise; None when nothing does."""
        if self.is_same or self.is_undecidable:
            return None
        lines = "".join(f"\n    {difference}" for difference in self.differences)
        return ReplayError(
            f"turn {self.record.turn_id} (line {self.record.sequence}) does not come out as recorded{lines}",
            turn_id=self.record.turn_id,
            line=self.record.sequence,
            differences=self.differences,
            hint="replay with the catalog and the logic of that day; with those it means that one of them is not deterministic",
        )


def replay(policy: Policy, records: Iterable[Record], *, strict: bool = True) -> Iterator[Replayed]:
    """Takes each recorded turn again and compares.

    Args:
        strict: raise ReplayError at a record of another catalog or policy than ``policy``'s. With False that is
            a difference like any other, and the rest is still compared.
    """
    for record in records:
        replayed = _replayed(policy, record)
        if strict and any(difference.what in versions(policy) for difference in replayed.differences):
            raise _other_versions(policy, replayed)
        yield replayed


def _replayed(policy: Policy, record: Record) -> Replayed:
    differences = [
        Difference(name, record.versions.get(name), present)
        for name, present in versions(policy).items()
        if record.versions.get(name) != present
    ]
    text = None
    try:
        standing = snapshot_at(policy.catalog, record.versions)
        unsigned = standing.why_not_logic(date.fromisoformat(record.today))
        if unsigned:
            differences.append(Difference("logic", record.versions["logic"], f"these files: {unsigned}"))
        allowed = allowed_then(policy, record, standing)
        differences += _differences_allowed(record, allowed, policy.file)
        said = said_then(record, allowed)
        if said is not None:
            chosen, spoken = said
            text = compose(chosen, allowed.obligations, spoken)
            today, done = date.fromisoformat(record.today), record.memory.get("done", ())
            verify(text, chosen, allowed, policy.catalog, today, standing, done, spoken)
            differences += _differences_chosen(policy, record, allowed, chosen, text)
        else:
            differences.append(Difference("chosen", record.decision.chosen, None))
    except (ConstrainedError, ValueError) as error:
        differences.append(Difference("turn", record.text, f"{type(error).__name__}: {error}"))
    return Replayed(record, text, tuple(differences))


def allowed_then(policy: Policy, record: Record, standing: ApprovalSnapshot) -> Allowed:
    """What a policy allows in the recorded state, after what was heard. Raises ConstrainedError or ValueError where it cannot."""
    state = policy.state_type.from_json(record.state)
    heard = policy.heard_type.from_json({entry.name: entry.value for entry in record.heard}) if policy.heard_type else None
    today, now = date.fromisoformat(record.today), datetime.fromisoformat(record.at).timestamp()
    allowed = allow(policy, state, heard, memory_then(record), locale=record.locale, today=today, approvals=standing, now=now)
    resort = allowed.resort
    is_resorted = resort is not None and len(record.options) == len(allowed.options) + 1 and record.options[-1].id == resort.id
    return allowed.with_resort() if is_resorted else allowed


def said_then(record: Record, allowed: Allowed) -> tuple[Option, tuple[Option, ...]] | None:
    """What was chosen, and all that was said where that was more; None where that is not allowed any more."""
    sayable, places = allowed.sayable, (record.decision.index, *record.decision.spoken)
    if any(not 0 <= place < len(sayable) for place in places):
        return None
    return sayable[places[0]], tuple(sayable[place] for place in places[1:])


def memory_then(record: Record) -> Memory:
    """What the logic was given of the turns before."""
    return Memory.model_validate({**record.memory, "said": record.said, "number": record.number - 1})


def _differences_allowed(record: Record, allowed: Allowed, file: str) -> Iterator[Difference]:
    """Ids, slots and reasons. Where a line stands is a matter of the policy's hash, which is compared as such."""
    yield from _difference(
        "options", [(one.id, one.slots) for one in record.options], [(one.id, to_json(one.slots)) for one in allowed.options]
    )
    yield from _difference(
        "blocked",
        [(one.get("id"), _without_lines(one.get("reason", ""))) for one in record.blocked],
        [(one.response_id, _without_lines(portable(one.reason, file))) for one in allowed.blocked],
    )


def _without_lines(reason: str) -> str:
    """A reason that names a line of logic ("bank.py:710 allows only what it names"), without the line's number."""
    return re.sub(r"(?<=\.py):\d+", "", reason)


def _differences_chosen(policy: Policy, record: Record, allowed: Allowed, chosen: Option, text: str) -> Iterator[Difference]:
    yield from _difference(
        "obligations",
        [(one.id, one.slots, one.is_after) for one in record.obligations],
        [(one.id, to_json(one.slots), one.is_after) for one in with_it(chosen, allowed.obligations)],
    )
    yield from _difference("chosen", record.decision.chosen, chosen.id)
    yield from _difference("text", record.text, text)
    yield from _difference("effects", list(record.effects), [str(effect) for effect in chosen.effects])
    if len(record.options) != len(allowed.options):
        return  # told already: the options differ
    if record.format >= RULED_FORMAT and record.decision.act_threshold is not None:
        yield from _differences_ruled(policy, record, allowed)
    elif record.decision.mode != "rules":
        is_fallback = _by_probabilities(policy, record, allowed.options) is not _best(record, allowed.options)[0]
        yield from _difference("abstained", record.decision.abstained, is_fallback)
    expected = expected_then(policy, record, allowed, record.decision.threshold)
    if expected is None:
        yield Difference("choice", record.decision.chosen, None)
    elif expected[0] is not chosen or expected != said_then(record, allowed):
        yield Difference("choice", record.decision.chosen, expected[0].id)


def expected_then(policy: Policy, record: Record, allowed: Allowed, threshold: float) -> tuple[Option, tuple[Option, ...]] | None:
    """What is chosen, and all that is said where that is more, by what was recorded of the message and of the engine's answers.

    None where the message would not be taken now for the answer, or for too long, as it was.
    """
    memory, catalog, how = memory_then(record), policy.catalog, record.decision.how
    if how == "bark":
        bark = bark_of(allowed, catalog, memory)
        return (bark, ()) if bark is not None else None
    if how == "too_long":
        found = resolve_too_long(allowed, catalog, record.said)
        return (found.chosen, found.spoken) if found is not None else None
    if how in ("agreed", "declined", "offered_again"):
        found = resolve(allowed, catalog, _read_then(record, memory), memory.open_offers)
        return (found.chosen, found.spoken) if found is not None else None
    if record.decision.mode == "rules":
        chosen, spoken = by_rules(record, allowed.options, catalog.fallback), tuple[Option, ...]()
    elif record.format >= RULED_FORMAT and record.decision.act_threshold is not None:
        ruling = ruled_then(policy, record, allowed, _probabilities(record), threshold)
        chosen, spoken = ruling.chosen, ruling.spoken
    else:
        chosen, spoken = _by_probabilities(policy, record, allowed.options), ()
    if how == "two_wishes":
        wishes = [Wish(place, probability) for place, probability in record.decision.wishes if place < len(allowed.options)]
        answered = answer_wishes(policy, memory, allowed, chosen, wishes, _time_of(record)) if wishes else None
        return (chosen, answered[0].spoken) if answered is not None else None
    way_out = way_out_of(allowed, catalog, chosen, memory) if how == "way_out" else None
    return (way_out, ()) if way_out is not None else (chosen, spoken)


def _read_then(record: Record, memory: Memory) -> OfferReading | None:
    """The message as an answer to the open offers: as it is read now, or as another judge than the present one read it."""
    reading = read_open_offers(memory, record.message, record.locale)
    if record.decision.judge == JUDGE or reading is None or record.decision.how not in ("agreed", "declined", "offered_again"):
        return reading
    meant = memory.open_offers[0] if len(memory.open_offers) == 1 else reading.offer
    offer = next((one for one in memory.open_offers if one.id == record.decision.chosen), meant)
    answer = cast("AnswerMeaning", record.decision.answer)
    return OfferReading(answer, offer if answer == "yes" and record.decision.how == "agreed" else None)


def _probabilities(record: Record) -> list[float]:
    return [-1.0 if entry.probability is None else entry.probability for entry in record.options]


def _differences_ruled(policy: Policy, record: Record, allowed: Allowed) -> Iterator[Difference]:
    """What the message was evidence for is found anew; what another judge than the present one found is taken from the record."""
    ruling = ruled_then(policy, record, allowed, _probabilities(record), record.decision.threshold)
    yield from _difference("withheld", [entry.withheld for entry in record.options], list(ruling.withheld))
    yield from _difference("answer", record.decision.answer, ruling.answer or "")
    yield from _difference("abstained", record.decision.abstained, ruling.abstained)
    if record.decision.how not in ("two_wishes", "way_out"):  # then it is not the ruling's choice that was said
        yield from _difference("asks", list(record.decision.asks), list(ruling.asks))


def ruled_then(policy: Policy, record: Record, allowed: Allowed, probabilities: Sequence[float], threshold: float) -> Ruling:
    """The choice by these probabilities, one per option, and by what the recorded message was evidence for."""
    options = allowed.options
    decision, memory = record.decision, memory_then(record)
    is_spent = (reading := _read_then(record, memory)) is not None and reading.meaning == "yes"
    is_other_judge = decision.judge not in ("", JUDGE)
    ruled = (cast("AnswerMeaning | None", decision.answer or None), tuple(entry.withheld for entry in record.options))
    act_threshold = ACT_THRESHOLD if decision.act_threshold is None else decision.act_threshold
    counts_tries = decision.how == "tried"  # where it was not, the rule may have been another one
    evidence = evidence_of(policy, memory, options, record.message, record.locale, act_threshold, is_spent=is_spent)
    withheld = {entry.withheld for entry in record.options}  # where none was withheld for it, likewise
    evidence = replace(evidence, counts_tries=counts_tries, is_overtaken=OVERTAKEN in withheld, is_other_act=OTHER_ACT in withheld)
    return choose_option(
        options,
        probabilities,
        fallback=policy.catalog.fallback,
        threshold=threshold,
        evidence=evidence,
        ruled=ruled if is_other_judge and len(record.options) == len(options) else None,
        offers=allowed.offers if record.format >= ASKED_FORMAT else (),
        may_pair=partial(may_stand_together, policy, memory, allowed, _time_of(record)),
    )


def _time_of(record: Record) -> float:
    return datetime.fromisoformat(record.at).timestamp()


def by_rules(record: Record, options: Sequence[Option], fallback: str) -> Option:
    """As without a model. A turn that was late with one: by the rule of its time, that of ``choose_late`` or the one before it."""
    harmless = [option for option in options if not option.effects]
    had_engine = record.versions.get("engine") != "none" or "degraded" in record.versions  # one that failed, or had no time
    is_late = had_engine and len(options) > 1
    if is_late and record.format >= RULED_FORMAT:
        return choose_late(options, fallback, record.said)
    return most_salient(harmless if is_late and harmless else options, record.said)


def _by_probabilities(policy: Policy, record: Record, options: Sequence[Option]) -> Option:
    best, probability = _best(record, options)
    fallback = rest_of(options, policy.catalog.fallback)
    if fallback is not None and best is not fallback and probability < record.decision.threshold:
        return fallback
    return best


def _best(record: Record, options: Sequence[Option]) -> tuple[Option, float]:
    probabilities = _probabilities(record)
    if record.format >= POOLED:
        return likeliest(options, probabilities)
    best = max(range(len(options)), key=probabilities.__getitem__)
    return options[best], probabilities[best]


def _difference(what: str, recorded: Any, replayed: Any) -> Iterator[Difference]:
    if recorded != replayed:
        yield Difference(what, recorded, replayed)


def _other_versions(policy: Policy, replayed: Replayed) -> ReplayError:
    record = replayed.record
    told = "; ".join(str(difference) for difference in replayed.differences if difference.what in versions(policy))
    return ReplayError(
        f"turn {record.turn_id} (line {record.sequence}) was taken with another catalog or policy: {told}",
        turn_id=record.turn_id,
        line=record.sequence,
        differences=replayed.differences,
        hint="replay with the files of that day, or with strict=False to see what they would give today",
    )


# -- A conversation's memory out of its log: so that it goes on where a process died. --


def memory_of(policy: Policy, entries: Iterable[Chained]) -> Memory:
    """The memory after the last turn of these entries, which are of one conversation, in order.

    Raises ReplayError when the last turn does not come out of this policy and catalog any more.
    """
    records: list[Record] = []
    outcomes: dict[str, Outcome] = {}
    for entry in entries:
        if isinstance(entry, Record):
            records.append(entry)
        elif isinstance(entry, Outcome):
            outcomes[entry.turn_id] = entry
    if not records:
        return Memory()
    memory = memory_after(policy, records[-1], outcomes.get(records[-1].turn_id))
    talk = [one for one in records if one.decision.how != "bark"]
    lines = [line for one in talk[-HISTORY_TURNS:] for line in (("user", one.message), ("reply", one.text))]
    return memory.model_copy(update={"history": tuple(lines)})


def memory_after(policy: Policy, record: Record, outcome: Outcome | None = None) -> Memory:
    """What logic remembers after a recorded turn, and after what the host told of its effects."""
    allowed = allowed_then(policy, record, snapshot_at(policy.catalog, record.versions))
    said = said_then(record, allowed)
    if said is None or said[0].id != record.decision.chosen or set(record.masked) & {"state", "heard", "options", "memory"}:
        message = f"turn {record.turn_id} does not come out as recorded, so what came of it is not known"
        raise ReplayError(message, turn_id=record.turn_id, line=record.sequence, hint="resume with the catalog and the logic of that day")
    before, now = memory_then(record), datetime.fromisoformat(record.at).timestamp()
    heard = policy.heard_type.from_json({entry.name: entry.value for entry in record.heard}) if policy.heard_type else None
    open_offers = opened(allowed, said[0], record.decision.asks, heard_text(heard))
    memory = TurnOptions(policy.serving(before), before, allowed, now).after(*said, open_offers, is_tried=record.decision.how == "tried")
    if outcome is None:
        return memory
    done = [one.effect.partition("(")[0] for one in outcome.outcomes if one.status == "done"]
    failed = [one.effect.partition("(")[0] for one in outcome.outcomes if one.status != "done"]
    return with_outcomes(memory, done, failed, number=record.number)
