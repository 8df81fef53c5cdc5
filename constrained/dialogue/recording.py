"""The record of a turn that is about to be released: what was true, heard, allowed and decided, as JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from constrained.approval.in_force import ApprovalSnapshot
from constrained.catalog.response import Approval, Response, version_hash
from constrained.dialogue.context import TurnContext, static_id
from constrained.dialogue.turn import Decision
from constrained.engines.protocol import Engine
from constrained.errors import AuditError, ConstrainedError, EngineError
from constrained.logic.effects import risk_of
from constrained.logic.options import Allowed, Obligation, Option, with_it
from constrained.logic.policy import Policy
from constrained.logic.state import Memory
from constrained.records.record import (
    ASKED_FORMAT,
    FORMAT,
    RULED_FORMAT,
    DecisionEntry,
    HeardEntry,
    ObligationEntry,
    OptionEntry,
    ProcedureEntry,
    Record,
    library,
    portable,
    prompt_hash,
    to_json,
    versions,
)
from constrained.understanding.hearing import Hearing

VERSION_LENGTH = len("sha256:") + 16  # of a version's hash: enough to find it; the ledger, named by its head, holds it in full


def make_record(
    policy: Policy,
    context: TurnContext,
    hearings: tuple[Hearing, ...],
    allowed: Allowed,
    decision: Decision,
    text: str,
    *,
    conversation: str,
    memory: Memory,
    engine: Engine | None,
) -> Record:
    """The record of a turn that is about to be released. Raises AuditError where a value has no form in JSON, EngineError."""
    try:
        return _made(policy, context, hearings, allowed, decision, text, conversation, memory, engine)
    except ConstrainedError:
        raise
    except Exception as error:  # values of a host's State that JSON has no form for
        hint = "state, slots and names must be values that JSON has a form for"
        raise AuditError(f"turn {context.id} cannot be recorded: {error}", hint=hint) from error


def _made(
    policy: Policy,
    context: TurnContext,
    hearings: tuple[Hearing, ...],
    allowed: Allowed,
    decision: Decision,
    text: str,
    conversation: str,
    memory: Memory,
    engine: Engine | None,
) -> Record:
    file, obligations = policy.file, with_it(decision.chosen, allowed.obligations)
    offered: tuple[Option | Obligation, ...] = (*decision.options, *_besides(decision), *obligations)
    number = _format(decision, memory)
    return Record(
        format=number,
        turn_id=context.id,
        conversation=conversation,
        number=memory.number + 1,
        at=context.now.isoformat(),
        today=context.today.isoformat(),
        locale=context.locale,
        versions=_versions(policy, engine) | context.approvals.versions(),
        prompt="" if engine is None else _prompt(policy, context, memory),
        approvals=_approvals(offered, context.approvals),
        message=context.message,
        state=context.state.model_dump(mode="json"),
        said=dict(memory.said),
        heard=tuple(HeardEntry(name=one.name, value=to_json(one.value), probability=one.probability, judge=one.judge) for one in hearings),
        options=_options(decision, file, number),
        obligations=tuple(
            ObligationEntry(id=one.id, slots=to_json(one.slots), line=portable(str(one.source), file), is_after=one.is_after, rule=one.rule)
            for one in obligations
        ),
        blocked=tuple(
            {"id": one.response_id, "line": portable(str(one.source), file), "reason": portable(one.reason, file)}
            for one in allowed.blocked
        ),
        decision=_decision(decision, allowed, number),
        text=text,
        effects=tuple(map(str, decision.chosen.effects)),
        timings_ms=dict(context.timings_ms),
        procedure=_procedure(policy, memory, decision.chosen) if policy.procedures.definitions else None,
        memory=memory.to_record(),
        sensitive=_sensitive_fields(policy, hearings, offered),
    )


def _versions(policy: Policy, engine: Engine | None) -> dict[str, str]:
    """Names and hashes of what was in force: catalog, policy, library, engine."""
    names = versions(policy) | {"library": library()}
    if engine is None:
        return names | {"engine": "none"}
    try:
        return {str(name): str(value) for name, value in engine.identity.items()} | names
    except Exception as error:
        raise EngineError(f"the engine cannot name its model: {type(error).__name__}: {error}", hint="see Engine.identity") from error


def _prompt(policy: Policy, context: TurnContext, memory: Memory) -> str:
    """The hash of what the model was given to read."""
    return prompt_hash(static_id(policy, context.locale), context.state.model_dump_json(), memory.history, context.plain)


def _procedure(policy: Policy, memory: Memory, chosen: Option) -> ProcedureEntry | None:
    """Where the innermost procedure stood and stands."""
    stood = policy.procedures.position(memory)
    running = memory.running if chosen.running is None else chosen.running
    stands = policy.procedures.position(Memory(running=running))
    at = stands or stood
    if at is None:
        return None
    is_moved = chosen.running is not None and running != memory.running
    grown = running[-1] if is_moved and running else None
    return ProcedureEntry(
        name=at.procedure,
        version=at.version,
        code=at.code,
        step=stood.response_id if stood else "",
        line=portable(str(stood.source), policy.file) if stood else "",
        answer=grown.events[-1].answer if grown else "over" if is_moved else "",
        next_step=stands.response_id if stands else "",
        next_line=portable(str(stands.source), policy.file) if stands else "",
    )


def _besides(decision: Decision) -> tuple[Option, ...]:
    """What is said and is no option."""
    return tuple(one for one in decision.spoken or (decision.chosen,) if not any(one is option for option in decision.options))


def _format(decision: Decision, memory: Memory) -> int:
    """The oldest format that can tell of the turn."""
    if decision.how or decision.pending or memory.open_offers or memory.n_missed:
        return ASKED_FORMAT
    return RULED_FORMAT if _is_ruled(decision) else FORMAT


def _options(decision: Decision, file: str, number: int) -> tuple[OptionEntry, ...]:
    n = len(decision.options)
    probabilities = decision.probabilities or (None,) * n
    is_ruled = number >= RULED_FORMAT
    withheld = decision.ruling.withheld if decision.ruling is not None and is_ruled else ("",) * n
    return tuple(
        OptionEntry(
            id=option.id,
            slots=to_json(option.slots),
            line=portable(str(option.source), file),
            probability=probability,
            risk=(risk_of(option.effects) or "") if is_ruled else "",
            withheld=reason,
        )
        for option, probability, reason in zip(decision.options, probabilities, withheld, strict=True)
    )


def _is_ruled(decision: Decision) -> bool:
    """Whether the choice is another than the probabilities alone give, or than the rules alone: then the record tells why."""
    return decision.is_late or (decision.ruling is not None and decision.ruling.is_changed)


def _decision(decision: Decision, allowed: Allowed, number: int) -> DecisionEntry:
    ruling = decision.ruling if number >= RULED_FORMAT else None
    places = {id(option): place for place, option in reversed(list(enumerate(allowed.sayable)))}
    return DecisionEntry(
        chosen=decision.chosen.id,
        index=places[id(decision.chosen)],
        mode=decision.mode,
        margin=decision.margin,
        abstained=decision.abstained,
        threshold=decision.threshold,
        decoding=decision.decoding.to_json() if decision.decoding else {},
        answer=decision.answer or ((ruling.answer or "") if ruling else ""),
        judge=decision.judge or (ruling.judge if ruling else ""),
        act_threshold=ruling.act_threshold if ruling else None,
        how=decision.how,
        spoken=tuple(places[id(one)] for one in decision.spoken),
        asks=decision.asks,
        pending=decision.pending,
        wishes=tuple((wish.place, wish.probability) for wish in decision.wishes),
    )


def _approvals(offered: Iterable[Option | Obligation], approvals: ApprovalSnapshot) -> dict[str, str]:
    """Response id -> who approved the version that may be said, and for which days; of those that have an approval."""
    known, found = _known_approvals(approvals), {}
    for one in offered:
        entry = known.get((one.id, one.locale))
        if entry is None or entry[0] is not one.response:
            entry = known[one.id, one.locale] = one.response, approval_of(one.response, one.locale, approvals)
        if entry[1]:
            found[one.id] = entry[1]
    return found


@lru_cache(maxsize=64)
def _known_approvals(approvals: ApprovalSnapshot) -> dict[tuple[str, str], tuple[Response, str]]:
    """The approvals found in one snapshot: naming a version costs a hash of it, and a turn has a dozen options."""
    return {}


def approval_of(response: Response, locale: str, approvals: ApprovalSnapshot) -> str:
    """The version of a response, who approved it and for which days; empty where it has no approval."""
    if approvals.ledger is None:
        return _in_catalog(response.approval) if response.approval else ""
    signed = approvals.signatures(response, locale).signed
    names = "; ".join(f"{one.by}, {_days(one.first_day, one.last_day)}" for one in signed)
    return f"{version_hash(response, locale)[:VERSION_LENGTH]} {names}" if signed else ""


def _in_catalog(approval: Approval) -> str:
    return f"{approval.by}, {_days(approval.on, approval.until)}"


def _days(first: object, last: object) -> str:
    return f"from {first}" + (f" until {last}" if last else "")


def _sensitive_fields(policy: Policy, hearings: Iterable[Any], offered: Iterable[Option | Obligation]) -> tuple[str, ...]:
    """Names of all that is marked sensitive in a turn: ``state.FIELD``, ``heard.FIELD``, ``slots.RESPONSE.SLOT``; each once."""
    names = [f"state.{name}" for name in sensitive_fields_of(policy.state_type)]
    if policy.heard_type is not None and any(True for _ in hearings):
        names += [f"heard.{name}" for name in sensitive_fields_of(policy.heard_type)]
    responses = {one.response.id: one.response for one in offered if one.response.slots}
    names += [
        f"slots.{response.id}.{slot.name}" for response in responses.values() for slot in response.slots.values() if slot.is_sensitive
    ]
    return tuple(names)


@lru_cache(maxsize=256)
def sensitive_fields_of(values: type[BaseModel]) -> tuple[str, ...]:
    """Names of the fields of a model that are marked sensitive; with dots, those of the models in it."""
    return tuple(_fields(values, "", frozenset()))


def _fields(values: type[BaseModel], prefix: str, seen: frozenset[type]) -> Iterator[str]:
    for name, field in values.model_fields.items():
        if _is_sensitive(field):
            yield prefix + name
            continue
        for inner in _models(field.annotation):
            if inner not in seen:  # a model may hold itself
                yield from _fields(inner, f"{prefix}{name}.", seen | {values, inner})


def _is_sensitive(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("sensitive") is True


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, at any depth: ``tuple[Card, ...]``, ``Card | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
