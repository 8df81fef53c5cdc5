"""Frozen typed values, which State and Understanding share: what their fields may hold, JSON both ways, errors with file and line."""

from __future__ import annotations

import ast
import collections
import collections.abc
import dataclasses
import datetime
import decimal
import difflib
import enum
import fractions
import ipaddress
import json
import linecache
import pathlib
import re
import sys
import types
import typing
import uuid
from collections.abc import Iterable, Mapping
from threading import Lock
from types import FrameType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, SerializationInfo, SerializerFunctionWrapHandler, ValidationError, field_serializer
from pydantic.errors import PydanticUndefinedAnnotation

from constrained.errors import PolicyError, Problem, StateError

_SKIPPED = ("constrained", "pydantic")


def caller() -> tuple[str, int]:
    """File and line of the nearest frame outside this package, pydantic and the class machinery."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename.startswith("<frozen") or _package(frame) in _SKIPPED):
        frame = frame.f_back
    return ("", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def _package(frame: FrameType) -> str:
    """By name and not by file: in a build that ``constrained pack`` makes, code has no file."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def field_problem(cls: type, field: str, message: str, hint: str) -> Problem:
    """A problem with one field of a class that is being defined, at the line of the field."""
    file, line = caller()
    return Problem(file, _field_line(file, line, cls.__name__, field), 0, f"{cls.__name__}.{field}: {message}", hint)


def source_text(file: str, module_globals: dict[str, object] | None = None) -> str:
    """The text of a source file with newlines as ``\\n``; empty when there is none (an interactive session)."""
    return "".join(linecache.getlines(file, module_globals))


_PARSING = Lock()


def parse_source(text: str) -> ast.Module:
    """The syntax tree of a Python text. One thread at a time: CPython 3.11 counts the depth of two trees made at once in one place
    and raises ``SystemError`` (python/cpython#106905)."""
    with _PARSING:
        return ast.parse(text)


def _field_line(file: str, near: int, class_name: str, field: str) -> int:
    """The line of ``field: ...`` in the class statement at or after line ``near``; ``near`` if it is not found."""
    text = source_text(file)
    if not text:
        return near
    classes = [node for node in ast.walk(parse_source(text)) if isinstance(node, ast.ClassDef) and node.name == class_name]
    nearest = min(classes, key=lambda node: abs(node.lineno - near), default=None)
    for statement in nearest.body if nearest else ():
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == field for target in targets):
            return statement.lineno
    return near


# -- annotations of values that nobody can change in place ---------------------------------------------

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


# -- values ------------------------------------------------------------------------------------------


class Values(BaseModel):
    """A frozen pydantic model that refuses unknown fields and raises StateError in place of ValidationError."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,  # else pydantic refuses an odd annotation before State can name its line
    )

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _refused(type(self), error) from error

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        try:
            cls.model_rebuild()  # does nothing unless a name in an annotation was unknown
        except PydanticUndefinedAnnotation as error:
            message = f"the annotations of {cls.__name__} name {error.name!r}, which is not defined"
            raise PolicyError(message, [Problem(*caller(), 0, message, "define or import it above the class")]) from error

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise StateError(
                f"{type(self).__name__}.{name} cannot be set", hint=f"values do not change; use .replace({name}=...) for a changed copy"
            )
        super().__setattr__(name, value)

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed. Raises StateError."""
        return type(self)(**{**{name: getattr(self, name) for name in type(self).model_fields}, **changes})

    @classmethod
    def default(cls) -> Self:
        """The values with every field at its default. Raises StateError when a field has none."""
        missing = [name for name, field in cls.model_fields.items() if field.is_required()]
        if missing:
            fields = ", ".join(f"{name}=..." for name in missing)
            raise StateError(
                f"{cls.__name__} has no default for {_listed(missing)}",
                hint=f"pass {cls.__name__}({fields}), or give the fields defaults",
            )
        return cls()

    @classmethod
    def from_json(cls, data: str | bytes | Mapping[str, Any]) -> Self:
        """Values out of JSON text or its parsed form. Raises StateError."""
        if isinstance(data, str | bytes | bytearray):
            data = _parsed(cls, data)
        if not isinstance(data, Mapping):
            raise StateError(f"{cls.__name__} is read from an object, not from {type(data).__name__}", hint='for example {"gold": 80}')
        return cls(**{str(name): value for name, value in data.items()})

    @field_serializer("*", mode="wrap")
    def _in_one_order(self, value: Any, serialise: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """Sets leave as sorted lists, so that equal values have equal JSON in every process."""
        return _in_order(value, serialise(value))


def with_members(model: type[BaseModel], data: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with the members of enums in place of their names: AXE beside its value axe, as effects print it.

    Raises StateError for what an enum has under neither.
    """
    fields = model.model_fields
    return {name: _members(fields[name].annotation, given, name) if name in fields else given for name, given in data.items()}


def _members(annotation: Any, given: Any, field_name: str) -> Any:
    kinds = typing.get_args(annotation)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kinds = tuple(kind for kind in kinds if kind is not type(None))
        return _members(kinds[0], given, field_name) if len(kinds) == 1 and given is not None else given
    if isinstance(given, list) and kinds:
        every = [kinds[0]] * len(given) if len(kinds) == 1 or kinds[-1] is Ellipsis else kinds
        return [_members(kind, one, field_name) for kind, one in zip(every, given, strict=False)] if len(every) >= len(given) else given
    if not isinstance(annotation, type):
        return given
    if isinstance(given, Mapping) and issubclass(annotation, BaseModel):
        return with_members(annotation, given)
    return _member(annotation, given, field_name) if issubclass(annotation, enum.Enum) and isinstance(given, str) else given


def _member(kind: type[enum.Enum], given: str, field_name: str) -> Any:
    if any(given == member.value for member in kind):
        return given
    if given in kind.__members__:
        return kind[given]
    known = ", ".join(f"{member.name} ({member.value})" for member in kind)
    raise StateError(f"{field_name}: {given!r} is neither a member nor a value of {kind.__name__}", hint=f"there are {known}")


def closest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` for a misspelt name; empty when nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def _in_order(value: Any, written: Any) -> Any:
    """What was written of a value, with lists that stand for sets in one order, as deep as tuples and models go."""
    if isinstance(value, frozenset) and isinstance(written, list):
        return sorted(written, key=lambda item: json.dumps(item, sort_keys=True, default=str))
    if isinstance(value, tuple) and isinstance(written, list):
        return [_in_order(item, one) for item, one in zip(value, written, strict=True)]
    if isinstance(value, BaseModel) and isinstance(written, dict):
        return {name: _in_order(getattr(value, name, None), one) for name, one in written.items()}
    return written


def _parsed(cls: type[Values], data: str | bytes | bytearray) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StateError(f"{cls.__name__} could not be read: not JSON ({error})", hint="give the JSON text of an object") from error


def _refused(cls: type[Values], error: ValidationError) -> StateError:
    details = error.errors(include_url=False, include_input=False, include_context=False)
    reasons = [f"{'.'.join(map(str, one['loc'])) or 'its values'}: {_reason(one)}" for one in details]
    unknown = [str(one["loc"][0]) for one in details if one["type"] == "extra_forbidden" and one["loc"]]
    hint = next((found for name in unknown if (found := closest(name, cls.model_fields))), "")
    return StateError(f"{cls.__name__} refuses {'; '.join(reasons)}", hint=hint or f"the fields are {_listed(cls.model_fields)}")


def _reason(detail: Any) -> str:
    return "no such field" if detail["type"] == "extra_forbidden" else str(detail["msg"])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
