"""What a message itself says about which year or week a day is of: it outweighs the direction that a question prefers."""

from __future__ import annotations

import re
from functools import lru_cache

from constrained.understanding.value_words import Words


def is_coming(match: re.Match[str], known: Words) -> bool:
    """Whether the weekday of a match is said to be the coming one: "next Tuesday", "Tuesday next week"."""
    before, after = match.string[max(0, match.start() - 20) : match.start()], match.string[match.end() :]
    return _ends_with(known.next_before).search(before) is not None or _begins_with(known.next_after).match(after) is not None


def stated_year(match: re.Match[str], known: Words, this_year: int) -> str | None:
    """The year of a day and month where words right behind them tell it: "3 May last year". None where none do."""
    after = match.string[match.end() :]
    for phrase, years in known.years.items():
        if _begins_with(rf"(?:(?:{known.of})\s+)?(?:{phrase})").match(after):
            return f"{this_year + years:04d}"
    return None


@lru_cache(maxsize=64)
def _ends_with(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words})\s+$", re.IGNORECASE)


@lru_cache(maxsize=64)
def _begins_with(words: str) -> re.Pattern[str]:
    return re.compile(rf",?\s+(?:{words})(?!\w)", re.IGNORECASE)
