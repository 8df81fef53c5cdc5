"""Whether texts fit the box in which a game or a page shows them. What does not is not said; nothing is ever cut."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

from constrained.catalog.render import DECIMALS, MOST, spoken
from constrained.catalog.response import Box, Catalog, Response, Slot
from constrained.errors import Problem

_NUMBERS: dict[str, Any] = {  # the longest that a slot takes
    "integer": 1 - MOST,
    "decimal": Decimal(1 - MOST) + Decimal(1).scaleb(-DECIMALS),
    "money": 1 - MOST,
}
_BOUNDED: dict[str, tuple[Any, ...]] = {
    "date": tuple(dt.date(2026, month, 28) for month in range(1, 13)),
    "time": (dt.time(10, 58), dt.time(22, 58)),
}


@lru_cache(maxsize=1 << 14)
def misfit(text: str, box: Box) -> str:
    """Why a text does not fit a box, as the end of a sentence; empty when it does."""
    if box.chars is not None and len(text) > box.chars:
        return f"has {len(text)} characters, of at most {box.chars}"
    if box.lines is None:
        return ""
    n_lines = sum(max(1, len(textwrap.wrap(line, box.columns))) if box.columns else 1 for line in text.split("\n"))
    columns = f" of {box.columns} columns" if box.columns else ""
    return f"has {n_lines} lines{columns}, of at most {box.lines}" if n_lines > box.lines else ""


def box_report(catalog: Catalog) -> tuple[list[Problem], list[Problem]]:
    """Problems: texts that do not fit the catalog's box when each slot is as long as it can be, and numbers as short. Remarks: texts
    that do not fit with the longest number that a slot takes; no type bounds it."""
    problems: list[Problem] = []
    remarks: list[Problem] = []
    for response in catalog.responses.values() if catalog.box is not None else ():
        for locale in response.texts:
            why = _first_misfit(response, locale, catalog.box, is_long=False)
            if why:
                message = f"the text of {response.id!r} in {locale!r} does not fit the box: it {why}"
                hint = "shorten it, or give its text slots a max_length" if response.slots else "shorten it, or say it in two responses"
                problems.append(response.source.problem(message, hint))
            elif why := _first_misfit(response, locale, catalog.box, is_long=True):
                names = ", ".join(slot.name for slot in response.slots.values() if slot.kind in _NUMBERS)
                message = f"the text of {response.id!r} in {locale!r} does not fit the box with the longest number in {names}: it {why}"
                remarks.append(response.source.problem(message, "with such a number it is blocked, and another response is said"))
    return problems, remarks


def _first_misfit(response: Response, locale: str, box: Box | None, *, is_long: bool) -> str:
    """Of all variants and forms of a text."""
    found = (misfit(text, box) for text in _longest(response, locale, is_long=is_long) if box is not None)
    return next(filter(None, found), "")


def _longest(response: Response, locale: str, *, is_long: bool) -> Iterator[str]:
    words = {slot.name: _filler(response, slot, locale, is_long=is_long) for slot in response.slots.values()}
    for flat in response.texts[locale].flattened():
        yield "".join(part if isinstance(part, str) else words[part.name] for part in flat)


def _filler(response: Response, slot: Slot, locale: str, *, is_long: bool) -> str:
    if slot.kind in ("text", "user_text"):
        return "x" * slot.max_length
    if slot.kind == "choice":
        return max((words.get(locale, "") for words in slot.choices.values()), key=len, default="")
    values = _BOUNDED.get(slot.kind) or (_NUMBERS[slot.kind] if is_long else 0,)
    return max((spoken(response.id, slot, value, locale) for value in values), key=len)
