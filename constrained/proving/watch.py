"""Values that tell which of their fields are read, and remember which a copy changes. Knows no policy.

A watched state *is* a state of its type; reading a field calls ``touch`` first. A procedure holds one state of its own
and exchanges its ``__dict__`` from turn to turn: what is watched is therefore the dictionary, whoever holds it.
Comparing, hashing and looping read all fields. Writing as JSON reads none: the runtime does so for its records; logic
that does so itself is watched as reading all (``is_plain=False``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from constrained.logic.state import State
from constrained.logic.understanding import Understanding

Touch = Callable[[str], None]
Live = dict[int, dict[str, Any]]  # id of a dictionary that is watched -> the dictionary, kept so that its id stays its own
WHOLE = frozenset(("model_dump", "model_dump_json", "model_fields_set", "__dict__", "__pydantic_fields_set__"))
_read = object.__getattribute__


class StateWatch:
    """Makes watched states of one type.

    Args:
        touch: called with the name of each field that is read. is_plain: the logic reads fields by name only.
        is_strict: writing as JSON reads all fields too; for those who write no records.
    """

    def __init__(self, kind: type[State], touch: Touch, *, is_plain: bool = True, is_strict: bool = False) -> None:
        self.kind = kind
        self.fields = tuple(kind.model_fields)
        self._touch, self._is_plain = touch, is_plain
        self._live: Live = {}
        self._changed: dict[int, frozenset[str]] = {}
        methods = {"but": self._but, "__copy__": self._copy, "model_copy": self._model_copy}
        self.type = _watched(kind, touch, self._live, {name: _method(one) for name, one in methods.items()}, is_strict)
        self._needs_all = _has_validators(kind)

    def make(self, values: Mapping[str, Any]) -> Any:
        """A watched state with these values, which are not checked again: they come from one that was."""
        self._live.clear()
        self._changed.clear()
        state = self._noted(dict(values), frozenset())
        if not self._is_plain:
            self._touch_all()
        return state

    def changes(self, after: Any) -> dict[str, Any]:
        """Field -> value of what an effect returned, for the fields that it set."""
        values = _read(after, "__dict__")
        changed = self._changed.get(id(values), frozenset(self.fields))
        return {name: values[name] for name in self.fields if name in changed}

    def _noted(self, values: dict[str, Any], changed: frozenset[str]) -> Any:
        self._live[id(values)] = values
        self._changed[id(values)] = changed
        return _built(self.type, values)

    def _copy(self, state: State) -> Any:
        values = _read(state, "__dict__")
        return self._noted(dict(values), self._changed.get(id(values), frozenset(self.fields)))

    def _model_copy(self, state: State, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> State:
        self._touch_all()
        return plain_state(self.kind, {**_read(state, "__dict__"), **(update or {})})

    def _but(self, state: State, **changes: Any) -> Any:
        values = _read(state, "__dict__")
        before = self._changed.get(id(values), frozenset(self.fields))
        if self._needs_all or id(values) not in self._changed:  # a validator may look at any field
            self._touch_all()
        checked = _built(self.kind, dict(values)).but(**changes)
        return self._noted({name: checked.__dict__[name] for name in self.fields}, before | changes.keys())

    def _touch_all(self) -> None:
        for name in self.fields:
            self._touch(name)


class HeardWatch:
    """Makes watched values of what was heard, whose fields are chosen when they are read."""

    def __init__(self, kind: type[Understanding], choose: Callable[[str], Any], *, is_plain: bool = True, is_strict: bool = False) -> None:
        self._defaults = dict(kind().__dict__)
        self._values: dict[str, Any] = {}
        self._chosen: set[str] = set()
        self._choose, self._is_plain = choose, is_plain
        self._live: Live = {}
        self.type = _watched(kind, self._touch, self._live, {}, is_strict)

    def make(self) -> Any:
        self._live.clear()
        self._values, self._chosen = dict(self._defaults), set()
        self._live[id(self._values)] = self._values
        if not self._is_plain:
            for name in self._defaults:
                self._touch(name)
        return _built(self.type, self._values)

    def _touch(self, name: str) -> None:
        if name not in self._chosen:
            self._chosen.add(name)
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


class DoneWatch:
    """What the host told as done, as far as it is asked for."""

    def __init__(self, is_done: Callable[[str], bool]) -> None:
        self._is_done = is_done

    def __contains__(self, event: object) -> bool:
        return self._is_done(str(event))


def plain_state(kind: type[State], values: Mapping[str, Any]) -> State:
    """A state with these values, which are not checked again."""
    made: State = _built(kind, dict(values))
    return made


def _watched(kind: type[Any], touch: Touch, live: Live, methods: dict[str, Any], is_strict: bool) -> type[Any]:
    """A subclass that calls ``touch`` before a field of a live dictionary is read."""
    fields = frozenset(kind.model_fields)

    def __getattribute__(self: Any, name: str) -> Any:
        if name in fields and id(_read(self, "__dict__")) in live:
            touch(name)
        elif name == "__class__":  # what compares or prints it takes it for what it stands for
            return kind
        elif is_strict and name in WHOLE and id(_read(self, "__dict__")) in live:
            for field in kind.model_fields:
                touch(field)
        return _read(self, name)

    def whole(name: str) -> Any:
        plain = getattr(kind, name)

        def method(self: Any, *arguments: Any) -> Any:
            if id(_read(self, "__dict__")) in live:
                for field in kind.model_fields:
                    touch(field)
            return plain(self, *arguments)

        return method

    own = {name: whole(name) for name in ("__eq__", "__hash__", "__iter__", "__repr__", "__str__")}
    return type(kind.__name__, (kind,), {"__getattribute__": __getattribute__, "__module__": kind.__module__, **own, **methods})


def _method(run: Callable[..., Any]) -> Callable[..., Any]:
    """A bound function as a method of another class."""
    return lambda self, *arguments, **named: run(self, *arguments, **named)


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
