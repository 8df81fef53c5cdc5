"""Reads JSON as it comes from anybody: no NaN, no endless nesting, and half characters made whole. Knows no request."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from pydantic_core import from_json

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parsed(body: bytes) -> Any:
    """The value of a JSON text. Half of a surrogate pair, which no text can hold, becomes a question mark.

    Raises ValueError or RecursionError.
    """
    if _SURROGATE.search(body):
        return _whole(json.loads(body, parse_constant=_refused))
    return from_json(body, allow_inf_nan=False)


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(one) for name, one in value.items()}
    return value
