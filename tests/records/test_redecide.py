"""Recorded turns decided anew: the same files give the same replies, other ones give exactly what they would have given."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.records.log import MemoryLog
from constrained.records.redecide import Redecided, compare, redecide, sign_off_page, workbook
from constrained.records.sealing import SealedLog
from constrained.testing import RandomEngine, ScriptedEngine
from tests.records.talking import talk
from tests.strategies import messages


@given(st.integers(0, 10_000), st.lists(messages, min_size=1, max_size=5), st.sampled_from([0.0, 0.4, 1.0]), st.sampled_from(["en", "es"]))
def test_the_same_files_change_nothing(library, seed, said, threshold, locale):
    for engine in (None, RandomEngine(seed)):
        log = talk(library, engine, said, threshold=threshold, locale=locale)
        found = compare(redecide(library, log.records))
        assert (found.n_turns, found.changed, found.n_unscored) == (len(said), [], 0)


def test_another_wording_changes_the_turns_that_say_it(library, edited):
    log = talk(library, ScriptedEngine(lambda message: "welcome" if message == "hello" else "hours"), ("hello", "when?"))
    policy = edited(catalogs=[("How can I help?", "What can I do?")])
    first, second = redecide(policy, log.records)
    assert (first.change, second.change) == ("wording", "same")
    assert "What can I do?" in first.now.text


def test_a_rule_that_is_gone_moves_the_turn_to_the_next_best(library, edited):
    log = talk(library, ScriptedEngine(lambda message: "hours", probability=0.8), ("when?",), threshold=0.0)
    policy = edited(logic=[('    yield say("hours"', '    if state.visits > 99:\n        yield say("hours"')])
    (one,) = redecide(policy, log.records)
    assert one.change == "reply"
    assert one.record.decision.chosen == "hours"
    assert one.now.id == "welcome"  # all others have the same share; the first of them
    (kept,) = redecide(policy, log.records, threshold=0.5)
    assert kept.now.id == "sorry"


def test_what_was_never_scored_is_told(library, edited):
    log = talk(library, ScriptedEngine(lambda message: "hours"), ("when?",))
    policy = edited(logic=[('    yield say("amnesty")', '    yield say("amnesty")\n    yield say("secret")')])
    found = compare(redecide(policy, log.records))
    assert (found.n_unscored, found.changed) == (1, [])


def test_a_state_that_no_longer_fits_is_no_reply(library, edited):
    log = talk(library, None, ("hello",))
    policy = edited(logic=[("    visits: NonNegativeInt = 0\n", ""), ("visits=state.visits + 1", "owed=state.owed")])
    (one,) = redecide(policy, log.records)
    assert one.change == "no reply"
    assert "visits" in one.now.why_not


def test_other_effects_are_told(library, edited):
    script = {"Here are 2 euros": {"wish": "pay", "offer": 2, "reply": "paid"}}
    log = talk(library, ScriptedEngine(script), ("Here are 2 euros",))
    policy = edited(logic=[(".then(settle, heard.offer).then(count)", ".then(settle, heard.offer)")])
    (one,) = redecide(policy, log.records)
    assert (one.change, one.now.effects) == ("effects", ("settle(Decimal('2'))",))


def test_a_model_is_asked_anew_with_what_it_then_knew(library):
    from constrained.cli.audit_redecide import decider

    said = ("hello", "when?", "and now?")
    log = talk(library, ScriptedEngine(lambda message: "hours"), said)
    scenes = []

    class Watching(ScriptedEngine):
        def choose(self, choices, scene, deadline=None):
            scenes.append(scene)
            return super().choose(choices, scene, deadline)

    engine = Watching(lambda message: "fine" if message == "when?" else "hours")
    found = [*redecide(library, log.records, decide=decider(library, engine, None))]
    assert [one.now.id for one in found] == ["hours", "fine", "hours"]
    assert {scene.message: [text for who, text in scene.history if who == "user"] for scene in scenes} == {
        "hello": [], "when?": ["hello"], "and now?": ["hello", "when?"],
    }  # fmt: skip
    assert all("owe" not in text for scene in scenes for _, text in scene.history)


# -- for people ----------------------------------------------------------------------------------------

HOSTILE = (
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-2",
    "@SUM(A1)",
    "\tx",
    "<script>alert(1)</script>",
    "\x00\x07 bell",
    "card 4111 1111 1111 1111",
)


@pytest.fixture
def comparison(library, edited):
    log = talk(library, None, HOSTILE)
    return compare(redecide(edited(catalogs=[("You owe {fine}.", "=You owe {fine}.")]), log.records), n_unreadable=2)


def test_the_page_is_whole_and_asks_for_nothing(comparison):
    text = sign_off_page(comparison, what="the new <catalog>")
    assert not re.search(r"<script|<link|<img|src=|href=|url\(|@import", text)
    assert "the new &lt;catalog&gt;" in text
    assert "4111 1111" not in text
    assert text.count("<table") == text.count("</table>") >= 2


def test_the_workbook_holds_text_and_no_formula(comparison, tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed: pip install 'constrained[evidence]'")
    (tmp_path / "book.xlsx").write_bytes(workbook(comparison, what="the new catalog"))
    book = openpyxl.load_workbook(tmp_path / "book.xlsx")
    assert book.sheetnames == ["Summary", "What moves where", "Turns"]
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert book["Turns"].max_row == len(comparison.changed) + 1 > 1
    assert not [cell for cell in cells if "4111 1111" in str(cell.value)]


def test_counts_add_up(comparison):
    assert comparison.n_turns == len(HOSTILE)
    assert sum(comparison.moves.values()) == len(comparison.changed)
    assert comparison.affected <= comparison.conversations
    assert all(isinstance(one, Redecided) for one in comparison.changed)


def test_sealed_turns_need_their_keys(library, tmp_path):
    from constrained.records.sealing import SubjectKeys, readable

    store, keys = MemoryLog(), SubjectKeys(tmp_path / "keys")
    talk(library, RandomEngine(3), log=SealedLog(store, keys))
    assert compare(redecide(library, readable(store.records, keys))).changed == []
    assert len(compare(redecide(library, store.records)).changed) == 4  # the empty state is none
