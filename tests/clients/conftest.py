"""A real server on loopback whose engine knows the play of clients/conformance.json; every client plays it and is held against it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from constrained.packs import load_policy
from constrained.testing import ScriptedEngine
from tests.serve.conftest import TOKEN, running

CLIENTS = Path(__file__).parents[2] / "clients"
PLAY = json.loads((CLIENTS / "conformance.json").read_text(encoding="utf-8"))
ORIGIN = "http://localhost"  # of pages in the tests, with a port


class Thinking(ScriptedEngine):
    """Knows what each message of the play means, and thinks about the one that is called off until it is."""

    def __init__(self, answers):
        super().__init__(lambda message: answers.get(message, {"reply": "pardon"}))
        self.called_off = threading.Event()

    def choose(self, choices, scene, deadline=None):
        if scene.message in {step["message"] for step in PLAY["steps"] if step["do"] == "cancel"}:
            assert self.called_off.wait(60)
        return super().choose(choices, scene, deadline)


@pytest.fixture
def served(request):
    """Its address. Pages of the origins that a test's parameter names may call."""
    policy = load_policy("tavern")
    pressed = {policy.catalog[step["button"]].examples["en"][0]: {"reply": step["button"]} for step in PLAY["steps"] if "button" in step}
    engine = Thinking({step["message"]: step["heard"] for step in PLAY["steps"] if "heard" in step} | pressed)
    with running({"tavern": policy}, {"thinking": engine}, origins=tuple(getattr(request, "param", ()))) as server:
        fates = server.app.state.service.fates
        cancel = fates.cancel

        def call_off(tenant, key):
            cancel(tenant, key)
            engine.called_off.set()

        fates.cancel = call_off
        yield server.url
        engine.called_off.set()


def hold(lines):
    """Holds what a client saw, a line of JSON for each step, against what is expected."""
    seen = [json.loads(line) for line in lines if line.startswith("{")]
    for number, (step, one) in enumerate(zip(PLAY["steps"], seen, strict=False)):
        expected = step.get("expect", {})
        assert {name: one.get(name) for name in expected} == expected, (number, step, one)
    assert len(seen) == len(PLAY["steps"]), seen[-1:]


__all__ = ["CLIENTS", "PLAY", "TOKEN", "hold", "served"]
