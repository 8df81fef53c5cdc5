"""Replies that are always one of the approved responses. The public names; knows neither torch nor transformers."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from constrained.errors import (
    AdapterError,
    ApprovalError,
    AuditError,
    BusyError,
    CalibrationError,
    CatalogError,
    ConstrainedError,
    DataError,
    DeadlineError,
    EffectError,
    EngineError,
    GoldenError,
    KeyFileError,
    LocaleError,
    MessageError,
    ModelNotFoundError,
    OutcomeError,
    PackError,
    PolicyError,
    Problem,
    ProcedureError,
    PropertyError,
    ReplayError,
    SampleError,
    SlotError,
    StateError,
    TuningError,
    VerificationError,
)
from constrained.logic.clauses import Clause, after, at_start, before, before_commitment, every, never_after, once
from constrained.logic.effects import Effect, EffectKind, effect
from constrained.logic.options import Allowed, Blocked, Obligation, Offer, Option, must, only, say
from constrained.logic.policy import Policy, policy
from constrained.logic.procedure import procedure
from constrained.logic.state import State
from constrained.logic.steps import GaveUp, ask, choose, confirm, perform, start, tell
from constrained.logic.understanding import Hearing, Understanding, amount, choice, date, entity, grammar, pattern, question, score
from constrained.memory import Memory

if TYPE_CHECKING:
    from constrained.audit.log import JsonLinesLog, MemoryLog, read_log
    from constrained.audit.record import Record
    from constrained.audit.replay import replay
    from constrained.audit.stores import open_log
    from constrained.catalog.load import load_catalog
    from constrained.catalog.response import Catalog, Response
    from constrained.dialogue import Dialogue
    from constrained.packs import list_packs, load_policy
    from constrained.turn import Decision, Trace, Turn

_LAZY = {
    "Catalog": "constrained.catalog.response",
    "Decision": "constrained.turn",
    "Dialogue": "constrained.dialogue",
    "JsonLinesLog": "constrained.audit.log",
    "MemoryLog": "constrained.audit.log",
    "Record": "constrained.audit.record",
    "Response": "constrained.catalog.response",
    "Trace": "constrained.turn",
    "Turn": "constrained.turn",
    "list_packs": "constrained.packs",
    "load_catalog": "constrained.catalog.load",
    "load_policy": "constrained.packs",
    "open_log": "constrained.audit.stores",
    "read_log": "constrained.audit.log",
    "replay": "constrained.audit.replay",
}

__all__ = [
    "AdapterError",
    "Allowed",
    "ApprovalError",
    "AuditError",
    "Blocked",
    "BusyError",
    "CalibrationError",
    "Catalog",
    "CatalogError",
    "Clause",
    "ConstrainedError",
    "DataError",
    "DeadlineError",
    "Decision",
    "Dialogue",
    "Effect",
    "EffectError",
    "EffectKind",
    "EngineError",
    "GaveUp",
    "GoldenError",
    "Hearing",
    "JsonLinesLog",
    "KeyFileError",
    "LocaleError",
    "Memory",
    "MemoryLog",
    "MessageError",
    "ModelNotFoundError",
    "Obligation",
    "Offer",
    "Option",
    "OutcomeError",
    "PackError",
    "Policy",
    "PolicyError",
    "Problem",
    "ProcedureError",
    "PropertyError",
    "Record",
    "ReplayError",
    "Response",
    "SampleError",
    "SlotError",
    "State",
    "StateError",
    "Trace",
    "TuningError",
    "Turn",
    "Understanding",
    "VerificationError",
    "after",
    "amount",
    "ask",
    "at_start",
    "before",
    "before_commitment",
    "choice",
    "choose",
    "confirm",
    "date",
    "effect",
    "entity",
    "every",
    "grammar",
    "list_packs",
    "load_catalog",
    "load_policy",
    "must",
    "never_after",
    "once",
    "only",
    "open_log",
    "pattern",
    "perform",
    "policy",
    "procedure",
    "question",
    "read_log",
    "replay",
    "say",
    "score",
    "start",
    "tell",
]


def __getattr__(name: str) -> Any:
    """Names that cost import time, or that need the modules above first, are imported when they are used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'constrained' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
