"""Proves what conversations can and cannot come to: explores them, judges properties, shows shortest counterexamples.

    from constrained.proving import always, before, eventually, every, in_order, never_after, scope

in ``properties/NAME.py``, then ``constrained prove NAME``.
"""

from __future__ import annotations

from constrained.analysis.prover.proofs import Proof, Verdict, prove
from constrained.analysis.prover.properties import Moment, Property, Scope, always, before, eventually, every, in_order, never_after, scope

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
