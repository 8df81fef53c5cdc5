"""A policy against its catalog, before it ever runs: every id, slot and slot type that the text tells."""

from __future__ import annotations

import ast
import datetime as dt
import enum
import types
import typing
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from constrained._values import closest
from constrained.catalog.response import Catalog, Response, Slot, SlotKind
from constrained.errors import Problem
from constrained.logic.script import UNKNOWN, Script, bindings
from constrained.logic.source_offers import Made, misuse
from constrained.logic.state import State
from constrained.understanding.hearing import Understanding
from constrained.understanding.questions import Entity

RESERVE = "reserve"  # the tag of a response that no policy needs to reach
RETURNED = "returned"  # tag of what is said after a no to an offer
TOO_LONG = "too_long"  # tag of what is said to a message over the limit
BARK = "bark"  # tag of what is said unasked, and never to a message
CATALOG_SAYS = frozenset({RETURNED, TOO_LONG})  # tags of responses that the turn itself may say, whatever a policy yields
_FITS: dict[SlotKind, tuple[type, ...]] = {
    "integer": (int,),
    "decimal": (int, Decimal),
    "money": (int, Decimal),
    "date": (dt.date,),
    "time": (dt.time,),
    "text": (str,),
    "user_text": (str,),
    "choice": (str, enum.Enum),
}
_NEVER: dict[SlotKind, tuple[type, ...]] = {"integer": (bool,), "decimal": (bool,), "money": (bool,), "date": (dt.datetime,)}
_RESULTS: dict[str, type] = {"str": str, "int": int, "len": int, "float": float, "bool": bool, "Decimal": Decimal, "round": int}


def mismatches(
    script: Script, offers: list[Made], catalog: Catalog, parameters: dict[str, type], root: ast.AST, obliged: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    """Everything in which the offers do not fit the catalog.

    ``parameters``: name -> State or Understanding type. ``obliged``: ids that the obligations of the conversation say.
    """
    for made in offers:
        yield from misuse(script, made)
        yield from _ids(script, made, catalog)
        yield from _barks(script, made, catalog)
        yield from _heard_fields(script, made, parameters)
        for response_id in made.ids or ():
            if response_id in catalog:
                yield from _slots(script, made, catalog[response_id], parameters)
    yield from _unreached(script, offers, catalog, root, obliged)
    yield from _entities(script, parameters, root)


def _ids(script: Script, made: Made, catalog: Catalog) -> Iterator[Problem]:
    if made.ids is None and made.call.args:
        text = ast.unparse(made.call.args[0])
        yield script.problem(made.call, f"{made.kind}({text}): the file does not tell which response this is", _TELL)
    for response_id in (*(made.ids or ()), *made.wordings):
        if response_id not in catalog:
            renamed = catalog.current_id(response_id)
            hint = closest(response_id, catalog.responses) or f"add it to {catalog.path or catalog.name}"
            hint = f"it was renamed: yield {renamed!r}" if renamed else hint
            yield script.problem(made.call, f"the catalog {catalog.name!r} has no response {response_id!r}", hint)
        elif asked := catalog[response_id].offer_of:
            yield script.problem(made.call, f"{response_id!r} is an offer; no policy yields it", f"yield {asked!r}: the turn offers it")
        elif made.kind == "must" and response_id == catalog.fallback:
            yield script.problem(made.call, f"the fallback {response_id!r} cannot be an obligation", "it is an option of every turn")


def _barks(script: Script, made: Made, catalog: Catalog) -> Iterator[Problem]:
    """A bark answers nothing and does nothing."""
    barks = [one for one in (*(made.ids or ()), *made.wordings) if is_bark(one, catalog)]
    links = [name for name, _ in made.links if name != "once"]
    for one in barks if made.kind != "say" or links else ():
        what = f"say().{links[0]}()" if made.kind == "say" else f"{made.kind}()"
        yield script.problem(
            made.call, f"{one!r} is tagged {BARK!r}, and {what} is not for barks", f'yield say("{one}"), with .once() or alone'
        )


_TELL = 'use literals ("a", or "a" if condition else "b"), a module constant, or a loop over a constant tuple'


def _slots(script: Script, made: Made, response: Response, parameters: dict[str, type]) -> Iterator[Problem]:
    for name, expression in made.slots.items():
        slot = response.slots.get(name)
        if slot is None:
            hint = closest(name, response.slots) or f"its slots: {', '.join(sorted(response.slots)) or 'none'}"
            yield script.problem(made.call, f"{response.id!r} has no slot {name!r}", hint)
        elif reason := _misfit(script, expression, slot, parameters):
            yield script.problem(expression, f"the slot {name!r} of {response.id!r} takes {_wanted(slot)}, not {reason}", _where(response))
    if not made.has_unpacking:
        for name in sorted(set(response.slots) - set(made.slots)):
            yield script.problem(made.call, f"{response.id!r} needs the slot {name!r}", f'{made.kind}("{response.id}", {name}=...)')


def _where(response: Response) -> str:
    return f"the slot is declared in {response.source}" if response.source.line else ""


def _wanted(slot: Slot) -> str:
    if slot.kind == "choice":
        return "one of " + ", ".join(slot.choices)
    return slot.kind


def _heard_fields(script: Script, made: Made, parameters: dict[str, type]) -> Iterator[Problem]:
    """The fields that answer a question are fields of what is heard."""
    heard_type = next((kind for kind in parameters.values() if issubclass(kind, Understanding)), None)
    for name in made.fields:
        if heard_type is None or name not in heard_type.model_fields:
            known = heard_type.model_fields if heard_type else ()
            hint = closest(name, known) or f"name a field of what is heard: {', '.join(known) or 'nothing is'}"
            yield script.problem(made.call, f"{made.kind}() is answered by {name!r}, which is not heard", hint)


def _unreached(script: Script, offers: list[Made], catalog: Catalog, root: ast.AST, obliged: frozenset[str]) -> Iterator[Problem]:
    if any(made.ids is None for made in offers):
        return  # which responses are reached is not known; that is reported already
    alive = [made for made in offers if not (made.is_dead or made.is_dropped)]
    reached = obliged | {response_id for made in alive for response_id in (*(made.ids or ()), *made.wordings)}
    for response in catalog.responses.values():
        if response.id not in reached and is_yielded(catalog, response):
            place = f" (declared in {response.source})" if response.source.line else ""
            yield script.problem(
                root, f"no yield can reach the response {response.id!r}{place}", f"yield it, remove it, or tag it {RESERVE!r}"
            )


def is_said_by_catalog(response: Response, catalog: Catalog) -> bool:
    """Whether a turn may say the response in place of the fallback, whatever a policy yields."""
    is_own = response.id == catalog.way_out or bool(CATALOG_SAYS & response.tags)
    return is_own and not (response.slots or response.claims or response.offer_of)


def is_bark(response_id: str, catalog: Catalog) -> bool:
    """Whether a response is said unasked, and never to a message."""
    return response_id in catalog and BARK in catalog[response_id].tags


def is_yielded(catalog: Catalog, response: Response) -> bool:
    """Whether a policy must yield the response, so that it is ever said: all but the catalog's own, the offers and the reserve."""
    is_own = response.id == catalog.fallback or is_said_by_catalog(response, catalog)
    return not (is_own or response.offer_of or RESERVE in response.tags)


def _entities(script: Script, parameters: dict[str, type], root: ast.AST) -> Iterator[Problem]:
    """Every ``entity`` question names a field of the State that holds things, and its field holds what they are named by."""
    state_type = next((kind for kind in parameters.values() if issubclass(kind, State)), None)
    heard_type = next((kind for kind in parameters.values() if issubclass(kind, Understanding)), None)
    if state_type is None or heard_type is None:
        return
    for name, one in heard_type.__questions__.items():
        annotation = heard_type.model_fields[name].annotation
        if isinstance(one, Entity) and (reason := _entity_misfit(one, annotation, state_type)):
            yield script.problem(root, f"{heard_type.__name__}.{name} asks for an entity, but {reason}", _ENTITY_HINT)


_ENTITY_HINT = 'order: str | None = entity(..., among="orders", by="id") needs a State field orders: tuple[Order, ...] with id: str'


def _entity_misfit(one: Entity, annotation: Any, state_type: type[State]) -> str:
    field = state_type.model_fields.get(one.among)
    if field is None:
        return f"{state_type.__name__} has no field {one.among!r}"
    if typing.get_origin(field.annotation) not in (tuple, frozenset):
        return f"{state_type.__name__}.{one.among} is no tuple or frozenset"
    things = [kind for kind in _element(field.annotation) if isinstance(kind, type)]
    without = [kind.__name__ for kind in things if one.by and not _has(kind, one.by)]
    if without:
        return f"{without[0]} has no {one.by!r}"
    holds = tuple(kind for kind in _flat(annotation) if kind is not type(None))
    given = _joined(_flat(_attribute(kind, one.by)) for kind in things)
    wrong = [kind.__name__ for kind in given if holds and not issubclass(kind, holds)]
    return f"it gives {wrong[0]}, and the field holds {' or '.join(kind.__name__ for kind in holds)}" if wrong else ""


def _attribute(kind: type, name: str) -> Any:
    """The annotation of an attribute of a class, or the class itself without a name; UNKNOWN when it is not annotated."""
    if not name:
        return kind
    field = getattr(kind, "model_fields", {}).get(name)
    return field.annotation if field is not None else UNKNOWN


def _has(kind: type, name: str) -> bool:
    return hasattr(kind, name) or name in getattr(kind, "model_fields", {}) or name in getattr(kind, "__dataclass_fields__", {})


# -- slot types --------------------------------------------------------------------------------------


def _misfit(script: Script, expression: ast.expr, slot: Slot, parameters: dict[str, type]) -> str:
    """Why a slot's expression can never fill it, as far as the text tells; empty when it may."""
    values = script.values(expression)
    if values is not None:
        return next((reason for value in values if (reason := _value_misfit(value, slot))), "")
    kinds = _types(script, expression, parameters)
    if not kinds or any(_type_fits(kind, slot.kind) for kind in kinds):
        return ""
    return " or ".join(sorted(kind.__name__ for kind in kinds)) + f" ({ast.unparse(expression)})"


def _value_misfit(value: Any, slot: Slot) -> str:
    if not _type_fits(type(value), slot.kind):
        return f"{type(value).__name__} {value!r}" if value is not None else "None"
    if slot.kind == "choice":
        key = value.value if isinstance(value, enum.Enum) else value
        return "" if key in slot.choices else repr(key)
    if slot.kind == "text" and len(value) > slot.max_length:
        return f"{len(value)} characters (at most {slot.max_length})"
    return "an empty text" if slot.kind == "text" and not value.strip() else ""


def _type_fits(kind: type, wanted: SlotKind) -> bool:
    return issubclass(kind, _FITS[wanted]) and not issubclass(kind, _NEVER.get(wanted, ()))


def _types(script: Script, expression: ast.expr, parameters: dict[str, type]) -> tuple[type, ...]:
    """The types that an expression may have; () when the text does not tell."""
    if isinstance(expression, ast.JoinedStr):
        return (str,)
    if isinstance(expression, ast.Call):
        return _result(script, expression)
    return _flat(_annotation(script, expression, parameters))


def _result(script: Script, call: ast.Call) -> tuple[type, ...]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name in _RESULTS and name not in script.functions and not (name == "round" and len(call.args) > 1):
        return (_RESULTS[name],)
    return ()


def _annotation(script: Script, expression: ast.expr, parameters: dict[str, type]) -> Any:
    """The annotation behind ``state.gold``, ``heard.offer``, ``order.price`` in a loop over ``state.orders``; UNKNOWN otherwise."""
    if isinstance(expression, ast.Name):
        return _name_annotation(script, expression, parameters)
    if not isinstance(expression, ast.Attribute):
        return UNKNOWN
    owners = _flat(_annotation(script, expression.value, parameters))
    fields = [owner.model_fields.get(expression.attr) for owner in owners if hasattr(owner, "model_fields")]
    found = [field.annotation for field in fields if field is not None]
    return typing.Union[tuple(found)] if found and len(found) == len(fields) else UNKNOWN  # noqa: UP007  # a union of types found at run time


def _name_annotation(script: Script, name: ast.Name, parameters: dict[str, type]) -> Any:
    sources = bindings(name).get(name.id, [])
    if len(sources) != 1:
        return UNKNOWN
    source = sources[0]
    if source.expression is None:
        return parameters.get(name.id, UNKNOWN)
    if source.path:
        return UNKNOWN
    outer = _annotation(script, source.expression, parameters)
    if not source.is_loop:
        return outer
    kinds = _element(outer)
    return typing.Union[kinds] if kinds else UNKNOWN  # noqa: UP007  # a union of types found at run time


def _element(annotation: Any) -> tuple[Any, ...]:
    """What a loop over ``tuple[X, ...]`` or ``frozenset[X]`` gives."""
    if typing.get_origin(annotation) not in (tuple, frozenset):
        return ()
    return tuple(kind for kind in typing.get_args(annotation) if kind is not Ellipsis)


def _flat(annotation: Any) -> tuple[type, ...]:
    """The plain classes of an annotation: of all members of a union, of the values of a Literal."""
    if annotation is UNKNOWN or annotation is Any:
        return ()
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _flat(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        members = [_flat(member) for member in typing.get_args(annotation)]
        return _joined(members) if all(members) else ()
    if origin is typing.Literal:
        return _joined([(type(value),) for value in typing.get_args(annotation)])
    if isinstance(annotation, typing.NewType):
        return _flat(annotation.__supertype__)
    return (annotation,) if isinstance(annotation, type) and origin is None else ()


def _joined(groups: Iterable[tuple[type, ...]]) -> tuple[type, ...]:
    return tuple(dict.fromkeys(kind for group in groups for kind in group))
