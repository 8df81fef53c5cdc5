"""Approval: who may say that a response may be said, signed and append-only."""
