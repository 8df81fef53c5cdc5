"""Nothing lost: a process killed at any moment, by a real SIGKILL, leaves every reply that it released in the log."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from constrained import Dialogue
from constrained.approval.keys import load_signer
from constrained.records.checkpoints import checkpoint
from constrained.records.log import existing, read_log
from constrained.records.log_verification import verify_log
from constrained.records.replay import replay
from constrained.records.sinks import FolderSink, checkpoints_in
from tests.records.victim import STAGES
from tests.strategies import ROOT

N_KILLS = int(os.environ.get("CONSTRAINED_KILLS", "20"))  # 500 writes the result to benchmarks/results


@pytest.fixture(scope="module")
def victim():
    """Gives an order to a process that forks the ones to be killed; returns what they released."""
    command = [sys.executable, str(Path(__file__).with_name("victim.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    ) as process:

        def order(**what):
            process.stdin.write(json.dumps(what) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert answer["signal"] == signal.SIGKILL
            return [tuple(one) for one in answer["released"]]

        yield order
        process.stdin.close()


@pytest.fixture
def signing(tmp_path):
    """The arguments of an order whose log is signed meanwhile."""
    key = Ed25519PrivateKey.generate()
    (tmp_path / "log.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "log.pem").chmod(0o600)
    return {"key": str(tmp_path / "log.pem"), "sink": str(tmp_path / "sink")}


def assert_nothing_lost(path, released, library):
    """Opens the log again, goes on with it, and finds every released reply in it once, under its hash."""
    turn = Dialogue(library, log=path).reply("and on it goes")
    records = list(read_log(path))
    assert records[-1] == turn.record
    kept = {record.hash: record.text for record in records}
    assert len({record.turn_id for record in records}) == len(kept) == len(records)
    assert len(set(released)) == len(released)
    assert [one for one in released if kept.get(one[0]) != one[1]] == []
    assert [one.error for one in replay(library, records) if one.error] == []
    return records


@pytest.mark.parametrize("stage", STAGES)
def test_killed_at_this_point_of_a_turn(victim, library, tmp_path, stage):
    path, released = tmp_path / "audit.jsonl", []
    for nth in (1, 2, 5):
        released += victim(log=str(path), stage=stage, nth=nth)
    records = assert_nothing_lost(path, released, library)
    assert len(released) in (5, 8)  # of a turn that is killed, nothing is released before its end
    assert len(records) - 1 - len(released) in (0, 3)  # recorded, but killed before it was released


def test_killed_at_random_moments_from_outside(victim, library, tmp_path):
    path, released, moment = tmp_path / "audit.jsonl", [], random.Random(2)
    for _ in range(30):
        released += victim(log=str(path), after=moment.randrange(1, 6), spin=moment.randrange(300_000))
    assert_nothing_lost(path, released, library)
    assert len(released) >= 30


@pytest.mark.parametrize("place", ["sqlite", "postgres"], indirect=True)
def test_killed_under_load(victim, library, place, signing):
    """Four conversations at a time, and a signer; while the process is killed, their records wait for the disk together."""
    released, moment = [], random.Random(5)
    for _ in range(N_KILLS):
        released += victim(log=place, after=moment.randrange(4, 30), spin=moment.randrange(300_000), threads=4, **signing)
    records = assert_nothing_lost(place, released, library)
    key, sink = load_signer(signing["key"]), FolderSink(signing["sink"])
    checkpoint(existing(place), key, [sink], puts_all=True)
    outside = checkpoints_in(sink.folder)
    assert verify_log(existing(place), key.public_key(), outside).not_established == ()
    assert outside
    assert len(released) >= 4 * N_KILLS
    n_unreleased = len(records) - 1 - len(released)
    assert 0 <= n_unreleased <= 4 * N_KILLS  # recorded, but killed before they were released
    if N_KILLS >= 500:
        told = {"kills": N_KILLS, "replies released": len(released), "records": len(records) - 1, "lost": 0, "recorded twice": 0}
        told |= {"signed checkpoints": len(outside), "checkpoints lost or doubled": 0}
        name = "postgres" if place.startswith("postgresql") else "sqlite"
        (ROOT / "benchmarks" / "results" / f"kills-{name}.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
