"""The demo by the picks of its default engine: every reply is the one intended, and all of it can be read at once."""

from __future__ import annotations

import pytest

from constrained.cli import demo
from constrained.cli.demo import CONVERSATIONS
from constrained.packs import load_policy
from constrained.testing import RandomEngine, ScriptedEngine
from tests.cli.conftest import Run

MOST_LINES = 60


@pytest.mark.model
def test_every_reply_is_the_intended_one_in_few_lines(run: Run) -> None:
    done = run("demo")
    assert (done.status, done.err) == (0, "")
    assert "its authors would have said" not in done.out, done.out
    n = sum(len(one.turns) for one in CONVERSATIONS)
    assert f"replayed without the model: {n} of {n} replies are the same" in done.out
    assert len(done.out.splitlines()) <= MOST_LINES


def test_the_conversations_name_responses_that_there_are_and_one_is_spanish() -> None:
    for one in CONVERSATIONS:
        known = load_policy(one.pack).catalog.responses
        assert all(expected in known for _, expected in one.turns)
    assert [one.locale for one in CONVERSATIONS if one.pack == "clinic_booking"] == ["es"]


def test_a_reply_that_was_not_meant_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(demo, "load_engine", lambda name: asked.append(name) or RandomEngine(3))
    done = run("demo")
    assert asked == ["small"]
    assert "; its authors would have said " in done.out


def test_what_an_act_does_stands_beside_its_share(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CONVERSATIONS", CONVERSATIONS[:1])
    script = {says: {"offer": 50, "reply": expected} for says, expected in CONVERSATIONS[0].turns}
    monkeypatch.setattr(demo, "_show_recall", lambda pack, engine: None)
    monkeypatch.setattr(demo, "load_engine", lambda name: ScriptedEngine(script))
    assert "does pay(50), give(CELLAR_KEY); " in run("demo").out


@pytest.mark.parametrize(
    ("model", "fetched"), [("small", []), ("smollm2-135m", ["smollm2-135m"]), ("small+smollm2-135m", ["smollm2-135m"])]
)
def test_only_a_language_model_that_is_missing_is_fetched(
    model: str, fetched: list[str], run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("CONSTRAINED_HOME", str(tmp_path))
    got: list[str] = []
    monkeypatch.setattr(demo, "fetch", got.append)
    monkeypatch.setattr(demo, "load_engine", lambda name: RandomEngine(3))
    assert run("demo", "--model", model).status == 0
    assert got == fetched
