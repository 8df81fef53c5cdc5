"""Deadlines: what is kept back of them, who waits for a place, who gives way, what is done before the first request."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.serve import server as warming
from constrained.serve.access.guard import AdmissionGate
from constrained.serve.app import create_app
from constrained.serve.engines import GIVES_WAY, LEAST_S, MOST_SHARE, N_BETWEEN, N_KEPT, DeadlineReserve, SharedEngine
from constrained.serve.packs import Packs
from constrained.serve.settings import Limits
from constrained.testing import RandomEngine, ScriptedEngine
from tests.serve.conftest import running, settings, turn

SECONDS = st.floats(0, 1_000, allow_nan=False)


@given(st.lists(SECONDS, max_size=600), st.floats(0.001, 600))
def test_some_of_a_deadline_is_kept_back_and_never_all(times, within):
    reserve = DeadlineReserve()
    for seconds in times:
        reserve.add(seconds)
    assert min(LEAST_S, within / 4) <= reserve.seconds(within) <= MOST_SHARE * within


@given(st.floats(LEAST_S, 10), st.integers(0, 2))
def test_as_much_is_kept_back_as_nearly_all_of_the_last_turns_needed(slow, n_slower):
    reserve = DeadlineReserve()
    for _ in range(N_KEPT - n_slower):
        reserve.add(slow)
    for _ in range(n_slower):
        reserve.add(slow * 100)
    assert reserve.seconds(600) == slow


def test_how_long_effects_took_is_not_learned(start):
    client = start({"scripted": ScriptedEngine(lambda message: {"wish": "pay", "offer": 2, "reply": "paid"})})
    learned = []
    reserve = client.app.state.service.turns.reserve
    reserve.add = learned.append
    assert turn(client, "2 euros", state={"owed": "5"})["effects_outcome"] == "ran"
    assert learned == []
    assert turn(client, "good day", engine="rules")["effects_outcome"] == "none"
    assert len(learned) == 1


def test_what_was_slow_long_ago_is_forgotten():
    reserve = DeadlineReserve()
    for seconds in [5.0] * N_KEPT + [0.001] * N_KEPT:
        reserve.add(seconds)
    assert reserve.seconds(600) == LEAST_S


def test_the_first_turns_are_learned_from():
    reserve = DeadlineReserve()
    for _ in range(N_BETWEEN):
        reserve.add(0.4)
    assert reserve.seconds(1.0) == 0.4


def test_who_has_no_time_left_waits_for_no_place_and_keeps_its_line():
    seen = []

    async def taking(gate, name, until_s):
        async with gate.turn("local", name, until_s) as has_place:
            seen.append((name, has_place, gate.n_running))

    async def scene():
        gate = AdmissionGate(Limits(n_running=1, n_waiting=8))
        async with gate.turn("local", "long") as has_place:
            assert has_place
            await asyncio.gather(taking(gate, "late", 0.0), taking(gate, "late", 0.0), return_exceptions=False)
            same = asyncio.create_task(taking(gate, "long", 0.0))  # of one conversation the next one waits all the same
            await asyncio.sleep(0)
            assert len(seen) == 2
        await same
        assert (gate.n_running, gate.n_inside) == (0, 0)

    asyncio.run(asyncio.wait_for(scene(), 30))
    assert [one[:2] for one in seen] == [("late", False), ("late", False), ("long", True)]
    assert {n_running for _, has_place, n_running in seen if not has_place} == {1}


def test_a_turn_whose_deadline_comes_does_not_wait_behind_those_that_run(start):
    """One place, held by a turn in an engine that hangs: the other conversation is answered by the rules, before that one."""
    hold, begun = threading.Event(), threading.Event()

    class Hanging(RandomEngine):
        def choose(self, choices, scene, deadline=None):
            begun.set()
            hold.wait(30)
            return super().choose(choices, scene, deadline)

    client = start({"hanging": Hanging(1)}, limits=Limits(n_running=1))
    found = []
    patient = threading.Thread(target=lambda: found.append(turn(client, conversation="a", within=600)))
    patient.start()
    try:
        assert begun.wait(30)
        assert turn(client, conversation="b", within=0.2)["decision"]["mode"] == "rules"
        assert found == []
    finally:
        hold.set()
        patient.join(30)
    assert found[0]["conversation"] == "a"


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
def test_an_engine_gives_way_to_those_who_answer(library):
    seen = []

    class Looking(RandomEngine):
        def choose(self, choices, scene, deadline=None):
            seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return super().choose(choices, scene, deadline)

    from constrained.dialogue.dialogue import Dialogue

    engine, mine = SharedEngine(Looking(2)), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    try:
        for message in ("good day", "here are 2 euros"):
            Dialogue(library, engine=engine).reply(message)
    finally:
        engine.close()
    assert set(seen) == {min(19, mine + GIVES_WAY)}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine


def test_every_pack_is_warm_with_every_engine_and_nothing_is_kept_of_it(policies, caplog):
    asked = []

    class Asked(RandomEngine):
        def choose(self, choices, scene, deadline=None):
            asked.append(scene.speaker)
            return super().choose(choices, scene, deadline)

    class Broken(RandomEngine):
        def choose(self, choices, scene, deadline=None):
            raise RuntimeError("the secret of a customer")

    app = create_app(settings(), Packs(policies), {"asked": Asked(3), "broken": Broken(3)})
    turns = app.state.service.turns
    warming.warm(turns)
    assert set(asked) == {policy.catalog.speaker for policy in policies.values()}
    assert turns.sessions.unfinished_turns() == []
    assert turns.journal.last == 0
    assert "broken: EngineError" in caplog.text
    assert "secret" not in caplog.text
    asyncio.run(app.state.service.close())


def test_replies_leave_at_once(policies, monkeypatch):
    """A reply's body does not wait until the receipt of its head is in: each connection is told so."""
    told = []
    own = socket.socket.setsockopt

    def noted(self, *arguments):
        told.append(arguments)
        return own(self, *arguments)

    monkeypatch.setattr(socket.socket, "setsockopt", noted)
    with running(policies) as server, socket.create_connection(server.url.removeprefix("http://").split(":")) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in one.recv(65_536)
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in told
