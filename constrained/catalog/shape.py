"""Plain data becomes a CatalogFile; every misfit becomes a problem with its place.

Misfits are taken out and validation runs again, so that what is left can be checked further and a writer
sees everything at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from constrained.catalog.document import Path, Report, named, nearest
from constrained.catalog.schema import (
    KINDS,
    TAGS,
    ApprovalFile,
    BoxFile,
    CatalogFile,
    ChoiceSlot,
    CitationFile,
    DocumentFile,
    MoneySlot,
    PlainSlot,
    ResponseFile,
    ReviewFile,
    TextSlot,
    UserTextSlot,
)
from constrained.errors import CatalogError

ROUNDS = 20  # each takes out at least one misfit of every branch; a catalog is six levels deep
_STUBS: dict[str, Any] = {
    **dict.fromkeys(("catalog", "locale", "fallback", "when", "by", "currency", "file", "document", "hash"), ""),
    "form": "reference",
    "responses": {},
    "version": 1,
    "of": [],
    "on": "2000-01-01",
}
_MISSING_HINTS = {
    "when": "say in plain language which messages it answers",
    "version": "write version: 1, and count up with each change",
    "locale": "name the default locale, such as locale: en",
    "fallback": "name the response that is said when nothing else fits",
    "catalog": "name the catalog, as its file is named",
    "responses": "write responses: and then the responses by id",
    "currency": "write {type: money, currency: EUR}",
    "of": "write {type: choice, of: [ale, stew]}",
    "form": "write {type: user_text, form: reference}, or name or postcode",
    "by": "name who approved it",
    "on": "write the day of approval, such as on: 2026-01-15",
    "file": "name the document, relative to this file",
    "document": "name a document that stands under documents",
    "hash": "write hash: unread; constrained check then tells the hash to write",
}


def to_catalog_file(data: dict[str, Any], report: Report) -> CatalogFile:
    """``data`` as a CatalogFile. What does not fit goes into ``report`` and is left out or replaced by a stub.

    Raises:
        CatalogError: with the problems found, when the data cannot be brought into shape.
    """
    for _ in range(ROUNDS):
        try:
            return CatalogFile.model_validate(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_context=True):
                path = _path(detail["loc"])
                if not report.is_bad(path):
                    _add_misfit(path, detail, report)
                _take_out(data, path)
    raise CatalogError(f"{report.file} is not a catalog", report.problems, hint="correct these first")


def _path(location: Path) -> Path:
    """pydantic's location without the names of union members, which are no part of the data."""
    path: Path = ()
    may_be_tag = False
    for step in location:
        if may_be_tag and step in TAGS:
            may_be_tag = False
            continue
        path = (*path, step)
        may_be_tag = _is_union(path)
    return path


def _is_union(path: Path) -> bool:
    """Whether the format takes several shapes at ``path``."""
    field = path[2] if len(path) > 2 and path[0] == "responses" else None
    if field == "slots":
        return len(path) == 4 or (len(path) in (5, 6) and path[4] == "of")
    return len(path) == 3 and field in ("text", "variants", "offer", "examples")


def _take_out(data: Any, path: Path) -> None:
    """Makes what stands at ``path`` fit: a required key gets a stub, a list entry an empty text, the rest goes."""
    for step in path[:-1]:
        data = _step(data, step)
    if not path:
        return
    last = path[-1]
    if isinstance(data, list) and isinstance(last, int) and last < len(data):
        data[last] = ""
    elif isinstance(data, dict) and isinstance(last, str):
        is_missing = last not in data
        data.pop(last, None)
        if is_missing and last in _STUBS:
            stub = _STUBS[last]
            data[last] = stub if isinstance(stub, str | int) else type(stub)()


def _step(data: Any, step: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(str(step))
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return data[step]
    return None


# -- the misfit in a writer's words ------------------------------------------------------------------


def _add_misfit(path: Path, detail: Any, report: Report) -> None:
    kind: str = detail["type"]
    value = detail["input"]
    if kind == "missing":
        report.add(path, f"{named(path)} is missing", _MISSING_HINTS.get(str(path[-1]), ""))
    elif kind == "extra_forbidden":
        report.add(path, f"unknown key {named(path)}", nearest(path[-1], _known_keys(path, report)), at_key=True)
    elif value is None:
        hint = (
            "a text that begins with { needs quotes"
            if path[2:3] in (("text",), ("offer",)) and len(path) == 4
            else "give a value, or take the line out"
        )
        report.add(path, f"{named(path)} has no value", hint, at_key=True)
    elif len(path) == 4 and path[2] == "slots":
        report.add(path, *_slot_words(path, value))
    elif kind == "literal_error":
        report.add(path, f"{named(path)} must be {detail['ctx']['expected']}, not {_value_in_words(value)}", "write one of these words")
    elif kind == "greater_than":
        report.add(path, f"{named(path)} must be greater than {detail['ctx']['gt']:g}", "write a larger number, or take it out")
    elif kind in ("greater_than_equal", "less_than_equal"):
        limit = detail["ctx"].get("ge", detail["ctx"].get("le"))
        report.add(path, f"{named(path)} must be at {'least' if 'ge' in detail['ctx'] else 'most'} {limit}", f"write a number like {limit}")
    else:
        expected, hint = _EXPECTED.get(kind, ("of another kind", ""))
        expected, hint = _by_key(path, expected, hint)
        report.add(path, f"{named(path)} must be {expected}, not {_value_in_words(value)}", hint)


_QUOTE = "put it in quotes"
_EXPECTED: Mapping[str, tuple[str, str]] = {
    "string_type": ("text", _QUOTE),
    "string_unicode": ("text that can be written as UTF-8", "delete the lone surrogate"),
    "dict_type": ("a mapping (key: value)", ""),
    "model_type": ("a mapping (key: value)", ""),
    "model_attributes_type": ("a mapping (key: value)", ""),
    "list_type": ("a list", "write [one, another], or one entry a line after '- '"),
    "int_type": ("a whole number", ""),
    "float_type": ("a number", ""),
    "float_parsing": ("a number", "write it without quotes"),
    "bool_type": ("true or false", "write true or false without quotes"),
    "value_error": ("a day", "write it as year-month-day: 2026-01-15"),
}
_KEY_EXPECTED: Mapping[str, tuple[str, str]] = {
    "text": ("text, or a mapping of locale to text", _QUOTE),
    "offer": ("text, or a mapping of locale to text", _QUOTE),
    "variants": ("a list of texts, or a mapping of locale to list", "write ['one text', 'another']"),
    "examples": ("a list of messages, or a mapping of locale to list", "write ['one message', 'another']"),
    "of": ("a list of words, or a mapping of value to word", "write of: [ale, stew]"),
}


def _by_key(path: Path, expected: str, hint: str) -> tuple[str, str]:
    last = path[-1] if path else ""
    if len(path) == 3 and last in _KEY_EXPECTED:
        return _KEY_EXPECTED[str(last)]
    if len(path) == 5 and last == "of":
        return _KEY_EXPECTED["of"]
    if len(path) == 2 and path[0] == "responses":
        return "a mapping with text and when", "write text: and when: below the id, indented"
    return expected, hint


_MUST_SAY = {"money": "currency", "choice": "of", "user_text": "form"}


def _slot_words(path: Path, value: Any) -> tuple[str, str]:
    kind = value.get("type") if isinstance(value, Mapping) else value
    if kind in _MUST_SAY:
        return f"{named(path)} says too little for a {kind} slot", _MISSING_HINTS[_MUST_SAY[kind]]
    if kind is None:
        return f"{named(path)} has no type", f"write {{type: ...}} with one of {', '.join(KINDS)}"
    return f"{named(path)} has an unknown slot type {_value_in_words(kind)}", nearest(kind, KINDS)


_PARTS: Mapping[str, type[BaseModel]] = {"documents": DocumentFile, "review": ReviewFile, "box": BoxFile}


def _known_keys(path: Path, report: Report) -> frozenset[str]:
    """The keys that a mapping of the format takes, where ``path`` names a key that it does not."""
    if len(path) == 1:
        return frozenset(CatalogFile.model_fields)
    if len(path) == 3:
        return frozenset(ResponseFile.model_fields)
    if path[0] in _PARTS:
        return frozenset(_PARTS[str(path[0])].model_fields)
    if len(path) == 4 and path[2] in ("approval", "cites"):
        return frozenset((ApprovalFile if path[2] == "approval" else CitationFile).model_fields)
    models = (PlainSlot, MoneySlot, TextSlot, UserTextSlot, ChoiceSlot)
    return frozenset(name for model in models for name in model.model_fields)


def _value_in_words(value: Any) -> str:
    names: tuple[tuple[type, Callable[[Any], str]], ...] = (
        (bool, lambda _: "true or false"),
        (str, lambda text: repr(text[:40])),
        (int, lambda number: f"the number {number}" if abs(number) < 10**18 else "a number"),
        (float, lambda number: f"the number {number}"),
        (Mapping, lambda _: "a mapping"),
        (list, lambda _: "a list"),
    )
    return next((words(value) for kind, words in names if isinstance(value, kind)), f"a {type(value).__name__}")
