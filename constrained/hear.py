"""What a message may be asked: the fields of an ``Understanding``, and ``Hearing``, the answer to one of them.

``question`` (yes or no), ``choice`` (one of a few), ``score`` (a number on a scale), ``amount``, ``date`` and ``entity`` (what the
message names), ``pattern`` and ``grammar`` (a text of a given form), ``protected`` (a trigger that is heard in every turn, by judges
of its own). For all others the model answers by choosing among answers that Python
proposes; what it cannot tell is None, or no.
"""

from __future__ import annotations

from constrained.understanding.hearing import Hearing, amount, choice, date, entity, grammar, pattern, protected, question, score
from constrained.understanding.protected.values import Protected

__all__ = ["Hearing", "Protected", "amount", "choice", "date", "entity", "grammar", "pattern", "protected", "question", "score"]
