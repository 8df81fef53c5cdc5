"""A confirmation put again with a value that was corrected: "no, 78" to "Shall I file a claim for parcel 77?".

The events of the procedure are run once more, with the new value in the place of the one that was heard before. What was answered
since stays answered as far as it fits. Nothing that the host has done is run again: a value that an effect rests on stays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from constrained.errors import ProcedureError
from constrained.logic.state import Event, Frame
from constrained.procedures.run import DONE, FAILED, ProcedureDefinition, ProcedureRun, heard_text
from constrained.procedures.steps import Step
from constrained.understanding.hearing import Understanding


def amend(
    definition: ProcedureDefinition, frame: Frame, step: Step, heard: Understanding | None, corrections: Sequence[str], *, may_begin: bool
) -> tuple[Frame, ProcedureRun] | None:
    """The procedure at a question that shows a value of this message in place of an earlier one; None where there is none.

    Args:
        frame: as it stands. step: at which it waits. corrections: fields of Heard that may be corrected.
        may_begin: whether the policy would begin the procedure by what was heard now; it is not begun otherwise.
    """
    if heard is None or step.kind != "confirm" or not corrections:
        return None
    named = _named(heard_text(heard))
    for name in corrections:
        if name not in named or name in step.fields:
            continue
        found = _amended(definition, frame, name, named[name], may_begin=may_begin)
        if found is not None and _shown(found[1].step) != _shown(step):
            return found
    return None


def _amended(definition: ProcedureDefinition, frame: Frame, name: str, value: Any, *, may_begin: bool) -> tuple[Frame, ProcedureRun] | None:
    events = frame.events
    heard = [_named(event.heard) for event in events]
    place = max((index for index, one in enumerate(heard) if name in one), default=0)
    if heard[place].get(name) == value or (place == 0 and not may_begin):
        return None
    if any(event.answer in (DONE, FAILED) for event in events[place + 1 :]):
        return None
    texts = json.loads(events[place].heard) | {name: value}
    changed = events[place].model_copy(update={"heard": json.dumps(texts, ensure_ascii=False, separators=(",", ":"))})
    for end in range(len(events), place, -1):
        kept = _frame_of(frame, (*events[:place], changed, *events[place + 1 : end]))
        try:
            run = ProcedureRun.of(definition, kept)
        except ProcedureError:  # what was answered then does not fit the new value
            continue
        return (kept, run) if run.step is not None and run.step.kind in ("ask", "confirm") else None
    return None


def _named(heard: str) -> dict[str, Any]:
    """The fields that hold something."""
    return {name: value for name, value in json.loads(heard).items() if value is not None}


def _frame_of(frame: Frame, events: tuple[Event, ...]) -> Frame:
    return Frame.model_construct(name=frame.name, version=frame.version, code=frame.code, events=events)


def _shown(step: Step | None) -> tuple[Any, ...]:
    """What a question says."""
    return (step.id, *sorted((name, str(value)) for name, value in step.offer.slots.items())) if step is not None else ()
