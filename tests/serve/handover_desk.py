"""A small desk that hands over, its server, and the people at it: for the tests of the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from constrained import Policy
from constrained.testing import ScriptedEngine
from tests.logic.packs import make

CHANNEL, ADA, BOB, EVE, NAMELESS, ELSEWHERE = (f"token-of-{name}-at-the-desk" for name in ("channel", "ada", "bob", "eve", "nobody", "cy"))
TOKENS: dict[str, Any] = {
    CHANNEL: "shop",
    ADA: {"tenant": "shop", "roles": ["agent"], "name": "Ada"},
    BOB: {"tenant": "shop", "roles": ["supervisor"], "name": "Bob"},
    EVE: {"tenant": "shop", "roles": ["auditor"], "name": "Eve"},
    NAMELESS: {"tenant": "shop", "roles": ["agent"]},
    ELSEWHERE: {"tenant": "other", "roles": ["supervisor"], "name": "Cy"},
}

HEADER = '''"""A desk of the tests that hands over."""
from pydantic import Field

from constrained import State, Understanding, effect, policy, say
from constrained.hear import question


class Shop(State):
    gold: int = 80
    pin: int = 1234
    secret: int = Field(default=5)
    tag: str = "x"
    account: str = "12"


class Heard(Understanding):
    angry: bool = question("Is the customer angry?")


@effect(risk="low")
def pay(state: Shop, gold: int) -> Shop:
    return state.replace(gold=state.gold - gold)


@effect(risk="low", handover=True)
def pass_on(state: Shop) -> Shop:
    return state
'''
RESPONSES: dict[str, Any] = {
    "human": {"text": "I am putting you through to a colleague.", "examples": ["a human please"]},
    "hours": {"text": "We are open from nine to five.", "examples": ["when are you open"]},
    "balance": {"tags": ["reserve"], "text": "You have {gold} gold.", "slots": {"gold": "integer"}},
    "price": {"tags": ["reserve"], "text": "That is {price} gold.", "slots": {"price": "integer"}},
    "account": {"tags": ["reserve"], "text": "Your account is {account}.", "slots": {"account": "text"}},
    "pin": {"tags": ["reserve"], "text": "Your number is {pin}.", "slots": {"pin": {"type": "integer", "sensitive": True}}},
    "hidden": {"tags": ["reserve"], "text": "It is {secret}.", "slots": {"secret": "integer"}},
    "tagged": {"tags": ["reserve"], "text": "Your tag is {tag}.", "slots": {"tag": "integer"}},
    "pay_now": {"text": "I take five gold.", "offer": "Shall I take five gold?"},
    "paid": {"tags": ["reserve"], "text": "I have taken five gold.", "claims": "pay"},
}
SAYABLE = {"pardon", "human", "hours", "balance", "account", "hidden", "pay_now"}


def shop(folder: Path, *, is_secret: bool = False) -> Policy:
    """``is_secret``: the field of that name is marked sensitive."""
    body = """
        @policy("shop")
        def desk(state: Shop, heard: Heard):
            yield say("hours")
            yield say("human").then(pass_on)
            yield say("pay_now").then(pay, 5)
    """
    marked = 'Field(default=5, json_schema_extra={"sensitive": True})'
    return make(folder, body, header=HEADER.replace("Field(default=5)", marked) if is_secret else HEADER, **RESPONSES)


def engine() -> ScriptedEngine:
    """Chooses the response whose id the message is."""
    return ScriptedEngine(lambda message: {"angry": False, "reply": message})


def as_(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def say(client: TestClient, message: str, conversation: str = "c", **values: Any) -> dict[str, Any]:
    body = {"pack": "desk", "message": message, "conversation": conversation, **values}
    found = client.post("/v1/turns", json=body, headers=as_(CHANNEL))
    assert found.status_code == 200, found.text
    reply: dict[str, Any] = found.json()
    return reply


def queue(client: TestClient, token: str = ADA, **asked: Any) -> list[dict[str, Any]]:
    found = client.get("/v1/handovers", headers=as_(token), params=asked)
    assert found.status_code == 200, found.text
    entries: list[dict[str, Any]] = found.json()["handovers"]
    return entries


def post(client: TestClient, what: str, entry: str, token: str = ADA, **body: Any) -> Any:
    return client.post(f"/v1/handovers/{entry}/{what}", headers=as_(token), json=body or None)
