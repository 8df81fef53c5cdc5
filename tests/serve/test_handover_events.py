"""What is told of hand-overs: webhooks at least once and in order, signed; the customer's stream, each reply once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections import defaultdict
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from starlette.testclient import TestClient

from constrained.cli import serve as command
from constrained.cli.main import main
from constrained.errors import ConstrainedError
from constrained.serve.access.roles import Principal
from constrained.serve.app import create_app
from constrained.serve.handover import event_stream
from constrained.serve.handover.cloud_events import read_secret, sign
from constrained.serve.handover.event_stream import stream_replies
from constrained.serve.handover.outbox import GIVE_UP_S, WebhookSender, make_post
from constrained.serve.handover.store import HandoverStore, NewHandover, open_handover
from constrained.serve.journal import Journal
from constrained.serve.packs import Packs
from constrained.serve.settings import Handovers, ServerSettings
from constrained.serve.storage.sessions import Sessions, TenantStore
from constrained.serve.storage.tables import outbox
from tests.serve.conftest import running
from tests.serve.handover_desk import CHANNEL, TOKENS, as_, engine, post, queue, say, shop

SECRET = b"s" * 32


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return shop(tmp_path_factory.mktemp("shop"))


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Webhook:
    """Answers with what a test hands it, and keeps what it took."""

    def __init__(self, answers: list[int | None]) -> None:
        self.answers, self.taken, self.asked = list(answers), [], []  # type: ignore[var-annotated]  # bodies and headers

    def __call__(self, body: bytes, headers: Any) -> int:
        self.asked.append((body, dict(headers)))
        status = self.answers.pop(0) if self.answers else 200
        if status is None:
            raise OSError("no answer")
        if 200 <= status < 300:
            self.taken.append((json.loads(body), dict(headers)))
        return status


def announced(sessions: Sessions, clock: Clock, conversations: list[str]) -> HandoverStore:
    """Entries that were opened, claimed and closed in turn: three events each, interleaved."""
    store = HandoverStore(sessions.transaction, is_announcing=True, clock=clock, lease_s=900)
    for name in conversations:
        with sessions.transaction() as connection:
            open_handover(connection, NewHandover(f"h-{name}", "t", name, "desk", 1, "human", "en"), True, clock())
    for name in conversations:
        store.claim("t", f"h-{name}", "Ada")
    for name in conversations:
        store.close("t", f"h-{name}", "Ada", "closed")
    return store


@given(st.lists(st.sampled_from([200, 204, 500, 404, None]), max_size=25))
@settings(max_examples=20)
def test_every_event_arrives_in_the_order_of_its_conversation_whatever_fails(answers):
    sessions, clock, webhook, results = Sessions(is_announcing=True), Clock(), Webhook(answers), []
    announced(sessions, clock, ["a", "b", "c"])
    sender = WebhookSender(sessions, webhook, SECRET, results.append, clock, lambda: 0.5)
    for _ in range(100):
        sender.send_due()
        clock.now += 600
    by_conversation = defaultdict(list)
    for event, _ in webhook.taken:
        by_conversation[event["data"]["conversation"]].append((event["type"].rpartition(".")[2], event["id"]))
    expected = {name: [(kind, f"h-{name}.{n}") for n, kind in enumerate(("waiting", "claimed", "closed"), 1)] for name in "abc"}
    assert by_conversation == expected
    assert results.count("sent") == 9
    assert results.count("failed") == len(webhook.asked) - 9
    sessions.close()


def test_attempts_are_further_and_further_apart_until_it_is_given_up():
    sessions, clock, webhook, results = Sessions(is_announcing=True), Clock(), Webhook([500] * 1_000), []
    store = announced(sessions, clock, ["a"])
    sender = WebhookSender(sessions, webhook, SECRET, results.append, clock, lambda: 0.5)
    begin, times = clock.now, []
    while results.count("given_up") == 0:
        assert sender.send_due() == 1
        times.append(clock.now - begin)
        with sessions.transaction() as connection:
            clock.now = max(clock.now, connection.execute(select(func.min(outbox.c.next_at)).where(outbox.c.attempts > 0)).scalar_one())
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[:5] == [5, 10, 20, 40, 80]
    assert max(waits) <= 3_600
    assert times[-1] >= GIVE_UP_S
    assert len(times) < 40
    webhook.answers = []
    clock.now += 3_600
    while sender.send_due():
        pass
    assert [event["type"].rpartition(".")[2] for event, _ in webhook.taken] == ["claimed", "closed"]
    assert store.find("t", "h-a").state == "closed"  # nothing waits for a webhook
    sessions.close()


def test_two_processes_send_an_event_once_between_them():
    sessions, clock, webhook = Sessions(is_announcing=True), Clock(), Webhook([])
    announced(sessions, clock, ["a"])
    first, second = (WebhookSender(sessions, webhook, SECRET, clock=clock) for _ in range(2))
    seen = [*first._due(), *second._due()]
    assert len(seen) == 2
    assert [first._lease(seen[0]), second._lease(seen[1])] == [True, False]
    sessions.close()


def test_the_signature_is_that_of_standard_webhooks(tmp_path):
    """Against the example of its specification, and with nothing but the standard library."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    (tmp_path / "secret").write_text(f"{secret}\n")
    key = read_secret(tmp_path / "secret")
    body = b'{"test": 2432232314}'
    headers = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    signed = hmac.new(base64.b64decode(secret[6:]), b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(signed).decode()}"


@pytest.mark.parametrize("content", ["", "not base64!", "c2hvcnQ=", "whsec_" + base64.b64encode(b"x" * 65).decode()])
def test_a_secret_that_is_none_is_refused_with_its_file(tmp_path, content):
    (tmp_path / "secret").write_text(content)
    with pytest.raises(ConstrainedError, match="secret:1"):
        read_secret(tmp_path / "secret")
    with pytest.raises(ConstrainedError, match="cannot be read"):
        read_secret(tmp_path / "missing")


def test_a_server_tells_its_webhook_of_all_that_happens_without_a_word_of_it(policy, tmp_path, monkeypatch):
    webhook = Webhook([])
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(SECRET).decode())
    told = Handovers(webhook="https://desk.example/hook", secret=str(tmp_path / "secret"))

    class Client:
        def close(self) -> None:
            pass

    monkeypatch.setattr("constrained.serve.handover.queue.make_post", lambda url: (webhook, Client()))
    app = create_app(ServerSettings(tokens=TOKENS, handovers=told), Packs({"desk": policy}), {"scripted": engine()})
    sender = app.state.handovers.sender
    monkeypatch.setattr(sender, "start", lambda: None)  # it is asked here, in place of its thread
    with TestClient(app) as client:
        say(client, "human")
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        post(client, "answer", name, response_id="balance")
        post(client, "release", name)
        post(client, "claim", name)
        post(client, "close", name)
        while sender.send_due():
            pass
        metrics = client.get("/metrics", headers=as_(CHANNEL)).text
    assert 'constrained_webhook_attempts_total{result="sent"} 6.0' in metrics
    kinds = [event["type"].removeprefix("constrained.handover.") for event, _ in webhook.taken]
    assert kinds == ["waiting", "claimed", "answered", "waiting", "claimed", "closed"]
    for (event, headers), (body, _) in zip(webhook.taken, webhook.asked, strict=True):
        assert (event["specversion"], event["subject"], headers["webhook-id"]) == ("1.0", name, event["id"])
        assert headers["content-type"] == "application/cloudevents+json"
        assert datetime.fromisoformat(event["time"]).tzinfo is not None
        assert not any(word in body for word in (b"gold", b"colleague", b"nine"))
    assert len({event["id"] for event, _ in webhook.taken}) == 6


def test_a_webhook_is_asked_once_by_http_and_no_redirect_is_followed():
    asked = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, self.headers["webhook-id"], self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(307 if self.path == "/moved" else 204)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    statuses = []
    for path in ("/hook", "/moved"):
        send, client = make_post(f"http://127.0.0.1:{server.server_port}{path}")
        statuses.append(send(b"{}", sign(SECRET, "e.1", 0, b"{}")))
        client.close()
    server.shutdown()
    server.server_close()
    assert (statuses, asked) == ([204, 307], [("/hook", "e.1", b"{}"), ("/moved", "e.1", b"{}")])
    send, client = make_post(f"http://127.0.0.1:{server.server_port}/hook")
    with client, pytest.raises(OSError, match="ConnectError"):
        send(b"{}", {})


def test_the_options_of_the_webhook_go_together(monkeypatch, tmp_path, capsys):
    kept = []
    monkeypatch.setattr(command, "_run", lambda settings, *_, **__: kept.append(settings.handovers))
    for options in (["--webhook", "https://a.example"], ["--webhook-secret", "s"], ["--webhook", "ftp://a", "--webhook-secret", "s"], []):
        with pytest.raises(SystemExit):
            main(["serve", "tavern", "--rules", "--data", str(tmp_path), *options])
    assert kept == [Handovers()]
    assert "--webhook" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["serve", "tavern", "--rules", "--data", str(tmp_path), "--webhook", "https://a.example", "--webhook-secret", "s"])
    assert kept[1:] == [Handovers(webhook="https://a.example", secret="s")]


# -- the customer's side -------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["turn", "answer"]), max_size=8), st.integers(1, 4), st.booleans())
@settings(max_examples=8)
def test_read_in_parts_of_any_size_each_reply_is_told_once_and_in_order(policy, steps, most, is_masking):
    """Also where what is kept is encrypted."""
    app = create_app(ServerSettings(tokens=TOKENS, mask=is_masking), Packs({"desk": policy}), {"scripted": engine()})
    with TestClient(app) as client:
        texts = [say(client, "human")["text"]]
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        for step in steps:
            found = say(client, "hours") if step == "turn" else post(client, "answer", name, response_id="balance").json()
            texts.append(found["text"])
        replies, after, seen = app.state.handovers.replies, (0, 0), []
        while found := replies.said_after("shop", "c", after, most):
            seen += found
            after = (found[-1].number, found[-1].place)
        assert [one.text for one in seen] == texts
        assert [bool(one.by) for one in seen] == [False, *(step == "answer" for step in steps)]


def test_what_comes_while_it_is_read_is_told_later_and_not_lost(policy, monkeypatch):
    app = create_app(ServerSettings(tokens=TOKENS), Packs({"desk": policy}), {"scripted": engine()})
    with TestClient(app) as client:
        say(client, "human")
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        original, coming = TenantStore.turns_after, [True]

        def turns_after(store: TenantStore, *asked: Any) -> Any:
            found = original(store, *asked)
            if coming:
                coming.clear()
                say(client, "hours")
                post(client, "answer", name, response_id="balance")
            return found

        monkeypatch.setattr(TenantStore, "turns_after", turns_after)
        after, seen = (0, 0), []
        while found := app.state.handovers.replies.said_after("shop", "c", after):
            after = (found[-1].number, found[-1].place)
            seen += [(one.number, one.place) for one in found]
        assert seen == [(1, 0), (2, 0), (2, 1)]


def test_a_turn_that_is_not_recorded_yet_is_not_shown_and_is_what_comes_next(policy, monkeypatch):
    app = create_app(ServerSettings(tokens=TOKENS), Packs({"desk": policy}), {"scripted": engine()})
    turns, replies, seen = app.state.service.turns, app.state.handovers.replies, []

    def told() -> tuple[list[int], tuple[int, int]]:
        return [one.number for one in turns.conversation("shop", "c", 10)[1]], replies.last_place("shop", "c")

    with TestClient(app) as client:
        write = Journal.write
        monkeypatch.setattr(Journal, "write", lambda journal, entry: seen.append(told()) or write(journal, entry))
        for _ in range(2):
            say(client, "hours")
        assert told() == ([1, 2], (2, 0))
    assert seen == [([], (0, 0)), ([1], (1, 0))]


def read_events(lines: Any, n: int) -> list[dict[str, Any]]:
    """The next events of a stream, as data with their id."""
    found: list[dict[str, Any]] = []
    name = ""
    for line in lines:
        if line.startswith("id: "):
            name = line[4:]
        elif line.startswith("data: "):
            found.append({"id": name, **json.loads(line[6:])})
            if len(found) == n:
                break
    return found


def test_the_customer_hears_from_where_the_stream_broke(policy):
    address, customer = "/v1/conversations/c/events", as_(CHANNEL)
    with (
        running({"desk": policy}, {"scripted": engine()}, tokens=TOKENS) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client,
    ):
        say(client, "human")
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        with client.stream("GET", address, headers=customer) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = stream.iter_lines()
            assert next(lines) == "retry: 2000"
            with httpx.Client(base_url=server.url, trust_env=False) as other:
                post(other, "answer", name, response_id="hours")
                say(other, "hours")
            heard = read_events(lines, 2)
        expected = [("1.1", "person", "hours"), ("2.0", "engine", "pardon")]
        assert [(one["id"], one["by"], one["response_id"]) for one in heard] == expected
        assert "Ada" not in json.dumps(heard)  # who answers is the desk's to know
        post(client, "answer", name, response_id="balance")
        with client.stream("GET", address, headers=customer | {"Last-Event-ID": "1.1"}) as stream:
            assert [one["id"] for one in read_events(stream.iter_lines(), 2)] == ["2.0", "2.1"]
        assert client.get(address, headers=customer | {"Last-Event-ID": "x"}).status_code == 422
        assert client.get("/v1/conversations/none/events", headers=customer).status_code == 404
        with client.stream("GET", address, headers=customer) as stream:
            server.server.stop()
            assert list(stream.iter_lines())[:1] == ["retry: 2000"]  # it ends with the server


def test_the_stream_ends_with_its_token(policy, monkeypatch):
    app = create_app(ServerSettings(tokens=TOKENS), Packs({"desk": policy}), {"scripted": engine()})
    with TestClient(app) as client:
        say(client, "human")
        read = partial(app.state.handovers.replies.said_after, "shop", "c")

        async def heard(*times: float) -> list[str]:
            """With a token that is over at 50, at these times of the clock."""
            monkeypatch.setattr(event_stream, "time", SimpleNamespace(time=iter(times).__next__))
            return [one async for one in stream_replies(app.state.service, Principal("shop", expires_at=50.0), "c", read, (0, 0))]

        assert asyncio.run(heard(100.0)) == ["retry: 2000\n\n"]
        lines = asyncio.run(heard(0.0, 100.0))
        assert len(lines) == 2
        assert lines[1].startswith("id: 1.0\nevent: reply\n")


def test_those_at_the_desk_hear_of_changes_at_once(policy):
    app = create_app(ServerSettings(tokens=TOKENS), Packs({"desk": policy}), {"scripted": engine()})
    events = app.state.service.events
    with TestClient(app) as client, events.subscribe("shop", "") as heard, events.subscribe("other", "") as elsewhere:
        say(client, "human")
        name = queue(client)[0]["id"]
        post(client, "claim", name)
        post(client, "answer", name, response_id="hours")
        kinds = [(one.kind, one.detail) for one in (heard.get_nowait() for _ in range(5))]
        assert elsewhere.empty()
    assert kinds == [("turn", ""), ("handover", "waiting"), ("handover", "claimed"), ("person", ""), ("handover", "answered")]
