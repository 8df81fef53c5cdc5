"""Writes what a command was asked to write. Knows no content."""

from __future__ import annotations

from pathlib import Path

from constrained.errors import PackError


def write(file: Path, content: bytes) -> None:
    """Raises PackError when the file cannot be written."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise PackError(f"{file} cannot be written: {error.strerror}", name=str(file), hint="choose another file") from error
