"""Values that tell which of their fields are read, and the answers of a pure function, found again by the values it read.

A key is a tuple of small numbers, one a slot; ``Values`` tells which value a number stands for. A function that read
slots 2, 0 and 5 answers alike for every key that is alike in these, whatever else differs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from constrained.errors import PolicyError
from constrained.logic.state import State
from constrained.understanding.hearing import Understanding

T = TypeVar("T")
Key = tuple[int, ...]
Reads = Sequence[tuple[int, int]]


class Values:
    """The values that were met in each slot, by number. Equal values of one type have one number."""

    def __init__(self) -> None:
        self._numbers: list[dict[Hashable, int]] = []
        self._values: list[list[Any]] = []

    def add_slot(self) -> int:
        """A new slot, at the end."""
        self._numbers.append({})
        self._values.append([])
        return len(self._values) - 1

    def number(self, slot: int, value: Any) -> int:
        known, token = self._numbers[slot], _token(value)
        found = known.get(token)
        if found is None:
            found = known[token] = len(self._values[slot])
            self._values[slot].append(value)
        return found

    def value(self, slot: int, number: int) -> Any:
        return self._values[slot][number]


def _token(value: Any) -> Hashable:
    """What tells values apart: 1, True and 1.0 are three; so are 5 and 5.00, which are not said alike."""
    if isinstance(value, Decimal | float):
        return (type(value), repr(value))
    try:
        hash(value)
    except TypeError:
        return (type(value), repr(value))
    return (type(value), value)


class Known(Generic[T]):
    """The end of a way through a tree: the answer."""

    __slots__ = ("answer",)

    def __init__(self, answer: T) -> None:
        self.answer = answer


class Fork(Generic[T]):
    """What is read next.

    Attributes:
        slot: of the key. Negative: ``~slot`` is a field of what was heard, which may be any of ``domain``.
        ways: number of the value -> what is read then, or the answer.
    """

    __slots__ = ("domain", "slot", "ways")

    def __init__(self, slot: int, domain: tuple[Any, ...] = ()) -> None:
        self.slot, self.domain = slot, domain
        self.ways: dict[int, Fork[T] | Known[T]] = {}


class Memo(Generic[T]):
    """A decision tree over what a function read, in the order in which it read it."""

    __slots__ = ("root",)

    def __init__(self) -> None:
        self.root: Fork[T] | Known[T] | None = None

    def find(self, key: Key) -> Known[T] | None:
        """The answer for a key; None when the function did not run on one like it."""
        node = self.root
        while type(node) is Fork:
            node = node.ways.get(key[node.slot])
        return node  # type: ignore[return-value]  # what is no Fork is Known or None

    def slots(self, key: Key) -> Iterator[int]:
        """The slots that decide the answer for a key, as far as the function ran on one like it."""
        node = self.root
        while type(node) is Fork:
            yield node.slot
            node = node.ways.get(key[node.slot])

    def keep(self, reads: Reads, answer: T, domains: dict[int, tuple[Any, ...]] | None = None) -> None:
        """Notes the answer of a run that read these slots, with these numbers, in this order."""
        known: Known[T] = Known(answer)
        if not reads:
            self.root = known
            return
        node = self.root = self.root or Fork(reads[0][0], (domains or {}).get(reads[0][0], ()))
        for (slot, number), following in zip(reads, [*reads[1:], None], strict=True):
            if not isinstance(node, Fork) or node.slot != slot:
                raise PolicyError("the logic is not deterministic", hint="equal values must be read in an equal order: loop over no set")
            if following is None:
                node.ways[number] = known
            else:
                made: Fork[T] = Fork(following[0], (domains or {}).get(following[0], ()))
                node = node.ways.setdefault(number, made)


# -- values that tell which of their fields are read, and remember which a copy changes ----------------

OnRead = Callable[[str], None]
WatchedDicts = dict[int, dict[str, Any]]  # id of a dictionary that is watched -> the dictionary, kept so that its id stays its own
WHOLE = frozenset(("model_dump", "model_dump_json", "model_fields_set", "__dict__", "__pydantic_fields_set__"))
_read = object.__getattribute__


class StateWatch:
    """Makes watched states of one type.

    Args:
        on_read: called with the name of each field that is read. is_plain: the logic reads fields by name only.
        is_strict: writing as JSON reads all fields too; for those who write no records.
    """

    def __init__(self, kind: type[State], on_read: OnRead, *, is_plain: bool = True, is_strict: bool = False) -> None:
        self.kind = kind
        self.fields = tuple(kind.model_fields)
        self._on_read, self._is_plain = on_read, is_plain
        self._live: WatchedDicts = {}
        self._changed: dict[int, frozenset[str]] = {}
        methods = {"replace": self._replace, "__copy__": self._copy, "model_copy": self._model_copy}
        self.type = _watched(kind, on_read, self._live, {name: _method(one) for name, one in methods.items()}, is_strict)
        self._needs_all = _has_validators(kind)

    def make(self, values: Mapping[str, Any]) -> Any:
        """A watched state with these values, which are not checked again: they come from one that was."""
        self._live.clear()
        self._changed.clear()
        state = self._noted(dict(values), frozenset())
        if not self._is_plain:
            self._read_all()
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
        self._read_all()
        return plain_state(self.kind, {**_read(state, "__dict__"), **(update or {})})

    def _replace(self, state: State, **changes: Any) -> Any:
        values = _read(state, "__dict__")
        before = self._changed.get(id(values), frozenset(self.fields))
        if self._needs_all or id(values) not in self._changed:  # a validator may look at any field
            self._read_all()
        checked = _built(self.kind, dict(values)).replace(**changes)
        return self._noted({name: checked.__dict__[name] for name in self.fields}, before | changes.keys())

    def _read_all(self) -> None:
        for name in self.fields:
            self._on_read(name)


class HeardWatch:
    """Makes watched values of what was heard, whose fields are chosen when they are read."""

    def __init__(self, kind: type[Understanding], choose: Callable[[str], Any], *, is_plain: bool = True, is_strict: bool = False) -> None:
        self._defaults = dict(kind().__dict__)
        self._values: dict[str, Any] = {}
        self._chosen: set[str] = set()
        self._choose, self._is_plain = choose, is_plain
        self._live: WatchedDicts = {}
        self.type = _watched(kind, self._on_read, self._live, {}, is_strict)

    def make(self) -> Any:
        self._live.clear()
        self._values, self._chosen = dict(self._defaults), set()
        self._live[id(self._values)] = self._values
        if not self._is_plain:
            for name in self._defaults:
                self._on_read(name)
        return _built(self.type, self._values)

    def _on_read(self, name: str) -> None:
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


def _watched(kind: type[Any], on_read: OnRead, live: WatchedDicts, methods: dict[str, Any], is_strict: bool) -> type[Any]:
    """A subclass that calls ``on_read`` before a field of a live dictionary is read."""
    fields = frozenset(kind.model_fields)

    def __getattribute__(self: Any, name: str) -> Any:
        if name in fields and id(_read(self, "__dict__")) in live:
            on_read(name)
        elif name == "__class__":  # what compares or prints it takes it for what it stands for
            return kind
        elif is_strict and name in WHOLE and id(_read(self, "__dict__")) in live:
            for field in kind.model_fields:
                on_read(field)
        return _read(self, name)

    def whole(name: str) -> Any:
        plain = getattr(kind, name)

        def method(self: Any, *arguments: Any) -> Any:
            if id(_read(self, "__dict__")) in live:
                for field in kind.model_fields:
                    on_read(field)
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
