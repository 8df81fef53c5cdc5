"""``constrained prove`` and ``draw``: what they print, write and return; a proof that is kept goes stale visibly."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from constrained.analysis.prover.proofs import prove
from constrained.analysis.prover.properties import always, declared_in, eventually
from constrained.cli.main import app
from constrained.errors import PropertyError
from constrained.packs import load_policy_file
from constrained.quality.golden import load_golden, run_golden
from tests.analysis.small import CATALOG, HEAD
from tests.strategies import ROOT

LOGIC = HEAD + (
    '@policy("small")\ndef small(state: Small, heard: Heard):\n'
    '    """Two and set_b after one."""\n'
    '    yield say("one").then(turn_a)\n'
    "    if state.a and heard.x:\n"
    '        yield say("two").then(set_b)\n'
    '    yield say("three").once()\n'
)
PROPERTIES = """
from constrained.analysis.prover.properties import before, never_after, always, scope

EXPLORED = scope(human="two", within=1)
first_one = before("one", "two", says="one comes first")
never_two = never_after("one", "two", says="two is never said")
heard_x = always(lambda turn: turn.heard.x, on="set_b")
"""


@pytest.fixture
def pack(tmp_path, monkeypatch):
    for name, suffix, text in (("catalogs", "yaml", CATALOG), ("logic", "py", LOGIC), ("properties", "py", PROPERTIES)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"small.{suffix}").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, status=0):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == status, (result.output, result.exception)
    return result.stdout


def test_prove_shows_verdicts_and_a_shortest_conversation_that_can_be_replayed(pack):
    text = run("prove", "small", "--dialogues", "broken.yaml", status=1)
    lines = {
        line.split()[1]: line.split()[0] for line in text.splitlines() if line.split()[:1] and line.split()[0] in ("proved", "violated")
    }
    assert lines["first_one"] == lines["heard_x"] == lines["effects_can_run"] == "proved"
    assert lines["never_two"] == lines["a_human_in_reach"] == "violated"
    assert "all 8 points that can be reached from 1 start" in text or "points that can be reached from 1 start" in text
    file = load_golden("broken.yaml")
    never = next(one for one in file.dialogues if one.name == "never_two")
    assert [turn.expects for turn in never.turns] == ["one", "two"]
    assert never.turns[1].heard == {"x": True}
    assert all(not result.problems for one in file.dialogues for result in run_golden(load_policy_file("logic/small.py"), one))
    assert "as written" in run("test", "broken.yaml")


def test_a_kept_proof_speaks_for_check_until_something_changes(pack):
    run("prove", "small", "--save", status=1)
    assert "never_two" in run("check", "small", status=1)
    (pack / "properties" / "small.py").write_text(
        PROPERTIES.replace("never_two", "# never_two").replace('scope(human="two", within=1)', "scope()")
    )
    assert "the proof is stale: properties changed since" in run("check", "small")
    run("prove", "small", "--save")
    assert "stale" not in run("check", "small")
    logic = pack / "logic" / "small.py"
    logic.write_text(logic.read_text().replace("Two and set_b", "Set_b and two"))
    assert "stale: logic changed" in run("check", "small")
    (pack / "proofs" / "small.json").write_text("{}")
    assert "holds no proof" in run("check", "small", status=1)


def test_prove_writes_json_and_a_bound_is_told(pack):
    proof = json.loads(run("prove", "small", "--json", "--states", "2", status=1))
    assert proof["explored"]["is_closed"] is False
    assert {one["status"] for one in proof["verdicts"]} <= {"held", "violated", "open"}
    assert set(proof["bound"]) == {"catalog", "logic", "properties"}


def test_a_property_that_cannot_be_asked_says_so(pack):
    policy = load_policy_file(pack / "logic" / "small.py")
    with pytest.raises(PropertyError, match="'wrong' failed: AttributeError"):
        prove(policy, [always(lambda turn: turn.before.gold > 0).named("wrong")])
    (found,) = [one for one in prove(policy, [eventually("nothing", within=1).named("odd")]).verdicts if one.name == "odd"]
    assert (found.status, found.wrong) == ("open", "nothing is called nothing")
    with pytest.raises(PropertyError, match="line 2"):
        declared_in("\nraise ValueError('line 2')\n", "p.py")
    with pytest.raises(PropertyError, match="2 scopes"):
        declared_in("from constrained.analysis.prover.properties import scope\na, b = scope(), scope()\n", "p.py")


def test_the_picture_shows_conditions_responses_and_what_was_come_to(pack):
    text = run("draw", "small")
    assert text.startswith("flowchart LR\n")
    assert "state.a and heard.x" in text
    assert "then set_b()" in text
    (pack / "dialogues").mkdir()
    (pack / "dialogues" / "small.yaml").write_text("pack: small\ndialogues:\n- name: d\n  turns:\n  - {says: hi, expects: one}\n")
    run("test", "small", "--coverage", "coverage.json")
    run("draw", "small", "--coverage", "coverage.json", "--out", "small.mmd")
    picture = (pack / "small.mmd").read_text()
    assert "offered 1, said 1" in picture
    assert "classDef missed" in picture
    run("draw", "small", "--coverage", "coverage.json", "--out", "small.md")
    assert (pack / "small.md").read_text() == f"# small\n\n```mermaid\n{picture}```\n"
    run("play", "small", "--rules", "--log", "talk.jsonl")
    assert "flowchart" in run("draw", "small", "--log", "talk.jsonl")


@pytest.mark.parametrize("name", ["bank_disputes", "clinic_booking", "tavern"])
def test_every_response_of_a_pack_is_in_its_picture(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = run("draw", name)
    catalog = load_policy_file(ROOT / "logic" / f"{name}.py").catalog
    assert [one.id for one in catalog.responses.values() if one.id not in text and one.id != catalog.fallback and not one.tags] == []


def test_a_procedure_is_drawn_as_steps_that_follow_each_other(pack):
    (pack / "logic" / "small.py").write_text(
        HEAD + '@procedure("small")\nasync def small(state: Small, heard: Heard):\n    await tell("one")\n'
        '    if await confirm("two"):\n        await tell("three")\n    await tell("four")\n'
    )
    text = run("draw", "small")
    names = {line.split("[[")[1].split('"')[1]: line.split("[[")[0].strip() for line in text.splitlines() if "[[" in line}
    assert f"  {names['tell one']} --> {names['confirm two']}" in text
    assert f'  {names["confirm two"]} -->|"yes"| {names["tell three"]}' in text
    assert f'  {names["confirm two"]} -->|"no"| {names["tell four"]}' in text
    shutil.rmtree(pack / "properties")


def test_the_properties_in_the_docs_hold_of_the_tavern():
    text = (ROOT / "docs" / "proving.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    declared = declared_in(text, "proving.md")
    proof = prove(load_policy_file(ROOT / "logic" / "tavern.py"), declared.properties, declared.scope, most_points=3_000)
    assert {one.name: one.status for one in proof.verdicts if not one.is_built_in} == {
        **{"key_is_paid": "held", "quest_1": "held", "quest_2": "held", "told_first": "held", "paid_once": "held", "peace": "held"}
    }
