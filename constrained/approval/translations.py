"""XLIFF 2.1 for translators, out and in again: one file for each target locale.

A slot is an inline ``<ph/>`` that a translator can move and cannot change. What comes back are texts by response id
and locale; ``rewrite`` puts them into the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as xml

from constrained.approval.sheets import Texts, clean
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog, Response
from constrained.catalog.template import Hole, Template
from constrained.errors import CatalogError, Problem

_NAMESPACE = "urn:oasis:names:tc:xliff:document:2.0"  # of 2.1 too
_VERSIONS = ("2.0", "2.1")
_N = f"{{{_NAMESPACE}}}"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def to_xliff(catalog: Catalog, target: str) -> bytes:
    """The texts of a catalog with their translation into ``target``, where there is one.

    Raises CatalogError for a text with a plural or select: sheets carry it.
    """
    selecting = next((one for one in catalog.responses.values() for text in one.texts.values() if text.selections), None)
    if selecting is not None:
        message = f"{selecting.id!r} has a plural or select: languages differ in their forms, which XLIFF cannot carry here"
        hint = f"constrained sheet export {catalog.name} {catalog.name}.xlsx --locale {target}"
        raise CatalogError(message, [selecting.source.problem(message, hint)], hint=hint)
    xml.register_namespace("", _NAMESPACE)
    root = xml.Element(f"{_N}xliff", {"version": "2.1", "srcLang": catalog.locale, "trgLang": target})
    file = xml.SubElement(root, f"{_N}file", {"id": catalog.name, "original": f"{catalog.name}.yaml", _SPACE: "preserve"})
    texts = [text for response in catalog.responses.values() for text in _add_unit(file, response, catalog.locale, target)]
    xml.indent(root)  # before the texts are in: every space in them is said
    for element, template in texts:
        _fill(element, template)
    body: bytes = xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def from_xliff(catalog: Catalog, path: Path) -> Texts:
    """The translations that differ from the catalog's.

    Raises:
        CatalogError: no XLIFF 2 file of this catalog, or units whose source changed since, or with slots lost. Every reason.
    """
    root = _root(path)
    given = root.get("trgLang") or ""
    target = canonical_tag(given) or given
    if root.get("srcLang") != catalog.locale or not target:
        raise _refused(path, f"the file translates {root.get('srcLang')!r}, the catalog's locale is {catalog.locale!r}", "export it anew")
    texts: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    seen: set[str] = set()
    for unit in root.iter(f"{_N}unit"):
        try:
            found = _translated(unit, catalog, seen)
        except CatalogError as error:
            problems.append(Problem(str(path), 0, 0, error.message, error.hint))
            continue
        if found is not None and found[1] != _source_in(catalog[found[0]], target):
            texts[found[0], target] = found[1]
    if problems:
        raise CatalogError(f"{path} cannot be taken into {catalog.name!r}; nothing was written", problems)
    return texts


# -- out -------------------------------------------------------------------------------------------------


def _add_unit(file: xml.Element, response: Response, source: str, target: str) -> Iterator[tuple[xml.Element, Template]]:
    """The unit of a response; its elements that hold a text, with the text."""
    unit = xml.SubElement(file, f"{_N}unit", {"id": response.id})
    notes = xml.SubElement(unit, f"{_N}notes")
    xml.SubElement(notes, f"{_N}note", {"category": "when"}).text = response.when
    present = response.texts.get(target)
    segment = xml.SubElement(unit, f"{_N}segment", {"id": "1", "state": "translated" if present else "initial"})
    yield xml.SubElement(segment, f"{_N}source"), response.texts[source]
    if present:
        yield xml.SubElement(segment, f"{_N}target"), present


def _fill(element: xml.Element, template: Template) -> None:
    """Literal text and placeholders; the n-th use of a slot has the same id in source and target."""
    last: xml.Element | None = None
    uses: dict[str, int] = {}
    for part in next(template.flattened()):  # the only one: texts with selections were refused
        if isinstance(part, Hole):
            uses[part.name] = uses.get(part.name, 0) + 1
            attributes = {"id": f"{part.name}-{uses[part.name]}", "equiv": "{" + part.name + "}", "canDelete": "no", "canCopy": "no"}
            last = xml.SubElement(element, f"{_N}ph", attributes)
        elif last is None:
            element.text = (element.text or "") + part
        else:
            last.tail = (last.tail or "") + part


# -- in --------------------------------------------------------------------------------------------------


def _root(path: Path) -> xml.Element:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}", "check the path") from error
    if re.search(rb"<!\s*(?:DOCTYPE|ENTITY)", content, re.IGNORECASE) or b"\0" in content:
        raise _refused(path, "it has a document type or is not UTF-8", "XLIFF has no need of entities; save it as UTF-8 without a DOCTYPE")
    try:
        root = xml.fromstring(content)
    except (xml.ParseError, ValueError, LookupError) as error:  # the others: an encoding that is none, or not for XML
        raise _refused(path, f"not XML: {error}", "save it anew") from error
    if root.tag != f"{_N}xliff" or root.get("version") not in _VERSIONS:
        raise _refused(path, "not XLIFF 2.0 or 2.1", "export it anew, and let the tool save XLIFF 2.1")
    return root


def _translated(unit: xml.Element, catalog: Catalog, seen: set[str]) -> tuple[str, str] | None:
    """Response id and target text of a unit; None for one that was not translated. ``seen``: ids of the units before."""
    response = catalog.responses.get(unit.get("id") or "")
    if response is None:
        raise CatalogError(f"the catalog {catalog.name!r} has no response {unit.get('id')!r}", hint="export the file anew")
    if response.id in seen:
        raise CatalogError(f"{response.id!r} stands in two units", hint="take one of them out")
    seen.add(response.id)
    pieces = [one for one in unit if one.tag in (f"{_N}segment", f"{_N}ignorable")]  # a tool may have cut the text into sentences
    source = "".join(_template(one.find(f"{_N}source"), response) for one in pieces)
    if clean(source) != response.texts[catalog.locale].source:
        raise CatalogError(f"the text of {response.id!r} was changed since the file was exported", hint="export the file anew")
    if any(one.find(f"{_N}target") is None for one in pieces if one.tag == f"{_N}segment"):
        return None
    text = clean("".join(_template(_target(one), response) for one in pieces))
    return (response.id, text) if text else None


def _target(piece: xml.Element) -> xml.Element | None:
    """What is said of a piece in the target; the space between two sentences need not be translated."""
    target = piece.find(f"{_N}target")
    return piece.find(f"{_N}source") if target is None else target


def _template(element: xml.Element | None, response: Response) -> str:
    """A source or target as it is written in a catalog: braces doubled, placeholders as slots."""
    if element is None:
        return ""
    try:
        return "".join(_parts(element, response))
    except RecursionError as error:
        raise CatalogError(f"the text of {response.id!r} nests too deep", hint="export the file anew") from error


def _parts(element: xml.Element, response: Response) -> Iterator[str]:
    yield _literal(element.text)
    for child in element:
        name = (child.get("id") or "").rpartition("-")[0]
        if child.tag == f"{_N}ph" and name in response.slots:
            yield "{" + name + "}"
        elif child.tag in (f"{_N}mrk", f"{_N}pc"):
            yield from _parts(child, response)
        else:
            tag = child.tag.removeprefix(_N)
            message = f"{response.id!r} holds <{tag} id={child.get('id')!r}>, which is none of its slots"
            raise CatalogError(message, hint="keep the <ph/> as they were")
        yield _literal(child.tail)


def _literal(text: str | None) -> str:
    return (text or "").replace("{", "{{").replace("}", "}}")


def _source_in(response: Response, locale: str) -> str | None:
    template = response.texts.get(locale)
    return template.source if template else None


def _refused(path: Path, message: str, hint: str) -> CatalogError:
    return CatalogError(f"{path} is no XLIFF file of this catalog", [Problem(str(path), 0, 0, message, hint)])
