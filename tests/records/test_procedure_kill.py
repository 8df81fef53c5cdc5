"""A conversation that is killed after any of its turns goes on from its log as if nothing had happened."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from constrained.pack_folders import find_pack
from constrained.quality.golden import load_golden
from constrained.records.log import read_entries, read_log
from constrained.records.replay import memory_of
from tests.records.procedure_victim import PACKS, Player
from tests.strategies import ROOT

WAITING = re.compile(r"\b(?:ask|confirm|perform)\(\s*\"(\w+)\"")  # a step that waits, and its response


@pytest.fixture(scope="module")
def victim():
    command = [sys.executable, "-m", "tests.records.procedure_victim"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    ) as process:

        def order(**what):
            process.stdin.write(json.dumps(what) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["signal"] == signal.SIGKILL

        yield order
        process.stdin.close()


@pytest.mark.parametrize("pack", PACKS)
def test_killed_at_any_step_it_goes_on_the_same(victim, tmp_path, pack):
    """At every step of every procedure at which it can wait, and once in each dialogue."""
    seen = set()
    for place, golden in enumerate(load_golden(find_pack(pack).dialogues_path).dialogues):
        whole = Player(pack, golden, None)
        texts, states, memories = [], [], []
        for number in range(len(golden.turns)):
            texts.append(whole.take(number))
            states.append(whole.state)
            memories.append(whole.dialogue.memory())
        for n_turns in range(1, len(golden.turns)):
            stands = whole.policy.procedures.position(memories[n_turns - 1])
            at = (stands.procedure, stands.response_id) if stands else place
            if at in seen:
                continue
            seen.add(at)
            log = tmp_path / f"{place}.{n_turns}.jsonl"
            victim(pack=pack, dialogue=place, turns=n_turns, log=str(log))
            assert [record.text for record in read_log(log)] == texts[:n_turns]
            memory = memory_of(whole.policy, read_entries(log))
            assert memory == memories[n_turns - 1]
            resumed = Player(pack, golden, None, state=states[n_turns - 1], memory=memory)
            assert [resumed.take(number) for number in range(n_turns, len(golden.turns))] == texts[n_turns:], (golden.name, n_turns)
    assert {at[1] for at in seen if isinstance(at, tuple)} == set(WAITING.findall(whole.policy.source))
