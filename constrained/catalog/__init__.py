"""What may be said: approved responses, loaded from YAML, checked as a whole, rendered.

    template -> response -> load -> render

What is heavy to import (YAML, the file format) is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from constrained.catalog.lint import lint
from constrained.catalog.render import render, resolve_locale
from constrained.catalog.response import Approval, Catalog, Response, Slot, SlotKind, Source
from constrained.catalog.template import Hole, Template, TemplateSyntaxError, parse_template

if TYPE_CHECKING:
    from constrained.catalog.load import catalog_from, load_catalog
    from constrained.catalog.schema import json_schema


_LATER = {
    "catalog_from": "constrained.catalog.load",
    "json_schema": "constrained.catalog.schema",
    "load_catalog": "constrained.catalog.load",
}

__all__ = [
    "Approval",
    "Catalog",
    "Hole",
    "Response",
    "Slot",
    "SlotKind",
    "Source",
    "Template",
    "TemplateSyntaxError",
    "catalog_from",
    "json_schema",
    "lint",
    "load_catalog",
    "parse_template",
    "render",
    "resolve_locale",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'constrained.catalog' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)
