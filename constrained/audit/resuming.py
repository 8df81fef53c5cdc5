"""A conversation's memory out of its log: so that it goes on where a process died. Knows no engine and no file.

dialogue = Dialogue(policy, log=path, conversation=name, memory=memory_of(policy, log entries of that conversation))
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from constrained.approval.live import standing_at
from constrained.audit.record import Chained, Outcome, Record
from constrained.audit.replay import allowed_then, memory_then
from constrained.errors import ReplayError
from constrained.logic.policy import Policy
from constrained.logic.run import Ran, told
from constrained.memory import Memory

HISTORY_TURNS = 4


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
    lines = [line for one in records[-HISTORY_TURNS:] for line in (("user", one.message), ("reply", one.text))]
    return memory.model_copy(update={"history": tuple(lines)})


def memory_after(policy: Policy, record: Record, outcome: Outcome | None = None) -> Memory:
    """What logic remembers after a recorded turn, and after what the host told of its effects."""
    allowed, index = allowed_then(policy, record, standing_at(policy.catalog, record.versions)), record.decision.index
    if index >= len(allowed.options) or allowed.options[index].id != record.decision.chosen:
        message = f"turn {record.turn_id} does not come out as recorded, so what came of it is not known"
        raise ReplayError(message, turn_id=record.turn_id, line=record.sequence, hint="resume with the catalog and the logic of that day")
    before, now = memory_then(record), datetime.fromisoformat(record.at).timestamp()
    memory = Ran(policy.serving(before), before, allowed, now).after(allowed.options[index])
    if outcome is None:
        return memory
    done = [one.effect.partition("(")[0] for one in outcome.outcomes if one.status == "done"]
    failed = [one.effect.partition("(")[0] for one in outcome.outcomes if one.status != "done"]
    return told(memory, done, failed, number=record.number)
