"""What a game asks beside turns: previews and buttons, turns called off, saved conversations; and scripts of pages elsewhere."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from constrained.cli.serve import _origins
from constrained.dialogue.dialogue import Dialogue
from constrained.errors import ConstrainedError
from constrained.games import load, save
from constrained.serve.cancelling import TurnFate
from constrained.serve.client import Client
from constrained.testing import RandomEngine
from tests.serve.conftest import TOKEN, running, turn
from tests.serve.test_turns import Hanging

ORIGIN = "https://game.example"


class Steady:
    """Random answers, the same to the same message."""

    identity = {"model": "steady"}  # noqa: RUF012  # a double

    def choose(self, choices, scene, deadline=None):
        return RandomEngine(zlib.crc32(scene.message.encode())).choose(choices, scene, deadline)


def ask(client, method, path, status=200, body=None):
    found = client.request(method, f"/v1/conversations/{path}", json=body)
    assert found.status_code == status, found.text
    return found.json() if found.content else None


# -- previews ---------------------------------------------------------------------------------------------------------


def test_a_preview_is_the_turn_that_comes_and_leaves_nothing(start, tmp_path):
    client = start({"steady": Steady()}, log=str(tmp_path / "log.jsonl"))
    turn(client, "good day", conversation="c", state={"owed": "5"})
    for message in ("here are 2 euros", "hello"):
        before = ask(client, "GET", "c"), (tmp_path / "log.jsonl").read_bytes()
        seen = ask(client, "POST", "c/preview", body={"pack": "library", "message": message})
        assert (ask(client, "GET", "c"), (tmp_path / "log.jsonl").read_bytes()) == before
        taken = turn(client, message, conversation="c")
        assert {name: taken[name] for name in seen if name != "buttons"} == {name: one for name, one in seen.items() if name != "buttons"}


def test_buttons_are_examples_of_what_is_allowed(start, policies):
    client = start({"random": RandomEngine(7)})
    seen = ask(client, "POST", "new/preview", body={"pack": "tavern", "state": {"gold": 80}})
    catalog = policies["tavern"].catalog
    assert {one["id"] for one in seen["buttons"]} <= {one["id"] for one in seen["decision"]["options"]} - {catalog.fallback}
    assert all(one["message"] in catalog[one["id"]].examples["en"] for one in seen["buttons"])
    assert "greet" in {one["id"] for one in seen["buttons"]}
    assert "real_distress" in {one["id"] for one in seen["decision"]["options"]} - {one["id"] for one in seen["buttons"]}
    ask(client, "GET", "new", 404)  # a preview begins nothing


def test_a_preview_is_of_the_conversations_pack(start):
    client = start({"random": RandomEngine(7)})
    turn(client, conversation="c")
    assert "this conversation is with 'library'" in ask(client, "POST", "c/preview", 409, {"pack": "tavern"})["error"]["message"]


# -- turns called off -------------------------------------------------------------------------------------------------


def test_a_turn_that_is_called_off_is_never_said(start, tmp_path):
    engine = Hanging()
    client = start({"hanging": engine}, log=str(tmp_path / "log.jsonl"))
    body = {"pack": "library", "message": "hello", "conversation": "c", "idempotency_key": "k"}
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(client.post, "/v1/turns", json=body)
        try:
            assert engine.asked.wait(20)
            ask(client, "DELETE", "c/turns/k", 204)
            ask(client, "DELETE", "c/turns/k", 204)
        finally:
            engine.go.set()
        answer = asked.result()
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, "the turn was called off")
    assert not (tmp_path / "log.jsonl").exists() or not (tmp_path / "log.jsonl").read_bytes()
    ask(client, "GET", "c", 404)
    assert turn(client, "hello", conversation="c")["number"] == 1
    assert ask(client, "DELETE", "c/turns/k", 404)["error"]["message"] == "no turn with this key runs"


def test_what_repeats_a_turn_that_is_kept_calls_nothing_off(start):
    client = start({"random": RandomEngine(7)})
    turn(client, "hello", conversation="c", idempotency_key="k")
    with client.app.state.service.fates.open("local", "c/k"):  # the request once more, that waits
        assert ask(client, "DELETE", "c/turns/k", 409)["error"]["message"] == "the turn is kept already"


def test_a_customer_calls_off_turns_of_its_own_conversation_alone(start):
    client = start({"random": RandomEngine(7)})
    minted = client.post("/v1/conversations/c/token", json={"pack": "library"}).json()
    client.headers["Authorization"] = f"Bearer {minted['token']}"
    ask(client, "DELETE", "c/turns/k", 404)
    ask(client, "DELETE", "d/turns/k", 403)


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_the_first_word_on_a_turn_holds(words):
    fate = TurnFate()
    for is_kept in words:
        if is_kept and words[0]:
            fate.keep()
        elif is_kept:
            with pytest.raises(ConstrainedError, match="called off"):
                fate.keep()
        else:
            assert fate.cancel() is (not words[0])


# -- saves ------------------------------------------------------------------------------------------------------------

MESSAGES = ("hello", "here are 2 euros", "good day", "what do I owe?", "")


@profile(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=4), after=st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=3)
)
def test_a_loaded_conversation_goes_on_as_the_saved_one(saving, before, after):
    client, name = saving["client"], f"c{next(saving['numbers'])}"
    for message in before:
        turn(client, message, conversation=name)
    saved = ask(client, "GET", f"{name}/save")
    loaded = ask(client, "PUT", f"{name}b/save", 200, saved)
    assert loaded == {"conversation": f"{name}b", "pack": "library", "notes": []}
    assert ask(client, "PUT", f"{name}b/save", 200, saved) == loaded  # sent again
    again = ask(client, "GET", f"{name}b/save")
    assert {**again["npcs"]["library"], "conversation": name} == saved["npcs"]["library"]
    kept = ("response_id", "text", "number", "effects", "state_before", "state_after", "decision", "blocked")
    for message in after:
        first, second = (turn(client, message, conversation=one) for one in (name, f"{name}b"))
        assert [first[one] for one in kept] == [second[one] for one in kept]
    ask(client, "PUT", f"{name}b/save", 409, saved)


@pytest.fixture(scope="module")
def saving(policies):

    with running(policies, {"steady": Steady()}) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=60) as client:
            yield {"client": client, "numbers": itertools.count(), "url": server.url}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"memory": {"number": "many"}}, "memory.number: Input should be a valid integer"),
        ({"memory": {"gold": 4}}, "memory.gold: Extra inputs"),
        ({"memory": {"number": 10**12}}, "holds what no conversation can"),
        ({"state": {"gold": 4}}, "gold"),
    ],
)
def test_what_is_no_save_is_refused(saving, change, told):
    client = saving["client"]
    turn(client, conversation="whole")
    saved = ask(client, "GET", "whole/save")
    saved["npcs"]["library"] |= change
    assert told in ask(client, "PUT", "broken/save", 422, saved)["error"]["message"]
    assert "has format 2" in ask(client, "PUT", "broken/save", 422, {**saved, "format": 2})["error"]["message"]
    assert "no save of one" in ask(client, "PUT", "broken/save", 422, {**saved, "npcs": {}})["error"]["message"]
    ask(client, "GET", "broken", 404)


def test_a_save_goes_to_and_fro_between_server_and_library(saving, policies):
    client = saving["client"]
    turn(client, "hello", conversation="here", state={"owed": "5"})
    npc = Dialogue(policies["library"], engine=Steady())
    states = load(ask(client, "GET", "here/save"), {"library": npc}).states
    there, here = (
        npc.reply("here are 2 euros", states["library"]),
        turn(client, "here are 2 euros", conversation="here", effects="hand_over"),
    )
    assert (there.text, str(there.response_id)) == (here["text"], here["response_id"])
    assert ask(client, "PUT", "back/save", 200, save({"library": npc}, states)) == {"conversation": "back", "pack": "library", "notes": []}
    assert ask(client, "GET", "back/save")["npcs"]["library"]["memory"] == npc.memory().model_dump(mode="json")


# -- pages of another origin ------------------------------------------------------------------------------------------


def preflight(client, origin):
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    return client.options("/v1/turns", headers={"Origin": origin, **wanted})


def test_a_named_origin_may_call_and_no_other(start):
    client = start({"random": RandomEngine(7)}, origins=(ORIGIN,))
    allowed = preflight(client, ORIGIN)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "access-control-allow-credentials" not in allowed.headers
    for other in ("https://other.example", f"{ORIGIN}.evil.example", "http://game.example", f"{ORIGIN}:8443", "null"):
        refused = preflight(client, other)
        assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (400, False)
    found = client.get("/v1/catalogs", headers={"Origin": ORIGIN})
    assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, ORIGIN)
    refused = client.get("/v1/catalogs", headers={"Origin": ORIGIN, "Authorization": "Bearer wrong"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)  # the page reads why


def test_without_the_option_no_page_elsewhere_may_call(start):
    client = start({"random": RandomEngine(7)})
    del client.headers["Authorization"]
    assert preflight(client, ORIGIN).status_code == 401
    assert "access-control-allow-origin" not in client.get("/v1/catalogs", headers={"Origin": ORIGIN}).headers


def test_pages_listen_where_they_may_call(policies):
    with running(policies, {}, origins=(ORIGIN,)) as server:
        address = f"{server.url.replace('http', 'ws')}/v1/events"
        for origin in (None, ORIGIN, server.url):
            with connect(address, proxy=None, origin=origin, subprotocols=["constrained", f"token.{TOKEN}"]) as socket:
                assert socket.subprotocol == "constrained"
        for origin in ("https://other.example", "http://127.0.0.1:1", "null"):
            with pytest.raises(InvalidStatus):
                connect(address, proxy=None, origin=origin, subprotocols=["constrained", f"token.{TOKEN}"])


@pytest.mark.parametrize("origin", ["*", "null", "game.example", "https://game.example/", "https://*.example", "https://Game.example", ""])
def test_what_is_no_origin_is_told(origin):
    with pytest.raises(ConstrainedError, match="is not the origin of a page"):
        _origins([ORIGIN, origin])
    assert _origins([ORIGIN, "http://127.0.0.1:8060", "http://[::1]:80"]) == (ORIGIN, "http://127.0.0.1:8060", "http://[::1]:80")


# -- as a game's own process --------------------------------------------------------------------------------------------

SERVE = "import sys; sys.argv = ['constrained', 'serve', 'tavern', *sys.argv[1:]]; from constrained.cli.main import main; main()"


@pytest.mark.parametrize("missing", ["joserfc", "opentelemetry.instrumentation"])
def test_a_missing_package_of_the_extra_is_told(missing, tmp_path):
    hide = f"import sys; sys.modules[{missing!r}] = None; {SERVE}"
    command = [sys.executable, "-c", hide, "--rules", "--port", "0", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "pip install 'constrained[serve]'" in " ".join(done.stderr.split())


OFFLINE = """
import socket
real = socket.socket.connect
def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1"):
        print("asked", address, flush=True)
        raise OSError("no network here")
    return real(self, address)
socket.socket.connect = connect
def lookup(host, *rest, found=socket.getaddrinfo, **more):
    if host not in ("127.0.0.1", "localhost", "::1", None):
        print("asked", host, flush=True)
        raise socket.gaierror("no network here")
    return found(host, *rest, **more)
socket.getaddrinfo = lookup
"""


@pytest.mark.model
def test_the_small_engine_serves_without_a_network(tmp_path):
    command = [sys.executable, "-c", OFFLINE + SERVE, "--model", "small", "--port", "0", "--parent", str(os.getpid())]
    with subprocess.Popen([*command, "--data", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            first = process.stdout.readline()
            assert first.startswith("listening on http://127.0.0.1:"), first
            with Client(first.split()[-1], (tmp_path / "token").read_text().strip(), http=httpx.Client(trust_env=False)) as client:
                reply = client.turn("tavern", "Sixty gold for the cellar key, old man?", state={"gold": 80})
            assert (reply.response_id, reply.source) == ("sell_key", "model")
        finally:
            process.terminate()
        assert "asked" not in process.stdout.read()
