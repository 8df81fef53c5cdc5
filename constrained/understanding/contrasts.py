"""Values of a ``choice`` that a message sets against each other: "the hall, no, the cellar", "not red"."""

from __future__ import annotations

from typing import Any

from constrained.understanding.names import find_named
from constrained.understanding.questions import Answer, OneOf


def contrasted(one: OneOf, annotation: Any, message: str, language: str) -> tuple[list[Answer], tuple[float, int] | None]:
    """The answers that are left, and where one is settled: how surely, and its place among them.

    A value may be an everyday word ("red", "plus"), so being named alone settles nothing. But what a message rules out is no answer,
    and the one value that it names besides is the one. Where a value must be chosen, all of them are left.
    """
    answers = one.answers(annotation)
    if not answers[-1].candidate.no_match:
        return answers, None
    naming = find_named(message, one.names(annotation), language)
    left = [answer for answer in answers if answer.candidate.key not in naming.ruled_out]
    named = [(naming.meant[answer.candidate.key], place) for place, answer in enumerate(left) if answer.candidate.key in naming.meant]
    return left, named[0] if naming.ruled_out and len(named) == 1 else None
