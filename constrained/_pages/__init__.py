"""Pages for people, filled in from the templates beside this file: HTML in one file, no script, nothing asked from elsewhere.

``base.html`` is the frame that every page extends; ``macros.html`` holds figures, tables, notes and charts. Whatever a page is
given is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
SHORT = 24  # characters of a table cell that is not broken into lines


@dataclass(frozen=True, slots=True)
class Bar:
    """A table cell that shows a share of 1 as a horizontal bar."""

    share: float


@dataclass(frozen=True, slots=True)
class Alert:
    """A table cell whose text stands out."""

    text: str


def render_page(template: str, **values: Any) -> str:
    """A whole page. ``template``: a file in this folder. A value that the template names and was not given is an error."""
    return _environment().get_template(template).render(values)


def format_value(value: object) -> str:
    """A value for people: thousands apart, floats with three digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _numeric_columns(rows: Sequence[Sequence[object]]) -> list[bool]:
    """Of each column of a table with rows, whether it holds numbers alone."""
    return [all(isinstance(row[column], int | float) for row in rows) for column in range(len(rows[0]))]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only a program that writes pages pays for it

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = format_value
    environment.filters["numeric_columns"] = _numeric_columns
    environment.tests["bar"] = lambda value: isinstance(value, Bar)
    environment.tests["alert"] = lambda value: isinstance(value, Alert)
    environment.tests["short"] = lambda value: isinstance(value, str) and 0 < len(value) <= SHORT
    return environment
