"""XLIFF 2.1 for translators, out and in again: one file for each target locale.

A unit is one text: that of a response, named by its id, or a further variant of it, ``greet.2``. A slot is an inline ``<ph/>`` that a
translator can move and cannot change. A text with a plural or select is kept whole, as ICU MessageFormat writes it, and a note says so:
languages differ in their forms. What comes back are texts by response id and locale; ``rewrite`` puts them into the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from xml.etree import ElementTree as xml

from constrained.approval.sheets import Texts, clean
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Catalog, Response
from constrained.catalog.template import Hole, Template, TemplateSyntaxError, join_variants, parse_template
from constrained.errors import CatalogError, Problem

_NAMESPACE = "urn:oasis:names:tc:xliff:document:2.0"  # of 2.1 too
_VERSIONS = ("2.0", "2.1")
_N = f"{{{_NAMESPACE}}}"
_ICU_NOTE = (
    "ICU MessageFormat: translate the words between the inner braces, and write the forms that the language has (one, few, other). "
    "Keep the names before the commas, plural, select and #."
)
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def to_xliff(catalog: Catalog, target: str) -> bytes:
    """The texts of a catalog with their translation into ``target``, where there is one."""
    xml.register_namespace("", _NAMESPACE)
    root = xml.Element(f"{_N}xliff", {"version": "2.1", "srcLang": catalog.locale, "trgLang": target})
    file = xml.SubElement(root, f"{_N}file", {"id": catalog.name, "original": f"{catalog.name}.yaml", _SPACE: "preserve"})
    texts = [text for unit in _units(catalog, target).values() for text in _add_unit(file, unit)]
    xml.indent(root)  # before the texts are in: every space in them is said
    for element, template, is_whole in texts:
        _fill(element, template, is_whole)
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
    units = _units(catalog, target)
    problems: list[Problem] = []
    translated: dict[str, str] = {}
    for element in root.iter(f"{_N}unit"):
        name = element.get("id") or ""
        try:
            if name not in units:
                raise CatalogError(f"the catalog {catalog.name!r} has no response {name!r}", hint="export the file anew")
            if name in translated:
                raise CatalogError(f"{name!r} stands in two units", hint="take one of them out")
            translated[name] = _translated(element, units[name])
        except CatalogError as error:
            problems.append(Problem(str(path), 0, 0, error.message, error.hint))
    if problems:
        raise CatalogError(f"{path} cannot be taken into {catalog.name!r}; nothing was written", problems)
    return {
        (response.id, target): text
        for response in catalog.responses.values()
        if (text := _joined(response, translated, catalog.locale, target)) is not None
    }


@dataclass(frozen=True, slots=True)
class _Unit:
    """One text to translate. ``number``: of the variant, from 0."""

    response: Response
    number: int
    source: Template
    target: Template | None

    @property
    def name(self) -> str:
        return _unit_name(self.response, self.number)

    @property
    def is_whole(self) -> bool:
        return any(one.selections for one in (self.source, self.target) if one is not None)


def _unit_name(response: Response, number: int) -> str:
    """Its id: as authored ids hold no dot, none can be taken for that of a variant."""
    return f"{response.id}.{number + 1}" if number else response.id


def _units(catalog: Catalog, target: str) -> dict[str, _Unit]:
    """Every text of a catalog, by the id of its unit."""
    found = {}
    for response in catalog.responses.values():
        present = response.texts[target].each if target in response.texts else ()
        for number, source in enumerate(response.texts[catalog.locale].each):
            unit = _Unit(response, number, source, present[number] if number < len(present) else None)
            found[unit.name] = unit
    return found


def _joined(response: Response, translated: Mapping[str, str], source: str, target: str) -> str | None:
    """All variants of a translation; None where none differs from the catalog's. What was not translated stays as it is."""
    present = [one.source for one in response.texts[target].each] if target in response.texts else []
    found = [translated.get(_unit_name(response, number), "") for number in range(len(response.texts[source].each))]
    new = [text or old for text, old in zip_longest(found, present, fillvalue="") if text or old]
    return join_variants(new) if new != present else None


# -- out -------------------------------------------------------------------------------------------------


def _add_unit(file: xml.Element, unit: _Unit) -> Iterator[tuple[xml.Element, Template, bool]]:
    """The element of a unit; its elements that hold a text, with the text, and whether that is kept whole."""
    element = xml.SubElement(file, f"{_N}unit", {"id": unit.name})
    notes = xml.SubElement(element, f"{_N}notes")
    xml.SubElement(notes, f"{_N}note", {"category": "when"}).text = unit.response.when
    if unit.is_whole:
        xml.SubElement(notes, f"{_N}note", {"category": "icu"}).text = _ICU_NOTE
    segment = xml.SubElement(element, f"{_N}segment", {"id": "1", "state": "translated" if unit.target else "initial"})
    yield xml.SubElement(segment, f"{_N}source"), unit.source, unit.is_whole
    if unit.target:
        yield xml.SubElement(segment, f"{_N}target"), unit.target, unit.is_whole


def _fill(element: xml.Element, template: Template, is_whole: bool) -> None:
    """Literal text and placeholders; the n-th use of a slot has the same id in source and target."""
    last: xml.Element | None = None
    uses: dict[str, int] = {}
    if is_whole:
        element.text = template.source
        return
    for part in next(template.flattened()):  # the only one: without selections
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


def _translated(element: xml.Element, unit: _Unit) -> str:
    """The target text of a unit; empty for one that was not translated."""
    pieces = [one for one in element if one.tag in (f"{_N}segment", f"{_N}ignorable")]  # a tool may have cut the text into sentences
    source = "".join(_template(one.find(f"{_N}source"), unit) for one in pieces)
    if clean(source) != unit.source.source:
        raise CatalogError(f"the text of {unit.name!r} was changed since the file was exported", hint="export the file anew")
    if any(one.find(f"{_N}target") is None for one in pieces if one.tag == f"{_N}segment"):
        return ""
    text = clean("".join(_template(_target(one), unit) for one in pieces))
    try:
        lost = unit.source.slots - parse_template(text).slots if text else ()
    except TemplateSyntaxError as error:
        raise CatalogError(f"the translation of {unit.name!r}: {error.message} (character {error.column})", hint=error.hint) from None
    if lost:
        raise CatalogError(f"the translation of {unit.name!r} lost the placeholder {{{min(lost)}}}", hint="a translation keeps every <ph/>")
    return text


def _target(piece: xml.Element) -> xml.Element | None:
    """What is said of a piece in the target; the space between two sentences need not be translated."""
    target = piece.find(f"{_N}target")
    return piece.find(f"{_N}source") if target is None else target


def _template(element: xml.Element | None, unit: _Unit) -> str:
    """A source or target as it is written in a catalog: placeholders as slots, braces doubled but in a text that is kept whole."""
    if element is None:
        return ""
    try:
        return "".join(_parts(element, unit))
    except RecursionError as error:
        raise CatalogError(f"the text of {unit.name!r} nests too deep", hint="export the file anew") from error


def _parts(element: xml.Element, unit: _Unit) -> Iterator[str]:
    yield _literal(element.text, unit)
    for child in element:
        name = (child.get("id") or "").rpartition("-")[0]
        if child.tag == f"{_N}ph" and name in unit.response.slots:
            yield "{" + name + "}"
        elif child.tag in (f"{_N}mrk", f"{_N}pc"):
            yield from _parts(child, unit)
        else:
            tag = child.tag.removeprefix(_N)
            message = f"{unit.name!r} holds <{tag} id={child.get('id')!r}>, which is none of its slots"
            raise CatalogError(message, hint="keep the <ph/> as they were")
        yield _literal(child.tail, unit)


def _literal(text: str | None, unit: _Unit) -> str:
    return (text or "") if unit.is_whole else (text or "").replace("{", "{{").replace("}", "}}")


def _refused(path: Path, message: str, hint: str) -> CatalogError:
    return CatalogError(f"{path} is no XLIFF file of this catalog", [Problem(str(path), 0, 0, message, hint)])
