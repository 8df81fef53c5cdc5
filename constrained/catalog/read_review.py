"""The documents, review rules and box of a CatalogFile; what fits in shape but not in sense becomes a problem."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from constrained.catalog.document import Report, named
from constrained.catalog.locales import canonical_tag
from constrained.catalog.response import Box, FrozenDict, PolicyDocument, ReviewRules, freeze
from constrained.catalog.schema import BoxFile, CatalogFile, ReviewFile


def read_documents(shape: CatalogFile) -> Mapping[str, PolicyDocument]:
    """The documents that responses may cite, by name."""
    return freeze({name: PolicyDocument(name, one.file.strip(), one.on_change) for name, one in shape.documents.items()})


def read_review(shape: ReviewFile | None, report: Report) -> ReviewRules:
    """What texts are held against; problems go into ``report``."""
    if shape is None:
        return ReviewRules()
    return ReviewRules(
        reading_grade=shape.reading_grade,
        lengths=FrozenDict(shape.lengths),
        forbidden=_phrases(shape.forbidden, ("review", "forbidden"), report),
        locales=tuple(_review_locale(tag, index, report) for index, tag in enumerate(shape.locales)),
        promises=freeze({name: _phrases(one, ("review", "promises", name), report) for name, one in shape.promises.items()}),
    )


def read_box(shape: BoxFile | None, report: Report) -> Box | None:
    """What every text must fit; problems go into ``report``."""
    if shape is None:
        return None
    box = Box(shape.chars, shape.lines, shape.columns)
    if box == Box() and not report.has_bad(("box",)):
        report.add(("box",), "'box' limits nothing", "write box: {chars: 120}, or {lines: 3, columns: 40}", at_key=True)
    elif box.columns and not box.lines and not report.has_bad(("box",)):
        report.add(("box", "columns"), "'box.columns' of a box without lines limits nothing", "write how many lines it has", at_key=True)
    return box


def _phrases(phrases: list[str], path: tuple[str, ...], report: Report) -> tuple[str, ...]:
    """Phrases in NFC; an empty one would be found in every text."""
    clean = tuple(unicodedata.normalize("NFC", phrase).strip() for phrase in phrases)
    for index, phrase in enumerate(clean):
        if not phrase and not report.is_bad((*path, index)):
            report.add((*path, index), f"{named((*path, index))} is empty", "write a phrase, or take the entry out")
    return clean


def _review_locale(tag: str, index: int, report: Report) -> str:
    canonical, path = canonical_tag(tag), ("review", "locales", index)
    if canonical is None and not report.is_bad(path):
        report.add(path, f"{named(path)} is not a BCP 47 locale: {tag[:60]!r}", "write a tag such as en, en-GB or zh-Hant")
    return canonical or tag
