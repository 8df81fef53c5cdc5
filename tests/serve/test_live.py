"""A real uvicorn on loopback: the official OpenAI client, our own, event streams, a drain."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from constrained.serve.client import Client
from constrained.serve.errors import RefusedError
from constrained.testing import RandomEngine, ScriptedEngine
from tests.serve.conftest import OTHER_TOKEN, TOKEN, running
from tests.serve.test_turns import Hanging, is_approved


def paying():
    return ScriptedEngine(lambda message: {"wish": "pay", "offer": 2, "reply": "paid"})


@pytest.fixture(scope="module")
def server(policies):
    with running(policies, {"scripted": paying(), "random": RandomEngine(4)}) as found:
        yield found


@pytest.fixture
def chat(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, http_client=httpx.Client(trust_env=False)) as client:
        yield client


@pytest.fixture
def client(server):
    with Client(server.url, TOKEN, http=httpx.Client(trust_env=False)) as found:
        yield found


BEARER = {"Authorization": f"Bearer {TOKEN}"}
SAID = [{"role": "system", "content": "You are a pirate."}, {"role": "user", "content": "here are 2 euros"}]
USAGE = {"include_usage": True}
STATE = {"metadata": {"state": '{"owed": "5"}'}}


def test_the_official_client_gets_the_approved_reply_and_effects_as_tools(chat):
    found = chat.chat.completions.create(model="library", messages=SAID, temperature=1.8, max_tokens=1, **STATE)
    choice = found.choices[0]
    assert choice.message.content.endswith("Thank you, €2.00 received.")
    assert choice.finish_reason == "tool_calls"
    assert [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls] == [
        ("settle", {"args": ["2"]}),
        ("count", {"args": []}),
    ]
    assert found.usage.completion_tokens == 0
    after = [*SAID, choice.message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": "x", "content": "done"}]
    silent = chat.chat.completions.create(model="library", messages=after)
    assert (silent.choices[0].message.content, silent.choices[0].finish_reason) == ("", "stop")


def test_the_official_client_can_stream(chat):
    whole = chat.chat.completions.create(model="library", messages=SAID, **STATE)
    chunks = list(
        chat.chat.completions.create(model="library", messages=SAID, stream=True, stream_options={"include_usage": True}, **STATE)
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    calls = [call.function.name for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or ()]
    assert text == whole.choices[0].message.content
    assert calls == ["settle", "count"]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert chunks[-1].usage.completion_tokens == 0


def test_a_conversation_of_the_official_client_goes_on(chat, client):
    for _ in range(2):
        chat.chat.completions.create(model="library@random", messages=SAID, metadata={"conversation": "openai-1"})
    found = client.conversation("openai-1")
    assert (found.number, [one.engine for one in found.turns]) == (2, ["random"] * 2)


def test_a_transcript_tells_what_was_said(chat, policies):
    welcome = policies["library"].catalog["welcome"].texts["en"].literal
    asked = {"model": "library@rules", "messages": [{"role": "user", "content": "hello"}]}
    first = chat.chat.completions.create(**asked)
    transcript = [*asked["messages"], {"role": "assistant", "content": welcome}, {"role": "user", "content": "and now?"}]
    second = chat.chat.completions.create(model="library@rules", messages=transcript)
    assert (first.constrained["number"], second.constrained["number"]) == (1, 2)
    assert "welcome" not in second.constrained["said"]  # it is offered once in a conversation


def test_models_are_packs_and_errors_are_typed(chat, server):
    assert {"library", "library@scripted", "tavern@rules"} <= {model.id for model in chat.models.list()}
    with pytest.raises(openai.NotFoundError):
        chat.chat.completions.create(model="gpt-4o", messages=SAID)
    with pytest.raises(openai.UnprocessableEntityError):
        chat.chat.completions.create(model="library", messages=[{"role": "system", "content": "x"}])
    http = httpx.Client(trust_env=False)
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", http_client=http) as wrong, pytest.raises(openai.AuthenticationError):
        wrong.chat.completions.create(model="library", messages=SAID)


def test_our_client(client, policies):
    reply = client.turn("library", "2 euros", state={"owed": "5"}, conversation="mine")
    assert (reply.effects_outcome, reply.state_after["owed"]) == ("ran", "3")
    assert is_approved(reply.text, policies["library"])
    assert client.fork("mine", engine="rules").source == "rules"
    assert client.conversation("mine").turns == (reply,)
    assert client.catalog("tavern").fallback == "pardon"
    assert {one.pack for one in client.catalogs().packs} == {"tavern", "library"}
    with pytest.raises(RefusedError, match="no such field"):
        client.turn("library", "x", state={"none": 1})


def test_our_client_sends_again_what_was_not_answered(server):
    """The first reply is lost on its way; the second request with the same key gets it."""
    waits, sent = [], []
    real = httpx.HTTPTransport()

    def handler(request):
        answer = real.handle_request(request)
        sent.append(json.loads(answer.read()))
        if len(sent) == 1:
            raise httpx.ReadError("the connection broke")
        return httpx.Response(answer.status_code, content=json.dumps(sent[-1]))

    with Client(server.url, TOKEN, http=httpx.Client(transport=httpx.MockTransport(handler)), wait=waits.append) as client:
        reply = client.turn("library", "2 euros", state={"owed": "5"})
    real.close()
    assert (reply.turn_id, reply.is_repeat) == (sent[0]["turn_id"], True)
    assert len(waits) == 1


def events(server, token=TOKEN, **options):
    return connect(f"{server.url.replace('http', 'ws')}/v1/events", proxy=None, open_timeout=20, **options)


def test_events_of_a_tenant(server, client):
    bearer = {"Authorization": f"Bearer {OTHER_TOKEN}"}
    with client.events("watched") as mine, events(server, additional_headers=bearer) as other:
        reply = client.turn("library", "hello", conversation="watched")
        event = next(mine)
        assert (event.kind, event.turn_id, event.conversation) == ("turn", reply.turn_id, "watched")
        with Client(server.url, OTHER_TOKEN, http=httpx.Client(trust_env=False)) as another:
            theirs = another.turn("library", "secret words")
        told = other.recv(timeout=20)
    assert json.loads(told)["turn_id"] == theirs.turn_id
    assert "secret" not in told


def test_a_browser_gives_its_token_as_a_protocol(server):
    with events(server, subprotocols=["constrained", f"token.{TOKEN}"]) as socket:
        assert socket.subprotocol == "constrained"
    with pytest.raises(InvalidStatus):
        events(server, subprotocols=["constrained", "token.wrong"])
    with pytest.raises(InvalidStatus):
        events(server)


def test_typed_questions(server):
    options = {f"option {n}": None for n in range(40)}
    questions = {
        "many": {"type": "choice", "instructions": "Which?", "criteria": options},
        "level": {"type": "score", "instructions": "How much?", "criteria": ["none", "some", "all"]},
        "yes": {"type": "noul", "instructions": "Is it?", "criteria": {"true": "it is", "false": "it is not"}},
    }
    body = {"model": "random", "state": {"text": "x"}, "questions": questions}
    found = httpx.post(f"{server.url}/v1/systemone", json=body, headers=BEARER, trust_env=False).json()["answers"]
    assert set(found["many"]["probabilities"]) == set(options)
    assert found["many"]["choice"] == max(found["many"]["probabilities"], key=found["many"]["probabilities"].get)
    assert sum(found["many"]["probabilities"].values()) == pytest.approx(1)
    assert 0 <= found["level"]["score"] <= 2
    assert 0 <= found["yes"]["noul"] <= 1
    refused = httpx.post(f"{server.url}/v1/systemone", json={**body, "model": "rules"}, headers=BEARER, trust_env=False)
    assert refused.status_code == 503
    hasty = httpx.post(f"{server.url}/v1/systemone", json={**body, "within": 0}, headers=BEARER, trust_env=False)
    assert (hasty.status_code, hasty.json()["error"]["param"]) == (408, "within")  # the caller's to change, not the operator's


def test_a_drain_finishes_what_runs_and_takes_nothing_new(policies):
    engine = Hanging()
    with running(policies, {"hanging": engine}) as server, ThreadPoolExecutor(1) as threads:
        http = httpx.Client(base_url=server.url, headers=BEARER, trust_env=False, timeout=30)
        http.get("/healthz")  # a connection that stays
        running_turn = threads.submit(httpx.post, f"{server.url}/v1/turns", json={"pack": "library", "message": "hello"},
                                      headers=BEARER, trust_env=False, timeout=30)  # fmt: skip
        assert engine.asked.wait(20)
        done = threading.Event()
        server.server.loop.call_soon_threadsafe(lambda: (server.app.state.service.drain(), done.set()))
        assert done.wait(20)
        refused, ready = http.post("/v1/turns", json={"pack": "library", "message": "hello"}), http.get("/readyz")
        assert (refused.status_code, ready.status_code, ready.json()["reason"]) == (503, 503, "the server is stopping")
        server.server.stop()
        engine.go.set()
        assert running_turn.result().status_code == 200
        http.close()


def test_every_example_of_the_api_runs(server):
    described = httpx.get(f"{server.url}/openapi.json", trust_env=False).json()
    n_run = 0
    for path, methods in described["paths"].items():
        if "{handover}" in path:  # they need a conversation that waits: see test_handovers
            continue
        content = methods.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        schema = described["components"]["schemas"].get(content.get("$ref", "").rpartition("/")[2], {})
        for example in schema.get("examples", ()):
            address = server.url + path.replace("{conversation}", "table-4")
            found = httpx.post(address, json=example, headers=BEARER, trust_env=False)
            assert found.status_code == 200, (path, example, found.text)
            n_run += 1
    assert n_run >= 6
