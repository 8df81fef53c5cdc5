"""Which of the values that a message names are meant: corrected ("50, no wait, 60") and negated ones ("any day but Monday") are not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from constrained.understanding.value_cues import NEVER, Cues, cues

Values = Literal["number", "day", "thing"]

REACH = 60  # characters around a value in which a negation or a correction is looked for
CURRENCY_SIGNS = "$¢£¤¥֏؋৲৳৻૱௹฿៛₠-₿"
_PAUSE = r"[\s,.;:!?…—\u2013\-()\"]"
_WORDLESS = re.compile(r"[\W\d_]*")
_BARE_PAUSE = re.compile(r"[\s,.;:!…—\u2013\-]*(?:but|sino|sondern|mais)?[\s,]*", re.IGNORECASE)
_CLAUSE_END = re.compile(r"(?:\s+\w+)?\s*(?:[.,;:!?…\n]|$)")
_BREAKS = re.compile(r"[.,;:!?…—\u2013()\n]")


@dataclass(frozen=True, slots=True)
class _Patterns:
    """The compiled cues of a language."""

    correction: re.Pattern[str]
    pause_no: re.Pattern[str]
    bare_no: re.Pattern[str]
    withdrawn: re.Pattern[str]
    replaced: re.Pattern[str]
    restart: re.Pattern[str]
    not_this: re.Pattern[str]
    instead: re.Pattern[str]
    join: re.Pattern[str]
    join_and: re.Pattern[str]
    not_verb: re.Pattern[str]
    exception: re.Pattern[str]
    not_after: re.Pattern[str]
    wish: re.Pattern[str]


@lru_cache(maxsize=16)
def _patterns(language: str) -> _Patterns:
    known: Cues = cues(language)

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(pattern, re.IGNORECASE)

    before, fill = r"(?:\W+\w+){0,3}?", rf"(?:(?:{known.correction_fill}|{known.correction}|{known.no})(?!\w){_PAUSE}*)*"
    sign, skipped = rf"[{CURRENCY_SIGNS}]?\s*", rf"(?:(?:{known.skipped})\s+)*"
    return _Patterns(
        compiled(rf"{before}{_PAUSE}+(?:{known.correction})(?!\w){_PAUSE}*{fill}{sign}"),
        compiled(rf"{before}\s*[,.;:!?…—\u2013\-(]+\s*(?:{known.no})(?!\w){_PAUSE}*{fill}{sign}"),
        compiled(rf"\s+(?:{known.no})\s+{sign}" if known.no != NEVER else NEVER),
        compiled(rf"(?:\W+\w+){{0,2}}?{_PAUSE}+(?:{known.withdrawn})(?!\w)\W*"),
        compiled(rf"(?:\W+\w+){{0,8}}?\s*[,.;:!?…—\u2013\-(]+\s*{fill}(?:{known.withdrawn})(?!\w){_PAUSE}*{fill}{sign}"),
        compiled(rf"[,.;:!?…—\u2013\-(]\s*{fill}(?:{known.withdrawn})(?!\w)\s*[,.;:!…—\u2013\-)]+\s*"),
        compiled(rf"(?<!\w)(?:{known.not_this})\s+{skipped}{sign}$"),
        compiled(rf"(?<!\w)(?:{known.instead})\s+{skipped}{sign}$"),
        compiled(rf"\s+(?:{known.join})\s+{skipped}{sign}"),
        compiled(rf"\s+(?:{known.join_and})\s+{skipped}{sign}"),
        compiled(rf"(?<!\w)(?:{known.not_verb})(?P<between>(?:\s+[\w'\u2019]+){{0,4}})\s+{sign}$"),
        compiled(rf"(?<!\w)(?:{known.not_verb_except}|{known.but})(?!\w)"),
        compiled(rf"\s*(?:\w+\s+){{0,2}}?(?:{known.not_after})(?!\w)"),
        compiled(rf"(?:\s+(?:{known.wish}|{known.skipped}))*"),
    )


def standing(text: str, spans: Sequence[tuple[int, int]], language: str, kinds: Sequence[str] = (), *, of: Values = "number") -> list[bool]:
    """Whether each value is meant: neither negated, nor taken back, nor corrected by a later one.

    Args:
        spans: where the values stand, in the order of the text.
        kinds: one each; a value corrects the last one of its own kind. The same for all when empty.
        of: what the values are. A negated verb rules a thing out only where it wishes for it ("I don't want to dispute the hotel" is about
            the hotel), and "instead of" rules out days and things, not numbers.
    """
    known = _patterns(language)
    is_negated = [_is_negated(text, start, end, known, of) for start, end in spans]
    for index in range(1, len(spans)):
        if is_negated[index - 1] and not is_negated[index]:
            gap, rest = text[spans[index - 1][1] : spans[index][0]], text[spans[index][1] : spans[index][1] + REACH]
            is_end = _CLAUSE_END.match(rest) is not None
            is_negated[index] = known.join.fullmatch(gap) is not None or (is_end and known.join_and.fullmatch(gap) is not None)
    stands = [not negated for negated in is_negated]
    for index, (start, end) in enumerate(spans):
        following = spans[index + 1][0] if index + 1 < len(spans) else len(text)
        rest = text[end : min(following, end + REACH)]
        if following == len(text) and known.withdrawn.fullmatch(rest):
            stands[index] = False
        if index == 0 or is_negated[index]:
            continue
        gap = text[spans[index - 1][1] : start]
        if _is_correction(gap, known):
            earlier = [one for one in range(index) if not kinds or kinds[one] == kinds[index]]
            for one in earlier[-1:] or [index - 1]:
                stands[one] = False
    return stands


def corrected_spans(text: str, spans: Sequence[tuple[int, int]], language: str) -> list[tuple[int, int]]:
    """Where a value is replaced by the next one, from its beginning, or from the "not" before it, to that of the next: at most once a pair.

    Args:
        spans: where values of one kind stand, in the order of the text.
    """
    known = _patterns(language)
    found = []
    for (start, end), (following, _) in pairwise(spans):
        before, gap = text[max(0, start - REACH) : start], text[end:following]
        negated = known.not_this.search(before)
        if negated is not None and _BARE_PAUSE.fullmatch(gap):
            found.append((max(0, start - REACH) + negated.start(), following))
        elif _is_correction(gap, known):
            found.append((start, following))
    return found


def restart_of(text: str, language: str) -> int:
    """Where a message begins anew after it takes back all that was said ("stew, no, scratch that, an ale"); 0 where it does not."""
    return max((found.end() for found in _patterns(language).restart.finditer(text)), default=0)


def _is_correction(gap: str, known: _Patterns) -> bool:
    return len(gap) <= REACH and any(one.fullmatch(gap) for one in (known.correction, known.pause_no, known.bare_no, known.replaced))


def _is_negated(text: str, start: int, end: int, known: _Patterns, of: Values) -> bool:
    before = text[max(0, start - REACH) : start]
    if _WORDLESS.fullmatch(before) and _WORDLESS.fullmatch(text, end, min(len(text), end + REACH)):
        return False  # a column of numbers; it is only for speed
    if known.not_this.search(before) or (of != "number" and known.instead.search(before)):
        return True
    clause = _BREAKS.split(before)[-1]
    found = known.not_verb.search(clause)
    if found and not known.exception.search(found["between"]) and (of != "thing" or known.wish.fullmatch(found["between"])):
        return True
    return known.not_after.match(text[end : end + REACH]) is not None
