"""The model card: shares with their intervals, what golden dialogues and results say, and that nothing unmeasured has a figure."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue, load_policy
from constrained.cli.main import main
from constrained.errors import DataError
from constrained.pack_folders import find_pack
from constrained.quality.golden import run_files
from constrained.quality.model_card import FORMAT, HANDED_OVER, LOW, Share, card_sections, measured_in_file, measured_on_golden, risk_file
from constrained.records.log import open_log
from constrained.records.sealing import SealedLog, SubjectKeys
from constrained.testing import RandomEngine
from tests.logic.packs import make
from tests.strategies import record

PATH = find_pack("tavern").dialogues_path


@given(st.integers(0, 300), st.integers(1, 300))
@settings(max_examples=50)
def test_the_interval_is_wilson_s(k, n):
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed: pip install 'constrained[evaluate]'")
    k = min(k, n)
    low, high = Share("", k, n).interval
    known = stats.binomtest(k, n).proportion_ci(0.95, "wilson")
    assert (low, high) == pytest.approx((known.low, known.high), abs=1e-6)
    assert low <= k / n <= high


def test_nothing_of_nothing_is_not_measured():
    assert (str(Share("x", 0, 0)), Share("x", 0, 0).value, Share("x", 0, 0).interval) == ("not measured", None, None)


@pytest.fixture(scope="module")
def tavern():
    return load_policy("tavern")


@pytest.fixture(scope="module")
def by_rules():
    return [result for result, _ in run_files([PATH], by_rules=True)]


def test_golden_dialogues_are_counted_as_they_went(tavern, by_rules):
    found = measured_on_golden(by_rules, tavern, {"engine": "none"}, PATH)
    picks = [one for result in by_rules for one in result.picks]
    assert (found.right.k, found.right.n) == (sum(one.picked.response_id == one.golden.expects for one in picks), len(picks))
    wrong, missed = found.acts
    assert wrong.k == sum(bool(one.picked.effects) and [*map(str, one.picked.effects)] != [*map(str, one.reply.effects)] for one in picks)
    assert missed.n == sum(bool(one.reply.effects) for one in picks)
    assert 0 < wrong.k < wrong.n
    languages = [one for one in found.misses if one.what.startswith("language ")]
    assert sum(one.n for one in languages) == len(picks)
    assert sum(one.k for one in languages) == len(picks) - found.right.k


def test_an_engine_that_picks_as_written_has_no_wrong_act(tavern, by_rules):
    intended = [type(one)(one.path, one.pack, one.dialogue, tuple(as_written(each) for each in one.results)) for one in by_rules]
    found = measured_on_golden(intended, tavern, {"engine": "rules"}, PATH)
    assert (found.right.value, found.acts[0].k, found.acts[1].k, found.engine) == (1.0, 0, 0, "rules")


def as_written(result):
    return type(result)(result.golden, result.differences, result.reply, result.reply, result.misheard)


def result_file(path, **changes):
    rows = [
        {"said": said, "expects": [expected], "confidence": 0.9, "locale": locale, "group": group}
        for said, expected, locale, group in (("a", "a", "en", "x"), ("b", "a", "en", ""), ("a", "a", "de", "x"))
    ]
    setting = {"pack": "tavern", "file": "messages.csv", "data": "sha256:0", "engine": {"model": "small"}, "threshold": 0.3}
    path.write_text(json.dumps({"format": "constrained eval 1", "setting": setting, "rows": rows} | changes), encoding="utf-8")
    return path


def test_a_result_is_read_by_group_and_language(tmp_path, tavern):
    found = measured_in_file(result_file(tmp_path / "r.json"), tavern)
    assert (found.right.k, found.right.n, found.acts, found.engine) == (2, 3, (), "small, threshold 0.3")
    assert [(one.what, one.k, one.n) for one in found.misses] == [("group x", 0, 2), ("language de", 0, 1), ("language en", 1, 2)]


@pytest.mark.parametrize("changes", [{"format": "another"}, {"rows": [{}]}, {"setting": {}}])
def test_what_is_no_result_is_refused(tmp_path, tavern, changes):
    with pytest.raises(DataError, match="no result"):
        measured_in_file(result_file(tmp_path / "r.json", **changes), tavern)


def test_a_result_of_another_pack_is_refused(tmp_path):
    with pytest.raises(DataError, match="of tavern, not of"):
        measured_in_file(result_file(tmp_path / "r.json"), load_policy("bank_disputes"))


def test_what_was_not_measured_has_no_figure(tavern):
    card = risk_file([record(1)], None, [])
    content = card.to_json()
    assert (content["format"], content["measured"], content["packs"]) == (FORMAT, [], {})
    assert all(one["psi"] is None and one["band"] == "not measured" for one in content["drift"])
    assert [one["value"] for one in content["log"] if one["what"] == LOW] == [None], "no model was asked"
    assert len(card.not_measured) == 3
    assert all(row[5:] == ("not measured", "not measured", "not measured") for row in card_sections(card)["drift"])


def test_another_engine_than_the_measured_one_is_told(tmp_path, tavern):
    taken = record(1, versions={"catalog": "tavern", "model": "large"})
    card = risk_file([taken], tavern, [measured_in_file(result_file(tmp_path / "r.json"), tavern)])
    assert any("the engine large, by which 1 turns" in one for one in card.not_measured)
    assert any(one.startswith("wrong acts") for one in card.not_measured)


HANDING_OVER = """from constrained import State, effect, policy, say


class Shop(State):
    gold: int = 1


@effect(handover=True)
def pass_on(state: Shop) -> Shop:
    return state


@effect(handover=False)
def hand_over(state: Shop) -> Shop:
    return state
"""
BODY = """
    @policy("shop")
    def desk(state: Shop):
        yield say("human").then(pass_on)
        yield say("goods").then(hand_over)
"""


def test_hand_overs_are_the_effects_that_the_logic_says_hand_over(tmp_path):
    policy = make(tmp_path, BODY, header=HANDING_OVER, human="A colleague comes.", goods="Here they are.")
    log = [record(number, effects=(effect,)) for number, effect in enumerate(("pass_on()", "pass_on()", "hand_over()"), 1)]
    assert risk_file(log, policy, []).share(HANDED_OVER).k == 2
    assert risk_file(log, None, []).share(HANDED_OVER).k == 1, "without the logic the name tells"


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def audit(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["audit", *map(str, arguments)])
        return ended.value.code, capsys.readouterr()

    return run


def test_one_command_writes_page_json_and_alerts(tmp_path, audit):
    keys = SubjectKeys(tmp_path / "keys")
    dialogue = Dialogue("tavern", engine=RandomEngine(2), log=SealedLog(open_log(tmp_path / "log.db"), keys))
    for _ in range(3):
        dialogue.reply("good evening")
    files = [tmp_path / name for name in ("page.html", "card.json", "alerts.yaml")]
    asked = ["--html", files[0], "--json", files[1], "--prometheus", files[2], "--golden", "rules"]
    code, printed = audit("report", tmp_path / "log.db", *asked)
    assert (code, printed.out.count("written: ")) == (0, 3)
    assert "not measured: the engine random, by which 3 turns" in " ".join(printed.err.split())
    page, card = files[0].read_text(encoding="utf-8"), json.loads(files[1].read_bytes())
    assert all(f"<h2>{name}</h2>" in page for name in ("The engine", "Measured", "Drift", "Limits"))
    assert [one["identity"]["model"] for one in card["engines"]] == ["random"]
    assert card["measured"][0]["engine"] == "rules"
    assert all("not measured" in rule["annotations"]["basis"] for rule in yaml.safe_load(files[2].read_text())["groups"][0]["rules"][:3])
    assert card["log"][1]["n"] == 0, "effects are sealed"
    audit("report", tmp_path / "log.db", "--json", files[1], "--keys", keys.folder)
    assert json.loads(files[1].read_bytes())["log"][1]["n"] == 3


def test_nothing_asked_for_is_told(tmp_path, audit):
    Dialogue("tavern", log=str(tmp_path / "log.db")).reply("good evening")
    code, printed = audit("report", tmp_path / "log.db")
    assert code == 1
    assert "nothing is asked for" in printed.err
