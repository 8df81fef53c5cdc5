"""Procedures: straight-line code of steps that spans many turns, and goes on where it stood.

    @procedure("bank_disputes", version=1, interruptions=answers)
    async def dispute(state: Desk, heard: Heard):
        payment = await ask("which_payment", "transaction")
        if await confirm("shall_i_file", merchant=payment):
            ...

``state`` and ``heard`` are always those of the turn in which a line runs.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

from constrained.catalog.response import Catalog
from constrained.errors import PolicyError, Problem
from constrained.logic.obligations import Clause
from constrained.logic.policy import OnChange, Policy, PolicyTerms, registered
from constrained.logic.registration import read


def procedure(
    catalog: str | Path | Catalog,
    *,
    version: int = 1,
    interruptions: Callable[..., Any] | None = None,
    obligations: Sequence[Clause] = (),
    events: Sequence[str] = (),
    keeps: Sequence[Policy] = (),
    changed: OnChange = "refuse",
    remind: bool = False,
    corrections: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Policy]:
    """Registers an async function ``(state, heard)`` or ``(state)`` as the procedure of every conversation.

    Args:
        catalog: as for ``policy``.
        version: goes up when the code changes; conversations that began before go on with the version they began with.
        interruptions: a policy function: what may be said at any step without leaving it (``say``), what leaves it
            (``only(...).ends()``, ``start(other)``), what is said in addition (``must``).
        obligations, events: as for ``policy``.
        keeps: older versions, registered too, for conversations that began with them.
        changed: what to do with a conversation whose procedure has other code now under the same version, or a version
            that is not kept: ``refuse`` raises ProcedureError, ``restart`` begins anew.
        remind: after an interruption that leaves a question open, say the question again.
        corrections: fields of Heard that may be corrected at a confirmation that shows them ("no, 78"): the question is put again
            with the new value. What the host has done since the value was heard is never done again.

    Raises:
        PolicyError: the functions and the catalog do not fit, or they are not pure; every reason at once.
        CatalogError: the catalog may not be used. PackError: there is no such catalog.
    """
    terms = PolicyTerms(tuple(obligations), tuple(events), version, tuple(keeps), changed, remind, tuple(corrections))

    def register(function: Callable[..., Any]) -> Policy:
        if not isinstance(function, FunctionType):
            raise PolicyError(
                f"@procedure decorates a function, not {type(function).__name__}", hint="async def name(state: ..., heard: ...):"
            )
        script, node = read(function)
        is_procedure = isinstance(node, ast.AsyncFunctionDef)
        if is_procedure and (interruptions is None or isinstance(interruptions, FunctionType)):
            return registered(function, interruptions, catalog, terms, dict(sys._getframe(1).f_locals))
        message = "interruptions= is no plain function" if is_procedure else f"{function.__name__} is no procedure"
        hint = "write async def for the procedure, and a plain def without a decorator for its interruptions"
        raise PolicyError(message, [Problem(script.file, node.lineno, 0, message, hint)], hint=hint)

    return register
