"""Runs a policy on many states: the default, each field alone, then variations of whatever led somewhere new.

Every step depends on the policy's offers alone, so two processes see the same runs of a deterministic policy.
Effects are never run: they are the host's, and may touch the world.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from constrained.analysis.samples import Pool, distinct, pool_of, try_build, vary
from constrained.errors import PolicyError
from constrained.logic.options import Offer
from constrained.logic.policy import Policy
from constrained.logic.state import Memory, State
from constrained.understanding.hearing import Understanding, entities_in
from constrained.understanding.questions import Amount, Entity, PatternQuestion, Score

_FIRST = 8  # the values of a field that are tried most: they stand first for a reason


@dataclass(frozen=True, slots=True)
class Run:
    """One call of a policy.

    Attributes:
        offers: what it yielded; none when it raised ``error``.
        digest: equal for equal arguments and outcome, in every process.
        is_made_up: parts of the state were invented, so what they name elsewhere may be missing.
        memory: what came before, where procedures run.
    """

    state: State
    heard: Understanding | None
    offers: tuple[Offer, ...]
    error: PolicyError | None
    digest: str
    is_made_up: bool
    memory: Memory = dataclasses.field(default_factory=Memory)

    @property
    def spoken(self) -> tuple[Offer, ...]:
        """Every offer, and what a procedure goes on with after it."""
        return tuple(one for offer in self.offers for one in (offer, *(offer.move.follows if offer.move else ())))


@dataclass(frozen=True, slots=True)
class _Seed:
    """Where a run starts from."""

    state: State
    heard: Understanding | None
    is_made_up: bool = False
    memory: Memory = dataclasses.field(default_factory=Memory)


def explore(policy: Policy, n_runs: int) -> Iterator[Run]:
    """At most ``n_runs`` runs; none when no state of the policy's type can be built."""
    corpus: list[_Seed] = []
    seen: set[frozenset[int]] = set()
    seeds = _seeds(policy, corpus)
    for _, seed in zip(range(n_runs), seeds, strict=False):
        run = run_once(policy, seed.state, seed.heard, seed.memory, is_made_up=seed.is_made_up)
        path = frozenset(offer.source.line for offer in run.spoken)
        if path not in seen:
            seen.add(path)
            corpus += [seed, *_procedure_seeds(run)]
        yield run


def run_once(policy: Policy, state: State, heard: Understanding | None, memory: Memory | None = None, *, is_made_up: bool = False) -> Run:
    """Takes one turn of the policy, as far as its offers."""
    memory = memory or Memory()
    try:
        offers, error = policy(state, heard, memory), None
    except PolicyError as raised:
        offers, error = (), raised
    parts = [state.model_dump_json(), heard.model_dump_json() if heard else "", str(error), *map(offer_text, offers)]
    return Run(state, heard, offers, error, hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16], is_made_up, memory)


def _procedure_seeds(run: Run) -> Iterator[_Seed]:
    """Where procedures would be after each offer, with the outcome of its effects."""
    for offer in run.offers:
        if offer.move is not None and offer.move.running:
            number = run.memory.number + 1
            for outcome in ("done", "failed"):
                changes = {"number": number, "running": offer.move.running, "outcomes": ((number, outcome),)}
                yield _Seed(
                    run.state, None if run.heard is None else type(run.heard)(), run.is_made_up, run.memory.model_copy(update=changes)
                )


def offer_text(offer: Offer) -> str:
    """An offer as text, alike in every process for equal offers."""
    slots = {name: _text(offer.slots[name]) for name in sorted(offer.slots)}
    effects = [
        (one.name, *map(_text, one.args), *((name, _text(value)) for name, value in sorted(one.kwargs.items()))) for one in offer.effects
    ]
    move = offer.move
    goes = (tuple(map(offer_text, move.follows)), move.running, move.is_no_match, move.is_assumed, move.flaw) if move is not None else ()
    return repr((offer.kind, offer.response_id, slots, offer.source.line, effects, offer.is_once, offer.is_after, offer.is_end, goes))


def _text(value: Any) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, set | frozenset) else repr(value)


def _seeds(policy: Policy, corpus: list[_Seed]) -> Iterator[_Seed]:
    state_type, heard_type = policy.state_type, policy.heard_type
    default = try_build(state_type.default)
    pool = pool_of(policy.script, default)
    base = default or _invent_state(state_type, pool)
    if base is None:
        return
    nothing = heard_type() if heard_type else None
    yield _Seed(base, nothing, default is None)
    yield from _single_changes(_Seed(base, nothing, default is None), pool)
    while True:
        yield _vary_seed(pool.draw.choice(corpus[-12:] if pool.draw.random() < 0.5 else corpus), pool)


def _single_changes(seed: _Seed, pool: Pool) -> Iterator[_Seed]:
    """Each field of the state, and each thing heard, alone at each of its values."""
    for name, field in type(seed.state).model_fields.items():
        for value in pool.values(field.annotation):
            state = try_build(seed.state.replace, **{name: value})
            if state is not None:
                yield _Seed(state, seed.heard, seed.is_made_up or _holds_models(value))
    for name in type(seed.heard).__questions__ if seed.heard else ():
        for value in _answers(seed, name, pool):
            yield _Seed(seed.state, seed.heard.replace(**{name: value}) if seed.heard else None, seed.is_made_up)


def _vary_seed(seed: _Seed, pool: Pool) -> _Seed:
    """One to three fields of the state changed, and something else heard."""
    names = list(type(seed.state).model_fields)
    weights = [_weight(getattr(seed.state, name)) for name in names] if pool.draw.random() < 0.5 else [1] * len(names)
    state, is_made_up = seed.state, seed.is_made_up
    for name in pool.draw.choices(names, weights, k=pool.draw.choice((0, 1, 1, 2, 3))) if names else ():
        value = _vary_value(getattr(state, name), type(state).model_fields[name].annotation, pool)
        state, is_made_up = try_build(state.replace, **{name: value}) or state, is_made_up or _holds_models(value)
    varied_seed = _Seed(state, seed.heard, is_made_up)
    return _Seed(state, _vary_heard(varied_seed, pool), is_made_up, seed.memory)


def _weight(value: Any) -> int:
    """How many things about a field may vary: one, or the fields of the models that it holds."""
    return 1 + len(type(value[0]).model_fields) if isinstance(value, tuple) and value and isinstance(value[0], BaseModel) else 1


def _vary_value(value: Any, annotation: Any, pool: Pool) -> Any:
    """Another value of a field: a tuple of models with one of them varied, or any value of the type."""
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel) and pool.draw.random() < 0.7:
        at = pool.draw.randrange(len(value))
        return (*value[:at], vary(value[at], pool), *value[at + 1 :])
    values = pool.values(annotation)
    if pool.draw.random() < 0.5:
        values = values[:_FIRST]
    return pool.draw.choice(values) if values else value


def _vary_heard(seed: _Seed, pool: Pool) -> Understanding | None:
    """The same, nothing, or one to all things heard anew. An entity is one that the state holds."""
    if seed.heard is None:
        return None
    names = list(type(seed.heard).__questions__)
    heard = type(seed.heard)() if pool.draw.random() < 0.5 else seed.heard
    changes = {}
    for name in pool.draw.sample(names, min(len(names), pool.draw.choice((0, 1, 1, 2, len(names))))):
        changes[name] = pool.draw.choice(_answers(seed, name, pool))
    gone = {name: None for name in names if name not in changes and getattr(heard, name) not in _answers(seed, name, pool)}
    return heard.replace(**gone, **changes)


def _answers(seed: _Seed, name: str, pool: Pool) -> list[Any]:
    """What may be heard in this state."""
    heard_type = type(seed.heard) if seed.heard is not None else Understanding
    one, field = heard_type.__questions__[name], heard_type.model_fields[name]
    if isinstance(one, Entity):
        return [None, *(one.value(thing) for thing in entities_in(one, seed.state))]
    if isinstance(one, Score):
        return list(range(one.low, one.high + 1))
    found = pool.values(field.annotation) or [field.default]
    if isinstance(one, PatternQuestion):
        return distinct([None, *one.examples, *(value for value in found if value is not None and one.fits(value))])
    return [value for value in found if value is None or value >= 0] if isinstance(one, Amount) else found


def _invent_state(state_type: type[State], pool: Pool) -> State | None:
    """A state of a type without a default."""
    fields = {name: pool.values(field.annotation) for name, field in state_type.model_fields.items() if field.is_required()}
    for _ in range(200 if all(fields.values()) else 0):
        found: State | None = try_build(state_type, **{name: pool.draw.choice(values) for name, values in fields.items()})
        if found is not None:
            return found
    return None


def _holds_models(value: Any) -> bool:
    return isinstance(value, BaseModel) or (isinstance(value, tuple | frozenset) and any(map(_holds_models, value)))
