"""Lists of every kind are distinct, grow at their end, and are the same for a seed; what is asked for is parsed."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import _parser
from benchmarks.options import KINDS, Options, options_of
from benchmarks.sets import lines


@pytest.mark.parametrize("kind", KINDS)
def test_a_longer_list_begins_with_the_shorter_one(kind: str) -> None:
    found = lines.entries(kind, 3_000, seed=1, is_smoke=True)
    assert len(found) == 3_000
    for part in ("text", "key", "when"):
        assert len({getattr(entry, part) for entry in found}) == 3_000, part
    assert lines.entries(kind, 50, seed=1, is_smoke=True) == found[:50]


def test_natural_lines_are_the_butlers_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "butler_pairs", lambda: [("Who are you?", "The butler."), ("And now?", "Still the butler.")])
    first, second, third = lines.entries("natural", 3, seed=0)
    assert (first.text, first.when, first.key) == ("The butler.", "Who are you?", "who are you?")
    assert second.key == "now"
    assert third == lines.entries("natural", 1, seed=0, is_smoke=True)[0]


def test_a_kind_that_has_too_few_lines_says_how_many() -> None:
    with pytest.raises(ValueError, match=r"there are \d+ lines of the kind 'near', 10000000 are needed"):
        lines.entries("near", 10_000_000, seed=0)


def test_options_are_what_was_asked_for() -> None:
    asked = options_of(_parser().parse_args(["decoding", "--sizes", "10", "100", "--peers", "xgrammar", "--prompts", "2"]))
    assert asked == Options(sizes=(10, 100), peers=("xgrammar",), n_prompts=2)
    assert options_of(_parser().parse_args(["core"])) == Options()


def test_a_peer_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["decoding", "--peers", "coffee"])
    assert "coffee" in capsys.readouterr().err
