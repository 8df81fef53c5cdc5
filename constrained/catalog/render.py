"""A response and its slot values become the text that is said. Knows neither policies nor models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from constrained.catalog.formats import spoken
from constrained.catalog.locales import nearest_tag
from constrained.catalog.response import Response
from constrained.catalog.safety import find_marker
from constrained.catalog.template import Template
from constrained.errors import CatalogError, SlotError


def resolve_locale(response: Response, locale: str, default: str) -> str | None:
    """The locale whose text of ``response`` is said to a user of ``locale``.

    That is ``locale`` itself, else the nearest parent (``es`` for ``es-MX``), else ``default``. A response
    marked ``exact_locale`` has no such last resort, and no parent that leaves out the script.

    Returns:
        A key of ``response.texts``, or None when the response may not be said in that locale.
    """
    texts = response.texts
    if locale in texts:
        return locale
    if response.exact_locale:
        return nearest_tag(texts, locale, same_script=True)
    return nearest_tag(texts, locale) or nearest_tag(texts, default)


def render(response: Response, slots: Mapping[str, Any], locale: str) -> str:
    """The text of ``response`` with its slots filled, formatted for the locale of that text.

    Raises:
        SlotError: a slot is missing, surplus, or has a value that may not be said.
        CatalogError: the response has no text for ``locale`` or its parents; ``resolve_locale`` finds one.
    """
    template = response.texts.get(locale)
    if template is None:
        locale, template = _nearest(response, locale)
    if template.literal is not None and not slots:
        return template.literal
    return _filled(response, template, slots, locale)


def _nearest(response: Response, locale: str) -> tuple[str, Template]:
    nearest = nearest_tag(response.texts, locale)
    if nearest is None:
        raise CatalogError(
            f"{response.id!r} has no text for {locale!r}, only for {', '.join(sorted(response.texts))}",
            hint="find the locale with resolve_locale first",
        )
    return nearest, response.texts[nearest]


def _filled(response: Response, template: Template, slots: Mapping[str, Any], locale: str) -> str:
    _check_names(response, template, slots)
    words = {name: spoken(response.id, response.slots[name], slots[name], locale) for name in template.slots}
    text = "".join(part if isinstance(part, str) else words[part.name] for part in template.parts)
    free = [name for name in template.slots if response.slots[name].kind in ("text", "choice")]
    marker = find_marker(text) if free else None
    if marker:
        raise SlotError(
            f"the value makes the chat marker {marker!r} in the text of {response.id!r}",
            response=response.id,
            slot=free[0],
            value=slots[free[0]],
            hint="take the brackets out of the text or out of the value",
        )
    return text


def _check_names(response: Response, template: Template, slots: Mapping[str, Any]) -> None:
    for name in sorted(template.slots):
        if name not in slots:
            _refuse(response, name, None, f"the slot {name!r} of {response.id!r} is missing", f'say("{response.id}", {name}=...)')
        if name not in response.slots:
            _refuse(response, name, slots[name], f"{response.id!r} does not declare the slot {name!r}", "declare it under slots")
    for name in slots:
        if name not in template.slots:
            known = ", ".join(sorted(template.slots)) or "none"
            _refuse(response, name, slots[name], f"{response.id!r} has no slot {name!r}", f"its slots: {known}")


def _refuse(response: Response, slot: str, value: object, message: str, hint: str) -> NoReturn:
    raise SlotError(message, response=response.id, slot=slot, value=value, hint=hint)
