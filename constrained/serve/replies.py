"""From a Turn to its reply: all words are those of the Turn and its record."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from constrained._values import parse_source
from constrained.catalog.contexts import Context
from constrained.dialogue.turn import Turn
from constrained.logic.effects import Effect
from constrained.logic.options import Option, with_it
from constrained.logic.policy import Policy
from constrained.records.record import Record, portable, to_json
from constrained.serve.wire import (
    BlockedReply,
    DecisionReply,
    EffectReply,
    EffectsOutcome,
    HeardReply,
    ObligationReply,
    OptionReply,
    Source,
    TurnReply,
)


def make_reply(
    turn: Turn,
    policy: Policy,
    *,
    conversation: str,
    pack: str,
    engine: str,
    outcome: EffectsOutcome,
    degraded: str,
    context: Context = "plain",
    is_real: bool = True,
) -> TurnReply:
    """The reply before its effects ran; see ``with_effects_outcome`` and ``with_seal``. ``is_real``: no turn taken again to compare."""
    record, decision = turn.record, turn.decision
    return TurnReply.model_construct(
        turn_id=turn.id,
        conversation=conversation,
        number=record.number,
        pack=pack,
        engine=engine,
        response_id=turn.response_id,
        text=turn.text,
        said=turn.said,
        voices=turn.voices,
        slots=to_json(decision.chosen.slots),
        effects=tuple(map(_effect, turn.effects)),
        effects_outcome=outcome,
        source=source_of(turn, policy),
        degraded=degraded,
        decision=_decision(turn, record),
        heard=_heard(turn, policy),
        blocked=tuple(BlockedReply.model_construct(id=one["id"], reason=one["reason"], line=one["line"]) for one in record.blocked),
        obligations=_obligations(turn, policy),
        goes_on=turn.goes_on,
        handover=is_real and any(one.kind.handover for one in turn.effects),
        offered=turn.offered,
        pending=turn.pending,
        approved=turn.approved,
        state_before=record.state,
        state_after=None if turn.effects else record.state,
        timings_ms=record.timings_ms,
        record=record.model_dump(mode="json"),
        rendered="" if context == "plain" else turn.text_in(context),
    )


def with_effects_outcome(reply: TurnReply, *, outcome: EffectsOutcome, error: str, state_after: dict[str, Any] | None) -> TurnReply:
    return reply.model_copy(update={"effects_outcome": outcome, "effects_error": error, "state_after": state_after})


def with_seal(reply: TurnReply, seal: Mapping[str, Any]) -> TurnReply:
    """The reply with its record's place in the log."""
    return reply.model_copy(update={"record": {**reply.record, **seal}}) if seal else reply


def seal_of(record: Record) -> dict[str, Any]:
    return {"sequence": record.sequence, "previous": record.previous, "hash": record.hash}


def source_of(turn: Turn, policy: Policy) -> Source:
    """``fallback`` when it is what was said, whoever chose it; else who chose."""
    if turn.response_id == policy.catalog.fallback:
        return "fallback"
    return "rules" if turn.decision.mode == "rules" else "model"


def _effect(effect: Effect) -> EffectReply:
    args, kwargs = tuple(map(to_json, effect.args)), {name: to_json(value) for name, value in effect.kwargs.items()}
    return EffectReply.model_construct(name=effect.name, args=args, kwargs=kwargs, call=str(effect))


def _decision(turn: Turn, record: Record) -> DecisionReply:
    decision = turn.decision
    return DecisionReply.model_construct(
        options=tuple(map(_option, decision.options, record.options)),
        chosen=decision.chosen.id,
        mode=decision.mode,
        margin=decision.margin,
        abstained=decision.abstained,
        threshold=decision.threshold,
        why=decision.why,
        decoding=record.decision.decoding or None,
    )


def _option(option: Option, entry: Any) -> OptionReply:
    effects = tuple(map(str, option.effects))
    return OptionReply.model_construct(
        id=option.id, text=option.text, slots=entry.slots, line=entry.line, probability=entry.probability, effects=effects
    )


def _obligations(turn: Turn, policy: Policy) -> tuple[ObligationReply, ...]:
    return tuple(
        ObligationReply.model_construct(id=one.id, text=one.text, line=portable(str(one.source), policy.file), is_after=one.is_after)
        for one in with_it(turn.decision.chosen, turn.trace.allowed.obligations)
    )


def _heard(turn: Turn, policy: Policy) -> tuple[HeardReply, ...]:
    if policy.heard_type is None or not turn.trace.heard:
        return ()
    questions, lines = policy.heard_type.__questions__, _question_lines(policy)
    return tuple(
        HeardReply.model_construct(
            name=one.name,
            question=questions[one.name].text,
            value=to_json(one.value),
            probability=one.probability,
            candidates=tuple(zip(one.candidates, one.probabilities, strict=True)),
            line=lines.get(one.name, ""),
        )
        for one in turn.trace.heard
    )


@lru_cache(maxsize=64)
def _question_lines(policy: Policy) -> dict[str, str]:
    """Field of Heard -> the line of the logic file in which its question is written."""
    names = {one.__name__ for one in policy.heard_type.__mro__} if policy.heard_type else set()
    classes = [node for node in ast.walk(parse_source(policy.source)) if isinstance(node, ast.ClassDef) and node.name in names]
    fields = [one for node in classes for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]
    name = Path(policy.file).name
    return {one.target.id: f"{name}:{one.lineno}" for one in fields if isinstance(one.target, ast.Name)}
