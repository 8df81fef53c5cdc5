"""A message as it stands once the speaker's own corrections are followed: "forty, no, fifty for the key" is "fifty for the key"."""

from __future__ import annotations

import re
from datetime import date as Date
from functools import lru_cache

from constrained.understanding.answer_phrases import phrases_of
from constrained.understanding.mentions import corrected_spans, restart_of
from constrained.understanding.spans import message_locale, readable

_SHORT = 9  # words of a message in which a thing with an article that follows "no" corrects the one before ("the pelt, no, the ring")
_FEWEST = 2  # words of a message that begins anew; one alone may be no more than a sound
_ANY_DAY = Date(2024, 1, 1)  # which day a text names plays no part, only that it names one


@lru_cache(maxsize=256)
def follow_corrections(message: str, locale: str) -> str:
    """The message without what it takes back: all before it begins anew, and a value for another of its kind.

    Values are numbers, days, of short messages things with an article. The same where it takes nothing back. For what decides by the
    whole message; what is said of a value is heard from the message as it is.
    """
    from constrained.understanding.amounts import find_numbers
    from constrained.understanding.dates import day_spans

    text, known = readable(message), message_locale(locale)
    days = day_spans(text, known, _ANY_DAY)
    numbers = [(one.start, one.end) for one in find_numbers(text, known)]
    numbers = [one for one in numbers if not any(one[0] < end and start < one[1] for start, end in days)]
    cuts = [cut for spans in (numbers, days) for cut in corrected_spans(text, sorted(set(spans)), known.language)]
    if len(text.split()) <= _SHORT:
        things = corrected_spans(text, _things(text, known.language), known.language)
        cuts += [(start, end) for start, end in things if text[:end].rstrip().endswith((",", ".", ";", "\u2026", "-"))]
    last = len(text)
    for start, end in sorted(set(cuts), reverse=True):
        if end <= last:  # a day may be a thing with an article, too
            text, last = text[:start] + text[end:], start
    anew = text[restart_of(text, known.language) :]
    if len(anew) < len(text) and len(anew.split()) >= _FEWEST:
        return anew
    return text if cuts else message


def _things(text: str, language: str) -> list[tuple[int, int]]:
    articles = "|".join(map(re.escape, phrases_of(language).articles))
    return [one.span() for one in re.finditer(rf"\b(?:{articles})\s+\w+", text, re.IGNORECASE)] if articles else []
