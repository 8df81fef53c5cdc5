"""Five small desks, each as a newcomer would write it, with three to five examples a response: what kinds of inputs are tried on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from constrained import Policy
from constrained.packs import load_policy_file

LOCALES = ("en", "es", "de", "fr")


@cache
def desk(name: str) -> Policy:
    """``bank``: an act by itself, and one of a sum; ``claims``: a value, a confirmation, an act; ``coach`` and ``smith``: things that are
    named; ``card``: a date and a reference."""
    return load_policy_file(Path(__file__).parent / "logic" / f"{name}.py")
