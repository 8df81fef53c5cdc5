"""Which values each thing heard is tried with: all of them, those declared, or those next to the logic's own constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constrained.analysis.samples import Pool, built, distinct, pool_of
from constrained.errors import PolicyError
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.understanding.hearing import entities_in
from constrained.understanding.questions import Amount, Entity, OneOf, PatternQuestion, Question, Score, YesNo

MOST_SAMPLED = 12  # values of an amount, a day or a text for which none are declared


@dataclass(frozen=True, slots=True)
class Domain:
    """The values of one field of what was heard, its default first.

    Attributes:
        values: empty for an entity: its values are those alive in the state.
        basis: ``all`` there are, those ``declared``, or a ``sample`` next to the constants of the logic.
    """

    name: str
    question: Question
    values: tuple[Any, ...]
    basis: str

    def in_state(self, state: State) -> tuple[Any, ...]:
        """The values that may be heard in a state."""
        if not isinstance(self.question, Entity):
            return self.values
        alive = distinct(self.question.value(thing) for thing in entities_in(self.question, state))
        return (None, *(value for value in alive if not self.values or value in self.values))


def domains(policy: Policy, declared: Mapping[str, Sequence[Any]]) -> dict[str, Domain]:
    """One domain a field. Raises PolicyError when a value is declared for what nobody hears, or that the field refuses."""
    heard_type = policy.heard_type
    fields = heard_type.__questions__ if heard_type else {}
    unknown = [name for name in declared if name not in fields]
    if unknown:
        raise PolicyError(f"{policy.name} hears no {', '.join(unknown)}", hint=f"it hears {', '.join(fields) or 'nothing'}")
    pool = pool_of(policy.script, built(policy.state_type.default))
    return {name: _domain(policy, name, one, declared.get(name), pool) for name, one in fields.items()}


def _domain(policy: Policy, name: str, one: Question, declared: Sequence[Any] | None, pool: Pool) -> Domain:
    heard_type = policy.heard_type
    if heard_type is None:
        raise PolicyError(f"{policy.name} hears nothing")
    field = heard_type.model_fields[name]
    if declared is not None:
        checked = [getattr(heard_type().replace(**{name: value}), name) for value in declared]
        values = [] if isinstance(one, Entity) else [field.default]
        return Domain(name, one, _distinct([*values, *checked]), "declared")
    if isinstance(one, Entity):
        return Domain(name, one, (), "all")
    if isinstance(one, YesNo):
        return Domain(name, one, (False, True), "all")
    if isinstance(one, Score):
        return Domain(name, one, tuple(range(one.low, one.high + 1)), "all")
    found = pool.values(field.annotation)
    if isinstance(one, OneOf):
        return Domain(name, one, _distinct([field.default, *found]), "all")
    return Domain(name, one, _sampled(one, field.default, found), "sample")


def _sampled(one: Question, default: Any, found: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(one, PatternQuestion):
        return _distinct([default, *one.examples])[:MOST_SAMPLED]
    if isinstance(one, Amount):
        found = [value for value in found if value is not None and value >= 0]
    return _distinct([default, *found])[:MOST_SAMPLED]


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(distinct(values))
