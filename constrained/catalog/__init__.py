"""What may be said: approved responses, loaded from YAML, checked as a whole, rendered. Knows no policy.

template -> response -> load -> render
"""

from constrained.catalog.lint import lint
from constrained.catalog.load import catalog_from, load_catalog
from constrained.catalog.render import render, resolve_locale
from constrained.catalog.response import Approval, Catalog, Response, Slot, SlotKind, Source
from constrained.catalog.schema import json_schema
from constrained.catalog.template import Hole, Template, TemplateSyntaxError, parse_template

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
