"""Messages that no desk answers: everyday chatter in four languages, and what users say at the shipped desks."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent
PACKS = FOLDER / "packs.json"


@lru_cache(maxsize=16)
def chatter(language: str) -> tuple[str, ...]:
    """Everyday messages in a language; in English where there are none."""
    file = FOLDER / f"{language}.txt"
    if not file.is_file():
        file = FOLDER / "en.txt"
    return tuple(line for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


@lru_cache(maxsize=16)
def other_desks(language: str) -> tuple[tuple[str, ...], ...]:
    """[pack][message] what users say at the shipped desks in a language; in English where there is nothing."""
    packs = json.loads(PACKS.read_text(encoding="utf-8"))
    return tuple(tuple(messages) for messages in packs.get(language, packs["en"]).values())
