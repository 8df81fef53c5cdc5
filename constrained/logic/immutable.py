"""Which annotations hold values that nobody can change in place. Knows types only."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import types
import typing
import uuid
from typing import Any

from pydantic import BaseModel

_ATOMS = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    decimal.Decimal,
    fractions.Fraction,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    datetime.tzinfo,
    enum.Enum,
    uuid.UUID,
    re.Pattern,
    pathlib.PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
)
_HINTS: dict[Any, str] = {
    list: "use tuple[..., ...]",
    set: "use frozenset[...]",
    dict: "use a tuple of frozen models, or of pairs",
    bytearray: "use bytes",
    collections.deque: "use tuple[..., ...]",
    collections.abc.Sequence: "use tuple[..., ...]",
    collections.abc.Iterable: "use tuple[..., ...]",
    collections.abc.Set: "use frozenset[...]",
    collections.abc.MutableSet: "use frozenset[...]",
    collections.abc.Mapping: "use a tuple of frozen models, or of pairs",
    collections.abc.MutableMapping: "use a tuple of frozen models, or of pairs",
}


def why_mutable(annotation: Any) -> tuple[str, str] | None:
    """``(what, hint)`` for the first part of an annotation that could be changed in place; None when there is none."""
    return _why(annotation, frozenset())


def _why(annotation: Any, seen: frozenset[type]) -> tuple[str, str] | None:
    annotation = _stripped(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Literal or annotation is Ellipsis:
        return None
    if origin in (typing.Union, types.UnionType, tuple, frozenset):
        return _first(typing.get_args(annotation), seen)
    kind = origin or annotation
    if kind in _HINTS:
        return _name(annotation), _HINTS[kind]
    if not isinstance(kind, type):
        return _name(annotation), "name one immutable type"
    if kind in seen or kind in (tuple, frozenset) or issubclass(kind, _ATOMS):
        return None
    return _why_class(kind, seen | {kind})


def _why_class(kind: type, seen: frozenset[type]) -> tuple[str, str] | None:
    if issubclass(kind, BaseModel):
        if not kind.model_config.get("frozen"):
            return kind.__name__, f"make {kind.__name__} frozen: model_config = ConfigDict(frozen=True)"
        return _first((field.annotation for field in kind.model_fields.values()), seen)
    if dataclasses.is_dataclass(kind):
        if not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # not in the stubs
            return kind.__name__, f"make {kind.__name__} frozen: @dataclass(frozen=True)"
        return _first(typing.get_type_hints(kind, include_extras=True).values(), seen)
    if issubclass(kind, tuple):
        return _first(typing.get_type_hints(kind).values(), seen)
    return _name(kind), "use an immutable type: a number, text, date, Enum, tuple, frozenset or frozen model"


def _first(annotations: typing.Iterable[Any], seen: frozenset[type]) -> tuple[str, str] | None:
    return next((found for one in annotations if (found := _why(one, seen)) is not None), None)


def _stripped(annotation: Any) -> Any:
    """Without Annotated, NewType and type aliases."""
    while True:
        if typing.get_origin(annotation) is typing.Annotated:
            annotation = typing.get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__") and not isinstance(annotation, type):
            annotation = annotation.__value__
        elif isinstance(annotation, typing.TypeVar):
            annotation = annotation.__bound__ or Any
        else:
            return object if annotation is Any else annotation


def _name(annotation: Any) -> str:
    return (
        annotation.__name__
        if isinstance(annotation, type) and not typing.get_args(annotation)
        else re.sub(r"\b(?:typing|collections(?:\.abc)?)\.", "", str(annotation))
    )
