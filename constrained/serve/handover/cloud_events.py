"""What a webhook is told of a hand-over: CloudEvents 1.0 as JSON, signed as Standard Webhooks says. Ids and states, no words of anybody."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from constrained.errors import ConstrainedError

EventType = Literal["waiting", "claimed", "answered", "closed"]
CONTENT_TYPE = "application/cloudevents+json"
PREFIX = "whsec_"
SECRET_BYTES = (24, 64)  # what Standard Webhooks allows


def make_event(kind: EventType, *, subject: str, version: int, pack: str, at_s: float, data: Mapping[str, Any]) -> dict[str, Any]:
    """The event of a change of the hand-over ``subject``. With its version it makes the id: sent again, it is known again."""
    return {
        "specversion": "1.0",
        "id": f"{subject}.{version}",
        "source": f"/constrained/packs/{pack}",
        "type": f"constrained.handover.{kind}",
        "subject": subject,
        "time": datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": dict(data),
    }


def sign(secret: bytes, event_id: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """The headers of a message: its id, when this attempt is made, and HMAC-SHA256 over both and the body."""
    signed = hmac.new(secret, f"{event_id}.{at_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        "content-type": CONTENT_TYPE,
    }


def read_secret(path: Path) -> bytes:
    """The secret of a file: one line, base64 of 24 to 64 bytes, with or without ``whsec_``. Raises ConstrainedError."""
    hint = f"write one with: python -c \"import base64, os; print('{PREFIX}' + base64.b64encode(os.urandom(32)).decode())\""
    try:
        secret = base64.b64decode(path.read_text(encoding="utf-8").strip().removeprefix(PREFIX), validate=True)
    except OSError as error:
        raise ConstrainedError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    except (binascii.Error, ValueError) as error:
        raise ConstrainedError(f"{path}:1: not a secret in base64", hint=hint) from error
    if not SECRET_BYTES[0] <= len(secret) <= SECRET_BYTES[1]:
        raise ConstrainedError(f"{path}:1: a secret of {len(secret)} bytes; 24 to 64 are asked", hint=hint)
    return secret
