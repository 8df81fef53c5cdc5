"""Every module, name, file and page that the documentation mentions is there."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "benchmarks" / "README.md"]
FOLDERS = ("", "constrained", "constrained/engines", "benchmarks")
PLACEHOLDER = re.compile(r"[A-Z]{3,}(?!\.md)")  # catalogs/NAME.yaml
PAST = re.compile(r"git history")  # a line that says where a file was


def problems(page: Path) -> Iterator[str]:
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if not PAST.search(line):
            yield from (f"{page.relative_to(ROOT)}:{number}: {what}" for what in _missing(page, line))


def _missing(page: Path, line: str) -> Iterator[str]:
    for found in re.finditer(r"\bconstrained(?:\.\w+)+", line):
        if not _is_there(found[0]):
            yield found[0]
    if imported := re.search(r"from (constrained[\w.]*) import ([\w, ]+)", line):
        yield from (f"{imported[1]}.{name}" for name in re.findall(r"\w+", imported[2]) if not _is_there(f"{imported[1]}.{name}"))
    for found in re.finditer(r"`([\w.*-]+(?:/[\w.*-]+)+/?)`", line):
        if "." in found[1].rpartition("/")[2] and not PLACEHOLDER.search(found[1]) and not _files(found[1]):
            yield found[1]
    for found in re.finditer(r"\]\(([^)#]+)", line):
        if "://" not in found[1] and not (page.parent / found[1]).exists():
            yield found[1]


def _files(name: str) -> bool:
    return any(any(ROOT.glob(f"{folder}/{name}" if folder else name)) for folder in FOLDERS)


def _is_there(name: str) -> bool:
    """Whether a module, or something in one, has this dotted name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:length])) if find_spec(".".join(parts[:length])) else None
        except ModuleNotFoundError:  # its parent is no package
            module = None
        if module is not None:
            return length == len(parts) or hasattr(module, parts[length])
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install 'constrained[transformers]'")
    assert not list(problems(page))


def test_what_is_not_there_is_found() -> None:
    text = "`constrained.nowhere` `logic/nothing.py` [a](gone.md)\nfrom constrained.errors import NoSuchError\nconstrained.dialogue\n"
    page = ROOT / "docs" / "index.md"
    assert [found for line in text.splitlines() for found in _missing(page, line)] == [
        "constrained.nowhere",
        "logic/nothing.py",
        "gone.md",
        "constrained.errors.NoSuchError",
    ]
