"""The other commands: check, new, schema, list, model, demo, and what all have in common."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from constrained import Dialogue
from constrained.cli import demo, screen
from constrained.cli import models as loading
from constrained.engines import model_files
from constrained.packs import load_policy
from constrained.testing import RandomEngine
from tests.cli.conftest import Run

COMMANDS = ["play", "demo", "list", "check", "new", "replay", "schema", "model", "eval"]


# -- check -----------------------------------------------------------------------------------------------


def test_a_sound_pack_is_shown_as_a_table(run: Run, desk: Path) -> None:
    done = run("check", "library")
    assert done.status == 0
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    assert "library version 1" in rows["catalog"]
    assert rows["locales"].split()[1:] == ["en,", "es"]
    assert "threat, wish, shelf, hurry, book, offer, day" in rows["hears"]
    assert "2 dialogues, 4 turns" in rows["golden"]
    assert rows["library:"] == "library: no problem"


@pytest.mark.parametrize("name", ["tavern", "caravan", "bank_disputes", "clinic_booking"])
def test_the_shipped_packs_pass_their_check(name: str, run: Run, here: Path) -> None:
    done = run("check", name)
    assert (done.status, "no problem" in done.out) == (0, True), done.out
    assert "was offered in none" not in done.out, "a golden dialogue shows that it can be said"


def test_a_broken_catalog_lists_all_its_problems_with_places(run: Run, here: Path) -> None:
    run("new", "desk")
    path = here / "catalogs" / "desk.yaml"
    broken = (
        path.read_text()
        .replace("fallback: pardon", "fallback: nobody")
        .replace("slots: {gold: integer}", "slots: {gold: integr}")
        .replace("when: the player threatens her", "whenn: x")
    )
    path.write_text(broken)
    for target in ("desk", "catalogs/desk.yaml"):
        done = run("check", target)
        assert done.status == 1
        for culprit in ("nobody", "integr", "whenn"):
            line = next(number for number, text in enumerate(broken.splitlines(), start=1) if culprit in text)
            assert [problem for problem in done.out.splitlines() if f"desk.yaml:{line}:" in problem and culprit in problem], (
                culprit,
                done.out,
            )
        assert "hint: " in done.out
        assert done.out.splitlines()[-1].endswith("problems")


def test_logic_that_does_not_fit_its_catalog_is_told_by_line(run: Run, here: Path) -> None:
    run("new", "desk")
    path = here / "logic" / "desk.py"
    path.write_text(path.read_text().replace('say("greet")', 'say("great")'))
    for target in ("desk", "logic/desk.py"):
        done = run("check", target)
        line = next(number for number, text in enumerate(path.read_text().splitlines(), start=1) if "great" in text)
        assert done.status == 1
        assert f"{path}:{line}" in done.out
        assert "'great'" in done.out


def test_a_new_desk_hears_the_protected_triggers_and_passes_its_check_and_its_test(run: Run, here: Path) -> None:
    run("new", "parcels", "--desk")
    done = run("check", "parcels")
    assert (done.status, "no problem" in done.out, "remark" in done.out) == (0, True, False), done.out
    done = run("test", "parcels")
    assert (done.status, "4 of 4 dialogues as written" in done.out) == (0, True), done.out
    assert run("play", "parcels", "--rules", stdin="When do you open? I want to kill myself.\n").out.count("116 123") == 1


def test_who_asks_a_new_desk_for_a_person_waits_for_one(run: Run, here: Path) -> None:
    run("new", "parcels", "--desk")
    policy = load_policy("parcels")
    turn = Dialogue(policy).reply("I want to talk to a real person.", policy.state_type())
    assert [(one.kind.name, one.kind.handover) for one in turn.effects] == [("pass_on", True)]


def test_a_golden_dialogue_that_goes_otherwise_is_told(run: Run, here: Path) -> None:
    run("new", "desk")
    path = here / "dialogues" / "desk.yaml"
    path.write_text(path.read_text().replace("then: {gold: 5", "then: {gold: 6"))
    done = run("check", "desk")
    assert done.status == 1
    assert "haggles for the longsword" in done.out
    assert "turn 5" in done.out
    path.write_text("pack: desk\ndialogues: {}\nmore: 1\n")
    done = run("check", "desk")
    assert (done.status, "desk.yaml" in done.out) == (1, True)


def test_advice_does_not_fail_a_check(run: Run, here: Path) -> None:
    run("new", "desk")
    path = here / "catalogs" / "desk.yaml"
    path.write_text(re.sub(r"    examples: \[hello there.*\n", "", path.read_text()))
    done = run("check", "desk")
    assert done.status == 0
    assert "remark: " in done.out
    assert "'greet' has no examples" in done.out


def test_what_is_obliged_alone_needs_no_examples(run: Run, here: Path) -> None:
    run("new", "desk")
    path = here / "catalogs" / "desk.yaml"
    path.write_text(path.read_text() + "  machine: {text: A machine answers., when: the talk begins}\n")
    path = here / "logic" / "desk.py"
    clause = '@policy("desk", obligations=[at_start("machine")])'
    head = "from constrained.obligations import at_start\n"
    path.write_text(path.read_text().replace("from constrained.hear", head + "from constrained.hear").replace('@policy("desk")', clause))
    assert run("check", "desk").status == 0
    assert "no examples" not in run("check", "desk").out


def test_a_catalog_alone_is_told_in_one_line_what_only_its_logic_can_decide(run: Run, here: Path) -> None:
    run("new", "desk")
    path = here / "catalogs" / "desk.yaml"
    path.write_text(re.sub(r"    examples: \[(hello there|goodbye).*\n", "", path.read_text()))
    done = run("check", "catalogs/desk.yaml")
    assert (done.status, done.out.count("remark")) == (0, 2), done.out
    assert "6 remarks depend on the logic" in done.out
    assert "constrained check desk" in done.out


@pytest.mark.parametrize("target", ["nobody", "nobody.yaml", "nobody.py", "a/b", "notes.txt", ".", ""])
def test_what_is_not_there_cannot_be_checked(target: str, run: Run, here: Path) -> None:
    done = run("check", target)
    assert done.status == 1
    assert target in done.out + done.err


# -- new -------------------------------------------------------------------------------------------------


def test_a_new_pack_passes_its_check_and_its_test_at_once(run: Run, here: Path) -> None:
    done = run("new", "night_desk", "--dir", "project")
    assert done.status == 0
    written = sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())
    assert written == [f"project/{name}" for name in ("catalogs/night_desk.yaml", "dialogues/night_desk.yaml", "logic/night_desk.py")]
    os.chdir(here / "project")
    checked = run("check", "night_desk")
    assert (checked.status, checked.out.splitlines()[-1]) == (0, "night_desk: no problem")
    assert "remark" not in checked.out
    tested = run("test", "night_desk")
    assert (tested.status, tested.out.splitlines()[-1]) == (0, "2 of 2 dialogues as written")
    assert run("prove", "night_desk").status == 0


def test_the_smith_of_a_new_pack_haggles_by_the_small_engine(run: Run, here: Path) -> None:
    run("new", "smith", "--game")
    done = run("test", "smith", "--engine", "small", "--at-least", "0.9")
    assert (done.status, "sold" in done.out) == (0, False), done.out


def test_a_new_pack_can_be_talked_to(run: Run, here: Path) -> None:
    run("new", "night_desk")
    assert run("play", "night_desk", "--rules", stdin="what do you sell?\n").out.startswith("Greta: ")


def test_the_next_steps_of_a_new_pack_are_commands_that_exist(run: Run, here: Path) -> None:
    steps = run("new", "night_desk").out.partition("next:\n")[2].splitlines()
    commands = [step.partition("#")[0].split() for step in steps if step.startswith("  ")]
    assert [command[1] for command in commands if command[0] == "constrained"] == ["check", "test", "play"]
    assert run(*commands[2][1:], stdin="hello\n").status == 0
    assert (here / next(command[1] for command in commands if command[0] == "python")).is_file()


def test_the_logic_of_a_new_pack_talks_as_a_game_does(run: Run, here: Path) -> None:
    """Its last lines, with a model that answers by chance."""
    run("new", "night_desk")
    code = "import builtins, runpy, constrained.engines.loading as loading, constrained.testing as testing\n"
    code += "loading.load_engine = lambda *_, **__: testing.RandomEngine(3)\n"
    code += "runpy.run_path('logic/night_desk.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], input="hello\nwhat do you sell?\n\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("Greta: ")) == (0, 2), done.stderr


def test_nothing_is_overwritten(run: Run, here: Path) -> None:
    mine = here / "logic" / "desk.py"
    mine.parent.mkdir()
    mine.write_text("mine")
    done = run("new", "desk")
    assert done.status == 1
    assert "logic/desk.py would be overwritten; nothing was written" in done.err
    assert mine.read_text() == "mine"
    assert [path for path in here.rglob("*") if path.is_file()] == [mine]


@pytest.mark.parametrize("name", ["Desk", "1st", "../desk", "a b", "a-b", "", "a.b"])
def test_a_new_pack_needs_a_name_that_python_can_import(name: str, run: Run, here: Path) -> None:
    done = run("new", name)
    assert done.status == 1
    assert "is not a pack name" in done.err
    assert not list(here.rglob("*"))


def test_a_folder_that_cannot_be_written_is_told(run: Run, here: Path) -> None:
    (here / "file").write_text("")
    done = run("new", "desk", "--dir", "file")
    assert done.status == 1
    assert "cannot be written" in done.err


# -- schema, list, model ---------------------------------------------------------------------------------


def test_the_schema_accepts_the_shipped_catalogs_and_refuses_a_wrong_one(run: Run, here: Path) -> None:
    schema = json.loads(run("schema").out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    run("new", "desk")
    catalog = yaml.load((here / "catalogs" / "desk.yaml").read_text(), Loader=yaml.BaseLoader)
    catalog["version"] = 1
    assert not list(validator.iter_errors(catalog))
    assert list(validator.iter_errors({**catalog, "fallbak": "x"}))


def test_list_tells_where_a_pack_is_from_and_when_one_is_broken(
    run: Run, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {line.split()[0]: line for line in run("list").out.splitlines()}
    assert rows["library"].endswith("here")
    assert rows["tavern"].endswith("shipped")
    monkeypatch.chdir(tmp_path)
    run("new", "desk")
    (tmp_path / "catalogs" / "desk.yaml").write_text("catalog: desk\n")
    assert "constrained check desk" in " ".join(run("list").out.split())


def test_model_list_tells_which_are_here(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSTRAINED_HOME", str(here))
    assert run("model", "list").out.splitlines()[1].split()[-1] == "no"


def test_model_get_fetches_and_prints_the_folder(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(name: str, progress: model_files.Progress) -> Path:
        for done in range(0, 101, 50):
            progress("download", done, 100)
        progress("convert", 0, 0)
        return here / name

    monkeypatch.setattr(loading.model_files, "get_model", get)
    done = run("model", "get")
    assert (done.status, done.out, done.err) == (0, f"{here / 'smollm2-135m'}\n", "")


def test_model_get_knows_what_it_does_not_know(run: Run, here: Path) -> None:
    done = run("model", "get", "gpt-5")
    assert done.status == 1
    assert "known are: smollm2-135m" in done.err


# -- demo ------------------------------------------------------------------------------------------------


def test_the_demo_talks_with_every_pack_and_replays_it(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_engine", lambda model: RandomEngine(3))
    done = run("demo")
    assert done.status == 0
    for name in demo.PACKS:
        assert f"\n{name}: " in "\n" + done.out
    (replayed,) = [line.split() for line in done.out.splitlines() if line.startswith("replayed without the model")]
    assert replayed[4] == replayed[6]
    assert int(replayed[4]) > 0
    assert "\x1b" not in done.out


# -- all commands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_within_eighty_columns(command: str, run: Run) -> None:
    done = run(command, "--help")
    assert done.status == 0
    assert "Usage: constrained" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_help_lists_the_commands_and_the_version_is_that_of_the_package(run: Run) -> None:
    listed = run("--help").out
    assert all(f"\n  {command} " in listed for command in COMMANDS)
    assert run("--version").out.startswith("constrained 0.")
    assert run().status == 2


def test_a_terminal_without_blocks_gets_bars_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert screen.bar(0.5, 4) == "██  "
    assert screen.bar(1.0, 4) == "████"
    assert screen.bar(0.03125, 4) == "▏   "
    monkeypatch.setattr(screen, "has_blocks", lambda: False)
    assert screen.bar(0.5, 4) == "##  "


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0 %"),
        (0.0004, "0 %"),
        (0.004, "0.4 %"),
        (0.42, "42 %"),
        (0.994, "99.4 %"),
        (0.9999, "100 %"),
        (1.0, "100 %"),
        (0.0096, "1 %"),
    ],
)
def test_percentages_round_to_none_and_all_only_when_they_nearly_are(share: float, shown: str) -> None:
    assert screen.percent(share) == shown


@pytest.mark.parametrize(
    ("options", "price"),
    [(("--game",), "a longsword for 80"), (("--desk",), "A parcel of up to five kilos costs €5.90.")],
    ids=["game", "desk"],
)
def test_a_new_pack_answers_a_question_about_the_price_with_the_price_and_does_nothing(
    options: tuple[str, ...], price: str, run: Run, here: Path
) -> None:
    run("new", "stall", *options)
    asked = ["how much is one?", "how much is it?", "what does it cost?", "what is the price?"]
    done = run("play", "stall", "--why", stdin="\n".join([*asked, ""]))
    assert done.out.count(price) == len(asked), done.out
    assert not re.search(r"^effects", done.out, re.MULTILINE)
