"""A server that is killed: nothing released is lost, nothing runs twice, whatever the moment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from constrained.dialogue.dialogue import Dialogue
from constrained.errors import ApprovalError, AuditError, ConstrainedError
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import read_log
from constrained.serve.engines import SharedEngine
from constrained.serve.journal import Journal
from constrained.serve.packs import Packs
from constrained.serve.storage import sessions as sessions_module
from constrained.serve.storage.sessions import Sessions, TenantStore
from constrained.serve.turns import Turns
from constrained.serve.wire import TurnRequest
from constrained.testing import ScriptedEngine
from tests.serve.conftest import settings

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class Process:
    """A server's turns on files that outlive it, with an effect that is counted."""

    def __init__(self, folder, policies):
        chosen = settings(database=f"sqlite:///{folder / 'c.db'}", log=str(folder / "log"))
        log = Dialogue(policies["library"], log=chosen.log).log
        engine = SharedEngine(ScriptedEngine(lambda message: {"wish": "pay", "offer": 2, "reply": "paid"}))
        self.sessions = Sessions(chosen.database)
        self.turns = Turns(chosen, Packs(policies), {"scripted": engine}, self.sessions, Journal(log, chosen.log))
        self.n_completed = self.turns.recovery.complete_all()

    def take(self, effects="run"):
        request = TurnRequest(
            pack="library", message="2 euros", state={"owed": "5"}, conversation="c", idempotency_key="k", effects=effects
        )
        return self.turns.take(self.turns.make_job("local", request)).reply

    def kill(self):
        """Lets go of what a dead process lets go of, and of nothing else."""
        os.close(self.sessions._claim)
        self.sessions._sqlite.close()


def dying(monkeypatch, owner, name, *, after):
    original = getattr(owner, name)

    def call(*arguments, **options):
        if after:
            original(*arguments, **options)
        raise Killed

    monkeypatch.setattr(owner, name, call)


MOMENTS = [(TenantStore, "prepare"), (Journal, "write"), (TenantStore, "start"), (Turns, "_apply"), (TenantStore, "finish")]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("owner", "name"), MOMENTS, ids=[name for _, name in MOMENTS])
@pytest.mark.parametrize("effects", ["run", "hand_over"])
def test_a_turn_is_taken_once_whenever_the_server_is_killed(tmp_path, policies, monkeypatch, owner, name, after, effects):
    ran = []
    original = Turns._apply
    monkeypatch.setattr(Turns, "_apply", lambda self, turn, state: ran.append(1) or original(self, turn, state))
    with monkeypatch.context() as dead:
        dying(dead, owner, name, after=after)
        process = Process(tmp_path, policies)
        with contextlib.suppress(Killed):
            process.take(effects)
        process.kill()
    process = Process(tmp_path, policies)
    reply = process.take(effects)
    assert [one.turn_id for one in read_log(tmp_path / "log")] == [reply.turn_id]
    assert reply.record["hash"] == next(read_log(tmp_path / "log")).hash
    may_have_run = (name, after) in {("start", True), ("_apply", False), ("_apply", True), ("finish", False)}
    if effects == "hand_over":
        assert reply.effects_outcome == "handed_over"
        assert not ran
    elif may_have_run:
        assert (reply.effects_outcome, reply.state_after) == ("unknown", None)
    else:
        assert (reply.effects_outcome, reply.state_after["owed"]) == ("ran", "3")
    assert len(ran) <= 1
    assert process.take(effects).is_repeat
    assert reply.number == 1
    process.sessions.close()


def test_effects_that_did_not_start_run_when_the_server_is_back(tmp_path, policies, monkeypatch):
    with monkeypatch.context() as dead:
        dying(dead, Journal, "write", after=True)
        process = Process(tmp_path, policies)
        with pytest.raises(Killed):
            process.take()
        process.kill()
    process = Process(tmp_path, policies)
    assert process.n_completed == 1
    assert process.turns.conversation("local", "c", 10)[0].state == json.dumps({**process.take().state_after})


def test_why_effects_were_not_run_names_no_path(tmp_path, policies, monkeypatch):
    def fail(policy, record):
        raise ApprovalError(f"{tmp_path}/library.approvals.jsonl:3: the entry is not in canonical form")

    with monkeypatch.context() as dead:
        dying(dead, Journal, "write", after=True)
        process = Process(tmp_path, policies)
        with pytest.raises(Killed):
            process.take()
        process.kill()
    monkeypatch.setattr("constrained.serve.journal.find_effects", fail)
    process = Process(tmp_path, policies)
    assert (process.take().effects_outcome, process.take().effects_error) == ("failed", "not run: ApprovalError")
    process.sessions.close()


def test_a_record_that_cannot_be_written_takes_the_turn_back(tmp_path, policies, monkeypatch):
    process = Process(tmp_path, policies)

    def full(self, record):
        raise AuditError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(JsonLinesLog, "append", full)
        with pytest.raises(AuditError):
            process.take()
    with pytest.raises(ConstrainedError, match="no conversation"):
        process.turns.conversation("local", "c", 1)
    assert process.take().effects_outcome == "ran"
    assert len(list(read_log(tmp_path / "log"))) == 1
    process.sessions.close()


def test_a_file_of_conversations_belongs_to_one_server(tmp_path):
    first = Sessions(f"sqlite:///{tmp_path / 'c.db'}")
    with pytest.raises(ConstrainedError, match="another server"):
        Sessions(f"sqlite:///{tmp_path / 'c.db'}")
    first.close()
    Sessions(f"sqlite:///{tmp_path / 'c.db'}").close()
    assert (tmp_path / "c.db").stat().st_mode & 0o077 == 0


def test_a_folder_without_locks_is_not_taken_for_another_server(tmp_path, monkeypatch):
    def fail(lock_file):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(sessions_module.files, "claim", fail)
    with pytest.raises(ConstrainedError, match="cannot be locked: No locks available"):
        Sessions(f"sqlite:///{tmp_path / 'c.db'}")


# -- a real process ------------------------------------------------------------------------------------------


def serve(folder, *arguments):
    command = [sys.executable, "-c", "from constrained.cli.main import main; main()", "serve", "tavern", "--rules", "--port", "0"]
    return subprocess.Popen(
        [*command, "--data", str(folder), "--port-file", str(folder / "port.json"), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def told(process, folder):
    assert process.stdout.readline().startswith("listening on ")
    found = json.loads((folder / "port.json").read_text(encoding="utf-8"))
    return httpx.Client(base_url=found["url"], headers={"Authorization": f"Bearer {found['token']}"}, trust_env=False)


@pytest.mark.slow
def test_a_server_that_is_killed_goes_on_where_it_was(tmp_path):
    request = {"pack": "tavern", "message": "A room, please.", "conversation": "c", "state": {"gold": 80}}
    replies = []
    for number in range(3):
        process = serve(tmp_path)
        try:
            with told(process, tmp_path) as client:
                first = client.post("/v1/turns", json={**request, "idempotency_key": f"k{number}"}).json()
                if replies:
                    key = f"k{number - 1}"
                    repeated = client.post("/v1/turns", json={**request, "idempotency_key": key}).json()
                    assert repeated == {**replies[-1], "is_repeat": True}
                replies.append(first)
        finally:
            process.kill()
            process.communicate()
    assert [one["number"] for one in replies] == [1, 2, 3]
    assert [one.turn_id for one in read_log(tmp_path / "turns.jsonl")] == [one["turn_id"] for one in replies]


def test_a_server_that_is_told_to_stop_ends_well(tmp_path):
    process = serve(tmp_path)
    try:
        with told(process, tmp_path) as client:
            assert client.get("/readyz").json()["is_ready"]
        assert (tmp_path / "port.json").stat().st_mode & 0o077 == 0
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert not (tmp_path / "port.json").exists()
    finally:
        process.kill()
        process.communicate()


def test_a_server_ends_with_the_process_that_started_it(tmp_path):
    """The game here is a process that starts the server, waits until it listens, and ends without a word."""
    game = (
        "import os, subprocess, sys\n"
        "code = 'from constrained.cli.main import main; main()'\n"
        "command = [sys.executable, '-c', code, 'serve', 'tavern', '--rules', '--port', '0', '--parent', str(os.getpid())]\n"
        f"child = subprocess.Popen([*command, '--data', {str(tmp_path)!r}], stderr=sys.stdout)\n"
        "input()\n"
        "os._exit(0)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", game], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("listening on ")
    process.communicate("\n", timeout=60)  # ends when the server, which holds the pipe as well, has ended
    assert process.returncode == 0
