"""Procedures over HTTP: the step is kept between requests, and what became of effects is told."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.testing import ScriptedEngine
from tests.logic.claims_desk import claims_desk
from tests.serve.conftest import TOKEN, settings


@pytest.fixture
def client(tmp_path):
    script = ["which", {"number": 7, "reply": "why"}, "is_lost", "filing"]
    app = create_app(settings(), Packs({"shop": claims_desk(tmp_path)}), {"scripted": ScriptedEngine(script)})
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False) as client:
        yield client


def turn(client, message, **more):
    found = client.post("/v1/turns", json={"pack": "shop", "conversation": "c", "message": message, **more})
    assert found.status_code == 200, found.text
    return found.json()


def to_the_effect(client, **more):
    return [turn(client, message, **more) for message in ("my parcel", "it is 7", "lost", "yes")][-1]


def test_effects_that_the_server_ran_are_known_to_the_next_turn(client):
    reply = to_the_effect(client)
    assert (reply["goes_on"], reply["effects_outcome"]) == (True, "ran")
    reply = turn(client, "")
    assert reply["text"] == "Your claim is filed."
    assert reply["state_before"]["claims"] == [7]


@pytest.mark.parametrize(("told", "text"), [("done", "Your claim is filed."), ("failed", "Nothing was filed: the claim was refused.")])
def test_effects_that_the_caller_ran_are_told_with_the_next_turn(client, told, text):
    reply = to_the_effect(client, effects="hand_over")
    assert (reply["goes_on"], reply["effects_outcome"]) == (True, "handed_over")
    assert turn(client, "", **{told: ["file_claim"]})["text"] == text
