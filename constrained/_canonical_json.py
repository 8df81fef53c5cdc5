"""The one JSON text of a value: what logs, ledgers and checkpoints hash and sign."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def canonical_json(value: Any) -> bytes:
    """UTF-8, keys sorted, no space. Raises ValueError, TypeError or RecursionError for what JSON has no form for."""
    return _encode(value).encode()


def sha256(data: bytes) -> str:
    """``sha256:`` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
