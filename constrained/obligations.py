"""Obligations of a whole conversation: what must be said at its start, before or after something else, once, or never after.

They are given to ``@policy`` and ``@procedure`` as ``obligations=(...)`` and hold in every turn, whatever the model picks. A
``Clause`` is one of them as a value. An obligation of one turn is ``yield must(...)``.
"""

from __future__ import annotations

from constrained.logic.obligations import Clause, after, at_start, before, before_commitment, every, never_after, once

__all__ = ["Clause", "after", "at_start", "before", "before_commitment", "every", "never_after", "once"]
