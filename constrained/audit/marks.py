"""What a turn holds that is marked sensitive: by slots of the catalog, by fields of State and Heard. Knows no key and no log.

A field is marked by pydantic's own means, in State, in Heard and in the models within them:

    card: Annotated[str, Field(json_schema_extra={"sensitive": True})] = ""
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from constrained.logic.options import Obligation, Option
from constrained.logic.policy import Policy


def marked(policy: Policy, hearings: Iterable[Any], said: Iterable[Option | Obligation]) -> tuple[str, ...]:
    """Names of all that is marked in a turn: ``state.FIELD``, ``heard.FIELD``, ``slots.RESPONSE.SLOT``; each once."""
    names = [f"state.{name}" for name in marked_fields(policy.state_type)]
    if policy.heard_type is not None and any(True for _ in hearings):
        names += [f"heard.{name}" for name in marked_fields(policy.heard_type)]
    responses = {one.response.id: one.response for one in said if one.response.slots}
    names += [
        f"slots.{response.id}.{slot.name}" for response in responses.values() for slot in response.slots.values() if slot.is_sensitive
    ]
    return tuple(names)


@lru_cache(maxsize=256)
def marked_fields(values: type[BaseModel]) -> tuple[str, ...]:
    """Names of the marked fields of a model, with dots those of the models in it."""
    return tuple(_fields(values, "", frozenset()))


def _fields(values: type[BaseModel], prefix: str, seen: frozenset[type]) -> Iterator[str]:
    for name, field in values.model_fields.items():
        if _is_marked(field):
            yield prefix + name
            continue
        for inner in _models(field.annotation):
            if inner not in seen:  # a model may hold itself
                yield from _fields(inner, f"{prefix}{name}.", seen | {values, inner})


def _is_marked(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("sensitive") is True


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation names, at any depth: ``tuple[Card, ...]``, ``Card | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
