"""Answers of a pure function, found again by the few values that it read. Knows neither state nor policy.

A key is a tuple of small numbers, one a slot; ``Values`` tells which value a number stands for. A function that read
slots 2, 0 and 5 answers alike for every key that is alike in these, whatever else differs.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Generic, TypeVar

from constrained.errors import PolicyError

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
