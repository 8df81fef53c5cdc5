"""``constrained tune`` from its arguments to the adapter that it writes, with a tiny model in place of the real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from constrained import Dialogue
from constrained.cli import tune
from constrained.cli.main import main
from constrained.quality.training import CHECKPOINT
from tests.quality.tuning.conftest import desk, engine

MORE = '{"message": "a copper less", "expects": "pardon"}\n'
CHECK = '{"message": "the key, please", "expects": "sell_key"}\n{"message": "is there gossip", "expects": "rumour"}\n'


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labelled messages in a folder, the desk as a pack, and a tiny model."""
    monkeypatch.setattr(tune, "load_policy", lambda name: desk())
    monkeypatch.setattr(tune, "load_engine", lambda model: engine())
    monkeypatch.setenv("CONSTRAINED_HOME", str(tmp_path / "home"))
    for name, text in (("more", MORE), ("check", CHECK)):
        (tmp_path / f"{name}.jsonl").write_text(text)
    return tmp_path


def run(*arguments: object) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(["tune", "desk", "--epochs", "2", *map(str, arguments)])
    return ended.value.code


def test_an_adapter_is_written_and_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = files / "adapter"
    assert run("--data", files / "more.jsonl", "--check", files / "check.jsonl", "--out", out) == 0
    told = capsys.readouterr()
    assert "13 messages for 4 responses, 2 steps" in told.out
    assert told.out.splitlines()[1].split() == ["before", "after"]
    assert "more is right by" in told.out
    assert f"constrained play desk --adapter {out}" in told.err
    renew = json.loads((out / "adapter.json").read_text())["renew"]
    assert renew == f"constrained tune desk --data {files / 'more.jsonl'} --out {out}"
    assert Dialogue(desk(), engine=engine(adapter=out)).reply("hello").text


def test_without_messages_to_check_that_is_said(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "nothing was measured" in capsys.readouterr().err
    assert (files / "home" / "adapters" / "desk" / "adapter.json").is_file()


def test_a_checkpoint_that_is_in_the_way_goes_when_asked(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = files / "adapter"
    out.mkdir()
    (out / CHECKPOINT).write_bytes(b"of another time")
    assert run("--out", out) == 1
    assert "--restart" in capsys.readouterr().err
    assert run("--out", out, "--restart") == 0


def test_only_what_is_after_when_asked(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--check", files / "check.jsonl", "--limit", 1, "--skip-before", "--out", files / "adapter") == 0
    assert "before" not in capsys.readouterr().out


def test_an_encoder_that_is_not_there_is_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--encoder", files / "nowhere") == 1
    assert "there is no encoder" in capsys.readouterr().err
