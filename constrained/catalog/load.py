"""A catalog file becomes a Catalog, or a CatalogError with every reason why not.

The steps: text -> plain data (``document``) -> CatalogFile (``shape``) -> responses (``read``), and here what concerns
responses together: no two of them are said in the same words, for nobody could tell which one was.
"""

from __future__ import annotations

import itertools
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from constrained._canonical_json import sha256
from constrained.catalog.document import Report, SourceLocation, plain_data, read_document
from constrained.catalog.invisible import without_invisible
from constrained.catalog.locales import canonical_tag
from constrained.catalog.read import read_responses
from constrained.catalog.read_review import read_box, read_documents, read_review
from constrained.catalog.response import Catalog, Response, Slot, content_hash, freeze
from constrained.catalog.schema import CatalogFile
from constrained.catalog.shape import to_catalog_file
from constrained.catalog.template import Flat, Hole, Template
from constrained.errors import CatalogError

MOST_WORDINGS = 256  # of one template; a closed choice multiplies them


def load_catalog(path: str | Path, *, today: date | None = None) -> Catalog:
    """Loads a catalog file.

    Args:
        path: a YAML file.
        today: the day on which approvals must not have ended; now, in UTC, when None.

    Raises:
        CatalogError: ``problems`` holds everything that is wrong, with file, line, column and a hint.
    """
    return catalog_from_bytes(_content(Path(path), Report(str(path))), path, today=today)


def catalog_from_bytes(content: bytes, path: str | Path, *, today: date | None = None) -> Catalog:
    """The catalog that the file ``path`` would be with this content. Raises CatalogError."""
    report = Report(str(path))
    data = read_document(_text(content, report), report)
    if data is None:
        if not report.problems:
            report.add_at(SourceLocation(1, 1), "the file holds no catalog", "write catalog:, version:, locale:, fallback: and responses:")
        raise _refused(report)
    return _catalog(data, report, today, path=str(path), file_hash=sha256(content))


def catalog_from(data: Mapping[str, Any], *, name: str = "<memory>", today: date | None = None) -> Catalog:
    """A catalog from data in the shape of the file format; ``name`` stands for the file in problems."""
    report = Report(name)
    return _catalog(plain_data(data, report), report, today)


def _catalog(data: Any, report: Report, today: date | None, *, path: str = "", file_hash: str = "") -> Catalog:
    if not isinstance(data, dict):
        report.add((), "a catalog is a mapping (key: value)", "write catalog:, version:, locale:, fallback: and responses:")
        raise _refused(report)
    shape = to_catalog_file(data, report)
    responses = read_responses(shape, report, today or datetime.now(UTC).date())
    review, box = read_review(shape.review, report), read_box(shape.box, report)
    _add_clashes(responses, report)
    if report.problems:
        raise _refused(report)
    head = _head(shape)
    is_required = shape.approvals == "required"
    options: dict[str, Any] = ({"approvals": "required"} if is_required else {}) | ({"way_out": shape.way_out} if shape.way_out else {})
    options |= {"box": shape.box.model_dump(exclude_none=True)} if shape.box else {}
    return Catalog(
        **head,
        responses=freeze(responses),
        hash=content_hash(head | options, responses),
        path=path,
        is_approval_required=is_required,
        documents=read_documents(shape),
        review=review,
        file_hash=file_hash,
        way_out=shape.way_out or "",
        box=box,
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


def _content(path: Path, report: Report) -> bytes:
    """The file's bytes. Raises CatalogError when there are none."""
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
    return content


def _text(content: bytes, report: Report) -> str:
    """The text of a file in UTF-8. Raises CatalogError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        report.add_at(SourceLocation(line, column), f"not UTF-8: the byte 0x{content[error.start]:02x}", "save the file as UTF-8")
        raise _refused(report) from None


def _refused(report: Report) -> CatalogError:
    count = len(report.problems)
    return CatalogError(f"{report.file} is not a catalog: {count} problem{'s' if count != 1 else ''}", report.problems)


# -- clashes -----------------------------------------------------------------------------------------


def _add_clashes(responses: Mapping[str, Response], report: Report) -> None:
    """Adds a problem for every response whose wording another one before it has, in the same locale."""
    first: dict[tuple[str, Any], str] = {}
    for response in responses.values():
        for locale, template in response.texts.items():
            taken = _claim(first, response, locale, template)
            if taken is not None:
                at = ("responses", response.offer_of or response.id, "offer" if response.offer_of else "text", locale)
                line = responses[taken].source.line
                other = f"{taken!r} (line {line})" if line else repr(taken)
                report.add(
                    at, f"{response.id!r} says in {locale!r} the same as {other}", "say it differently, or use one response for both"
                )


def _claim(first: dict[tuple[str, Any], str], response: Response, locale: str, template: Template) -> str | None:
    """Notes every wording as this response's; the id of another response that had one before, if any."""
    owners = {first.setdefault((locale, wording), response.id) for wording in _wordings(response, locale, template)}
    return next(iter(sorted(owners - {response.id})), None)


def _wordings(response: Response, locale: str, template: Template) -> Iterator[Any]:
    """What a template can say, with white space folded; other slots stand for whatever fills them."""
    if template.literal is not None:
        yield (_folded(template.literal),)
        return
    for flat in template.flattened():
        choices = [_words(response.slots.get(part.name), locale) for part in flat if isinstance(part, Hole)]
        count = 1
        for words in choices:
            count *= max(1, len(words))
        if count > MOST_WORDINGS:
            choices = [[] for _ in choices]
        nothing: tuple[str | None, ...] = (None,)
        for chosen in itertools.product(*(words or nothing for words in choices)):
            yield _wording(response, flat, iter(chosen))


def _wording(response: Response, parts: Flat, words: Iterator[str | None]) -> Any:
    pieces: list[Any] = [""]
    order: dict[str, int] = {}
    for part in parts:
        word = part if isinstance(part, str) else next(words)
        if word is not None:
            pieces[-1] += word
        elif isinstance(part, Hole):
            slot = response.slots.get(part.name)
            number = order.setdefault(part.name, len(order))
            pieces += [(number, slot.kind, slot.currency) if slot else part.name, ""]
    return tuple(_folded(piece) if isinstance(piece, str) else piece for piece in pieces)


def _words(slot: Slot | None, locale: str) -> list[str]:
    """The words of a choice slot; empty for other slots."""
    if slot is None or slot.kind != "choice":
        return []
    return [words[locale] for words in slot.choices.values() if locale in words]


def _folded(text: str) -> str:
    """What a reader tells texts apart by: they are in NFC since they were read, so white space is left to fold, and what is not seen."""
    return " ".join(without_invisible(text).split())
