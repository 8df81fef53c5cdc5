"""Decides recorded turns with a model: each in a conversation that goes on from the turns recorded before it. Knows no log."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import fields
from datetime import datetime
from pathlib import Path

from constrained.audit.record import Record
from constrained.audit.redecide import Decide, Reply
from constrained.choice import Engine, Speaker
from constrained.cli.loading import load_engine, loading
from constrained.dialogue import Dialogue
from constrained.errors import CalibrationError
from constrained.logic.policy import Policy
from constrained.memory import Memory


def engine_for(model: str, calibration: Path | None) -> Engine:
    """The engine of a model, with the calibration of a JSON file in place of its own."""
    if calibration is None:
        return load_engine(model)
    load_engine(model)  # tells what is missing, with the command that gets it
    from constrained.decoding.calibration import Calibration
    from constrained.engines.transformers import TransformersEngine

    try:
        values = json.loads(calibration.read_text(encoding="utf-8"))
        given = Calibration(**{name: float(value) for name, value in values.items()})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        names = ", ".join(field.name for field in fields(Calibration))
        raise CalibrationError(f"{calibration} is no calibration: {error}", hint=f"a JSON object of {names}") from error
    with loading(f"loading {model}"):
        return TransformersEngine(model, calibration=given)


def deciding(policy: Policy, engine: Engine, threshold: float | None) -> Decide:
    """Asks the model anew: what it hears as well. The records must come in the order of the log."""
    histories: dict[str, list[tuple[Speaker, str]]] = defaultdict(list)

    def decide(record: Record) -> Reply:
        history = histories[record.conversation]
        dialogue = Dialogue(
            policy,
            engine=engine,
            locale=record.locale,
            threshold=record.decision.threshold if threshold is None else threshold,
            conversation=record.conversation,
            drafts=True,
            now=lambda: datetime.fromisoformat(record.at),
        )
        dialogue.resume(Memory(said=record.said, history=tuple(history), number=record.number - 1))
        state = policy.state_type.from_json(record.state)
        history += [("user", record.message), ("reply", record.text)]
        turn = dialogue.reply(record.message, state)
        return Reply(turn.response_id, turn.text, tuple(map(str, turn.effects)))

    return decide
