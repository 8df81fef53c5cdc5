"""State: what is true, the host's typed facts."""

from __future__ import annotations

from typing import Any

from constrained._values import Values, field_problem, why_mutable
from constrained.errors import PolicyError, Problem


class State(Values):
    """What is true now: a frozen pydantic model that the host keeps. The model and the policy only read it.

        class Tavern(State):
            gold: NonNegativeInt = 0
            belt: frozenset[Item] = frozenset()

        Tavern(gold=80).replace(gold=30)

    Fields are of immutable types; a mutable one is refused, with its line, when the class is defined.
    A value that a field refuses raises StateError.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        problems = [problem for name in cls.model_fields if (problem := _problem(cls, name))]
        if problems:
            raise PolicyError(f"the state {cls.__name__} could be changed in place", problems)


def _problem(cls: type[State], name: str) -> Problem | None:
    found = why_mutable(cls.model_fields[name].annotation)
    return field_problem(cls, name, f"{found[0]} can be changed in place", found[1]) if found else None
