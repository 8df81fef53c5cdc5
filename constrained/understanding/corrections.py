"""A message as it stands once the speaker's own corrections are followed: "forty, no, fifty for the key" is "fifty for the key"."""

from __future__ import annotations

from datetime import date as Date
from functools import lru_cache

from constrained.understanding.hearing import babel_locale, readable
from constrained.understanding.mentions import corrected_spans

_ANY_DAY = Date(2024, 1, 1)  # which day a text names plays no part, only that it names one


@lru_cache(maxsize=256)
def follow_corrections(message: str, locale: str) -> str:
    """The message without the numbers and days that it takes back for others of their kind; the same where it takes nothing back."""
    from constrained.understanding.amounts import find_numbers
    from constrained.understanding.dates import day_spans

    text, known = readable(message), babel_locale(locale)
    days = day_spans(text, known, _ANY_DAY)
    numbers = [(one.start, one.end) for one in find_numbers(text, known)]
    numbers = [one for one in numbers if not any(one[0] < end and start < one[1] for start, end in days)]
    cuts = [cut for spans in (numbers, days) for cut in corrected_spans(text, sorted(set(spans)), known.language)]
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    return text if cuts else message
