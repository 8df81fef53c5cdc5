"""Changes texts inside a catalog file and leaves every other byte as it is."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from constrained._durable_files import move_into_place
from constrained.approval.sheets import Texts, clean
from constrained.catalog.document import LOADER
from constrained.catalog.load import load_catalog
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog, Response
from constrained.catalog.template import split_variants
from constrained.errors import CatalogError, Problem


@dataclass(frozen=True, slots=True)
class _Edit:
    """``text`` instead of the characters from ``start`` to ``end``."""

    start: int
    end: int
    text: str


def rewrite(path: Path, texts: Texts) -> Catalog:
    """Writes changed and added texts into a catalog file; the file changes as a whole or not at all.

    Raises:
        CatalogError: a response that is not there, or a text that the catalog refuses. Nothing was written.
    """
    before = load_catalog(path)
    content = path.read_bytes()
    mark = "\ufeff" if content.startswith(b"\xef\xbb\xbf") else ""
    source = content.decode("utf-8-sig")
    edits = sorted(_edits(source, before, texts), key=lambda edit: edit.start, reverse=True)
    for edit in edits:
        source = source[: edit.start] + edit.text + source[edit.end :]
    return _replace(path, mark + source, before, texts)


def _edits(source: str, catalog: Catalog, texts: Texts) -> list[_Edit]:
    root = yaml.compose(source, Loader=LOADER)
    responses = _entries(_entries(root)["responses"][1])
    changes: dict[str, dict[str, str]] = {}
    for (response_id, locale), text in texts.items():
        if response_id not in catalog:
            raise CatalogError(f"the catalog {catalog.name!r} has no response {response_id!r}", hint="a sheet adds texts, not responses")
        changes.setdefault(response_id, {})[locale] = text
    return [
        edit
        for response_id, by_locale in changes.items()
        for edit in _response_edits(responses, catalog[response_id], by_locale, catalog.locale)
    ]


def _response_edits(responses: Mapping[str, Any], response: Response, texts: Mapping[str, str], default: str) -> list[_Edit]:
    """Edits of what a response says: an offer stands within the response that it asks about, variants beside the text."""
    node = responses[response.offer_of or response.id][1]
    fields = _entries(node)
    text, variants = (fields.get("offer"), None) if response.offer_of else (fields.get("text"), fields.get("variants"))
    first: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for locale, joined in texts.items():
        given, present = split_variants(joined), [one.source for one in response.texts[locale].each] if locale in response.texts else []
        is_listed = variants is not None and locale in _by_locale(variants[1], default)
        if text is not None and (locale in _by_locale(text[1], default) or not is_listed):
            changed, given, present = given[0] if given[:1] != present[:1] else None, given[1:], present[1:]
            first |= {locale: changed} if changed is not None else {}
        if present and not given:
            hint = f"take the variants in {locale!r} out in the file"
            raise CatalogError(f"{response.id!r} would lose all its variants in {locale!r}; nothing was written", hint=hint)
        if given != present:
            others[locale] = given
    edits = _text_edits(text[1], first, default) if text is not None and first else []
    return edits + (_list_edits(node, variants, others, default) if others else [])


def _list_edits(response: Any, variants: tuple[Any, Any] | None, texts: Mapping[str, list[str]], default: str) -> list[_Edit]:
    """Edits of the value of ``variants``: a list, or a mapping of locale to list. Texts are changed where they stand, if as many stay."""
    if variants is None:
        return [_added(response, {"variants": _quoted_lists(texts)})]
    key, node = variants
    there = _by_locale(node, default)
    if not isinstance(node, yaml.MappingNode) and set(texts) != {default}:
        present = {default: [one.value for one in node.value]} | dict(texts)
        return [_instead_of_list(key, node, _quoted_lists(present))]
    edits: list[_Edit] = []
    for locale, given in texts.items():
        if locale in there and len(there[locale][1].value) == len(given):
            scalars = zip(there[locale][1].value, given, strict=True)
            edits += [_instead(scalar, _quoted(text)) for scalar, text in scalars if clean(scalar.value) != text]
        elif locale in there:
            owner = there[locale][0] or key
            edits.append(_instead_of_list(owner, there[locale][1], _quoted_list(given)))
    added = {locale: _quoted_list(given) for locale, given in texts.items() if locale not in there}
    return [*edits, _added(node, added)] if added else edits


def _by_locale(node: Any, default: str) -> dict[str, tuple[Any, Any]]:
    """Locale -> its key, and what is written for it; a value that is no mapping is that of the default locale, without a key."""
    if not isinstance(node, yaml.MappingNode):
        return {default: (None, node)}
    return {canonical_tag(key.value) or key.value: (key, value) for key, value in node.value}


def _instead_of_list(key: Any, node: Any, text: str) -> _Edit:
    """``text`` in the place of a list, behind its key: a list in lines of its own may stand no deeper than the key."""
    if node.flow_style:
        return _Edit(node.start_mark.index, node.end_mark.index, text)
    last = node.value[-1]
    return _Edit(key.end_mark.index, last.end_mark.index, f": {text}" + ("\n" if last.style in ("|", ">") else ""))


def _text_edits(node: Any, texts: Mapping[str, str], default: str) -> list[_Edit]:
    """Edits of the value of one ``text`` key: a text, or a mapping of locale to text."""
    if not isinstance(node, yaml.MappingNode):
        if set(texts) == {default}:
            return [_instead(node, _quoted(texts[default]))]
        present = {default: node.value} | dict(texts)
        return [_instead(node, "{" + ", ".join(f"{locale}: {_quoted(text)}" for locale, text in present.items()) + "}")]
    there = _by_locale(node, default)
    edits = [_instead(there[locale][1], _quoted(text)) for locale, text in texts.items() if locale in there]
    added = {locale: _quoted(text) for locale, text in texts.items() if locale not in there}
    return [*edits, _added(node, added)] if added else edits


def _instead(node: Any, text: str) -> _Edit:
    """``text`` in the place of a scalar; a block scalar ends behind its last line feed."""
    return _Edit(node.start_mark.index, node.end_mark.index, text + ("\n" if node.style in ("|", ">") else ""))


def _added(node: Any, entries: Mapping[str, str]) -> _Edit:
    """New entries before the first one of a mapping: its place and indent are known, whatever ends it."""
    first = node.value[0][0].start_mark
    items = [f"{key}: {value}" for key, value in entries.items()]
    if node.flow_style:
        return _Edit(first.index, first.index, ", ".join(items) + ", ")
    return _Edit(first.index, first.index, "".join(f"{item}\n{' ' * first.column}" for item in items))


def _entries(node: Any) -> dict[str, tuple[Any, Any]]:
    """Key -> the nodes of the key and of its value."""
    return {key.value: (key, value) for key, value in node.value}


def _quoted_list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(map(_quoted, texts)) + "]"


def _quoted_lists(texts: Mapping[str, Iterable[str]]) -> str:
    return "{" + ", ".join(f"{locale}: {_quoted_list(given)}" for locale, given in texts.items()) + "}"


def _quoted(text: str) -> str:
    """A double-quoted scalar: what JSON writes YAML reads, but for the line breaks that only YAML knows."""
    return json.dumps(text, ensure_ascii=False).translate(_LINE_BREAKS)


_LINE_BREAKS = {0x2028: "\\L", 0x2029: "\\P", 0x85: "\\N", 0x7F: "\\x7f"}


def _replace(path: Path, source: str, before: Catalog, texts: Texts) -> Catalog:
    """Puts the new file in the place of the old one, once it reads as intended."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(source)
        os.chmod(name, path.stat().st_mode & 0o777)
        after = _checked(Path(name), path, before, texts)
        move_into_place(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
    return after


def _checked(fresh: Path, path: Path, before: Catalog, texts: Texts) -> Catalog:
    try:
        after = load_catalog(fresh)
    except CatalogError as error:
        problems = [Problem(str(path), one.line, one.column, one.message, one.hint) for one in error.problems]
        raise CatalogError(f"{path} would no longer be a catalog; nothing was written", problems, hint="correct the texts") from error
    wanted = {(one.id, locale): text.source for one in before.responses.values() for locale, text in one.texts.items()} | dict(texts)
    found = {(one.id, locale): text.source for one in after.responses.values() for locale, text in one.texts.items()}
    different = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
    if different:
        response_id, locale = different[0]
        message = f"{path}: the text of {response_id!r} in {locale!r} cannot be changed by a sheet; nothing was written"
        raise CatalogError(message, hint="change it in the file")
    return after
