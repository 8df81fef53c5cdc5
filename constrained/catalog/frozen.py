"""A dict that cannot change, for values that must not; knows nothing of what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class FrozenDict(dict[Key, Value]):
    """An immutable, hashable dict: lookups at the speed of dict, and it can be pickled and copied."""

    __slots__ = ()

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("a catalog is immutable; load a changed file instead")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # dict has none because it changes
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def __copy__(self) -> FrozenDict[Key, Value]:
        return self

    def __deepcopy__(self, memo: Any) -> FrozenDict[Key, Value]:
        return self


def freeze(mapping: Mapping[Key, Value]) -> Mapping[Key, Value]:
    """``mapping`` as it is now; later changes to it do not show."""
    return FrozenDict(mapping)
