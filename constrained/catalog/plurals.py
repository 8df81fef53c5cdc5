"""Plural and select in a text: which of the approved forms a value asks for, and what is wrong with a selection.

The categories of numbers (``one``, ``few``, ``other``) and the rule of each locale are those of the Unicode CLDR, as Babel has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from constrained.catalog.locales import babel_locale
from constrained.catalog.response import Slot
from constrained.catalog.template import OTHER, Flat, Hole, Selection, Template

CATEGORIES = ("zero", "one", "two", "few", "many", OTHER)
_NUMBERS = ("integer", "decimal")


def with_forms(template: Template, values: Mapping[str, Any], locale: str) -> Flat:
    """The template's literal text and holes, with the form of each selection that ``values`` ask for. The values were checked before."""
    parts: list[str | Hole] = []
    for part in template.parts:
        parts += selected(part, values[part.name], locale) if isinstance(part, Selection) else (part,)
    return tuple(parts)


def selected(selection: Selection, value: Any, locale: str) -> Flat:
    """The form of a selection for a value; ``other`` where no form is written for it."""
    forms = dict(selection.forms)
    if selection.kind == "select":
        return forms.get(str(value.value if isinstance(value, Enum) else value), forms[OTHER])
    exact = next((form for selector, form in selection.forms if selector.startswith("=") and Decimal(selector[1:]) == value), None)
    return exact if exact is not None else forms.get(category(value, locale), forms[OTHER])


def category(number: int | Decimal, locale: str) -> str:
    """The category of a number in a locale: ``one`` for 1 in English. Decimals that are shown count: 1.0 is ``other`` there."""
    known = babel_locale(locale)
    return str(known.plural_form(number)) if known is not None else OTHER


def categories(locale: str) -> tuple[str, ...]:
    """The categories that a locale tells apart, ``other`` always among them."""
    known = babel_locale(locale)
    tags = known.plural_form.tags if known is not None else frozenset[str]()
    return tuple(one for one in CATEGORIES if one in tags or one == OTHER)


def misfit(selection: Selection, slot: Slot, locale: str) -> tuple[str, str] | None:
    """What is wrong with a selection by a slot, and what to do; None when nothing is."""
    if selection.kind == "plural":
        if slot.kind not in _NUMBERS:
            return f"the plural of {slot.name!r} selects by a {slot.kind} slot", "a plural needs an integer or a decimal; for words, select"
        known = categories(locale)
        wrong = next((one for one in selection.selectors if not one.startswith("=") and one not in known), None)
        hint = f"{locale!r} has {', '.join(known)}; for a number of its own write =2 {{...}}"
        return (f"the plural of {slot.name!r} has the form {wrong!r}, which {locale!r} does not have", hint) if wrong else None
    if slot.kind != "choice":
        return f"the select of {slot.name!r} selects by a {slot.kind} slot", "a select needs a choice slot; for numbers, plural"
    wrong = next((one for one in selection.selectors if one != OTHER and one not in slot.choices), None)
    hint = f"the choices are {', '.join(slot.choices)}"
    return (f"the select of {slot.name!r} has the form {wrong!r}, which is none of its choices", hint) if wrong else None


def missing_categories(selection: Selection, locale: str) -> tuple[str, ...]:
    """Categories of the locale that a plural has no form for: ``other`` is said there."""
    return tuple(one for one in categories(locale) if one not in selection.selectors) if selection.kind == "plural" else ()
