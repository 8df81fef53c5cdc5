"""The policy documents that responses cite: is the passage still the one that was read?

A passage is a section of a Markdown or text file: from its heading to the next one of the same or a higher level. Its
hash covers its words, not its line breaks and spaces.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from constrained._canonical_json import sha256
from constrained.catalog.response import Catalog, Citation, PolicyDocument, Response

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*\s*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


@dataclass(frozen=True, slots=True)
class ChangedCitation:
    """A response whose citation no longer fits.

    Attributes:
        present: hash of the passage as it is now; empty when there is none.
        reason: what is the matter, as a sentence.
    """

    response: Response
    document: PolicyDocument
    present: str
    reason: str

    @property
    def is_suspended(self) -> bool:
        return self.document.on_change == "suspend"


def document_path(catalog: Catalog, document: PolicyDocument) -> Path:
    """Where a document lies: relative to the folder of the catalog's file."""
    return Path(catalog.path).parent / document.file


def changed_citations(catalog: Catalog) -> Iterator[ChangedCitation]:
    """The responses whose cited passage is another one, or gone. A document that cannot be read counts as gone."""
    texts = {name: _read(document_path(catalog, document)) for name, document in catalog.documents.items()}
    for response in catalog.responses.values():
        cites = response.cites
        if cites is None:
            continue
        document, text = catalog.documents[cites.document], texts[cites.document]
        passage = None if text is None else find_passage(text, cites.passage)
        present = passage_hash(passage) if passage is not None else ""
        if present != cites.hash:
            yield ChangedCitation(response, document, present, _reason(cites, document, text is not None, present))


def suspended_ids(catalog: Catalog) -> frozenset[str]:
    """Ids of the responses that may not be said because their document changed."""
    if all(document.on_change != "suspend" for document in catalog.documents.values()):
        return frozenset()
    return frozenset(one.response.id for one in changed_citations(catalog) if one.is_suspended)


def suspending_documents(catalog: Catalog) -> list[Path]:
    """The documents whose change stops responses: they are watched while a catalog is spoken from."""
    return [document_path(catalog, one) for one in catalog.documents.values() if one.on_change == "suspend"]


Stamp = tuple[int, int, int, int]
NO_FILE: Stamp = (-1, 0, 0, 0)
UNREADABLE: Stamp = (-2, 0, 0, 0)


def file_stamp(path: str | Path) -> Stamp:
    """What changes with a file: size, time of change, and what nobody can set back, its number and the time of its last change of any kind.

    ``NO_FILE`` when there is none; ``UNREADABLE`` for a link that leads nowhere, or a folder that may not be looked into.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        is_gone = isinstance(error, FileNotFoundError | NotADirectoryError) and not os.path.islink(path)
        return NO_FILE if is_gone else UNREADABLE
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def find_passage(text: str, heading: str) -> str | None:
    """The section under a heading, the heading included; all of the text for an empty heading; None when it is not there.

    What looks like a heading in a block of code is none: it would end the passage before its end.
    """
    if not heading:
        return text
    lines, kept, level, fence = text.splitlines(), list[str](), 0, ""
    for line in lines:
        fence = _fence(line, fence)
        match = None if fence else _HEADING.fullmatch(line)
        depth = len(match[1]) if match else 0
        if level and depth and depth <= level:
            break
        if not level and match and _plain(match[2]) == _plain(heading):
            level = depth
        if level:
            kept.append(line)
    return "\n".join(kept) if level else None


def _fence(line: str, opened: str) -> str:
    """The fence of the block of code that a line leaves open; empty outside of one."""
    match = _FENCE.fullmatch(line)
    if match is None:
        return opened
    if not opened:
        return "" if match[1][0] == "`" and "`" in match[2] else match[1]
    return "" if match[1].startswith(opened) and not match[2].strip() else opened


def passage_hash(passage: str) -> str:
    """``sha256:`` and hex digits over the words of a passage."""
    return sha256(_plain(passage).encode())


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else None  # a pipe in its place must not be waited for
    except (OSError, UnicodeDecodeError):
        return None


def _reason(cites: Citation, document: PolicyDocument, is_there: bool, present: str) -> str:
    passage = f"the passage {cites.passage!r} of {document.file}" if cites.passage else document.file
    if not is_there:
        return f"{document.file} cannot be read"
    return f"{passage} has changed" if present else f"{passage} is not there"
