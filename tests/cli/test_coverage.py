"""``constrained coverage``: what a writer has to look at in a small pack with one fault of each kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from constrained.analysis.writer_coverage import Finding, cover
from constrained.dialogue.dialogue import Dialogue
from constrained.packs import load_policy_file
from constrained.records.log import read_log
from constrained.testing import ScriptedEngine
from tests.cli.conftest import Run

CATALOG = """\
catalog: shed
version: 1
locale: en
fallback: pardon
responses:
  pardon: {text: Pardon?, when: nothing else fits}
  greet: {text: Hello., when: one says hello, examples: [hello, "good day"]}
  part:
    text: Bye.
    when: one leaves
    examples:
      - bye
      - Hello!
  dead: {text: Never., when: never, examples: [never]}
  other: {text: Other., when: at another time, examples: [hello, something else]}
"""
LOGIC = """\
from constrained import State, policy, say


class Shed(State):
    n: int = 0


@policy("shed")
def shed(state: Shed):
    if state.n == 1:
        yield say("other")
        return
    yield say("greet")
    yield say("part")
    if state.n > 2 and state.n < 2:
        yield say("dead")
"""
TURN = "      - {says: hello, expects: greet}\n"
GOLDEN = f"pack: shed\ndialogues:\n  - name: greets\n    turns:\n{TURN * 5}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("shed")
    for name, text in {"catalogs/shed.yaml": CATALOG, "logic/shed.py": LOGIC, "dialogues/shed.yaml": GOLDEN}.items():
        (found / name).parent.mkdir()
        (found / name).write_text(text, encoding="utf-8")
    return found


def brief(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    return [(one.kind, one.response_id, one.place) for one in findings]


def test_each_fault_is_found_with_its_line_the_gravest_first(folder: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.chdir(folder)
    done = run("coverage", "shed", "--json")
    found = json.loads(done.out)
    findings = [Finding(**one) for one in found["findings"]]
    assert brief(findings) == [
        ("unreachable", "dead", "shed.yaml:14"),
        ("clash", "greet", "shed.yaml:7"),
        ("unsaid", "pardon", "shed.yaml:6"),
        ("unsaid", "part", "shed.yaml:8"),
        ("unsaid", "other", "shed.yaml:15"),
        ("always", "greet", "shed.yaml:7"),
    ]
    (clash,) = [one for one in findings if one.kind == "clash"]  # with ``other``, which is never offered beside it, it does not clash
    assert (clash.other_id, clash.other, clash.likeness) == ("part", "shed.yaml:13", 1.0)
    assert findings[0].detail.endswith("and no conversation comes to it")
    assert "every conversation (" in found["rests_on"][0]
    shown = run("coverage", "shed").out
    places = [shown.index(one) for one in ("dead", "shed.yaml:13", "pardon", "always said")]
    assert places == sorted(places)


def test_turns_of_a_log_count_and_likeness_is_by_the_vectors_given(folder: Path, tmp_path: Path) -> None:
    policy, log = load_policy_file(folder / "logic" / "shed.py"), tmp_path / "talk.jsonl"
    Dialogue(policy, engine=ScriptedEngine(lambda message: {"reply": "part"}), log=log).reply("bye")

    def vectors(language: str, messages: Sequence[str]) -> Any:
        import numpy as np

        assert language == "en"
        return np.asarray([[1.0, 0.0] if message in ("bye", "good day") else [0.0, 1.0] for message in messages])

    found = cover(policy, folder / "dialogues" / "shed.yaml", read_log(log), vectors)
    assert "part" not in [one.response_id for one in found.findings if one.kind == "unsaid"]
    assert "1 of a log" in found.rests_on[1]
    clashes = [(one.detail, one.likeness) for one in found.findings if one.kind == "clash"]
    assert ("the same example: 'hello', 'Hello!'", 1.0) in clashes
    assert ("1.00 alike: 'good day', 'bye'", 0.9999) in clashes
