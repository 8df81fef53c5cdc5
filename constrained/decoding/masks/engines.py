"""The packages that compute masks: imported when they are asked for, their failures as our errors. Knows no grammar."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from constrained.errors import ConstrainedError, EngineError


def imported(package: str) -> Any:
    """The package's module. Raises EngineError with the command that installs it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise EngineError(f"{package} is not installed", hint=f"pip install {package}") from error


@contextmanager
def engine_failing(package: str) -> Iterator[None]:
    """Turns whatever a mask engine raises at a grammar into an EngineError."""
    try:
        yield
    except ConstrainedError:
        raise
    except Exception as error:  # RuntimeError, ValueError, TypeError, OverflowError: each engine its own
        said = " ".join(str(error).split())
        raise EngineError(
            f"{package} cannot use this grammar: {said:.300}", hint="write it with fewer means, or use another engine"
        ) from error
