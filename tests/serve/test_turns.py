"""Turns over HTTP: approved words only, each request once, in order, and kept."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.records.log import read_log
from constrained.records.replay import replay
from constrained.serve.settings import Limits
from constrained.testing import SABOTAGES, RandomEngine, SabotagedEngine, ScriptedEngine
from tests.serve.conftest import OTHER_TOKEN, turn
from tests.strategies import HOSTILE, messages

OTHER = {"Authorization": f"Bearer {OTHER_TOKEN}"}


def is_approved(text, policy):
    """Whether a text is renderings of approved templates, one after the other."""
    templates = [template for response in policy.catalog.responses.values() for template in response.texts.values()]
    words = ["".join(".+?" if not isinstance(part, str) else re.escape(part) for part in one.parts) for one in templates]
    return re.fullmatch(rf"(?:{'|'.join(words)})(?:\s(?:{'|'.join(words)}))*", text, re.DOTALL) is not None


@pytest.mark.parametrize("how", [None, "random", *SABOTAGES])
def test_whatever_the_engine_does_only_approved_words_are_released(start, tmp_path, policies, how):
    engines = {} if how is None else {"e": RandomEngine(5) if how == "random" else SabotagedEngine(how)}
    log = tmp_path / "log.jsonl"
    client = start(engines, log=str(log))
    released = []
    for message in [*HOSTILE[:12], "can I borrow Emma?"]:
        found = client.post("/v1/turns", json={"pack": "library", "message": message, "state": {"owed": "3"}})
        assert found.status_code == 200
        released.append(found.json())
    assert all(is_approved(one["text"], policies["library"]) for one in released)
    records = list(read_log(log))
    assert [one.text for one in records] == [one["text"] for one in released]
    assert all(one.is_same for one in replay(policies["library"], records))
    assert [one["record"]["hash"] for one in released] == [one.hash for one in records]


@settings(max_examples=25)
@given(message=messages, seed=st.integers(0, 5))
def test_any_message_gets_an_approved_reply(start, policies, message, seed):
    reply = turn(start({"random": RandomEngine(seed)}), message)
    assert is_approved(reply["text"], policies["library"])
    assert reply["text"] == reply["record"]["text"]


def test_a_failing_engine_is_told_and_nothing_has_effects(start):
    reply = turn(start({"broken": SabotagedEngine("raises")}), "hello", state={"owed": "5"})
    assert (reply["source"], reply["effects"]) == ("fallback", [])
    assert "RuntimeError" in reply["degraded"]
    assert reply["record"]["versions"]["engine"] == "none"


def paying(start, **changes):
    engine = ScriptedEngine(lambda message: {"wish": "pay", "offer": 2, "reply": "paid"})
    return start({"scripted": engine}, **changes)


PAY = {"state": {"owed": "5"}, "idempotency_key": "k"}


def test_a_repeated_request_gets_the_stored_reply_and_runs_nothing(start):
    client = paying(start)
    first, second = turn(client, "2 euros", **PAY), turn(client, "2 euros", **PAY)
    assert (first["effects_outcome"], first["state_after"]["owed"], first["state_after"]["visits"]) == ("ran", "3", 1)
    assert second == {**first, "is_repeat": True}
    kept = client.get(f"/v1/conversations/{first['conversation']}").json()
    assert (kept["number"], kept["state"]["owed"]) == (1, "3")


def test_requests_with_one_key_at_once_are_one_turn(start, tmp_path):
    client = paying(start, log=str(tmp_path / "log"))
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: turn(client, "2 euros", **PAY), range(6)))
    assert len({one["turn_id"] for one in found}) == 1
    assert sorted(one["is_repeat"] for one in found) == [False] + [True] * 5
    assert len(list(read_log(tmp_path / "log"))) == 1


def test_a_key_belongs_to_one_request(start):
    client = paying(start)
    turn(client, "2 euros", **PAY)
    other = client.post("/v1/turns", json={"pack": "library", "message": "3 euros", **PAY})
    assert (other.status_code, other.json()["error"]["param"]) == (409, "idempotency_key")
    assert turn(client, "2 euros", **PAY, conversation="named")["is_repeat"] is False  # keys are those of a conversation
    values = {"pack": "library", "message": "2 euros", "state": {"owed": "5"}}
    assert client.post("/v1/turns", json=values, headers={"Idempotency-Key": "k"}).json()["is_repeat"]


def test_effects_that_are_handed_over_do_not_run_here(start):
    reply = turn(paying(start), "2 euros", state={"owed": "5"}, effects="hand_over")
    assert [one["call"] for one in reply["effects"]] == ["settle(Decimal('2'))", "count()"]
    assert (reply["effects_outcome"], reply["state_after"]) == ("handed_over", None)
    assert reply["effects"][0] == {"name": "settle", "args": ["2"], "kwargs": {}, "call": "settle(Decimal('2'))"}


def test_turns_of_one_conversation_keep_their_order(start, tmp_path):
    client = start({"random": RandomEngine(1)}, log=str(tmp_path / "log"), limits=Limits(n_in_conversation=50))
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda n: turn(client, f"message {n}", conversation="c"), range(24)))
    assert sorted(one["number"] for one in found) == list(range(1, 25))
    records = list(read_log(tmp_path / "log"))
    assert [one.number for one in records] == list(range(1, 25))
    said: dict[str, int] = {}
    for record in records:  # each turn knew all that came before it
        assert record.said == said
        named = [one.id for one in record.obligations] + [record.decision.chosen]
        said |= dict.fromkeys(named, record.number)


def test_a_conversation_goes_on_with_the_state_after_its_last_turn(start):
    client = paying(start)
    turn(client, "2 euros", state={"owed": "5"}, conversation="c")
    second = turn(client, "2 euros", conversation="c")
    assert (second["state_before"]["owed"], second["state_after"]["owed"], second["state_after"]["visits"]) == ("3", "1", 2)


def test_a_turn_is_taken_again_with_another_state_beside_the_first(start):
    client = paying(start)
    first = turn(client, "2 euros", state={"owed": "5"}, conversation="c")
    again = client.post("/v1/conversations/c/fork", json={"turn": 1, "state": {"owed": "4"}}).json()
    assert again["conversation"] != "c"
    assert (again["number"], again["state_before"]["owed"], again["effects_outcome"]) == (1, "4", "handed_over")
    assert again["record"]["message"] == first["record"]["message"]
    by_rules = client.post("/v1/conversations/c/fork", json={"engine": "rules"}).json()
    assert (by_rules["engine"], by_rules["source"]) == ("rules", "rules")
    assert client.get("/v1/conversations/c").json()["number"] == 1
    assert client.post("/v1/conversations/c/fork", json={"turn": 2}).status_code == 404


def test_what_one_tenant_says_another_does_not_see(start):
    client = start()
    turn(client, conversation="c")
    assert client.get("/v1/conversations/c", headers=OTHER).status_code == 404
    assert client.delete("/v1/conversations/c", headers=OTHER).status_code == 404
    mine = client.post("/v1/turns", json={"pack": "library", "message": "hello", "conversation": "c"}, headers=OTHER).json()
    assert (mine["number"], mine["record"]["conversation"]) == (1, "other:c")


def test_a_conversation_stays_with_its_pack(start):
    client = start()
    turn(client, conversation="c")
    found = client.post("/v1/turns", json={"pack": "tavern", "message": "hello", "conversation": "c"})
    assert (found.status_code, found.json()["error"]["param"]) == (409, "pack")


def test_what_was_heard_is_told_with_its_line(start, policies):
    reply = turn(paying(start), "2 euros", state={"owed": "5"})
    heard = {one["name"]: one for one in reply["heard"]}
    name, line = heard["wish"]["line"].split(":")
    assert name == "library.py"
    source = policies["library"].source.splitlines()
    assert source[int(line) - 1].strip().startswith("wish:")
    assert heard["offer"]["value"] == "2"
    assert {one["line"].split(":")[0] for one in reply["decision"]["options"]} == {"library.py"}
    assert reply["blocked"] == reply["record"]["blocked"]


class Hanging:
    """An engine that answers when it is let."""

    def __init__(self):
        self.go, self.asked = threading.Event(), threading.Event()

    @property
    def identity(self):
        return {"model": "hanging"}

    def choose(self, choices, scene, deadline=None):
        self.asked.set()
        assert self.go.wait(20)
        return RandomEngine(0).choose(choices, scene, deadline)


def test_a_deadline_is_kept_by_the_rules_though_the_engine_hangs(start):
    engine = Hanging()
    client = start({"hanging": engine})
    try:
        reply = turn(client, "hello", state={"owed": "5"}, within=0.05)
        assert (reply["source"], reply["decision"]["mode"], reply["effects"]) == ("fallback", "rules", [])
        assert turn(client, "hello", within=0.0)["source"] == "fallback"
    finally:
        engine.go.set()


def test_the_server_has_a_deadline_of_its_own(start):
    engine = Hanging()
    client = start({"hanging": engine}, within=0.05)
    try:
        assert turn(client, "hello")["source"] == "fallback"
    finally:
        engine.go.set()


def test_concurrent_turns_share_batches(start):
    class Batches:
        identity = {"model": "batches"}  # noqa: RUF012  # a double

        def __init__(self):
            self.sizes, self.go, self.alone = [], threading.Event(), RandomEngine(0)

        def choose(self, choices, scene, deadline=None):
            raise AssertionError("asked one by one")

        def decide_many(self, asks, deadline=None):
            self.sizes.append(len(asks))
            assert self.go.wait(20)
            return [self.alone.choose(ask.choices, ask.scene) for ask in asks]

    engine = Batches()
    client = start({"batches": engine})
    service = client.app.state.service
    with ThreadPoolExecutor(8) as threads:
        pending = [threads.submit(turn, client, "hello", conversation=f"c{n}") for n in range(8)]
        queue = service.turns.engines["batches"]._batched._queue
        for _ in range(20_000):
            if sum(engine.sizes) + queue.qsize() == 8:
                break
            threading.Event().wait(0.001)
        engine.go.set()
        for one in pending:
            one.result()
    assert max(engine.sizes[:2]) >= 4  # whoever came while the first batch ran went into the second


def test_the_reply_is_that_of_the_models(start):
    from constrained.serve.wire import CatalogReply, CatalogsReply, ConversationReply, TurnReply

    client = start({"random": RandomEngine(2)})
    reply = turn(client, conversation="c", state={"owed": "2"})
    assert json.loads(TurnReply.model_validate(reply).model_dump_json()) == reply
    ConversationReply.model_validate(client.get("/v1/conversations/c").json())
    assert CatalogsReply.model_validate(client.get("/v1/catalogs").json()).engines == ("random", "rules")
    found = CatalogReply.model_validate(client.get("/v1/catalogs/library").json())
    assert found.default_state is not None
    assert turn(client, state=found.default_state)["state_before"] == found.default_state
