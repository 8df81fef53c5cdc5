"""A server in this process, at the tests' own desk and at the tavern; and one under uvicorn on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from constrained.packs import load_policy
from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.serve.server import Server, address, listen
from constrained.serve.settings import Limits, ServerSettings

TOKEN, OTHER_TOKEN = "token-of-the-tests-0", "token-of-another-one"
TOKENS = {TOKEN: "local", OTHER_TOKEN: "other"}
DESK = Path(__file__).parents[1] / "desk"


def settings(**changes: Any) -> ServerSettings:
    return ServerSettings(**{"tokens": TOKENS, **changes})


@pytest.fixture(scope="session")
def policies(library: Any) -> dict[str, Any]:
    return {"tavern": load_policy("tavern"), "library": library}


Start = Callable[..., TestClient]


@pytest.fixture
def start(policies: Mapping[str, Any]) -> Iterator[Start]:
    """``start({"random": engine}, log=PATH, limits=Limits(...))``: a client with the token of the tests."""
    with ExitStack() as stack:

        def run(engines: Mapping[str, Any] | None = None, own: Mapping[str, Any] | None = None, **changes: Any) -> TestClient:
            app = create_app(settings(**changes), Packs(policies), engines or {}, own=own)
            client = TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False)
            return stack.enter_context(client)

        yield run


@dataclass(frozen=True)
class Running:
    """A server on loopback."""

    url: str
    server: Server
    app: Any


@contextmanager
def running(policies: Mapping[str, Any], engines: Mapping[str, Any] | None = None, **changes: Any) -> Iterator[Running]:
    chosen = settings(port=0, **changes)
    app = create_app(chosen, Packs(policies), engines or {})
    bound, ready = listen(chosen), threading.Event()
    server = made(app, chosen, ready)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        assert ready.wait(30)
        yield Running(address(bound), server, app)
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


def made(app: Any, chosen: ServerSettings, ready: threading.Event) -> Server:
    from constrained.serve.server import uvicorn_config

    return Server(uvicorn_config(app, chosen), app.state.service, ready.set)


def turn(client: Any, message: str = "good day", **values: Any) -> Any:
    """A turn's reply, which must be one."""
    content = json.dumps({"pack": "library", "message": message, **values})  # half characters and all
    found = client.post("/v1/turns", content=content, headers={"Content-Type": "application/json"})
    assert found.status_code == 200, found.text
    return found.json()


SMALL = Limits(body_bytes=2_000, n_running=1, n_waiting=1, n_in_conversation=2)
