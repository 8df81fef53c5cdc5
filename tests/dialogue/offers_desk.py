"""A small desk whose acts carry offers, for the tests, and an engine that gives every option the probability that a test names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from constrained import Dialogue, Policy
from constrained.analysis.check import load_anew
from constrained.engines.protocol import Distribution
from constrained.logic.state import Memory
from tests.logic.packs import catalog_data

RESPONSES: dict[str, Any] = {
    "hello": "Hello.",
    "hours": {"text": {"en": "From nine to five.", "es": "De nueve a cinco."}, "offer": {"en": "Do you want to know when we are open?"}},
    "block": {
        "text": {"en": "Card {card} is blocked.", "es": "La tarjeta {card} queda bloqueada."},
        "offer": {"en": "Do you want me to block card {card}?", "es": "¿Quiere que bloquee la tarjeta {card}?"},
        "slots": {"card": "integer"},
    },
    "pay": {
        "text": {"en": "{amount} is paid.", "es": "{amount} pagados."},
        "offer": {"en": "Shall I pay {amount}?", "es": "¿Pago {amount}?"},
        "slots": {"amount": "integer"},
    },
    "close": "Your account is closed.",
    "nothing": {"text": {"en": "All right, nothing was done.", "es": "De acuerdo, no he hecho nada."}, "tags": ["returned"]},
    "long": {"text": {"en": "That is too long for me.", "es": "Es demasiado largo."}, "tags": ["too_long"]},
    "human": {"text": {"en": "Call 555.", "es": "Llame al 555."}},
}

LOGIC = '''"""A desk of the tests."""
from constrained import State, Understanding, effect, must, only, policy, say
from constrained.hear import amount, question


class Desk(State):
    card: int = 7
    is_blocked: bool = False
    is_closing: bool = False
    is_noisy: bool = False


class Heard(Understanding):
    amount: int | None = amount("How much is to be paid?")
    distress: bool = question("Is the customer in distress?")


@effect(requires=lambda state, card: not state.is_blocked)
def block_card(state: Desk, card: int) -> Desk:
    return state.replace(is_blocked=True)


@effect
def transfer(state: Desk, amount: int) -> Desk:
    return state


@effect
def close_account(state: Desk) -> Desk:
    return state


@policy("shop")
def desk(state: Desk, heard: Heard):
    if heard.distress:
        yield only("human")
        return
    yield say("hello")
    yield say("hours")
    if not state.is_blocked:
        yield say("block", card=state.card).then(block_card, state.card)
    if heard.amount:
        yield say("pay", amount=heard.amount).then(transfer, heard.amount)
    yield say("close").then(close_account)
    if state.is_noisy:
        yield must("human").after()
'''


def make_desk(folder: Path, logic: str = LOGIC, **catalog: Any) -> Policy:
    """The policy, out of a catalog and a logic file in the folder; ``catalog``: fields of the catalog besides its responses."""
    for name, content in (("catalogs/shop.yaml", json.dumps(catalog_data(**RESPONSES) | catalog)), ("logic/desk.py", logic)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return load_anew(str(folder / "logic" / "desk.py"), "desk")


class WeighingEngine:
    """Gives each option a probability by its id, the fallback what is left; hears what it is told.

    Args:
        weights: message -> id -> probability; a message that is not there is nobody's: the fallback has all.
        heard: message -> field -> key of the candidate.
    """

    identity = MappingProxyType({"model": "weighing"})
    is_scripted = True

    def __init__(self, weights: Mapping[str, Mapping[str, float]], heard: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.weights, self.heard = dict(weights), dict(heard or {})
        self.asked: list[str] = []

    def choose(self, choices, scene, deadline=None):
        self.asked += [scene.message] * len(choices)
        return [self._weighed(one, scene.message) for one in choices]

    def _weighed(self, choice, message):
        keys = [candidate.key.split(":", 1)[-1] for candidate in choice.candidates]
        if choice.kind != "option":
            wanted = str(self.heard.get(message, {}).get(choice.name, "none"))
            index = keys.index(wanted) if wanted in keys else next(i for i, key in enumerate(keys) if key in ("none", "no"))
            return Distribution(tuple(float(i == index) for i in range(len(keys))), "exact")
        weights = [self.weights.get(message, {}).get(key, 0.0) for key in keys]
        left, rest = 1 - sum(weights), next(i for i, one in enumerate(choice.candidates) if one.no_match)
        weights[rest] += left
        return Distribution(tuple(weights), "exact")


def talk(policy: Policy, weights: Mapping[str, Mapping[str, float]], **given: Any) -> Dialogue:
    """A conversation with an engine that weighs like this."""
    heard = given.pop("heard", None)
    return Dialogue(policy, engine=WeighingEngine(weights, heard), **given)


def saved(dialogue: Dialogue) -> Memory:
    """The memory as it comes back from a file."""
    return Memory.model_validate_json(dialogue.memory().model_dump_json())
