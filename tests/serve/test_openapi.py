"""The OpenAPI document against the server, by schemathesis: what it describes is answered as it describes, and nothing breaks it."""

from __future__ import annotations

import importlib
import warnings

import pytest
from hypothesis import HealthCheck, given, settings

from constrained.packs import load_policy, load_policy_file
from constrained.serve.access.guard import TokenThrottle
from constrained.serve.access.roles import Role
from constrained.serve.handover.store import NewHandover, open_handover
from constrained.serve.wire import TurnRequest
from constrained.testing import RandomEngine
from tests.serve.conftest import DESK, TOKEN, running

pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install 'constrained[test]'", exc_type=ImportError)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it imports
    schemathesis = importlib.import_module("schemathesis")
    checks = importlib.import_module("schemathesis.checks")
    checks.load_all_checks()
    GenerationMode = schemathesis.GenerationMode

TURN = {"pack": "library", "message": "hello", "conversation": "waits", "engine": "rules"}
N_EXAMPLES = 10  # of each operation
NAMES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
)
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def api():
    policies = {"tavern": load_policy("tavern"), "library": load_policy_file(DESK / "logic" / "library.py")}
    everything = {"tenant": "local", "roles": [role for role in Role if role is not Role.CUSTOMER], "name": "Ada"}
    with running(policies, {"random": RandomEngine(3)}, tokens={TOKEN: everything}) as server, pytest.MonkeyPatch.context() as patched:
        patched.setattr(TokenThrottle, "BURST", 100_000)  # the wrong tokens of ignored_auth get 401, however many come
        turns = server.app.state.service.turns
        turns.take(turns.make_job("local", TurnRequest(**TURN)))
        with turns.sessions.transaction() as connection:
            open_handover(connection, NewHandover("h", "local", "waits", "library", 1, "welcome", "en"), False)
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=HEADERS)


OPERATIONS = [
    ("POST", "/v1/turns"),
    ("POST", "/v1/conversations/{conversation}/fork"),
    ("GET", "/v1/conversations/{conversation}"),
    ("DELETE", "/v1/conversations/{conversation}"),
    ("GET", "/v1/handovers"),
    ("GET", "/v1/handovers/{handover}"),
    ("GET", "/v1/handovers/{handover}/replies"),
    ("POST", "/v1/handovers/{handover}/claim"),
    ("POST", "/v1/handovers/{handover}/release"),
    ("POST", "/v1/handovers/{handover}/answer"),
    ("POST", "/v1/handovers/{handover}/takeover"),
    ("POST", "/v1/handovers/{handover}/close"),
    ("GET", "/v1/conversations/{conversation}/events"),
    ("POST", "/v1/conversations/{conversation}/token"),
    ("PUT", "/v1/conversations/{conversation}/state"),
    ("POST", "/v1/conversations/{conversation}/preview"),
    ("DELETE", "/v1/conversations/{conversation}/turns/{key}"),
    ("GET", "/v1/conversations/{conversation}/save"),
    ("PUT", "/v1/conversations/{conversation}/save"),
    ("GET", "/v1/catalogs"),
    ("GET", "/v1/catalogs/{pack}"),
    ("GET", "/v1/usage"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/systemone"),
    ("POST", "/v1/decisions"),
]


def test_all_operations_are_looked_at(api):
    assert sorted(OPERATIONS) == sorted((one.ok().method.upper(), one.ok().path) for one in api.get_all_operations())


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_server_is_as_its_description_says(api, method, path):
    @settings(max_examples=N_EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(api[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE) | api[path][method].as_strategy())
    def as_described(case):
        case.headers = {**(case.headers or {}), **HEADERS}  # a case whose fault is that the token is missing has none: it is sent
        case.call_and_validate(headers=HEADERS, checks=checks.CHECKS.get_by_names(NAMES))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        as_described()


@pytest.mark.parametrize(("method", "path"), [one for one in OPERATIONS if "{handover}" in one[1]])
def test_what_is_there_is_answered_as_described_too(api, method, path):
    """The entry ``h``: ids that are made up are answered with 404, and nothing behind that is seen."""

    @settings(max_examples=N_EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(api[path][method].as_strategy())
    def as_described(case):
        case.path_parameters["handover"] = "h"
        case.call_and_validate(headers=HEADERS, checks=checks.CHECKS.get_by_names(NAMES))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        as_described()
