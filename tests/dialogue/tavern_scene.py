"""Two speakers for the tests of games: a smith who bargains and barks, and a guard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from constrained import Policy
from constrained.analysis.check import load_anew
from tests.logic.packs import catalog_data

SMITH: dict[str, Any] = {
    "hello": "Good day.",
    "price": {"text": {"en": "{price} gold."}, "slots": {"price": "integer"}},
    "sold": {"text": {"en": "Yours."}, "offer": {"en": "Shall I sell it to you?"}},
    "sure": "Are you sure?",
    "kept": "Then not.",
    "bark_rain": {"text": {"en": "Rain again."}, "tags": ["bark"]},
    "bark_fire": {"text": {"en": "Mind the fire."}, "tags": ["bark"]},
    "bark_cold": {"text": {"en": "Cold, is it not?"}, "tags": ["bark"]},
    "notice": "No credit.",
}

SMITH_LOGIC = '''"""A smith of the tests."""
from constrained import State, Understanding, effect, must, only, policy, say
from constrained.hear import question
from constrained.steps import confirm, start, tell


class Forge(State):
    gold: int = 50
    is_raining: bool = False
    is_shut: bool = False
    is_strict: bool = False


class Heard(Understanding):
    rude: bool = question("Is the customer rude?")


@effect
def sell(state: Forge) -> Forge:
    return state.replace(gold=state.gold - 5)


async def bargain(state: Forge, heard: Heard):
    if await confirm("sure"):
        await tell("sold").then(sell)
    else:
        await tell("kept")


@policy("smith")
def smith(state: Forge, heard: Heard):
    if state.is_shut:
        yield only("hello")
    yield say("hello")
    yield say("price", price=5)
    yield say("sold").then(sell)
    yield start(bargain)
    yield say("bark_fire")
    yield say("bark_cold").once()
    if state.is_raining:
        yield say("bark_rain")
    if state.is_strict:
        yield must("notice")
'''

GUARD: dict[str, Any] = {"halt": "Halt.", "road": "The road is closed."}

GUARD_LOGIC = '''"""A guard of the tests."""
from constrained import State, policy, say


class Gate(State):
    visits: int = 0


@policy("guard")
def guard(state: Gate):
    yield say("halt")
    yield say("road")
'''


def make_policy(folder: Path, name: str, responses: dict[str, Any], logic: str, **catalog: Any) -> Policy:
    """A policy out of a catalog and a logic file in the folder; ``catalog``: fields besides the responses."""
    content = catalog_data(**responses) | {"catalog": name} | catalog
    for file, text in ((f"catalogs/{name}.yaml", json.dumps(content)), (f"logic/{name}.py", logic)):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    return load_anew(str(folder / "logic" / f"{name}.py"), name)


def make_smith(folder: Path, logic: str = SMITH_LOGIC, **catalog: Any) -> Policy:
    return make_policy(folder, "smith", SMITH, logic, **catalog)


def make_guard(folder: Path) -> Policy:
    return make_policy(folder, "guard", GUARD, GUARD_LOGIC, speaker="Ada, the guard")
