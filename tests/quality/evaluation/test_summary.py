"""Figures of a few outcomes, by hand; and the result that is written, read again and compared."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from constrained import Policy
from constrained.errors import DataError
from constrained.quality.evaluation import MessageOutcome, run_examples
from constrained.quality.evaluation_report import EarlierResult, Setting, compare, describe_setting, to_html, to_json
from constrained.quality.labelled_data import Example
from constrained.quality.metrics import summarise
from constrained.testing import ScriptedEngine
from tests.quality.evaluation.conftest import Counting


def outcome(expects: str, *options: tuple[str, float], said: str | None = None, message: str = "m", group: str = "") -> MessageOutcome:
    ids, values = tuple(name for name, _ in options), tuple(value for _, value in options)
    best = max(options, key=lambda one: one[1])[0]
    example = Example(message, tuple(expects.split("|")), group=group)
    return MessageOutcome(example, ids, values, (), said or best, (said or best,), bool(said and said != best))


OUTCOMES = [
    outcome("a", ("a", 0.8), ("b", 0.1), ("none", 0.1), group="x"),
    outcome("a", ("a", 0.3), ("b", 0.6), ("none", 0.1), message="mixed up", group="x"),
    outcome("b", ("a", 0.4), ("b", 0.35), ("none", 0.25), said="none", message="unsure", group="y"),
    outcome("none", ("a", 0.2), ("b", 0.3), ("none", 0.5)),
    outcome("none", ("a", 0.7), ("b", 0.2), ("none", 0.1)),
    outcome("a|b", ("a", 0.1), ("b", 0.8), ("none", 0.1)),
]


def test_the_figures_by_hand() -> None:
    found = summarise(OUTCOMES, "none", ["b"])
    figures = found.figures
    assert figures["accuracy"] == pytest.approx(3 / 6)
    assert figures["accuracy in scope"] == pytest.approx(2 / 4)
    assert figures["accuracy in scope, never abstaining"] == pytest.approx(2 / 4)
    assert figures["out of scope, recall"] == pytest.approx(1 / 2)
    assert figures["abstained"] == pytest.approx(1 / 6)
    assert figures["expected response not allowed"] == 0
    assert figures["out of scope, AUROC"] == pytest.approx((4 + 2) / 8), "0.3 is below the four in scope, 0.7 below two"
    assert figures["Brier"] == pytest.approx((0.06 + 0.86 + 0.645 + 0.38 + 1.34 + 0.06) / 6)
    assert figures["NLL"] == pytest.approx(-sum(map(math.log, (0.8, 0.3, 0.35, 0.5, 0.1, 0.9))) / 6)
    assert {name: share.value for name, share in found.groups.items()} == {"x": 0.5, "y": 0.0}
    (protection,) = found.protected
    assert (protection.n, protection.missed.value, protection.n_others) == (2, 0.5, 4)
    assert protection.false_alarms.value == pytest.approx(1 / 4)


def test_a_protected_question_that_was_not_heard(library: Policy, examples: tuple[Example, ...]) -> None:
    deaf = ScriptedEngine(lambda message: {"reply": "sorry"})
    threat, book = summarise(run_examples(library, deaf, examples), "sorry", ["threat", "book"]).protected
    assert (threat.n, threat.missed.value, threat.n_others, threat.false_alarms.value) == (1, 1.0, 6, 0.0)
    assert (book.n, book.missed.value) == (1, 1.0)
    outcomes = run_examples(library, Counting(), examples)
    assert summarise(outcomes, "sorry", ["threat"]).protected[0].missed.value == 0
    assert [round(one.heard["threat"].meant, 1) for one in outcomes] == [0.1] * 5 + [0.9, 0.1]


def test_thresholds_give_and_cost() -> None:
    found = {one.threshold: one for one in summarise(OUTCOMES, "none").at_thresholds}
    assert (found[0.0].answered, found[0.0].right, found[0.0].caught) == (1.0, 0.5, 0.5)
    assert (found[0.5].answered, found[0.5].right, found[0.5].caught) == (0.75, 0.5, 0.5)
    assert (found[0.8].answered, found[0.8].right, found[0.8].caught) == (0.5, 0.5, 1.0)
    assert (found[1.0].answered, found[1.0].caught) == (0.0, 1.0)


def test_what_is_taken_for_each_other() -> None:
    pairs = {(one.one, one.other): one for one in summarise(OUTCOMES, "none").pairs}
    assert (pairs["a", "b"].n, pairs["a", "b"].n_back, pairs["a", "b"].examples) == (1, 1, ("mixed up", "unsure"))
    assert (pairs["a", "none"].n, pairs["a", "none"].n_back) == (0, 1)
    assert len(pairs) == 2, "an abstention is told by what was most probable"


def test_the_rules_alone_have_no_confidence(library: Policy, examples: tuple[Example, ...]) -> None:
    figures = summarise(run_examples(library, None, examples), "sorry").figures
    assert "accuracy" in figures
    assert not {"AURC", "NLL", "Brier"} & set(figures)


def test_a_result_is_compared_message_by_message(library: Policy, examples: tuple[Example, ...], tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("")
    results = []
    for threshold in (0.3, 0.95):
        outcomes = run_examples(library, Counting(), examples, threshold=threshold)
        setting = describe_setting(library, {"model": "scripted"}, tmp_path / "data.jsonl", threshold, False, 1.0)
        summary = summarise(outcomes, "sorry", ["quiet"])
        results.append(to_json(setting, summary, outcomes, "sorry"))
    old = tmp_path / "old.json"
    old.write_text(json.dumps(results[0], allow_nan=False))
    found = compare(old, results[1])
    assert (found.n, found.n_missing, found.name) == (7, 0, "library, scripted, threshold 0.3")
    assert found.differences["accuracy"].value == pytest.approx(-4 / 7)
    assert found.differences["NLL"].value == 0
    html = to_html(setting, summary, library.catalog, found)
    assert html.count("<svg") == 3
    assert html == to_html(setting, summary, library.catalog, found), "drawn twice, the same bytes"
    assert "http" not in html.replace("http-equiv", "")
    results[1]["rows"] = [row | {"message": "other"} for row in results[1]["rows"]]
    with pytest.raises(DataError, match="none of these messages"):
        compare(old, results[1])


def test_the_page_shows_names_as_text(library: Policy) -> None:
    """Of files and of an earlier setting, in tables and in plots."""
    hostile = "<script>$a$ & b</script>"
    examples = [Example("welcome", ("welcome",), group=hostile), Example(hostile, ("hours",))]
    outcomes = run_examples(library, ScriptedEngine(lambda message: {"reply": "welcome"}), examples)
    setting = Setting("library", "", "", {"model": hostile}, hostile, "", 0.3, False, 1.0)
    summary = summarise(outcomes, "sorry", ["welcome"])
    earlier = EarlierResult(hostile, 2, 0, {}, summary.figures, summary.curve)
    html = to_html(setting, summary, library.catalog, earlier)
    assert "<script" not in html
    shown = "&lt;script&gt;$a$ &amp; b&lt;/script&gt;"
    assert html.count(shown) >= 6
    assert f">{shown}</text>" in html[html.index("<svg") : html.index("</svg>")]


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', "nonsense"])
def test_a_file_that_is_no_result_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"is no result|cannot be read"):
        compare(path, {"rows": []})
