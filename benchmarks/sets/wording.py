"""A label as plain language: what a writer would put into ``when``, from the topic's name alone."""

from __future__ import annotations

import re

ACRONYMS = {"atm": "ATM", "pin": "PIN", "pto": "PTO", "vin": "VIN", "w2": "W-2", "apr": "APR", "mpg": "MPG", "ai": "AI", "irs": "IRS"}


def when(label: str) -> str:
    """``card_arrival`` -> "the user writes about: card arrival"."""
    return f"the user writes about: {named(label)}"


def named(label: str) -> str:
    """The words of a label."""
    words = re.sub(r"[_\W]+", " ", label).strip().split()
    return " ".join(ACRONYMS.get(word.lower(), word.lower()) for word in words)


def identifier(label: str) -> str:
    """A response id: lower case, letters first. ``Refund_not_showing_up`` -> ``refund_not_showing_up``."""
    found = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    return found if found[:1].isalpha() else f"r_{found}"
