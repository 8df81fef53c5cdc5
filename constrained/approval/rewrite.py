"""Changes texts inside a catalog file, or adds an example, and leaves every other byte as it is."""

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
from constrained.catalog.document import LOADER, Report, read_document
from constrained.catalog.load import catalog_from_bytes, load_catalog
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog, Response
from constrained.catalog.template import split_variants
from constrained.errors import CatalogError

LINE_WIDTH = 140


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
    return _replace(path, mark + _edited(source, _edits(source, before, texts)), before, texts)


def _edited(source: str, edits: list[_Edit]) -> str:
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        source = source[: edit.start] + edit.text + source[edit.end :]
    return source


def with_example(content: bytes, path: Path, response_id: str, locale: str, message: str) -> bytes:
    """The content of a catalog file with one more example of a response; comments and layout stay.

    Raises CatalogError where there is no such response, or the file would not read as intended.
    """
    before = catalog_from_bytes(content, path)
    if response_id not in before or before[response_id].offer_of:
        raise CatalogError(f"the catalog {before.name!r} has no response {response_id!r}", hint="name one that stands in the file")
    mark, source = content[: 3 * content.startswith(b"\xef\xbb\xbf")], content.decode("utf-8-sig")
    response = _entries(_entries(yaml.compose(source, Loader=LOADER))["responses"][1])[response_id][1]
    edited = _edited(source, [_example_edit(source, response, before.locale, locale, message)])
    after = catalog_from_bytes(mark + edited.encode(), path)
    wanted = read_document(source, Report(str(path)))
    known = wanted["responses"][response_id].setdefault("examples", [])
    (known if isinstance(known, list) else known.setdefault(locale, [])).append(message)
    is_heard = message.strip() in after[response_id].examples.get(locale, ())
    if read_document(edited, Report(str(path))) != wanted or not is_heard:
        raise CatalogError(f"{path}: the example cannot be added to {response_id!r} from here", hint="add it in the file")
    return mark + edited.encode()


def _example_edit(source: str, response: Any, default: str, locale: str, message: str) -> _Edit:
    """At the end of the list of examples, however that is written; before the rest of a response that has none."""
    _, node = _entries(response).get("examples", (None, None))
    if isinstance(node, yaml.MappingNode):
        lists = {key.value: value for key, value in node.value}
        if locale not in lists:
            return _added_first(source, node.value[0][0], node, f"{locale}: [{_quoted(message)}]")
        node = lists[locale]
    elif locale != default:
        raise CatalogError(f"the examples are all in {default!r}", hint=f"write them as {{{default}: [...], {locale}: [...]}} in the file")
    if node is None:
        at = next((key for key, _ in response.value if key.value == "when"), response.value[0][0])
        return _added_first(source, at, response, f"examples: [{_quoted(message)}]")
    return _appended(source, node, _quoted(message))


def _appended(source: str, node: Any, item: str) -> _Edit:
    """One more item at the end of a list; in brackets a long line goes on in the next one."""
    if not node.value:
        return _Edit(node.start_mark.index, node.end_mark.index, f"[{item}]")
    first, last, end = node.value[0].start_mark, node.value[-1].end_mark, _line_end(source)
    if node.flow_style:
        is_long = last.column + len(item) > LINE_WIDTH
        return _Edit(last.index, last.index, f",{end}{' ' * first.column}{item}" if is_long else f", {item}")
    line = f"{' ' * node.start_mark.column}- {item}{end}"
    at = last.index if last.column == 0 else source.find("\n", last.index) + 1 or len(source)
    return _Edit(at, at, line if source[:at].endswith("\n") else end + line)


def _added_first(source: str, key: Any, node: Any, entry: str) -> _Edit:
    """An entry of a mapping before that of ``key``: its place and indent are known, whatever ends the mapping."""
    start = key.start_mark
    return _Edit(start.index, start.index, f"{entry}, " if node.flow_style else f"{entry}{_line_end(source)}{' ' * start.column}")


def _line_end(source: str) -> str:
    return "\r\n" if "\r\n" in source else "\n"


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


def put_in_place(path: Path, content: bytes) -> None:
    """Another content for a file that is there, in one step and durable; its permissions stay. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, path.stat().st_mode & 0o777)
        move_into_place(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _replace(path: Path, source: str, before: Catalog, texts: Texts) -> Catalog:
    """Puts the new file in the place of the old one, once it reads as intended."""
    after = _checked(source.encode(), path, before, texts)
    put_in_place(path, source.encode())
    return after


def _checked(content: bytes, path: Path, before: Catalog, texts: Texts) -> Catalog:
    try:
        after = catalog_from_bytes(content, path)
    except CatalogError as error:
        message = f"{path} would no longer be a catalog; nothing was written"
        raise CatalogError(message, error.problems, hint="correct the texts") from error
    wanted = {(one.id, locale): text.source for one in before.responses.values() for locale, text in one.texts.items()} | dict(texts)
    found = {(one.id, locale): text.source for one in after.responses.values() for locale, text in one.texts.items()}
    different = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
    if different:
        response_id, locale = different[0]
        message = f"{path}: the text of {response_id!r} in {locale!r} cannot be changed by a sheet; nothing was written"
        raise CatalogError(message, hint="change it in the file")
    return after
