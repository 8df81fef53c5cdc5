"""What the small engine makes of a pack's examples, and how a long fit tells how long it takes."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from constrained.cli import fit
from constrained.cli.fit import Forecast
from constrained.cli.main import main
from constrained.cli.screen import StageBars, new_progress
from constrained.errors import EngineError
from constrained.quality.left_out import allowed_at_first, catalog_choice, measure_left_out
from tests.engines.small.test_small_engine import small
from tests.quality.tuning.conftest import desk


def run(*arguments: object) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "desk", *map(str, arguments)])
    return ended.value.code


def test_every_example_is_left_out_among_the_responses_of_a_first_turn() -> None:
    policy, engine = desk(), small()
    (found,) = measure_left_out(policy, engine, target_error=0.1, most_handed_on=0.3)
    choice, scene = catalog_choice(policy, "en")
    allowed = [one for one in choice.candidates if one.text in allowed_at_first(policy)]
    assert found.n_allowed == len(allowed) > 1
    assert found.n >= len({example for one in allowed for example in one.examples})
    assert 0.0 <= found.accuracy <= 1.0
    assert found.threshold.handed_on <= 0.3 + 1e-9
    assert set(scene.background) == {example for one in choice.candidates for example in one.examples}


def test_without_examples_there_is_nothing_to_leave_out() -> None:
    with pytest.raises(EngineError, match="too few examples"):
        measure_left_out(desk(), SimpleNamespace(left_out=lambda choice, scene: None), target_error=0.1, most_handed_on=0.3)  # type: ignore[arg-type]


def test_the_small_engine_is_told_of_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONSTRAINED_HOME", str(tmp_path))
    monkeypatch.setattr(fit, "load_policy", lambda name: desk())
    monkeypatch.setattr(fit, "load_engine", lambda name: small())
    assert run("--model", "small") == 0
    told = capsys.readouterr()
    assert "each left out in turn" in told.out
    assert "hands on" in told.out
    assert not list(tmp_path.iterdir())
    assert run("--model", "small", "--hold", tmp_path / "x.jsonl") == 1
    assert "takes no --hold" in capsys.readouterr().err


def test_a_long_fit_tells_once_how_long_the_rest_takes() -> None:
    clock, told, handed = iter([100.0, 106.0]), list[str](), list[tuple[str, int, int]]()
    forecast = Forecast(lambda *one: handed.append(one), told.append, lambda: next(clock))
    for done in range(60):
        forecast("letters", done, 60)
        forecast("read", done, 60)
    assert told == ["the model reads 56 more messages, which takes about 112 s here"]
    assert len(handed) == 120


def test_a_pipe_gets_a_line_for_each_tenth_of_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    bars = StageBars(new_progress(), {"read": "reading"})
    for done in range(0, 101, 7):
        bars("read", done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "reading: 0 of 100"
    assert len(lines) == 10
    assert all(re.fullmatch(r"reading: \d+ of 100", one) for one in lines)


def test_what_will_be_done_is_told_before_it_begins() -> None:
    settings: Any = SimpleNamespace(n_read=60)
    with_model = fit._expected(desk(), settings, 1_000, 0, 100, is_mixed=True)
    assert "the model reads 60 of them, 100 to measure on: about 3 minutes" in with_model
    assert "--alone" in with_model
    alone = fit._expected(desk(), settings, 1_000, 50, 0, is_mixed=False)
    assert "50 without labels" in alone
    assert "the model reads" not in alone
    assert math.isclose(float(alone.partition("about ")[2].split()[0]), 25, abs_tol=3)
