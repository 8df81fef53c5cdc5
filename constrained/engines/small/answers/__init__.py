"""Authored answers to yes/no questions in four languages, in fixed parts: ``test`` alone is not fitted on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "es", "de", "fr")
CLASSES = ("yes", "no", "neither")


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """One authored answer.

    Attributes:
        part: ``train``, ``dev`` or ``test``. meaning: one of CLASSES. family: what kind of wording it is; no family of English is in
            two parts.
    """

    part: str
    meaning: str
    family: str
    text: str


@lru_cache(maxsize=8)
def answers(language: str) -> tuple[AnsweredQuestion, ...]:
    """All answers of a language of LANGUAGES, in the order of their file."""
    found, head = [], ("", "", "")
    for line in (FOLDER / f"{language}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            part, meaning, family = line.strip("[]").split()
            head = (part, meaning, family)
        elif line.strip() and not line.startswith("#"):
            found.append(AnsweredQuestion(*head, text=line.strip()))
    return tuple(found)


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 of all files, as hex."""
    return hashlib.sha256(b"\0".join((FOLDER / f"{language}.txt").read_bytes() for language in LANGUAGES)).hexdigest()
