"""The files of a source, read with bounds: nothing outside of it, no huge file, no alias or tag of YAML is followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constrained.catalog.document import Report, read_document
from constrained.cli.importing.draft import Draft
from constrained.errors import DataError

MAX_BYTES, MAX_FILES = 8_000_000, 5_000
DEPTH = 60  # flows nest their branches
SKIPPED = frozenset({"node_modules", "models", "__pycache__", "venv", "site-packages", "dist", "build"})


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain data; ``report`` knows the line of every path in it."""

    file: str
    data: Any
    report: Report

    def line(self, *path: str | int) -> int:
        return self.report.place(path, at_key=True).line or 1


def source_files(source: Path, suffixes: tuple[str, ...], draft: Draft) -> Iterator[Path]:
    """The files of a folder with these endings, in order of their names, or the file itself. Raises DataError."""
    if not source.exists():
        raise DataError(f"{source} is not there", hint="name a file, or the folder of the project")
    if source.is_file():
        yield source
        return
    root, n_files = source.resolve(), 0
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in SKIPPED)
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix.lower() not in suffixes or name.startswith("."):
                continue
            n_files += 1
            if n_files > MAX_FILES:
                raise DataError(f"{source} has more than {MAX_FILES} files to read", hint="name a smaller folder")
            if not path.resolve().is_relative_to(root):
                draft.item("file", path.name, str(path), 0, "it is a link to a place outside of the source")
                continue
            yield path


def read_text(path: Path, draft: Draft) -> str | None:
    """The text of a file (UTF-8, else Windows-1252, which is noted); None, and an item that tells why, where it cannot be read."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES and path.is_file() else b""
    except OSError as error:
        draft.item("file", path.name, str(path), 0, f"it cannot be read: {error.strerror}")
        return None
    if size > MAX_BYTES:
        draft.item("file", path.name, str(path), 0, f"it has {size:,} bytes; at most {MAX_BYTES:,} are read")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        draft.item("file", path.name, str(path), 0).carry("read as Windows-1252")
        draft.items[-1].note("it is not UTF-8; it was read as Windows-1252: look at letters with accents")
        return content.decode("cp1252", errors="replace")


def read_yaml(path: Path, draft: Draft) -> Document | None:
    """A YAML file. What is wrong in it (an alias, a tag, a key twice) becomes an item of its own each; None where nothing is left."""
    text = read_text(path, draft)
    if text is None:
        return None
    report = Report(str(path))
    data = read_document(text, report, depth=DEPTH)
    for problem in report.problems[:200]:
        draft.item("yaml", "unread", problem.file, problem.line, problem.message)
    return Document(str(path), data, report) if isinstance(data, dict) else None
