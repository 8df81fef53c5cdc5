"""Public sets: what is split never overlaps, the flow of the logic is that of the rows, and every pack can be loaded."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.measure import BenchmarkError
from benchmarks.sets import NAMES, Row, load
from benchmarks.sets.__main__ import main
from benchmarks.sets.butler import leave_one_out
from benchmarks.sets.rows import bare, dev_and_rest, distinct, draw, identifier, named
from benchmarks.sets.star import FALLBACK, RESULTS, TASKS, catalog, flow, result
from constrained.catalog.load import load_catalog
from constrained.logic.allow import allow
from constrained.logic.state import Memory
from constrained.packs import load_policy_file
from constrained.quality.labelled_data import read_examples
from tests.strategies import DATA

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there: set CONSTRAINED_DATA")
MESSAGES = st.lists(st.builds(Row, st.text("abAB!. ", min_size=1, max_size=6), st.sampled_from("xyz")), max_size=60)


@given(MESSAGES, st.integers(1, 5), st.integers(0, 3), st.integers(0, 99))
def test_no_message_stands_in_two_parts(rows: list[Row], per_label: int, shots: int, seed: int) -> None:
    dev, rest = dev_and_rest(rows, per_label)
    examples, train = draw(rest, ("x", "y", "z"), shots, seed)
    shown = [message for messages in examples.values() for message in messages]
    parts = [{bare(row.message) for row in dev}, {bare(row.message) for row in train}, {bare(message) for message in shown}]
    assert len(set.union(*parts)) == sum(map(len, parts)) == len(dev) + len(train) + len(shown)
    assert {(row.message, row.label) for row in (*dev, *train)} <= {(row.message, row.label) for row in rows}
    assert all(len(found) <= shots for found in examples.values())
    assert dev == dev_and_rest(rows, per_label)[0]


def test_what_nobody_could_answer_is_left_out() -> None:
    assert distinct([Row("Hello!", "x"), Row("hello", "x"), Row("So?", "x"), Row("so", "y")]) == (Row("Hello!", "x"),)


@needs_data
@pytest.mark.parametrize("name", ["banking77", "clinc150", "nlupp", "butler", "star_hotel_book", "star_weather"])
def test_a_set_is_split_by_fixed_seeds(name: str) -> None:
    first, other, none = load(name, 3, 0), load(name, 3, 1), load(name, 0)
    assert first == load(name, 3, 0)
    assert first.examples != other.examples or name == "butler"
    assert name == "butler" or first.dev == other.dev == none.dev
    assert not any(none.examples.values())
    assert {row.label for row in (*first.train, *first.dev)} <= set(first.labels)
    assert set(first.when) == set(first.texts) == set(first.labels) == {identifier(label) for label in first.labels}
    assert len(set(first.texts.values())) == len(first.texts)
    assert all(not row.label for row in (*first.oos, *first.oos_train))
    if not name.startswith("star"):
        parts = [{bare(row.message) for row in rows} for rows in (first.dev, first.train, first.shown, first.oos, first.oos_train)]
        assert len(set.union(*parts)) == sum(map(len, parts))


@needs_data
def test_the_sizes_that_the_notes_tell() -> None:
    banking, clinc, butler = load("banking77"), load("clinc150", None), load("butler")
    assert (len(banking.labels), len(banking.dev), len(banking.shown)) == (77, 1155, 770)
    assert (len(clinc.labels), len(clinc.dev), len(clinc.oos), len(clinc.train)) == (150, 3000, 100, 0)
    assert (len(butler.labels), len(butler.dev), len(list(leave_one_out()))) == (176, 25, 70)
    assert all(bare(one.message) not in map(bare, one.examples[one.label]) for one in leave_one_out())


@needs_data
@pytest.mark.parametrize("task", TASKS)
def test_a_dialogue_is_in_one_part_and_its_flow_allows_what_was_said(task: str) -> None:
    found = load(f"star_{task}", 0)
    whole = [{(*row.history, row.message) for row in rows} for rows in (found.dev, found.train)]
    assert not {one for one in whole[0] & whole[1] if len(one) > 8}, "a dialogue is in both parts"
    texts, _, in_place = catalog(task)
    assert FALLBACK in texts
    assert all(set(row.allowed) == in_place.allowed(row.state["said"], row.state["result"]) for row in found.dev)
    assert sum(row.label in row.allowed for row in found.train) > 0.9 * len(found.train)
    assert sum(len(row.allowed) for row in found.dev) < len(found.dev) * len(texts)


def test_a_flow_of_a_few_nodes() -> None:
    graph = {"hello": "ask", "ask": "query", "available": "offer", "unavailable": "sorry", "yes": "query_book", "query_success": "done_it"}
    found = flow(graph, ("hello", "ask", "offer", "sorry", "done_it", "joke"))
    assert found.allowed((), "") == {"hello", "ask", "joke"}
    assert found.allowed(("hello", "ask"), "") == {"ask", "joke"}
    assert found.allowed(("hello", "ask"), "available") == {"offer", "joke"}
    assert found.allowed(("hello", "ask"), "item") == {"offer", "sorry", "done_it", "joke"}
    assert found.allowed(("ask", "offer"), "") == {"hello", "offer", "joke"}
    given = ("The time slot is available.", "Unavailable", "Reservation Failed", "Ride booked.", None)
    assert [result(message, True) for message in given] == ["available", "unavailable", "failure", "success", "item"]
    assert result(None, False) == "none"
    assert {result(message, True) for message in given} <= set(RESULTS)


@needs_data
@pytest.mark.parametrize("name", ["banking77", "clinc150", "nlupp", "butler", "star_hotel_book"])
def test_the_pack_that_is_written_can_be_loaded_and_measured(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--out", str(tmp_path), "--shots", "2"]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    found, catalog_file = load(name, 2), load_catalog(tmp_path / "catalogs" / f"{name}.yaml")
    policy = load_policy_file(tmp_path / "logic" / f"{name}.py")
    assert set(catalog_file.responses) == set(found.labels) | {catalog_file.fallback}
    for part, rows in (("dev", (*found.dev, *found.oos)), ("fit", (*found.train, *found.oos_train))):
        path = next(path for path in written if path.name.endswith(f"{part}.jsonl"))
        examples = read_examples(path, policy)
        assert [one.expects for one in examples] == [row.rights or (catalog_file.fallback,) for row in rows]
        for example, row in list(zip(examples, rows, strict=True))[:40]:
            state = example.state or policy.state_type.default()
            allowed = allow(policy, state, None, Memory(), locale="en", today=date(2026, 1, 1))
            assert {option.id for option in allowed.options} == (set(row.allowed) if row.allowed else set(found.labels)) | {
                catalog_file.fallback
            }
    assert all(json.loads(line)["message"] for line in path.read_text(encoding="utf-8").splitlines())


@needs_data
def test_all_tasks_of_star_share_a_folder(tmp_path: Path) -> None:
    assert main(["star", "--out", str(tmp_path), "--shots", "0"]) == 0
    assert len(list((tmp_path / "catalogs").iterdir())) == 2 * len(TASKS)


def test_what_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["banking77", "--out", str(tmp_path), "--data", str(tmp_path)]) == 1
    assert "banking77/train.csv is not there: set CONSTRAINED_DATA" in capsys.readouterr().err
    with pytest.raises(BenchmarkError, match="there is no set 'nothing'"):
        load("nothing")
    assert len(NAMES) == 22


def test_labels_as_words() -> None:
    assert (identifier("Refund_not_showing_up?"), identifier("2fa")) == ("refund_not_showing_up", "r_2fa")
    assert named("change_pin") == "change PIN"
