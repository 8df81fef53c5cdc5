"""Replies that are always one of the approved responses: the public names.

Steps of procedures are in ``constrained.steps``, questions to a message in ``constrained.hear``, obligations of a
conversation in ``constrained.obligations``, scenes and saves of games in ``constrained.games``, errors in ``constrained.errors``.
Importing this package loads neither torch nor transformers; what needs more than the rules is loaded when it is first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from constrained.errors import ConstrainedError, NotReleasedError
from constrained.logic.effects import Effect, effect
from constrained.logic.options import must, only, say
from constrained.logic.policy import Policy, policy
from constrained.logic.state import Memory, State
from constrained.procedures.procedure import procedure
from constrained.understanding.hearing import Understanding

if TYPE_CHECKING:
    from constrained.catalog.response import Catalog, Response
    from constrained.dialogue.dialogue import Dialogue
    from constrained.dialogue.turn import Decision, Turn
    from constrained.engines.protocol import Engine
    from constrained.pack_folders import list_packs
    from constrained.packs import load_policy
    from constrained.records.log import open_log, read_log
    from constrained.records.record import Record
    from constrained.records.replay import replay

_LAZY = {
    "Catalog": "constrained.catalog.response",
    "Decision": "constrained.dialogue.turn",
    "Dialogue": "constrained.dialogue.dialogue",
    "Engine": "constrained.engines.protocol",
    "Record": "constrained.records.record",
    "Response": "constrained.catalog.response",
    "Turn": "constrained.dialogue.turn",
    "list_packs": "constrained.packs",
    "load_policy": "constrained.packs",
    "open_log": "constrained.records.log",
    "read_log": "constrained.records.log",
    "replay": "constrained.records.replay",
}

__all__ = [
    "Catalog",
    "ConstrainedError",
    "Decision",
    "Dialogue",
    "Effect",
    "Engine",
    "Memory",
    "NotReleasedError",
    "Policy",
    "Record",
    "Response",
    "State",
    "Turn",
    "Understanding",
    "__version__",
    "effect",
    "list_packs",
    "load_policy",
    "must",
    "only",
    "open_log",
    "policy",
    "procedure",
    "read_log",
    "replay",
    "say",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("constrained")
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'constrained' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
