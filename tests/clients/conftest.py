"""A real server on loopback whose engine knows the play of clients/conformance.json; every client plays it and is held against it."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from constrained.packs import load_policy
from constrained.testing import ScriptedEngine
from tests.serve.conftest import TOKEN as TOKEN
from tests.serve.conftest import running

CLIENTS = Path(__file__).parents[2] / "clients"
PLAY = json.loads((CLIENTS / "conformance.json").read_text(encoding="utf-8"))


class Thinking(ScriptedEngine):
    """Knows what each message of the play means, and thinks about the one that is called off until it is."""

    def __init__(self, answers):
        super().__init__(lambda message: answers.get(message, {"reply": "pardon"}))
        self.called_off = threading.Event()

    def choose(self, choices, scene, deadline=None):
        if scene.message in {step["message"] for step in PLAY["steps"] if step["do"] == "cancel"}:
            assert self.called_off.wait(60)
        else:
            self.called_off.clear()  # the next play thinks anew
        return super().choose(choices, scene, deadline)


@contextmanager
def serving(*origins):
    """A server's address, while it runs; pages of the origins may call."""
    policy = load_policy("tavern")
    pressed = {policy.catalog[step["button"]].examples["en"][0]: {"reply": step["button"]} for step in PLAY["steps"] if "button" in step}
    engine = Thinking({step["message"]: step["heard"] for step in PLAY["steps"] if "heard" in step} | pressed)
    with running({"tavern": policy}, {"thinking": engine}, origins=origins) as server:
        fates = server.app.state.service.fates
        cancel = fates.cancel

        def call_off(tenant, key):
            cancel(tenant, key)
            engine.called_off.set()

        fates.cancel = call_off
        try:
            yield server.url
        finally:
            engine.called_off.set()


def ends(pid):
    """Whether a process that is nobody's child here ends; it looks for its parent twice a second."""
    if os.name == "nt":
        pytest.skip("there is no looking at a process of Windows without ending it")
    for _ in range(1_200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)  # nothing tells the end of a process that is not ours
    return False


@pytest.fixture(scope="session")
def served():
    with serving() as address:
        yield address


def hold(lines):
    """Holds what a client saw, a line of JSON for each step, against what is expected."""
    seen = [json.loads(line) for line in lines if line.startswith("{")]
    for number, (step, one) in enumerate(zip(PLAY["steps"], seen, strict=False)):
        expected = step.get("expect", {})
        assert {name: one.get(name) for name in expected} == expected, (number, step, one)
    assert len(seen) == len(PLAY["steps"]), seen[-1:]
