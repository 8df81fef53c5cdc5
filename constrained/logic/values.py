"""Frozen typed values: what State and Understanding share. Knows neither of them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, SerializationInfo, SerializerFunctionWrapHandler, ValidationError, field_serializer
from pydantic.errors import PydanticUndefinedAnnotation

from constrained.errors import PolicyError, Problem, StateError
from constrained.logic.place import caller


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
                f"{type(self).__name__}.{name} cannot be set", hint=f"values do not change; use .but({name}=...) for a changed copy"
            )
        super().__setattr__(name, value)

    def but(self, **changes: Any) -> Self:
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
