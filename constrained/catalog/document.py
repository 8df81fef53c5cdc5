"""YAML text becomes plain data with the place of every key and value, and a Report of all that is wrong there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from constrained.errors import Problem

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SourceLocation:
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
    keys: dict[Path, SourceLocation] = field(default_factory=dict)
    values: dict[Path, SourceLocation] = field(default_factory=dict)
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
        self.add_at(SourceLocation(place.line, column), message, hint)

    def add_key(self, path: Path, message: str, hint: str = "") -> None:
        """Adds a problem of the key at ``path``; its value is still checked."""
        self.add_at(self.place(path, at_key=True), message, hint)

    def add_at(self, place: SourceLocation, message: str, hint: str = "") -> None:
        """Adds a problem that stands at a place rather than at a path."""
        self.problems.append(Problem(self.file, place.line, place.column, message, hint))

    def place(self, path: Path, *, at_key: bool = False) -> SourceLocation:
        """Where ``path`` stands; what is not there stands where its nearest parent's key does."""
        first, second = (self.keys, self.values) if at_key else (self.values, self.keys)
        found = first.get(path) or second.get(path)
        while found is None and path:
            path = path[:-1]
            found = self.keys.get(path) or self.values.get(path)
        return found or SourceLocation()

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


# -- reading -------------------------------------------------------------------------------------------

DEPTH = 12  # a catalog needs 6, a dialogue a few more
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is about ten times faster
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_STR_TAGS = (None, "!", "tag:yaml.org,2002:str")
_DETACHED = object()  # stands for a key that may not be used; its value is read and dropped


@dataclass(slots=True)
class _Container:
    """A mapping or list that is being read; ``path`` is None when it will be dropped."""

    value: dict[str, Any] | list[Any]
    path: Path | None
    key: Any = None
    is_key: bool = False


def read_document(text: str, report: Report, *, depth: int = DEPTH) -> Any:
    """The plain data in ``text``; problems of the text itself go into ``report``, places too.

    Returns:
        str, int, float, bool, None, lists and dicts of them; None when the text is not YAML.
    """
    unreadable = list(_UNREADABLE.finditer(text))
    for match in unreadable[:20]:
        report.add_at(_place_of(text, match.start()), f"the character U+{ord(match[0]):04X} may not be in a file", "delete it")
    if unreadable:
        return None
    try:
        return _Reader(report, depth).read(text)
    except yaml.YAMLError as error:
        _add_yaml_error(report, text, error)
        return None


class _Reader:
    """Turns parser events into plain data with an explicit stack, so that depth is bounded."""

    def __init__(self, report: Report, depth: int) -> None:
        self._report, self._depth = report, depth
        self._stack: list[_Container] = []
        self._root: Any = None
        self._n_documents = 0

    def read(self, text: str) -> Any:
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent) and not self._document(event):
                break
            if len(self._stack) > self._depth:
                self._report.add_at(_place(event), f"nested more than {self._depth} deep", "take some levels out")
                return None
        return self._root

    def _document(self, event: Any) -> bool:
        self._n_documents += 1
        if self._n_documents > 1:
            self._report.add_at(_place(event), "a second document begins here", "one a file: take the line '---' out")
        return self._n_documents == 1

    def _scalar(self, event: Any) -> None:
        if self._takes_key():
            self._take_key(event.value, _place(event))
            return
        path = self._next_path()
        is_plain = not event.style and event.tag is None
        value = _plain_value(event.value) if is_plain else event.value
        if path is not None:
            self._report.values[path] = _text_place(event)
            if event.tag not in _STR_TAGS:
                self._report.add(path, f"the tag {event.tag!r} may not be used", "take it out; write text, numbers, true or false")
        self._put(value, path)

    def _open(self, event: Any) -> None:
        container: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        if self._takes_key():
            self._report.add_at(_place(event), "a key must be text", "put a text that begins with { or [ in quotes")
            self._stack[-1].key = _DETACHED
            self._stack.append(_Container(container, None, is_key=True))
            return
        path = self._next_path()
        if path is not None:
            self._report.values[path] = _place(event)
            if event.tag is not None:
                self._report.add(path, f"the tag {event.tag!r} may not be used", "take it out")
        self._put(container, path)
        self._stack.append(_Container(container, path))

    def _close(self) -> None:
        self._stack.pop()

    def _alias(self, event: Any) -> None:
        message, hint = f"the alias '*{event.anchor}' may not be used", "write the text out; a text that begins with * needs quotes"
        self._report.add_at(_place(event), message, hint)
        if self._takes_key():
            self._stack[-1].key = _DETACHED
            return
        path = self._next_path()
        if path is not None:
            self._report.bad.add(path)
        self._put(None, path)

    def _takes_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def _take_key(self, key: str, place: SourceLocation) -> None:
        top = self._stack[-1]
        if top.path is None or not isinstance(top.value, dict):
            top.key = _DETACHED
            return
        path = (*top.path, key)
        first = self._report.keys.get(path)
        if first is None:
            self._report.keys[path], top.key = place, key
            return
        top.key = _DETACHED
        what = f"the response id {key!r} is used twice" if top.path == ("responses",) else f"the key {key!r} stands twice in one mapping"
        self._report.add_at(place, f"{what}, first in line {first.line}", "rename one or take one out")

    def _next_path(self) -> Path | None:
        """The path of the value that comes next; None when it will be dropped."""
        if not self._stack:
            return ()
        top = self._stack[-1]
        if top.path is None or top.key is _DETACHED:
            return None
        return (*top.path, top.key if isinstance(top.value, dict) else len(top.value))

    def _put(self, value: Any, path: Path | None) -> None:
        if not self._stack:
            self._root = value
            return
        top = self._stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        elif path is not None:
            top.value[top.key] = value
        top.key = None


def plain_data(value: Any, report: Report, path: Path = ()) -> Any:
    """Python data as the plain data that ``read_document`` gives; what is not plain goes into ``report``."""
    if len(path) > DEPTH:
        report.add(path, f"nested more than {DEPTH} deep", "take some levels out")
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                report.add(path, f"a key must be text, not {type(key).__name__}", "put the key in quotes")
        return {key: plain_data(item, report, (*path, key)) for key, item in value.items() if isinstance(key, str)}
    if isinstance(value, list | tuple):
        return [plain_data(item, report, (*path, index)) for index, item in enumerate(value)]
    return value


def _plain_value(text: str) -> Any:
    """A scalar without quotes, by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-.0123456789":
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(re.sub(r"\.(?=[in])", "", text.lower()))  # ".inf" and ".nan" have a dot in YAML only
    return text


def _place(event: Any) -> SourceLocation:
    return SourceLocation(event.start_mark.line + 1, event.start_mark.column + 1)


def _text_place(event: Any) -> SourceLocation:
    """Place of a scalar; its characters have columns when it stands in one line without escapes."""
    start, end, quotes = event.start_mark, event.end_mark, 2 if event.style in ("'", '"') else 0
    is_exact = start.line == end.line and end.column - start.column == len(event.value) + quotes
    return SourceLocation(start.line + 1, start.column + 1, start.column + 1 + quotes // 2 if is_exact else 0)


def _place_of(text: str, index: int) -> SourceLocation:
    begin = text.rfind("\n", 0, index) + 1
    return SourceLocation(text.count("\n", 0, index) + 1, index - begin + 1)


_YAML_HINTS = (
    ("tab character", "indent with spaces"),
    ("mapping values are not allowed", "put a text that holds ': ' in quotes, and indent the keys of one mapping alike"),
    ("escape", "in double quotes write \\\\ for a backslash"),
    ("cannot start any token", "indent with spaces, not tabs, and put a text that begins with @, ` or % in quotes"),
    ("expected key", "put a text that begins with { or \" or ' in quotes as a whole, and indent the keys of one mapping alike"),
    ("expected <block end>", "put a text that begins with { or \" or ' in quotes as a whole, and indent the keys of one mapping alike"),
    ("expected ',' or ']'", "put an entry that has quotes or brackets of its own in quotes as a whole, and close the list with ]"),
    ("unexpected end of stream", "close the quote or bracket that is open"),
    ("could not find expected ':'", "end the key with a colon and a space"),
    ("undefined alias", "write the text out; a text that begins with * needs quotes"),
    ("expected alphabetic or numeric", "put a text that begins with & or * in quotes"),
)


def _add_yaml_error(report: Report, text: str, error: yaml.YAMLError) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    place = (
        SourceLocation(mark.line + 1, mark.column + 1)
        if mark
        else _place_of(text, position)
        if isinstance(position, int)
        else SourceLocation(1, 1)
    )
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it could not be read"
    hint = next((hint for part, hint in _YAML_HINTS if part in reason), "look for a missing quote or a wrong indent at or above this line")
    report.add_at(place, f"not valid YAML: {reason}", hint)
