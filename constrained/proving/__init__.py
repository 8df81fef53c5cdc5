"""Proves what conversations can and cannot come to: explores them, judges properties, shows shortest counterexamples.

    from constrained.proving import always, before, eventually, every, in_order, never_after, scope

in ``properties/NAME.py``, then ``constrained prove NAME``. Knows no model; a model only ever picks among what is explored.
"""

from __future__ import annotations

from constrained.proving.declared import Moment, Property, Scope, always, before, eventually, every, in_order, never_after, scope
from constrained.proving.proofs import prove
from constrained.proving.report import Proof, Verdict

__all__ = [
    "Moment",
    "Proof",
    "Property",
    "Scope",
    "Verdict",
    "always",
    "before",
    "eventually",
    "every",
    "in_order",
    "never_after",
    "prove",
    "scope",
]
