"""Labelled messages in a CSV file or in JSON lines: what is said, what should be answered.

Columns: ``message`` and ``expects``; optional ``obliged``, ``state``, ``heard``, ``history`` (JSON), ``locale``, ``group``.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from constrained.engines.protocol import Speaker
from constrained.errors import ConstrainedError, DataError, Problem
from constrained.logic.policy import Policy
from constrained.logic.state import State
from constrained.understanding.hearing import Understanding

NEEDED, OPTIONAL = ("message", "expects"), ("obliged", "state", "heard", "history", "locale", "group")
JSON_COLUMNS = ("state", "heard", "history")
SEVERAL = "|"  # between the ids of a CSV cell


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled message.

    Attributes:
        expects: ids of the responses that are right, one as a rule; the fallback where nothing answers the message.
        obliged: ids of responses that must be said beside it, as the logic's obligations are.
        state: None for the State's defaults. heard: what should be heard; None where the file does not tell.
        group: figures are also given for each group. line: where it stands in the file, 1-based.
    """

    message: str
    expects: tuple[str, ...]
    state: State | None = None
    heard: Understanding | None = None
    obliged: tuple[str, ...] = ()
    history: tuple[tuple[Speaker, str], ...] = ()
    locale: str | None = None
    group: str = ""
    line: int = 0


@dataclass(slots=True)
class _ExampleFile:
    """A file that is read: the policy that its values belong to, and the problems so far."""

    policy: Policy
    name: str
    problems: list[Problem] = field(default_factory=list)

    def add_problem(self, line: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.name, line, 1 if line else 0, message, hint))


def read_examples(path: str | Path, policy: Policy) -> tuple[Example, ...]:
    """Every row of the file. Raises DataError with all that is wrong, each with its line."""
    path = Path(path)
    file = _ExampleFile(policy, str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="give a file of JSON lines (.jsonl) or CSV in UTF-8") from error
    rows = _csv_rows(text, file) if path.suffix.lower() == ".csv" else _json_rows(text, file)
    found = [_example(line, values, file) for line, values in rows]
    if file.problems:
        n = len(file.problems)
        raise DataError(f"{path} cannot be measured on: {n} {'problem' if n == 1 else 'problems'}", file.problems)
    if not found:
        raise DataError(f"{path} holds no messages", hint="one row a message, with the columns message and expects")
    return tuple(one for one in found if one is not None)


def _csv_rows(text: str, file: _ExampleFile) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        if _columns_are_known(1, lines.fieldnames or (), file):
            for row in lines:
                if "" in row:
                    file.add_problem(lines.line_num, "the row has more cells than the head names", "quote cells that hold commas")
                    continue
                yield lines.line_num, _plain(lines.line_num, row, file)
    except csv.Error as error:
        file.add_problem(lines.reader.line_num, f"this is no CSV: {error}", "quote cells that hold quotes or line breaks")


def _plain(line: int, row: Mapping[str, str | None], file: _ExampleFile) -> dict[str, Any]:
    """A row's cells as JSON would hold them; empty cells of optional columns are left out."""
    values: dict[str, Any] = {}
    for name, cell in row.items():
        if name in NEEDED:
            values[name] = (cell or "").split(SEVERAL) if name == "expects" else cell or ""
        elif name == "obliged":
            values[name] = (cell or "").split(SEVERAL) if cell else []
        elif cell and cell.strip():
            try:
                values[name] = json.loads(cell) if name in JSON_COLUMNS else cell.strip()
            except ValueError as error:
                file.add_problem(line, f"{name} is no JSON: {error}", 'for example {"gold": 80}')
    return values


def _json_rows(text: str, file: _ExampleFile) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            file.add_problem(number, f"this is no JSON: {error}", 'one object a line: {"message": ..., "expects": ...}')
            continue
        if not isinstance(values, dict):
            file.add_problem(number, f"an object is needed, not {type(values).__name__}", '{"message": ..., "expects": ...}')
        elif _columns_are_known(number, values, file):
            yield number, values


def _columns_are_known(line: int, names: Any, file: _ExampleFile) -> bool:
    missing, foreign = [name for name in NEEDED if name not in names], [name for name in names if name not in (*NEEDED, *OPTIONAL)]
    if missing:
        file.add_problem(line, f"there is no {' and no '.join(missing)}", f"columns are {', '.join((*NEEDED, *OPTIONAL))}")
    for name in foreign:
        file.add_problem(line, f"the column {name!r} is not known", f"columns are {', '.join((*NEEDED, *OPTIONAL))}")
    return not missing and not foreign


def _example(line: int, values: Mapping[str, Any], file: _ExampleFile) -> Example | None:
    policy, before = file.policy, len(file.problems)
    message, group = values["message"], values.get("group") or ""
    expects = _ids(line, "expects", values["expects"], file)
    obliged = _ids(line, "obliged", values["obliged"], file) if values.get("obliged") else ()
    if not isinstance(message, str) or not message.strip():
        file.add_problem(line, "the message is empty" if isinstance(message, str) else f"the message is {type(message).__name__}, not text")
    state = _values(line, "state", policy.state_type, values.get("state"), file)
    heard = _values(line, "heard", policy.heard_type, values.get("heard"), file)
    locale = _text(line, "locale", values.get("locale"), file)
    history = _history(line, values.get("history"), file)
    if state is None:
        _check_default(line, file)
    if len(file.problems) > before:
        return None
    known_state, known_heard = cast("State | None", state), cast("Understanding | None", heard)
    return Example(message, expects, known_state, known_heard, obliged, history, locale, str(group), line)


def _ids(line: int, name: str, given: Any, file: _ExampleFile) -> tuple[str, ...]:
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not listed or not all(isinstance(one, str) for one in listed):
        file.add_problem(line, f"{name} is {given!r}", "the id of a response, or a list of ids")
        return ()
    ids = tuple(one.strip() for one in listed)
    known = file.policy.catalog.responses
    for one in ids:
        if one not in known:
            file.add_problem(line, f"there is no response {one!r} in the catalog {file.policy.catalog.name!r}", _near(one, known))
    return ids


def _near(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "see the ids in the catalog; expects the fallback where nothing answers"


def _values(line: int, name: str, kind: type[State] | type[Understanding] | None, given: Any, file: _ExampleFile) -> Any:
    if given is None or given == {}:
        return None
    if kind is None:
        file.add_problem(line, f"the policy {file.policy.name!r} hears nothing", f"leave the column {name} out")
        return None
    try:
        return kind.from_json(given)
    except ConstrainedError as error:
        file.add_problem(line, f"{name}: {error.message}", error.hint)
        return None


def _check_default(line: int, file: _ExampleFile) -> None:
    """Adds one problem in all for a State without defaults: it needs a value in every row."""
    try:
        file.policy.state_type.default()
    except ConstrainedError as error:
        if not any(problem.message == error.message for problem in file.problems):
            file.add_problem(line, error.message, error.hint)


def _text(line: int, name: str, given: Any, file: _ExampleFile) -> str | None:
    if given is not None and not isinstance(given, str):
        file.add_problem(line, f"{name} is {type(given).__name__}, not text")
        return None
    return given or None


def _history(line: int, given: Any, file: _ExampleFile) -> tuple[tuple[Speaker, str], ...]:
    if not given:
        return ()
    hint = '[["user", "hello"], ["reply", "Good evening."]]'
    is_pairs = isinstance(given, list) and all(isinstance(one, list) and len(one) == 2 for one in given)
    if not is_pairs or not all(one[0] in ("user", "reply") and isinstance(one[1], str) for one in given):
        file.add_problem(line, "history is no list of [who, text]", hint)
        return ()
    return tuple((one[0], one[1]) for one in given)
