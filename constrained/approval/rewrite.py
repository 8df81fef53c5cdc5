"""Changes texts inside a catalog file and leaves every other byte as it is."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from constrained._durable_files import move_into_place
from constrained.approval.sheets import Texts
from constrained.catalog.document import LOADER
from constrained.catalog.load import load_catalog
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog, Response
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
    responses = _values(_values(root)["responses"])
    changes: dict[str, dict[str, str]] = {}
    for (response_id, locale), text in texts.items():
        if response_id not in catalog:
            raise CatalogError(f"the catalog {catalog.name!r} has no response {response_id!r}", hint="a sheet adds texts, not responses")
        changes.setdefault(response_id, {})[locale] = text
    return [
        edit
        for response_id, by_locale in changes.items()
        for edit in _text_edits(_written(responses, catalog[response_id]), by_locale, catalog.locale)
    ]


def _written(responses: Mapping[str, Any], response: Response) -> Any:
    """The node that holds the texts of a response: an offer stands within the response that it asks about."""
    return _values(responses[response.offer_of])["offer"] if response.offer_of else _values(responses[response.id])["text"]


def _text_edits(node: Any, texts: Mapping[str, str], default: str) -> list[_Edit]:
    """Edits of the value of one ``text`` key: a text, or a mapping of locale to text."""
    if not isinstance(node, yaml.MappingNode):
        if set(texts) == {default}:
            return [_instead(node, _quoted(texts[default]))]
        present = {default: node.value} | dict(texts)
        return [_instead(node, "{" + ", ".join(f"{locale}: {_quoted(text)}" for locale, text in present.items()) + "}")]
    there = {canonical_tag(key.value) or key.value: value for key, value in node.value}
    edits = [_instead(there[locale], _quoted(text)) for locale, text in texts.items() if locale in there]
    added = {locale: text for locale, text in texts.items() if locale not in there}
    return [*edits, _added(node, added)] if added else edits


def _instead(node: Any, text: str) -> _Edit:
    """``text`` in the place of a scalar; a block scalar ends behind its last line feed."""
    return _Edit(node.start_mark.index, node.end_mark.index, text + ("\n" if node.style in ("|", ">") else ""))


def _added(node: Any, texts: Mapping[str, str]) -> _Edit:
    """New locales before the first one of a mapping: its place and indent are known, whatever ends it."""
    first = node.value[0][0].start_mark
    items = [f"{locale}: {_quoted(text)}" for locale, text in texts.items()]
    if node.flow_style:
        return _Edit(first.index, first.index, ", ".join(items) + ", ")
    return _Edit(first.index, first.index, "".join(f"{item}\n{' ' * first.column}" for item in items))


def _values(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in node.value}


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
