"""Determinism: the same inputs give the same records in every process, whatever order its hashes put sets in."""

from __future__ import annotations

import subprocess
import sys

from tests.strategies import ROOT

SCRIPT = """
import datetime as dt, json, sys
from pathlib import Path
from constrained import Dialogue
from constrained.quality.golden import load_golden, run_golden
from constrained.packs import load_policy_file
from constrained.testing import RandomEngine

def told(record):
    changing = {"turn_id", "conversation", "hash", "previous", "at", "timings_ms"}
    return {name: value for name, value in record.model_dump().items() if name not in changing}

for root in (Path("tests/desk"), Path(".")):
    for path in sorted((root / "dialogues").glob("*.yaml")):
        policy = load_policy_file(root / "logic" / f"{path.stem}.py")
        for golden in load_golden(path).dialogues:
            for result in run_golden(policy, golden, RandomEngine(5)):
                for turn in (result.reply, result.picked):
                    print(json.dumps(turn and told(turn.record), sort_keys=True))

policy = load_policy_file("tests/desk/logic/library.py")
state = policy.state_type(owed=3, cards=frozenset(["novels", "maps", "poems", "plays", "comics"]))
dialogue = Dialogue(policy, engine=RandomEngine(1), now=lambda: dt.datetime(2026, 3, 2, tzinfo=dt.UTC))
for message in ("hello", "Emma or Dracula until Friday?", "Here are 1, 2, 3 euros", "AAAAH", "bye"):
    turn = dialogue.reply(message, state)
    state = turn.apply(state)
    print(json.dumps(told(turn.record), sort_keys=True))
"""


def records(seed: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_inputs_give_the_same_records_in_another_process():
    first = records(1)
    assert first.count("\n") > 10
    assert first == records(2)
