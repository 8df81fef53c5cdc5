"""The tutorial "Writing an NPC", followed to the letter: its pieces are put where it says, its commands run, its conversation is held."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from constrained.dialogue.dialogue import Dialogue
from constrained.packs import load_policy
from tests.cli.conftest import Run

PAGE = (Path(__file__).parents[2] / "docs" / "writing_an_npc.md").read_text(encoding="utf-8")
PIECE = re.compile(r"^```(?:yaml|python)\n# (\S+?)(?:, ([^\n]+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)
PIECES = PIECE.findall(PAGE)


def place(path: Path, where: str, piece: str) -> None:
    """Does to a file what the heading of a piece says."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if kept := re.fullmatch(r"in place of (\w+)", where):
        text, n = re.subn(rf"^  {kept[1]}:\n(?:   .*\n)+", lambda _: piece, text, flags=re.MULTILINE)
        assert n == 1, where
    elif kept := re.fullmatch(r"(at the end of|above) (?:class|def) (\w+)", where):
        (node,) = [one for one in ast.parse(text).body if getattr(one, "name", "") == kept[2]]
        at = node.end_lineno if kept[1] == "at the end of" else node.lineno - 1
        lines = text.splitlines(keepends=True)
        text = "".join([*lines[:at], piece, *([] if kept[1] == "at the end of" else ["\n\n"]), *lines[at:]])
    else:
        assert where in ("", "at the end")
        text += piece
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def may_read(wording: str, reply: str) -> bool:
    """Whether a text with slots may be said so; which of its variants is said is left to a bag."""
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(wording)), reply) is not None


@pytest.fixture
def game(run: Run, here: Path) -> Path:
    """The folder as it is at the end of the page."""
    assert run("new", "smith", "--game").status == 0
    for name, where, piece in PIECES:
        place(here / name, where, piece)
    return here


def test_every_piece_of_the_page_is_one_that_is_placed() -> None:
    assert len(PIECES) == len(re.findall(r"^```(?:yaml|python)$", PAGE, re.MULTILINE)) == 9


def test_what_the_page_builds_passes_its_check_and_its_dialogues(run: Run, game: Path) -> None:
    for command, told in ((["check", "smith"], "no problem"), (["test", "smith"], "3 of 3 dialogues"), (["check", "tinker"], "no problem")):
        done = run(*command)
        assert (done.status, done.err) == (0, ""), command
        assert told in done.out


def test_the_commands_of_the_page_exist() -> None:
    from typer.main import get_command

    from constrained.cli.main import app

    lines = [line for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) for line in block.splitlines()]
    named = re.findall(r"constrained (\w+)((?: --\w+)*)", "\n".join(lines))
    assert len(named) > 8
    for name, options in named:
        command = get_command(app).commands[name]  # type: ignore[attr-defined]  # a group, whatever typer calls it
        known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        assert set(options.split()) <= known, name


@pytest.mark.model
def test_the_conversation_of_the_page_is_held_and_the_game_runs(game: Path, run: Run) -> None:
    from constrained.engines.loading import load_engine

    (talk,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    said = re.findall(r"you: (.*)\nGreta: (.*)", talk)
    assert len(said) == 5
    greta = Dialogue("smith", engine=load_engine("small"))
    state = greta.policy.state_type.default()
    for message, reply in said:
        turn = greta.reply(message, state)
        state = turn.apply(state)
        assert any(may_read(wording.source, reply) for wording in greta.catalog[turn.response_id].texts["en"].each), turn.text
    done = subprocess.run([sys.executable, "game.py"], cwd=game, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "65 gold for the longsword, done. Mind the edge.  [5 gold]" in done.stdout
    assert "3 gold. There, it cuts again.  [2 gold]" in done.stdout
    assert "*hums and hammers*" in done.stdout
    assert load_policy("tinker").heard_type is not None
