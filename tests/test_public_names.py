"""The public names are sorted, complete, and can all be had."""

import types

import constrained


def test_the_public_names() -> None:
    assert constrained.__all__ == sorted(set(constrained.__all__))
    assert all(getattr(constrained, name) is not None for name in constrained.__all__)
    ours = {name for name, value in vars(constrained).items() if getattr(value, "__module__", "").startswith("constrained.")}
    errors = {name for name, value in vars(constrained.errors).items() if isinstance(value, type) and not name.startswith("_")}
    assert ours | errors - {"Path", "Sequence"} == set(constrained.__all__)
    assert isinstance(constrained.engines.protocol, types.FunctionType)  # not the module of that name
