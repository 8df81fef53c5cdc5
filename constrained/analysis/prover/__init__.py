"""Proves what conversations can and cannot come to: explores them, judges properties, shows shortest counterexamples.

    from constrained.analysis.prover.properties import always, before, eventually, every, in_order, never_after, scope

in ``properties/NAME.py``, then ``constrained prove NAME``. In reading order:

- ``properties``: what a pack's author declares: properties of turns (TurnView) and the Scope that is explored.
- ``watch``: values that tell which of their fields are read, and answers kept by what was read.
- ``memories``: what a conversation carries between turns, by number.
- ``machine``: a pack as a transition system: points of a conversation, and the turns between them.
- ``graph``: all points that can be reached. ``judge``: which properties hold in it, declared and built in.
- ``proofs``: the whole: ``prove`` a policy, and the Proof that is kept.
"""
