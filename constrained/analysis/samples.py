"""Values to try a policy on: from the types, and from the constants of the logic file. Equal in every process.

Both of bool, every member of an Enum, collections empty, single and full; numbers next to the file's own constants,
for that is where a policy changes its mind; days that many days apart.
"""

from __future__ import annotations

import ast
import datetime as dt
import enum
import itertools
import random
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from constrained.errors import PolicyError, StateError
from constrained.logic.policy import Policy
from constrained.logic.script import Script
from constrained.logic.state import State
from constrained.understanding.hearing import entities_in
from constrained.understanding.protected.values import Protected
from constrained.understanding.questions import Amount, Entity, OneOf, PatternQuestion, ProtectedTrigger, Question, Score, YesNo

MOST_VALUES = 40  # of one field
MOST_INSTANCES = 24  # of one nested model
MOST_SAMPLED = 12  # values of an amount, a day or a text for which none are declared
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Pool:
    """Where values come from.

    Attributes:
        models: instances of nested models found in the default state and the constants; new ones vary them.
        known: id(annotation) -> the annotation, its values.
    """

    numbers: tuple[int, ...]
    decimals: tuple[Decimal, ...]
    texts: tuple[str, ...]
    days: tuple[dt.date, ...]
    models: tuple[BaseModel, ...]
    draw: random.Random
    known: dict[int, tuple[Any, list[Any]]]

    def values(self, annotation: Any) -> list[Any]:
        """Values of an annotation, at most MOST_VALUES; none for a type that is not known. Constraints may refuse some."""
        if id(annotation) not in self.known:
            self.known[id(annotation)] = annotation, distinct(_values(annotation, self))[:MOST_VALUES]
        return self.known[id(annotation)][1]


def pool_of(script: Script, default: Any) -> Pool:
    """The pool of a logic file and a default state (None when there is none)."""
    found = [*leaves(default), *_constants(script)]
    numbers = distinct([one for one in found if isinstance(one, int) and not isinstance(one, bool) and abs(one) < 10**9])
    decimals = [one for one in found if isinstance(one, Decimal) and one.is_finite()]
    near = distinct([0, 1, 2, *(n + step for n in numbers for step in (0, -1, 1)), 10**6])[:MOST_VALUES]
    exact = [*(one + step for one in decimals for step in (0, Decimal("0.01"), Decimal("-0.01"))), *map(Decimal, near)]
    texts = distinct([one for one in found if isinstance(one, str) and 0 < len(one) <= 24 and one.isprintable()])
    models = [one for one in found if isinstance(one, BaseModel)]
    days = _days(found, [n for n in numbers if 0 < n <= 1000])
    return Pool(
        tuple(near),
        _distinct(exact)[:MOST_VALUES],
        _distinct([*texts[:24], "a", "b"]),
        tuple(days),
        tuple(models),
        random.Random(0),
        {},
    )


def try_build(make: Callable[..., Any], **fields: Any) -> Any:
    """What ``make`` builds; None when a validator refuses these values."""
    try:
        return make(**fields)
    except (StateError, ValidationError):
        return None


def distinct(found: Iterable[Any]) -> list[Any]:
    """Each value once (1, 1.0 and True are three), in order."""
    kept: dict[Any, Any] = {}
    for value in found:
        key = value if isinstance(value, str | int | Decimal | dt.date | type(None)) else repr(value)
        kept.setdefault((type(value), key), value)
    return list(kept.values())


def leaves(value: Any) -> Iterator[Any]:
    """Plain values and models inside tuples, dicts and models, as far down as they go."""
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from leaves(getattr(value, name))
    elif isinstance(value, dict):
        yield from leaves(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def vary(model: Any, pool: Pool) -> Any:
    """A nested model with one field changed; text stays, it may name something elsewhere. The model itself if refused."""
    fields = {name: pool.values(field.annotation) for name, field in type(model).model_fields.items() if field.annotation is not str}
    known = [name for name, values in fields.items() if values]
    if not known:
        return model
    name = pool.draw.choice(known)
    kept = {other: getattr(model, other) for other in type(model).model_fields}
    return try_build(type(model), **{**kept, name: pool.draw.choice(fields[name])}) or model


def _constants(script: Script) -> Iterator[Any]:
    """Module constants, then literals, of a logic file."""
    for name in script.constants:
        yield from leaves(script.module_globals.get(name))
    for node in ast.walk(script.tree):
        if isinstance(node, ast.Constant) and not isinstance(getattr(node, "parent", None), ast.Expr):
            yield node.value


def _days(found: list[Any], spans: list[int]) -> list[dt.date]:
    """The days named, and days that lie the named spans before and after the first of them."""
    named = distinct([one.date() if isinstance(one, dt.datetime) else one for one in found if isinstance(one, dt.date)])
    first = named[:1] or [dt.date(2026, 3, 16)]
    apart = [first[0] + dt.timedelta(days=sign * (span + step)) for span in (0, *spans[:12]) for sign in (1, -1) for step in (0, 1)]
    return distinct([*named[:12], *first, *apart])[:MOST_VALUES]


# -- values of a type --------------------------------------------------------------------------------


def _values(annotation: Any, pool: Pool) -> list[Any]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _values(arguments[0], pool)
    if isinstance(annotation, typing.NewType):
        return _values(annotation.__supertype__, pool)
    if origin in (typing.Union, types.UnionType):
        several = [_values(one, pool) for one in arguments]
        return [value for row in itertools.zip_longest(*several, fillvalue=_NOTHING) for value in row if value is not _NOTHING]
    if origin is typing.Literal:
        return list(arguments)
    if origin is tuple:
        return _tuples(arguments, pool)
    if origin is frozenset:
        return _sets(_values(arguments[0], pool))
    return _plain(annotation, pool) if isinstance(annotation, type) else []


def _plain(kind: type, pool: Pool) -> list[Any]:
    if issubclass(kind, enum.Enum):
        return list(kind)
    if issubclass(kind, BaseModel):
        return _instances(kind, pool)
    known: dict[type, Iterable[Any]] = {
        type(None): [None],
        bool: [False, True],
        int: pool.numbers,
        float: [float(number) for number in pool.numbers],
        Decimal: pool.decimals,
        str: pool.texts,
        dt.date: pool.days,
        dt.datetime: [dt.datetime.combine(day, dt.time(hour)) for hour in (9, 0, 23) for day in pool.days[:13]],
        dt.time: [dt.time(hour) for hour in range(0, 24, 3)],
        dt.timedelta: [dt.timedelta(days=number) for number in pool.numbers if number < 1000],
        bytes: [b"", b"a"],
    }
    return list(known.get(kind, ()))


def _tuples(arguments: tuple[Any, ...], pool: Pool) -> list[Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        items = _values(arguments[0], pool)[:MOST_VALUES]
        several = [tuple(pool.draw.sample(items, min(len(items), n))) for n in (2, 2, 2, 2, 3, 3, 4)] if len(items) > 1 else []
        return [(), *((item,) for item in items[:16]), *several]
    parts = [_values(one, pool) for one in arguments]
    return [tuple(pool.draw.choice(one) for one in parts) for _ in range(12)] if all(parts) else []


def _sets(items: list[Any]) -> list[Any]:
    return [frozenset(), *(frozenset((item,)) for item in items[:12]), frozenset(items[:2]), frozenset(items[:12])]


def _instances(kind: type[BaseModel], pool: Pool) -> list[Any]:
    """Instances of a nested model: known ones, and variations of them; made up where none is known."""
    known = distinct([one for one in pool.models if type(one) is kind])
    if known:
        return [*known[:12], *(vary(pool.draw.choice(known), pool) for _ in range(MOST_INSTANCES))]
    fields = {name: pool.values(field.annotation) for name, field in kind.model_fields.items()}
    optional = {name for name, field in kind.model_fields.items() if not field.is_required()}
    draw, found = pool.draw, []
    for _ in range(MOST_INSTANCES):
        chosen = {name: draw.choice(values) for name, values in fields.items() if values and (name not in optional or draw.random() < 0.5)}
        found.append(try_build(kind, **chosen))
    return [one for one in found if one is not None]


# -- what may be heard ---------------------------------------------------------------------------------


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
    pool = pool_of(policy.script, try_build(policy.state_type.default))
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
    if isinstance(one, ProtectedTrigger):
        return Domain(name, one, tuple(Protected), "all")
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
