"""What is refused, and how it is said: tokens, names, sizes, queues, rates, bodies of any kind."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.errors import AuditError
from constrained.serve.access.authentication import Authenticator
from constrained.serve.access.customer_tokens import CustomerTokens
from constrained.serve.access.guard import AdmissionGate, Guard, TokenThrottle
from constrained.serve.access.tokens import StaticTokens
from constrained.serve.errors import RefusedError
from constrained.serve.journal import Journal
from constrained.serve.settings import Limits, is_loopback
from constrained.serve.wire import ErrorReply, TurnRequest
from constrained.testing import RandomEngine
from tests.serve.conftest import OTHER_TOKEN, TOKEN, running, turn
from tests.serve.conftest import settings as server_settings
from tests.serve.test_turns import Hanging

PROTECTED = ["/v1/turns", "/v1/catalogs", "/v1/conversations/c", "/metrics", "/v1/models", "/v1/none", "/anything"]


def refused(found, status):
    assert found.status_code == status, found.text
    return ErrorReply.model_validate(found.json()).error


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"])
def test_without_a_token_of_this_server_nothing_is_told(start, path, header):
    client = start()
    del client.headers["authorization"]
    found = client.get(path, headers={"Authorization": header} if header is not None else {})
    assert refused(found, 401).type == "unauthorized"
    assert found.headers["www-authenticate"] == "Bearer"


def test_what_is_free_holds_no_secret(start):
    client = start()
    del client.headers["authorization"]
    for path in ("/", "/healthz", "/readyz", "/openapi.json"):
        found = client.get(path)
        assert found.status_code == 200
        assert TOKEN not in found.text
        assert "default-src 'self'" in found.headers["content-security-policy"]


def test_a_token_is_that_of_its_tenant():
    known = StaticTokens(server_settings().tokens, lambda tenant: False)
    assert [known.find(token).tenant for token in (TOKEN, OTHER_TOKEN)] == ["local", "other"]
    assert [known.find(token) for token in ("", "x", TOKEN + " ", "\ud800", TOKEN.upper())] == [None] * 5
    assert StaticTokens({}, lambda tenant: True).find("") is None


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "10.0.0.1"])
def test_a_page_elsewhere_cannot_call_it_by_another_name(start, host):
    assert refused(start().get("/v1/catalogs", headers={"Host": host}), 403).type == "forbidden"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8420", "[::1]:8420", "desk.example:80"])
def test_it_is_called_by_its_own_names(start, host):
    assert start(hosts=frozenset({"desk.example"})).get("/v1/catalogs", headers={"Host": host}).status_code == 200


def test_loopback():
    assert all(map(is_loopback, ["127.0.0.1", "127.9.9.9", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "example.com", ""]))


def test_a_body_is_bounded_told_and_untold(start):
    client = start(limits=Limits(body_bytes=500))
    turn(client, "x" * 300)
    assert refused(client.post("/v1/turns", json={"pack": "library", "message": "x" * 600}), 413).type == "too_large"
    chunks = (b"x" * 100 for _ in range(9))
    assert refused(client.post("/v1/turns", content=chunks), 413).type == "too_large"


def test_a_message_of_a_megabyte_is_an_ordinary_message(start):
    assert len(turn(start(), "x" * 1_000_000)["record"]["message"]) == 2_000


def test_a_body_that_does_not_come_is_not_waited_for():
    """The guard alone: a client that sends half a body and then nothing."""
    sent = []

    async def ask():
        chosen = server_settings(limits=Limits(body_s=0.01))
        guard = Guard(None, chosen, Authenticator(chosen, CustomerTokens.of(chosen, lambda *_: False)), (), lambda reason: None)
        first = iter([{"type": "http.request", "body": b"{", "more_body": True}])

        async def receive():
            for message in first:
                return message
            return await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {TOKEN}".encode())]
        await guard({"type": "http", "path": "/v1/turns", "headers": headers, "method": "POST"}, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 408


def test_a_full_queue_is_told_at_once(start):
    engine = Hanging()
    client = start({"hanging": engine}, limits=Limits(n_running=1, n_waiting=1))
    gate = client.app.state.service.gate
    with ThreadPoolExecutor(2) as threads:
        pending = [threads.submit(turn, client, conversation=f"c{n}") for n in range(2)]
        for _ in range(20_000):
            if gate.n_inside == 2:
                break
            threading.Event().wait(0.001)
        found = client.post("/v1/turns", json={"pack": "library", "message": "hello"})
        ready = client.get("/readyz").json()
        engine.go.set()
        assert all(one.result()["source"] for one in pending)
    assert refused(found, 503).type == "overloaded"
    assert found.headers["retry-after"] == "1"
    assert (ready["n_running"], ready["n_waiting"]) == (1, 1)
    assert gate._queues == {}


def test_one_conversation_does_not_fill_the_queue(start):
    engine = Hanging()
    client = start({"hanging": engine}, limits=Limits(n_in_conversation=1))
    with ThreadPoolExecutor(1) as threads:
        pending = threads.submit(turn, client, conversation="c")
        assert engine.asked.wait(20)
        found = client.post("/v1/turns", json={"pack": "library", "message": "hello", "conversation": "c"})
        engine.go.set()
        pending.result()
    assert refused(found, 429).type == "too_many"


@given(rate=st.floats(0.1, 100), burst=st.integers(1, 20), steps=st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_tenant_is_faster_than_its_rate(rate, burst, steps):
    now = [0.0]
    gate = AdmissionGate(Limits(turns_per_s=rate, burst=burst), clock=lambda: now[0])
    let_in, refusals = 0, []
    for step in steps:
        now[0] += step
        try:
            gate._check_rate("tenant")
            let_in += 1
        except RefusedError as error:
            refusals.append(error)
    assert all(error.status == 429 and error.retry_s >= 1 for error in refusals)
    assert let_in <= burst + rate * now[0] + 1e-6
    gate._check_rate("another")


def test_conversations_are_bounded_and_can_be_given_back(start):
    client = start(limits=Limits(n_conversations=2))
    turn(client, conversation="a")
    turn(client, conversation="b")
    assert refused(client.post("/v1/turns", json={"pack": "library", "message": "x", "conversation": "c"}), 429).type == "too_many"
    turn(client, conversation="a")
    assert client.delete("/v1/conversations/a").status_code == 204
    turn(client, conversation="c")


def test_a_conversation_that_could_not_be_recorded_is_not_counted(start, monkeypatch):
    client = start(limits=Limits(n_conversations=2))

    def fail(self, entry):
        raise AuditError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "write", fail)
        for name in "xyz":
            body = {"pack": "library", "message": "hello", "conversation": name}
            assert client.post("/v1/turns", json=body).status_code == 503
    turn(client, conversation="a")
    turn(client, conversation="b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from([*TurnRequest.model_fields, "extra", "model", "messages", "questions", "input", "turn"])
PATHS = st.sampled_from(["/v1/turns", "/v1/conversations/c/fork", "/v1/chat/completions", "/v1/systemone", "/v1/decisions"])
BODIES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(FIELDS, JSON).map(json.dumps).map(str.encode)
)
GIVEN = {"pack": "library", "message": "hello", "model": "library", "messages": [{"role": "user", "content": "hello"}], "state": "x"}


@settings(max_examples=150)
@given(path=PATHS, body=BODIES, given_=st.lists(st.sampled_from(sorted(GIVEN))))
def test_any_body_gets_a_reply_or_a_typed_error(start_once, path, body, given_):
    try:
        content = json.loads(body)
        if isinstance(content, dict):
            body = json.dumps({**{name: GIVEN[name] for name in given_}, **content}).encode()
    except (ValueError, RecursionError):
        content = None
    found = start_once.post(path, content=body, headers={"Content-Type": "application/json"})
    assert found.status_code in (200, 400, 404, 409, 422, 429), (found.status_code, found.text, body)
    if found.status_code != 200:
        ErrorReply.model_validate(found.json())
    assert "Traceback" not in found.text


@pytest.fixture(scope="module")
def start_once(policies):
    from starlette.testclient import TestClient

    from constrained.serve.app import create_app
    from constrained.serve.packs import Packs

    app = create_app(server_settings(), Packs(policies), {"random": RandomEngine(0)})
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        client.post("/v1/turns", json={"pack": "library", "message": "hello", "conversation": "c"})
        yield client


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b"null", b'{"pack": 1}', b'{"pack":"library","message":"x","state":{"owed":NaN}}', b"\xff"]
)
def test_a_body_that_is_no_request(start_once, body):
    found = start_once.post("/v1/turns", content=body, headers={"Content-Type": "application/json"})
    assert found.status_code in (400, 422)
    ErrorReply.model_validate(found.json())


WRONG = [
    ("within", -1), ("within", 1e9), ("engine", "gpt"), ("locale", "../x"), ("threshold", 2), ("conversation", "a/b"),
    ("idempotency_key", ""), ("extra", 1), ("state", {"none": 1}), ("state", {"owed": "x"}), ("pack", "../etc"), ("effects", "maybe"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_value_that_is_refused_is_named(start_once, name, value):
    found = start_once.post("/v1/turns", json={"pack": "library", "message": "x", name: value})
    error = refused(found, 422)
    assert name in (error.param, "state")
    assert name != "state" or "Library refuses" in error.message


def test_a_connection_that_says_nothing_is_closed(policies, monkeypatch):
    monkeypatch.setattr("constrained.serve.server.HEAD_S", 0.05)
    with running(policies) as server, socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as half_open:
        half_open.sendall(b"POST /v1/turns HT")
        assert half_open.recv(100) == b""


# -- wrong tokens, names that stand twice, what caches may keep ---------------------------------------------------


def test_who_keeps_sending_wrong_tokens_is_told_to_wait_and_the_right_one_goes_in():
    clock = iter(range(0, 10_000))
    throttle = TokenThrottle(lambda: 0.0)
    for _ in range(TokenThrottle.BURST):
        throttle.count("a")
    with pytest.raises(RefusedError) as refusal:
        throttle.count("a")
    assert (refusal.value.status, refusal.value.retry_s) == (429, 2)
    throttle.count("b")
    patient = TokenThrottle(lambda: 2.0 * next(clock))
    for _ in range(200):
        patient.count("a")
    crowd = TokenThrottle(lambda: 0.0)
    for number in range(TokenThrottle.MOST + 500):
        crowd.count(str(number))
    assert len(crowd._failed) == TokenThrottle.MOST


def test_wrong_tokens_at_a_server(start):
    client = start()
    found = [client.get("/v1/catalogs", headers={"Authorization": "Bearer wrong"}).status_code for _ in range(TokenThrottle.BURST + 3)]
    assert found[0] == 401
    assert found[-1] == 429
    assert client.get("/v1/catalogs", headers={"Authorization": "Bearer wrong"}).headers["retry-after"]
    assert client.get("/v1/catalogs").status_code == 200, "others may share the address"


@pytest.mark.parametrize(
    "body",
    [
        b'{"pack":"tavern","pack":"library","message":"hello"}',
        b'{"pack":"tavern","message":"hi","state":{"gold":1,"gold":80}}',
        '{"pack":"tavern"}'.encode("utf-16"),
    ],
)
def test_a_name_that_stands_twice_has_no_reading(start, body):
    found = start().post("/v1/turns", content=body, headers={"content-type": "application/json"})
    assert refused(found, 400)


def test_no_cache_keeps_what_was_said(start):
    client = start()
    assert client.post("/v1/turns", json={"pack": "tavern", "message": "hello"}).headers["cache-control"] == "no-store"
    assert client.get("/v1/catalogs", headers={"Authorization": "Bearer no"}).headers["cache-control"] == "no-store"
    assert client.get("/").headers["cache-control"] == "no-cache"
