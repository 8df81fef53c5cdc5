"""Over HTTP, a value of the host that cannot be said is no error of the server: another response is said."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.testing import RandomEngine
from tests.logic.packs import make
from tests.logic.test_unsayable_values import HEADER, POLICY, UNSAYABLE, WORDS
from tests.serve.conftest import TOKEN, settings


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    desk = make(tmp_path_factory.mktemp("served"), POLICY, header=HEADER, **WORDS)
    app = create_app(settings(), Packs({"shop": desk}), {"random": RandomEngine(3)})
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("merchant", [*UNSAYABLE, "\ud800"], ids=ascii)
@pytest.mark.parametrize("notice", [False, True])
def test_a_value_that_cannot_be_said_is_answered(client, merchant, notice):
    content = json.dumps({"pack": "shop", "message": "what is this charge?", "state": {"merchant": merchant, "notice": notice}})
    found = client.post("/v1/turns", content=content, headers={"Content-Type": "application/json"})
    assert found.status_code == 200, found.text
    if merchant == "\ud800":
        return  # half a character is replaced by a whole one where the request is read
    assert found.json()["text"] in ("We are open from nine to five.", "Pardon?")
    assert found.json()["text"] == "Pardon?" or not notice
