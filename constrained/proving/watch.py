"""Values that tell which of their fields are read, and remember which a copy changes. Knows no policy.

A watched state *is* a state of its type; reading a field calls ``touch`` first. Whatever needs all of it at once
(comparing, hashing, writing as JSON) reads all fields, as far as the notes go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from constrained.logic.state import State
from constrained.logic.understanding import Understanding

Touch = Callable[[str], None]
_ALL = frozenset(("__dict__", "__pydantic_fields_set__", "model_fields_set"))


class StateWatch:
    """Makes watched states of one type.

    Args:
        touch: called with the name of each field that is read.
    """

    def __init__(self, kind: type[State], touch: Touch) -> None:
        self.kind = kind
        self.fields = tuple(kind.model_fields)
        self._touch = touch
        self._derived: dict[int, tuple[State, frozenset[str]]] = {}
        self._type = _watched(kind, touch, {"but": lambda state, **changes: self._but(state, changes)})
        self._needs_all = _has_validators(kind)

    def make(self, values: Mapping[str, Any]) -> State:
        """A watched state with these values, which are not checked again: they come from one that was."""
        self._derived.clear()
        state = _built(self._type, dict(values))
        self._derived[id(state)] = state, frozenset()
        return state

    def changes(self, after: Any) -> dict[str, Any] | None:
        """Field -> value of what an effect returned, for the fields that it set; None when it is no such state."""
        if not isinstance(after, self.kind):
            return None
        changed = self._derived[id(after)][1] if id(after) in self._derived else frozenset(self.fields)
        values = object.__getattribute__(after, "__dict__")
        return {name: values[name] for name in self.fields if name in changed}

    def _but(self, state: State, changes: Mapping[str, Any]) -> State:
        if self._needs_all or id(state) not in self._derived:  # a validator may look at any field
            for name in self.fields:
                self._touch(name)
        values = object.__getattribute__(state, "__dict__")
        checked = _built(self.kind, dict(values)).but(**changes)
        before = self._derived[id(state)][1] if id(state) in self._derived else frozenset(self.fields)
        copy = _built(self._type, {name: checked.__dict__[name] for name in self.fields})
        self._derived[id(copy)] = copy, before | changes.keys()
        return copy


class HeardWatch:
    """Makes watched values of what was heard, whose fields are chosen when they are read."""

    def __init__(self, kind: type[Understanding], choose: Callable[[str], Any]) -> None:
        self._values: dict[str, Any] = {}
        self._choose = choose
        self._type = _watched(kind, self._touch, {})

    def make(self) -> Understanding:
        self._values = {}
        heard = _built(self._type, self._values)
        return heard

    def _touch(self, name: str) -> None:
        if name not in self._values:
            self._values[name] = self._choose(name)


class SaidWatch(Mapping[str, int]):
    """What was said before, as far as it is asked for."""

    def __init__(self, is_said: Callable[[str], bool]) -> None:
        self._is_said = is_said

    def __contains__(self, response_id: object) -> bool:
        return self._is_said(str(response_id))

    def __getitem__(self, response_id: str) -> int:
        if not self._is_said(response_id):
            raise KeyError(response_id)
        return 1

    def __iter__(self) -> Iterator[str]:
        raise TypeError("what was said is asked for by id")

    def __len__(self) -> int:
        return 1


def plain_state(kind: type[State], values: Mapping[str, Any]) -> State:
    """A state with these values, which are not checked again."""
    return _built(kind, dict(values))


def _watched(kind: type[Any], touch: Touch, methods: dict[str, Any]) -> type[Any]:
    """A subclass that calls ``touch`` before a field is read."""
    fields = frozenset(kind.model_fields)
    read = object.__getattribute__

    def __getattribute__(self: Any, name: str) -> Any:
        if name in fields:
            touch(name)
        elif name in _ALL:
            for field in kind.model_fields:
                touch(field)
        elif name == "__class__":  # what compares or prints it takes it for what it stands for
            return kind
        return read(self, name)

    return type(kind.__name__, (kind,), {"__getattribute__": __getattribute__, "__module__": kind.__module__, **methods})


def _built(kind: type[Any], values: dict[str, Any]) -> Any:
    made = object.__new__(kind)
    object.__setattr__(made, "__dict__", values)
    object.__setattr__(made, "__pydantic_fields_set__", set(values))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made


def _has_validators(kind: type[BaseModel]) -> bool:
    """Whether a value of one field may be refused for the value of another."""
    found = kind.__pydantic_decorators__
    own_init = kind.model_post_init is not BaseModel.model_post_init
    return bool(found.validators or found.field_validators or found.root_validators or found.model_validators) or own_init
