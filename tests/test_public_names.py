"""The public names are sorted, complete, and can all be had."""

from __future__ import annotations

import types

import pytest

import constrained
from constrained import errors, games, hear, obligations, steps


@pytest.mark.parametrize("module", [constrained, games, hear, obligations, steps], ids=lambda module: module.__name__)
def test_the_public_names(module: types.ModuleType) -> None:
    assert module.__all__ == sorted(set(module.__all__))
    assert not any(isinstance(getattr(module, name), types.ModuleType) for name in module.__all__)
    theirs = {name for name, value in vars(module).items() if not name.startswith("_") and not isinstance(value, types.ModuleType)}
    assert theirs - {"Any", "TYPE_CHECKING", "annotations"} | {"__version__"} == set(module.__all__) | {"__version__"}


def test_an_error_is_public_where_errors_are() -> None:
    named = {value.__name__ for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)}
    assert {name for name in constrained.__all__ if name.endswith("Error")} < named
