"""Who may what: the table of roles and requests, asked one by one, as the documentation shows it and as the routes declare it."""

from __future__ import annotations

import asyncio
import itertools
import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient

from constrained._canonical_json import sha256
from constrained.errors import ConstrainedError
from constrained.serve.access.guard import FREE_PATHS, REFUSED_CODE
from constrained.serve.access.roles import FORBIDDEN_CODE, Role, allow
from constrained.serve.access.tokens import TokenGrant, read_tokens
from constrained.serve.app import create_app
from constrained.serve.handover.store import NewHandover, open_handover
from constrained.serve.packs import Packs
from constrained.serve.settings import Oidc, ServerSettings
from constrained.testing import RandomEngine
from tests.serve.conftest import DESK

ROLES = tuple(Role)
NUMBERS = itertools.count()
TABLE = """
POST   /v1/turns                              own yes -   -   -   -   -
POST   /v1/conversations/{conversation}/fork  -   yes -   -   -   -   -
GET    /v1/conversations/{conversation}       own yes yes yes -   yes -
DELETE /v1/conversations/{conversation}       -   yes -   -   -   -   -
POST   /v1/conversations/{conversation}/token -   yes -   -   -   -   -
PUT    /v1/conversations/{conversation}/state -   yes -   -   -   -   -
POST   /v1/conversations/{conversation}/preview - yes -   -   -   -   -
DELETE /v1/conversations/{conversation}/turns/{key} own yes - - - -   -
GET    /v1/conversations/{conversation}/save  -   yes -   -   -   -   -
PUT    /v1/conversations/{conversation}/save  -   yes -   -   -   -   -
GET    /v1/conversations/{conversation}/events own yes yes yes - yes -
GET    /v1/handovers                          -   -   yes yes -   yes -
GET    /v1/handovers/{handover}               -   -   yes yes -   yes -
GET    /v1/handovers/{handover}/replies       -   -   yes yes -   -   -
POST   /v1/handovers/{handover}/claim         -   -   yes yes -   -   -
POST   /v1/handovers/{handover}/release       -   -   yes yes -   -   -
POST   /v1/handovers/{handover}/answer        -   -   yes yes -   -   -
POST   /v1/handovers/{handover}/takeover      -   -   yes yes -   -   -
POST   /v1/handovers/{handover}/close         -   -   yes yes -   -   -
WS     /v1/events                             own yes yes yes -   -   yes
GET    /v1/catalogs                           -   yes yes yes yes yes yes
GET    /v1/catalogs/{pack}                    -   yes yes yes yes yes yes
POST   /v1/catalogs/{pack}/examples/trial     -   -   -   -   -   -   yes
POST   /v1/catalogs/{pack}/examples           -   -   -   -   -   -   yes
GET    /v1/models                             -   yes yes yes yes yes yes
POST   /v1/chat/completions                   own yes -   -   -   -   -
POST   /v1/systemone                          -   yes -   -   -   -   yes
POST   /v1/decisions                          -   yes -   -   -   -   yes
GET    /v1/usage                              -   yes -   yes -   yes yes
GET    /metrics                               -   -   -   -   -   -   yes
"""  # customer, channel, agent, supervisor, approver, auditor, operator
MATRIX = {tuple(words[:2]): dict(zip(ROLES, words[2:], strict=True)) for line in TABLE.strip().splitlines() if (words := line.split())}
BODIES = {
    "/v1/turns": {"pack": "library", "message": "good day"},
    "/v1/conversations/{conversation}/fork": {},
    "/v1/conversations/{conversation}/token": {"pack": "library"},
    "/v1/conversations/{conversation}/state": {"pack": "library", "state": {"owed": "1"}},
    "/v1/conversations/{conversation}/preview": {"pack": "library"},
    "/v1/conversations/{conversation}/save": {
        "format": 1,
        "library": "",
        "npcs": {"library": {"catalog": "library", "version": 1, "versions": {}, "conversation": "c", "memory": {}}},
    },
    "/v1/handovers/{handover}/answer": {"response_id": "welcome"},
    "/v1/handovers/{handover}/takeover": {"channel": "phone"},
    "/v1/chat/completions": {"model": "library", "messages": [{"role": "user", "content": "good day"}]},
    "/v1/decisions": {"model": "tavern", "input": "good day", "questions": [{"type": "predicate", "instructions": "Is it urgent?"}]},
    "/v1/systemone": {"state": "good day", "questions": {"urgent": {"type": "noul", "instructions": "Is it urgent?"}}},
}
KNOWN = {"response_id": "welcome", "message": "hello"}  # an example already: nothing is written
FILE_HASH = sha256((DESK / "catalogs" / "library.yaml").read_bytes())
BODIES |= {"/v1/catalogs/{pack}/examples/trial": KNOWN, "/v1/catalogs/{pack}/examples": {**KNOWN, "file_hash": FILE_HASH}}
HERE = {role: f"token-of-the-{role.value}-here" for role in ROLES if role is not Role.CUSTOMER}
THERE = {role: f"token-of-the-{role.value}-there" for role in HERE}
CONVERSATION = "table-4"


@pytest.fixture(scope="module")
def app(policies):
    grants = {token: TokenGrant(tenant="here", roles={role}, name=role.value) for role, token in HERE.items()}
    grants |= {token: TokenGrant(tenant="there", roles={role}) for role, token in THERE.items()}
    return create_app(ServerSettings(tokens=grants, is_editing=True), Packs(policies), {"random": RandomEngine(3)})


@pytest.fixture(scope="module")
def tokens(app):
    """Role -> token; the customer's is of CONVERSATION, which has a turn."""
    with TestClient(app) as client:
        turn = {**BODIES["/v1/turns"], "conversation": CONVERSATION}
        assert ask(client, "POST", "/v1/turns", HERE[Role.CHANNEL], turn).status_code == 200
        minted = ask(client, "POST", f"/v1/conversations/{CONVERSATION}/token", HERE[Role.CHANNEL], {"pack": "library"})
        yield {**HERE, Role.CUSTOMER: minted.json()["token"]}


def waiting(app, is_claimed_by):
    """The id of a conversation of its own that waits for a person, or that the person has."""
    name = f"waits-{next(NUMBERS)}"
    ask(TestClient(app), "POST", "/v1/turns", HERE[Role.CHANNEL], {**BODIES["/v1/turns"], "conversation": name})
    queue = app.state.handovers
    with app.state.service.turns.sessions.transaction() as connection:
        open_handover(connection, NewHandover(name, "here", name, "library", 1, "welcome", "en"), False)
    if is_claimed_by:
        queue.store.claim("here", name, is_claimed_by)
    return name


def ask(client, method, path, token, body=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if path.endswith("/events"):
        headers["Last-Event-ID"] = "none"  # else it would go on without end
    return client.request(method, path, headers=headers, json=body)


def outcome(app, method, path, token, conversation=CONVERSATION):
    """The status of a request in a conversation; 200 for a WebSocket that is accepted."""
    client = TestClient(app, raise_server_exceptions=False)
    body = BODIES.get(path)
    if path == "/v1/turns":
        body = {**body, "conversation": conversation}
    if path == "/v1/chat/completions":
        body = {**body, "metadata": {"conversation": conversation}}
    handover = ""
    if "{handover}" in path:
        holder = next((role.value for role, one in HERE.items() if one == token), "nobody")
        handover = waiting(app, "" if path.endswith("/claim") or method == "GET" else holder)
    asked, path = path, path.format(conversation=conversation, pack="library", handover=handover, key="none")
    if method != "WS":
        status = ask(client, method, path, token, body).status_code
        let_in = {"events": 422, "{key}": 404, "save": 409}  # what is said to those who may ask: no such event, no such turn, it is there
        return 200 if let_in.get(asked.rpartition("/")[2]) == status else status
    return asyncio.run(knock(app, path, f"conversation={conversation}", token))


async def knock(app, path, query, token):
    """Opens a WebSocket and leaves at once; the status that its refusal stands for."""
    sent, accepted = [], asyncio.Event()
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())]
    scope = {"type": "websocket", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": headers, "app": app}
    scope |= {"asgi": {"version": "3.0"}, "scheme": "ws", "root_path": "", "client": ("test", 1), "server": ("localhost", 80)}
    coming = iter([{"type": "websocket.connect"}])

    async def receive():
        for message in coming:
            return message
        await accepted.wait()
        return {"type": "websocket.disconnect", "code": 1000}

    async def send(message):
        sent.append(message)
        accepted.set()

    await app({**scope, "subprotocols": []}, receive, send)
    return 200 if sent[0]["type"] == "websocket.accept" else {REFUSED_CODE: 401, FORBIDDEN_CODE: 403}[sent[0]["code"]]


@pytest.mark.parametrize("role", ROLES, ids=str)
@pytest.mark.parametrize("request_of", MATRIX, ids=" ".join)
def test_a_role_may_what_the_table_says(app, tokens, request_of, role):
    if MATRIX[request_of][role] == "-":
        assert outcome(app, *request_of, tokens[role]) == 403
        return
    conversation = CONVERSATION
    if request_of == ("DELETE", "/v1/conversations/{conversation}"):  # its customers' tokens end with it
        conversation = "table-9"
        ask(TestClient(app), "POST", "/v1/turns", HERE[Role.CHANNEL], {**BODIES["/v1/turns"], "conversation": conversation})
    assert outcome(app, *request_of, tokens[role], conversation) in (200, 204)


def test_a_refusal_says_how_a_token_gets_the_role(app):
    told = ask(TestClient(app), "GET", "/v1/handovers", HERE[Role.CHANNEL]).json()["error"]["hint"]
    assert told == "it is for: agent, supervisor, auditor; a line TENANT TOKEN auditor NAME in --tokens FILE gives one"


@pytest.mark.parametrize("request_of", [one for one in MATRIX if MATRIX[one][Role.CUSTOMER] == "own"], ids=" ".join)
def test_a_customer_has_no_other_conversation(app, tokens, request_of):
    assert outcome(app, *request_of, tokens[Role.CUSTOMER], conversation="table-5") == 403


@pytest.mark.parametrize("token", ["", "wrong", HERE[Role.CHANNEL] + "x", "a.b.c"])
@pytest.mark.parametrize("request_of", MATRIX, ids=" ".join)
def test_without_a_token_nothing_may_be_asked(app, tokens, request_of, token):
    assert outcome(app, *request_of, token) in (401, 429)


@pytest.mark.parametrize("request_of", [one for one in MATRIX if "{conversation}" in one[1]], ids=" ".join)
def test_another_tenant_does_not_see_the_conversation(app, tokens, request_of):
    """Its own of the same name may begin; this one stays as it is."""
    client = TestClient(app)

    def told():
        return ask(client, "GET", f"/v1/conversations/{CONVERSATION}", HERE[Role.CHANNEL]).json()

    before = told()
    for role in (role for role in HERE if MATRIX[request_of][role] == "yes"):
        assert outcome(app, *request_of, THERE[role]) in (200, 204, 404)
        if request_of[0] == "GET":
            found = ask(client, "GET", f"/v1/conversations/{CONVERSATION}", THERE[role])
            assert not found.is_success or not found.json()["turns"]
    assert told() == before


def routes(app):
    """What is served: (method, path) -> the roles that it declares."""
    found = {}

    def walk(dependant):
        roles = [set(one.own_oauth_scopes or ()) for one in dependant.dependencies]
        return set().union(*roles) if roles else set()

    for route in app.routes:
        for one in route.original_router.routes if hasattr(route, "original_router") else [route]:  # as FastAPI includes a router
            if isinstance(one, APIWebSocketRoute):
                found["WS", one.path] = walk(one.dependant)
            elif isinstance(one, APIRoute):
                found |= {(method, one.path): walk(one.dependant) for method in one.methods}
            else:
                assert not isinstance(one, WebSocketRoute)
                found |= {(method, one.path): set() for method in getattr(one, "methods", ())}
    return found


def is_free(path):
    return path in FREE_PATHS or path in ("/desk", "/write") or re.fullmatch(r"/[\w.-]+\.(html|js|css|svg)", path)


def test_every_route_is_in_the_table_and_declares_its_roles(app):
    served = {request: roles for request, roles in routes(app).items() if not is_free(request[1]) and request[0] != "HEAD"}
    assert served == {request: {role.value for role, may in row.items() if may != "-"} for request, row in MATRIX.items()}


def test_the_description_names_the_roles(app):
    described = {
        (method.upper(), path): set(operation.get("security", [{"token": []}])[0]["token"])
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
        if not is_free(path)
    }
    assert described == {one: roles for one, roles in routes(app).items() if one in described}
    assert {one for one in MATRIX if one[0] != "WS"} == described.keys()


def test_a_route_for_nobody_cannot_be_declared():
    with pytest.raises(ValueError, match="one role"):
        allow()


def test_the_documentation_shows_the_same_table():
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    head = next(line for line in lines if "| customer |" in line)
    assert [cell.strip() for cell in head.strip("|").split("|")][1:] == list(ROLES)
    shown = {}
    for line in lines[lines.index(head) + 1 :]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(ROLES) + 1 and (request := re.fullmatch(r"`([A-Z]+) (\S+)`", cells[0])):
            shown[request[1], request[2]] = dict(zip(ROLES, [cell or "-" for cell in cells[1:]], strict=True))
    assert shown == MATRIX


# -- tokens of a file ------------------------------------------------------------------------------------------------


def written(folder, text):
    (folder / "tokens").write_text(text)
    return read_tokens(folder / "tokens")


def test_a_line_names_tenant_token_roles_and_holder(tmp_path):
    found = written(tmp_path, f"# ours\nbank {'a' * 16}\n\nbank {'b' * 16} agent,supervisor anna\nshop {'c' * 16} auditor\n")
    assert list(found.values()) == [
        TokenGrant(tenant="bank"),
        TokenGrant(tenant="bank", roles={Role.AGENT, Role.SUPERVISOR}, name="anna"),
        TokenGrant(tenant="shop", roles={Role.AUDITOR}),
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("bank", "tokens:1: not a tenant"),
        ("bank short", "at least 16"),
        (f"bank {'a' * 16} agent anna b", "tokens:1: not a tenant"),
        (f"bank {'a' * 16} boss", "'boss' is no role"),
        (f"bank {'a' * 16} agent,", "'' is no role"),
        (f"bank {'a' * 16} customer", "'customer' is no role of a token here"),
        (f"bank {'a' * 16}\nshop {'a' * 16} agent", "tokens:2: this token stands in another line"),
        ("# none", "holds no token"),
    ],
)
def test_a_line_that_says_something_else_is_told(tmp_path, line, told):
    with pytest.raises(ConstrainedError, match=re.escape(told)):
        written(tmp_path, line)


def test_a_token_without_roles_is_a_channel_and_the_first_tenant_the_operator(policies):
    first, second, named = "a" * 16, "b" * 16, "c" * 16
    grants = {first: "bank", second: "shop", named: TokenGrant(tenant="bank", roles={Role.AUDITOR})}
    app = create_app(ServerSettings(tokens=grants), Packs(policies))
    with TestClient(app) as client:
        assert [ask(client, "GET", "/metrics", token).status_code for token in grants] == [200, 403, 403]
        assert [ask(client, "POST", "/v1/turns", token, BODIES["/v1/turns"]).status_code for token in grants] == [200, 200, 403]


def test_the_operators_tenant_is_the_first_ones():
    assert ServerSettings(tokens={"a" * 16: "bank", "b" * 16: "shop"}).operator_tenant == "bank"
    assert ServerSettings(tokens={"a" * 16: "bank"}, operator="shop").operator_tenant == "shop"
    issuer = Oidc(issuer="https://login.example", audience="desk")
    assert [ServerSettings(oidc=issuer).is_operator(tenant) for tenant in ("local", "bank")] == [True, False]
