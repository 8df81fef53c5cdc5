"""A signed log for tests, and a key that is made for them. Tests nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from constrained.records.checkpoints import checkpoint
from constrained.records.log import MemoryLog
from tests.strategies import record

pytest.importorskip("cryptography", reason="cryptography is not installed: pip install 'constrained[evidence]'")

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # after the check that it is there

KEY = Ed25519PrivateKey.from_private_bytes(b"a key for these tests, 32 bytes.")
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"a key of somebody else, 32 bytes")
THIRD_KEY = Ed25519PrivateKey.from_private_bytes(b"a key of a third one, 32 bytes..")
PUBLIC = KEY.public_key()
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def signed_log(n_records: int, every: int = 10, **changes: Any) -> MemoryLog:
    """A log with a checkpoint for each ``every`` records, and one for the rest."""
    log = MemoryLog()
    for number in range(1, n_records + 1):
        log.append(record(number, **changes))
        if number % every == 0 or number == n_records:
            checkpoint(log, KEY, now=lambda: NOON)
    return log
