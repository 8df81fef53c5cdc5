"""Approval: who may say that a response may be said, signed and append-only. Knows no policy and no message."""
