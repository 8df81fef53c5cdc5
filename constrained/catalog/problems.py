"""Where things stand in a catalog file, and the list of what is wrong there. Knows no catalog."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from constrained.errors import Problem

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """1-based line and column; ``text_column`` is where a one-line text begins, 0 when its columns are not plain."""

    line: int = 0
    column: int = 0
    text_column: int = 0


@dataclass(slots=True)
class Report:
    """Collects problems while a file is read, so that all are told at once.

    Attributes:
        keys, values: path -> place of a key and of its value; empty for data that came from no file.
        bad: paths that were reported; what follows from them is not reported again.
    """

    file: str
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    bad: set[Path] = field(default_factory=set)

    def add(self, path: Path, message: str, hint: str = "", *, at_key: bool = False, character: int | None = None) -> None:
        """Adds a problem of the value at ``path``, at the 0-based ``character`` of its text if given.

        With ``at_key`` the problem stands at the key.
        """
        place = self.place(path, at_key=at_key)
        column = place.column
        if character is not None and place.text_column:
            column = place.text_column + character
        self.bad.add(path)
        self.add_at(Place(place.line, column), message, hint)

    def add_key(self, path: Path, message: str, hint: str = "") -> None:
        """Adds a problem of the key at ``path``; its value is still checked."""
        self.add_at(self.place(path, at_key=True), message, hint)

    def add_at(self, place: Place, message: str, hint: str = "") -> None:
        """Adds a problem that stands at a place rather than at a path."""
        self.problems.append(Problem(self.file, place.line, place.column, message, hint))

    def place(self, path: Path, *, at_key: bool = False) -> Place:
        """Where ``path`` stands; what is not there stands where its nearest parent's key does."""
        first, second = (self.keys, self.values) if at_key else (self.values, self.keys)
        found = first.get(path) or second.get(path)
        while found is None and path:
            path = path[:-1]
            found = self.keys.get(path) or self.values.get(path)
        return found or Place()

    def is_bad(self, path: Path) -> bool:
        """Whether ``path`` or what it is part of was reported."""
        return any(path[:length] in self.bad for length in range(len(path) + 1)) if self.bad else False

    def has_bad(self, path: Path) -> bool:
        """Whether ``path``, what it is part of, or any part of it was reported."""
        return self.is_bad(path) or any(bad[: len(path)] == path for bad in self.bad)


def nearest(word: object, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, else all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word[:80].lower(), names, n=1, cutoff=0.6) if isinstance(word, str) else []
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(names[:30])}" if names else ""


def named(path: Path) -> str:
    """A path in a writer's words: ``'text.es' of 'greet'``, ``'version'``."""
    rest = path
    if len(path) > 1 and path[0] == "responses":
        rest = path[2:]
        if not rest:
            return f"the response {path[1]!r}"
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{_short(step)}" for step in rest).removeprefix(".")
    return f"'{words}'" + (f" of {_short(str(path[1]))!r}" if rest is not path else "")


def _short(word: str) -> str:
    return word if len(word) <= 60 else word[:57] + "..."
