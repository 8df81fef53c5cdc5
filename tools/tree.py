"""Writes the tree of the README from the first sentence of every module. Knows nothing of what they do.

python tools/tree.py            rewrite README.md
python tools/tree.py --check    exit status 1 when README.md is not current
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- tree: written by tools/tree.py -->", "<!-- end of tree -->"
FIRST = (  # the order of the main path
    *("errors.py", "choice.py", "catalog", "approval", "logic", "dialogue.py", "turn.py", "verify.py"),
    *("audit", "review", "proving", "dialogues", "pictures", "decoding", "engines"),
)
COLUMN = 26  # where the sentences begin


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring up to a semicolon, on one line, without markup."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    words = " ".join(text.split("\n\n")[0].split()).replace("``", "")
    return re.split(r"(?<=[.?])\s|;\s", words, maxsplit=1)[0].rstrip(".:")


def tree() -> str:
    """The folders and modules of the package, one a line, in the order of the main path."""
    return "\n".join(("```text", *_folder(ROOT / "constrained", 0), "```"))


def _folder(folder: Path, depth: int) -> Iterator[str]:
    yield _line(folder.name + "/", first_sentence(folder / "__init__.py"), depth)
    for path in sorted(folder.iterdir(), key=_order):
        if (path / "__init__.py").is_file():
            yield from _folder(path, depth + 1)
        elif path.suffix == ".py" and path.name != "__init__.py":
            yield _line(path.name, first_sentence(path), depth + 1)


def _order(path: Path) -> tuple[int, str]:
    return (FIRST.index(path.name) if path.name in FIRST else len(FIRST), path.name)


def _line(name: str, sentence: str, depth: int) -> str:
    return f"{'  ' * depth + name:<{COLUMN}} {sentence}".rstrip()


def rewritten(readme: str) -> str:
    """The README with a fresh tree between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"README.md has no place for the tree: write {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{tree()}\n{END}{after}"


def main() -> int:
    """Rewrites the README, or with ``--check`` only tells whether that would change it."""
    present = README.read_text(encoding="utf-8")
    wanted = rewritten(present)
    if "--check" in sys.argv[1:]:
        print("README.md: the tree is current" if present == wanted else "README.md: the tree is old; run python tools/tree.py")
        return int(present != wanted)
    README.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
