"""The steps of a procedure: what straight-line code awaits, one turn after another.

``ask``, ``confirm`` and ``choose`` wait for what the message means, ``tell`` says something, ``perform`` lets the host run an
effect and gives back whether it was done, ``start`` begins another procedure. ``GaveUp`` is raised where an answer never came.
They are described in ``docs/procedures.md``.
"""

from __future__ import annotations

from constrained.procedures.steps import GaveUp, ask, choose, confirm, perform, start, tell

__all__ = ["GaveUp", "ask", "choose", "confirm", "perform", "start", "tell"]
