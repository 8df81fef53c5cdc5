"""Files of labelled messages: both forms mean the same, and every problem is told with its line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Policy
from constrained.errors import DataError
from constrained.quality.labelled_data import read_examples

ROWS = [
    {"message": "hello", "expects": "welcome"},
    {"message": 'a "quoted", long\nmessage', "expects": ["fine", "amnesty"], "state": {"owed": "2.50"}, "group": "money"},
    {"message": "AAAH", "expects": "quiet", "heard": {"threat": True}, "locale": "es", "obliged": ["recorded"]},
    {"message": "and now?", "expects": "sorry", "history": [["user", "hello"], ["reply", "Welcome."]]},
]


def json_lines(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def as_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    names = ["message", "expects", "obliged", "state", "heard", "history", "locale", "group"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row in rows:
            lists = {name: "|".join(row[name]) for name in ("expects", "obliged") if isinstance(row.get(name), list)}
            writer.writerow(row | lists | {name: json.dumps(row[name]) for name in ("state", "heard", "history") if name in row})
    return path


def test_both_forms_hold_the_same(library: Policy, tmp_path: Path) -> None:
    lines, cells = (read_examples(path, library) for path in (json_lines(tmp_path / "a.jsonl", ROWS), as_csv(tmp_path / "a.csv", ROWS)))
    assert [(one.message, one.expects, one.state, one.heard, one.obliged, one.history, one.locale, one.group) for one in lines] == [
        (one.message, one.expects, one.state, one.heard, one.obliged, one.history, one.locale, one.group) for one in cells
    ]
    assert [one.line for one in lines] == [1, 2, 3, 4]
    assert (lines[1].expects, lines[1].group, lines[2].obliged, lines[2].locale) == (("fine", "amnesty"), "money", ("recorded",), "es")
    assert getattr(lines[1].state, "owed", None) is not None
    assert getattr(lines[2].heard, "threat", None) is True
    assert lines[3].history == (("user", "hello"), ("reply", "Welcome."))


def test_every_problem_is_told_at_once_with_its_line(library: Policy, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(
        "\n".join(
            [
                '{"message": "hello", "expects": "welcom"}',
                "not json",
                '["a", "list"]',
                '{"message": "", "expects": "welcome"}',
                '{"message": "x", "expects": []}',
                '{"message": "x", "expects": "welcome", "state": {"visits": -1}}',
                '{"message": "x", "expects": "welcome", "heard": {"mood": "bad"}}',
                '{"message": "x", "expects": "welcome", "history": ["hello"]}',
                '{"message": "x"}',
                '{"message": "x", "expects": "welcome", "expect": "welcome", "locale": 3}',
                '{"message": "x", "expects": "welcome", "locale": 3}',
                "",
                '{"message": 3, "expects": "welcome"}',
            ]
        )
    )
    with pytest.raises(DataError, match="12 problems") as caught:
        read_examples(path, library)
    told = {problem.line: f"{problem.message} {problem.hint}" for problem in caught.value.problems}
    assert list(told) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13]
    expected = ["did you mean 'welcome'", "no JSON", "an object is needed, not list", "empty", "expects is []", "visits", "mood"]
    expected += ["history is no list", "there is no expects", "'expect' is not known", "locale is int", "message is int"]
    for line, part in zip(told, expected, strict=True):
        assert part in told[line]


def test_problems_of_a_csv(library: Policy, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text('message,expects,state\nhello,welcome,\nhello,welcome,{bad\nhello,nobody,,,extra\nx,"a"b,\n')
    with pytest.raises(DataError) as caught:
        read_examples(path, library)
    assert [(problem.line, problem.message.split(":")[0]) for problem in caught.value.problems] == [
        (3, "state is no JSON"),
        (4, "the row has more cells than the head names"),
        (5, "this is no CSV"),
    ]
    path.write_text("text,label\nhello,welcome\n")
    with pytest.raises(DataError, match="there is no message and no expects"):
        read_examples(path, library)


def test_files_that_hold_nothing(library: Policy, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_examples(tmp_path / "none.jsonl", library)
    for name in ("empty.jsonl", "empty.csv"):
        (tmp_path / name).write_text("" if name.endswith("jsonl") else "message,expects\n")
        with pytest.raises(DataError, match="holds no messages"):
            read_examples(tmp_path / name, library)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_examples(tmp_path / "bytes.csv", library)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_typed_error(library: Policy, tmp_path: Path, text: str) -> None:
    for name in ("any.jsonl", "any.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(DataError):
            read_examples(path, library)
