"""Procedures over HTTP: the step is kept between requests, and what became of effects is told."""

from __future__ import annotations

import json

import httpx
import pytest
from starlette.testclient import TestClient

from constrained.serve.app import create_app
from constrained.serve.client import Client
from constrained.serve.packs import Packs
from constrained.testing import ScriptedEngine
from tests.logic.claims_desk import claims_desk
from tests.serve.conftest import TOKEN, running, settings

SCRIPT = ("which", {"number": 7, "reply": "why"}, "is_lost", "filing")


@pytest.fixture
def client(tmp_path):
    app = create_app(settings(), Packs({"shop": claims_desk(tmp_path)}), {"scripted": ScriptedEngine(list(SCRIPT))})
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


@pytest.fixture
def desk(tmp_path):
    with (
        running({"shop": claims_desk(tmp_path)}, {"scripted": ScriptedEngine(list(SCRIPT))}) as server,
        Client(server.url, TOKEN, http=httpx.Client(trust_env=False)) as found,
    ):
        yield found


def test_the_client_gets_what_a_procedure_says_once_its_effects_ran(desk):
    said = ("my parcel", "it is 7", "lost", "yes")
    replies = [list(desk.turns("shop", one, conversation="c", idempotency_key=one[:2])) for one in said]
    assert [len(one) for one in replies] == [1, 1, 1, 2]
    assert replies[-1][-1].text == "Your claim is filed."
    again = list(desk.turns("shop", "yes", conversation="c", idempotency_key="ye"))
    assert [one.turn_id for one in again] == [one.turn_id for one in replies[-1]]
    assert all(one.is_repeat for one in again)


def test_the_client_leaves_effects_that_were_handed_over_to_the_caller(desk):
    said = ("my parcel", "it is 7", "lost", "yes")
    replies = [list(desk.turns("shop", one, conversation="c", effects="hand_over")) for one in said]
    assert [one.goes_on for one in replies[-1]] == [True]
    (reply,) = desk.turns("shop", "", conversation="c", failed=["file_claim"])
    assert reply.text == "Nothing was filed: the claim was refused."


def chat(client, messages, key=None, **more):
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"model": "shop", "messages": messages, "metadata": {"conversation": "c"}, **more}
    found = client.post("/v1/chat/completions", json=body, headers=headers)
    assert found.status_code == 200, found.text
    return found


@pytest.mark.parametrize(
    ("content", "text"), [("filed as 12", "Your claim is filed."), ('{"error": "no"}', "Nothing was filed: the claim was refused.")]
)
def test_what_tools_did_is_told_and_the_procedure_goes_on(client, content, text):
    messages = []
    for said in ("my parcel", "it is 7", "lost", "yes"):
        messages.append({"role": "user", "content": said})
        messages.append(chat(client, messages).json()["choices"][0]["message"])
    (call,) = messages[-1]["tool_calls"]
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    follow_up = chat(client, messages, key="after").json()["choices"][0]
    assert (follow_up["message"]["content"], follow_up["finish_reason"]) == (text, "stop")
    assert chat(client, messages, key="after").json()["choices"][0]["message"]["content"] == text
    silent = [json.loads(line[6:]) for line in chat(client, messages, stream=True).text.splitlines() if line.startswith("data: {")]
    assert [one["choices"][0]["delta"].get("content") for one in silent] == [""]


def test_what_tools_did_is_told_with_the_next_message_where_nothing_follows_at_once(client):
    """The memory of a transcript knows it, though no turn was taken for it."""
    from constrained.serve.openai_api import ChatRequest, make_job

    call = {"id": "call_1", "type": "function", "function": {"name": "file_claim", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "file it"},
        {"role": "assistant", "content": "Done.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
        {"role": "tool", "tool_call_id": "of nobody", "content": "ok"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "thanks"},
    ]
    turns = client.app.state.service.turns
    assert make_job(turns, "local", ChatRequest(model="shop", messages=messages), None).done == ("file_claim",)
    later = [*messages, {"role": "assistant", "content": "You are welcome."}, {"role": "user", "content": "bye"}]
    assert make_job(turns, "local", ChatRequest(model="shop", messages=later), None).done == ()
