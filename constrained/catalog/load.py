"""A catalog file becomes a Catalog, or every reason why not. Knows neither policies nor models.

bytes -> text -> plain data with places -> CatalogFile -> responses -> Catalog
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from constrained.catalog.clashes import add_clashes
from constrained.catalog.digest import content_hash
from constrained.catalog.document import plain_data, read_document
from constrained.catalog.frozen import freeze
from constrained.catalog.locales import canonical_tag
from constrained.catalog.problems import Place, Report
from constrained.catalog.read import read_responses
from constrained.catalog.read_review import read_documents, read_review
from constrained.catalog.response import Catalog
from constrained.catalog.schema import CatalogFile
from constrained.catalog.shape import shaped
from constrained.errors import CatalogError


def load_catalog(path: str | Path, *, today: date | None = None) -> Catalog:
    """Loads a catalog file.

    Args:
        path: a YAML file.
        today: the day on which approvals must not have ended; now, in UTC, when None.

    Raises:
        CatalogError: ``problems`` holds everything that is wrong, with file, line, column and a hint.
    """
    report = Report(str(path))
    text = _text(Path(path), report)
    data = read_document(text, report)
    if data is None:
        if not report.problems:
            report.add_at(Place(1, 1), "the file holds no catalog", "write catalog:, version:, locale:, fallback: and responses:")
        raise _refused(report)
    return _catalog(data, report, today, str(path))


def catalog_from(data: Mapping[str, Any], *, name: str = "<memory>", today: date | None = None) -> Catalog:
    """A catalog from data in the shape of the file format; ``name`` stands for the file in problems."""
    report = Report(name)
    return _catalog(plain_data(data, report), report, today, "")


def _catalog(data: Any, report: Report, today: date | None, path: str) -> Catalog:
    if not isinstance(data, dict):
        report.add((), "a catalog is a mapping (key: value)", "write catalog:, version:, locale:, fallback: and responses:")
        raise _refused(report)
    shape = shaped(data, report)
    responses = read_responses(shape, report, today or datetime.now(UTC).date())
    review = read_review(shape.review, report)
    add_clashes(responses, report)
    if report.problems:
        raise _refused(report)
    head = _head(shape)
    is_required = shape.approvals == "required"
    return Catalog(
        **head,
        responses=freeze(responses),
        hash=content_hash(head | ({"approvals": "required"} if is_required else {}), responses),
        path=path,
        is_approval_required=is_required,
        documents=read_documents(shape),
        review=review,
    )


def _head(shape: CatalogFile) -> dict[str, Any]:
    return {
        "name": shape.catalog,
        "version": shape.version,
        "locale": canonical_tag(shape.locale) or shape.locale,
        "speaker": shape.speaker.strip(),
        "persona": shape.persona.strip(),
        "fallback": shape.fallback,
    }


def _text(path: Path, report: Report) -> str:
    """The file's text. Raises CatalogError when there is none."""
    try:
        content = path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else None
    except FileNotFoundError:
        report.add((), "there is no such file", "check the path, or make a pack with: constrained new NAME")
        raise _refused(report) from None
    except (OSError, ValueError) as error:
        report.add((), f"the file cannot be read: {getattr(error, 'strerror', None) or error}", "check the path and its permissions")
        raise _refused(report) from None
    if content is None:
        report.add((), "this is not a file", "name a YAML file, such as catalogs/tavern.yaml")
        raise _refused(report)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        report.add_at(Place(line, column), f"not UTF-8: the byte 0x{content[error.start]:02x}", "save the file as UTF-8")
        raise _refused(report) from None


def _refused(report: Report) -> CatalogError:
    count = len(report.problems)
    return CatalogError(f"{report.file} is not a catalog: {count} problem{'s' if count != 1 else ''}", report.problems)
