"""Two servers on one real PostgreSQL: one order for a conversation, each turn once, whichever server is asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from starlette.testclient import TestClient

from constrained.records.log import read_log
from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.serve.settings import Limits
from constrained.testing import ScriptedEngine
from tests.serve.conftest import TOKEN, settings, turn


@pytest.fixture(scope="module")
def database(postgres: str) -> str:
    return postgres.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def two(database, policies, tmp_path):
    with ExitStack() as stack:
        clients = []
        for _ in range(2):
            engine = ScriptedEngine(lambda message: {"wish": "pay", "offer": 2, "reply": "paid"})
            chosen = settings(database=database, log=str(tmp_path / "log"), limits=Limits(n_in_conversation=50))
            app = create_app(chosen, Packs(policies), {"scripted": engine})
            clients.append(stack.enter_context(TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"})))
            clients[-1].get("/healthz")  # FastAPI builds its routes at the first request, in a catch_warnings that threads cannot share
        yield clients


def test_a_conversation_goes_on_at_either_server(two):
    first = turn(two[0], "2 euros", conversation="a", state={"owed": "5"})
    second = turn(two[1], "2 euros", conversation="a")
    assert (second["number"], second["state_before"]) == (2, first["state_after"])
    assert two[0].get("/v1/conversations/a").json()["number"] == 2


def test_a_request_sent_to_both_is_one_turn(two, tmp_path):
    with ThreadPoolExecutor(8) as threads:
        asked = {"conversation": "b", "state": {"owed": "5"}, "idempotency_key": "k"}
        found = list(threads.map(lambda n: turn(two[n % 2], "2 euros", **asked), range(8)))
    assert len({one["turn_id"] for one in found}) == 1
    assert sum(not one["is_repeat"] for one in found) == 1
    assert len(list(read_log(tmp_path / "log"))) == 1


def test_turns_of_a_conversation_have_one_order(two, tmp_path):
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: turn(two[n % 2], f"message {n}", conversation="c", state={"owed": "5"}), range(16)))
    assert sorted(one["number"] for one in found) == list(range(1, 17))
    assert [one.number for one in read_log(tmp_path / "log")] == list(range(1, 17))


def test_what_holds_for_a_customer_holds_at_both_servers(two):
    """The state that a host puts, and the end of a conversation."""
    url = "/v1/conversations/customer"
    assert two[0].put(f"{url}/state", json={"pack": "library", "state": {"owed": "5"}}).status_code == 204
    assert two[1].get(url).json()["state"]["owed"] == "5"
    token = two[1].post(f"{url}/token", json={"pack": "library", "state": {"owed": "7"}}).json()["token"]
    customer = {"Authorization": f"Bearer {token}"}
    body = {"pack": "library", "message": "2 euros"}
    assert two[1].post("/v1/turns", json=body, headers=customer).json()["number"] == 1
    assert two[0].get(url).json()["state"]["owed"] == "5"
    assert two[0].delete(url).status_code == 204
    assert two[1].post("/v1/turns", json=body, headers=customer).status_code == 401
