"""Options as an engine sees them: text, name, and the messages that each answers. Knows no turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constrained.catalog.response import Catalog
from constrained.choice import Candidate
from constrained.logic.options import Option


def examples(response: Any, locale: str, catalog: Catalog) -> tuple[str, ...]:
    """The user messages that a response answers, in the turn's locale or its language, else in the catalog's."""
    by_locale: Mapping[str, tuple[str, ...]] = response.examples
    return by_locale.get(locale) or by_locale.get(locale.split("-")[0]) or by_locale.get(catalog.locale, ())


def candidate(option: Option, index: int, catalog: Catalog, locale: str, is_rest: bool) -> Candidate:
    """One option of a turn. ``is_rest``: said when none of the others is likely enough."""
    return Candidate(
        key=f"{index}:{option.id}",
        text=option.text,
        name=option.response.key,
        when=option.response.when,
        examples=examples(option.response, locale, catalog),
        rest=is_rest,
    )
