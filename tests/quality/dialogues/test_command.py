"""``constrained test`` and the pytest plugin: what is as written passes, what is not is told with its place."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from constrained.cli.main import app
from constrained.errors import GoldenError
from constrained.quality.golden import load_golden
from tests.analysis.small import CATALOG, HEAD

pytest_plugins = ["pytester"]
BODY = "yield say('one').then(turn_a)", "if state.a:", "    yield say('two')"
LOGIC = HEAD + '@policy("small")\ndef small(state: Small, heard: Heard):\n' + "".join(f"    {line}\n" for line in BODY)
GOOD = "- name: good\n  turns:\n  - {says: hi, expects: one, then: {a: true}}\n  - {says: again, expects: two, effects: []}\n"
BAD = (
    "- name: bad\n  turns:\n  - says: hi\n    expects: two\n    then: {n: 1}\n"
    '- name: worse\n  state: {z: 1}\n  turns:\n  - {says: "\\u0007hi", expects: one}\n'
)


@pytest.fixture
def pack(tmp_path, monkeypatch):
    write(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, dialogues):
    for name, suffix, text in (
        ("catalogs", "yaml", CATALOG),
        ("logic", "py", LOGIC),
        ("dialogues", "yaml", "pack: small\ndialogues:\n" + dialogues),
    ):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"small.{suffix}").write_text(text, encoding="utf-8")


def run(*arguments, status=0):
    result = CliRunner().invoke(app, ["test", *arguments])
    assert result.exit_code == status, (result.output, result.exception)
    return result.stdout


def test_what_is_as_written_passes_and_is_counted(pack):
    text = run("small")
    assert "as written  small: good (2 turns)" in text
    assert "1 of 1 dialogues as written" in text
    assert "2 of 2" in text
    assert "1 of 1" in run("dialogues/small.yaml", "--quiet")


def test_what_is_not_as_written_is_told_with_its_place(pack):
    write(pack, BAD + GOOD)
    text = run("small", status=1)
    assert "dialogues/small.yaml:5: turn 1, 'hi'" in text
    assert "  - two\n  + one\n" in text
    assert "  then.n:\n  - 1\n  + 0\n" in text
    assert "1 of 3 dialogues as written" in text


def test_rules_alone_are_measured_against_what_is_written(pack):
    write(pack, GOOD + "- name: rules\n  state: {a: true}\n  turns:\n  - {says: hi, expects: one}\n")
    text = run("small", "--engine", "rules")
    assert "'hi': picks two, not one, of 3" in text
    assert "rules picks as written in 2 of 3 turns with a choice (67 %)" in text
    assert "less than 90 %" in run("small", "--engine", "rules", "--at-least", "0.9", status=1)


def test_too_little_said_is_a_failure_where_it_is_asked_for(pack):
    (pack / "catalogs" / "small.yaml").write_text(CATALOG.replace("    tags: [reserve]\n", "", 3), encoding="utf-8")
    (pack / "logic" / "small.py").write_text(LOGIC + '    if state.n:\n        yield say("three")\n', encoding="utf-8")
    text = run("small", "--covers", "0.9", status=1)
    assert "small: never said: three" in text
    assert "less than 90 % of the responses said: small" in text
    run("small", "--covers", "0.5")


def test_nothing_to_test_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["test", "nowhere.yaml"]).exit_code != 0


def test_the_plugin_collects_dialogues_where_the_project_names_them(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # where the package is installed, its plugin is there by itself
    write(pytester.path, GOOD + BAD)
    pytester.runpytest_inprocess("-p", "constrained.quality.pytest_plugin", "dialogues").assert_outcomes()
    written = pytester.path / "junit.xml"
    named = ("-o", "constrained_dialogues=dialogues/*.yaml", f"--junitxml={written}")
    pytester.runpytest_inprocess("-p", "constrained.quality.pytest_plugin", *named, "dialogues").assert_outcomes(passed=1, failed=2)
    suite = ElementTree.parse(written).getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert "\x07" not in written.read_text()
    pytester.makeini("[pytest]\nconstrained_dialogues = dialogues/*.yaml\n")
    result = pytester.runpytest_inprocess("-p", "constrained.quality.pytest_plugin", "dialogues")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*turn 1, 'hi'*"])
    (pytester.path / "dialogues" / "small.yaml").write_text("pack: small\n")
    pytester.runpytest_inprocess("-p", "constrained.quality.pytest_plugin", "dialogues").assert_outcomes(errors=1)


def test_an_effect_that_does_not_end_is_told_with_its_line(pack):
    write(pack, GOOD.replace("effects: []", "effects: [pay(1, 2]"))
    with pytest.raises(GoldenError) as caught:
        load_golden("dialogues/small.yaml")
    (problem,) = caught.value.problems
    assert problem.line == 6
    assert "'pay(1, 2' is no effect: write NAME(ARGUMENTS), every parenthesis closed" in problem.message
