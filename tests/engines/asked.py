"""Choices and a scene to put to an engine, and a desk small enough for many replies."""

from __future__ import annotations

from typing import Any

from constrained import Policy, State, Understanding, only, policy, say
from constrained.catalog.load import catalog_from
from constrained.engines.protocol import Candidate, Choice, PromptContext
from constrained.hear import amount, question

OPTIONS = Choice(
    "reply",
    "option",
    (
        Candidate(
            "0:sell", "50 gold, and the key is yours.", "the player wants to buy the key", ("here is the money for the key",), name="sell"
        ),
        Candidate("1:rumour", "They say the smith drinks.", "the player asks for news", ("what's new?", "any gossip?"), name="rumour"),
        Candidate("2:pardon", "What was that?", "nothing else fits", no_match=True, name="pardon"),
    ),
)
THREAT = Choice(
    "threat",
    "heard",
    (
        Candidate("yes", "yes", "Does the player threaten the innkeeper? yes", ("I'll burn this place down",), name="yes"),
        Candidate("no", "no", "Does the player threaten the innkeeper? no", ("nice place you have",), no_match=True, name="no"),
    ),
    "Does the player threaten the innkeeper?",
)
SPAN = Choice(
    "offer",
    "span",
    (Candidate("60", "60"), Candidate("50", "50"), Candidate("none", "none", no_match=True)),
    "How much gold does the player offer?",
)
ONE = Choice("alone", "option", (Candidate("0:only", "Out with you!", "the player is rude"),))
CHOICES = [OPTIONS, THREAT, SPAN, ONE]

SCENE = PromptContext(
    static_id="tavern 3",
    speaker="Brom, the innkeeper",
    persona="Gruff, fair, hates haggling.",
    rules="def innkeeper(state, heard): ...",
    listing=(("sell", "the player wants to buy the key"), ("rumour", "the player asks for news")),
    background=("good evening", "here is the money for the key", "what's new?", "I'll burn this place down"),
    state="gold: 80",
    history=(("user", "hello"), ("reply", "Good evening.")),
    message="Sixty gold for the key, or 50?",
    locale="en",
)


def scores(engine: Any, choices: Any = CHOICES, scene: Any = SCENE) -> list[float]:
    """All scores of an answer in one list."""
    return [score for answer in engine.choose(choices, scene) for score in answer.scores]


class Purse(State):
    gold: int = 50


class Heard(Understanding):
    threat: bool = question("Does the player threaten the innkeeper?", yes=["I'll burn this place down"], no=["nice place"])
    offer: int | None = amount("How much gold does the player offer?")


def innkeeper(state: Purse, heard: Heard):
    """Brom sells the key to whoever has the gold."""
    if heard.threat:
        yield only("throw_out")
        return
    yield say("rumour")
    yield say("sell_key", price=heard.offer or state.gold)


CATALOG = {
    "catalog": "inn",
    "version": 1,
    "locale": "en",
    "speaker": "Brom",
    "fallback": "pardon",
    "responses": {
        "sell_key": {"text": "{price} gold, and the key is yours.", "slots": {"price": "integer"}, "when": "the player wants the key"},
        "rumour": {"text": "They say the smith drinks.", "when": "the player asks for news", "examples": ["what's new?"]},
        "throw_out": {"text": "Out with you!", "when": "the player is rude"},
        "pardon": {"text": "What was that?", "when": "nothing else fits"},
    },
}


def inn() -> Policy:
    return policy(catalog_from(CATALOG))(innkeeper)
