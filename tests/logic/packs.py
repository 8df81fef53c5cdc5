"""Small packs for the tests of logic: a catalog and a logic file in a temporary folder, and the policy out of them."""

from __future__ import annotations

import itertools
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from constrained import Policy
from constrained.analysis.check import load_anew
from constrained.catalog.load import catalog_from
from constrained.errors import PolicyError, Problem

_numbers = itertools.count()

HEADER = '''"""A desk of the tests."""
import datetime as dt
import random
import time
from decimal import Decimal
from enum import Enum
from typing import Literal

from constrained import State, Understanding, effect, must, only, policy, say

from constrained.hear import amount, choice, date, entity, question, score


class Item(Enum):
    KEY = "key"
    LAMP = "lamp"


class Shop(State):
    gold: int = 0
    name: str = "Ann"
    opened: bool = True
    belt: frozenset[Item] = frozenset()
    day: dt.date = dt.date(2026, 3, 2)


class Heard(Understanding):
    angry: bool = question("Is the customer angry?")
    offer: int | None = amount("How much is offered?")


@effect(requires=lambda state, gold: state.gold >= gold)
def pay(state: Shop, gold: int) -> Shop:
    """Takes gold."""
    return state.replace(gold=state.gold - gold)


PRICE = 50
IDS = ("hello", "bye")
'''


def catalog_data(**responses: Any) -> dict[str, Any]:
    """The data of a catalog with the fallback ``pardon`` and these responses: id -> text, or a mapping."""
    filled = {
        name: {"text": given, "when": f"the customer wants {name}"} if isinstance(given, str) else {"when": f"wants {name}"} | given
        for name, given in responses.items()
    }
    return {
        "catalog": "shop",
        "version": 1,
        "locale": "en",
        "speaker": "Ann",
        "persona": "Brief.",
        "fallback": "pardon",
        "responses": {"pardon": {"text": "Pardon?", "when": "nothing else fits"}, **filled},
    }


PLAIN = {
    "hello": "Hello.",
    "bye": "Goodbye.",
    "price": {"text": "That is {price} gold.", "slots": {"price": "integer"}},
}


def write(folder: Path, body: str, *, header: str = HEADER, **responses: Any) -> Path:
    """Writes ``catalogs/shop.yaml`` (JSON is YAML) and a logic file of its own name; returns the logic file."""
    import json

    (folder / "catalogs").mkdir(parents=True, exist_ok=True)
    (folder / "logic").mkdir(exist_ok=True)
    data = catalog_data(**(responses or PLAIN))
    catalog_from(data)
    (folder / "catalogs" / "shop.yaml").write_text(json.dumps(data, default=str), encoding="utf-8")
    path = folder / "logic" / f"shop_{next(_numbers)}.py"
    path.write_text(header + dedent(body), encoding="utf-8")
    return path


def make(folder: Path, body: str, *, name: str = "desk", header: str = HEADER, **responses: Any) -> Policy:
    """The policy ``name`` of a logic file with that body."""
    return load_anew(str(write(folder, body, header=header, **responses)), name)


def module_of(policy: Policy) -> dict[str, Any]:
    """The names of the policy's logic file: its State, its effects."""
    return policy.__wrapped__.__globals__  # type: ignore[attr-defined,no-any-return]  # set by functools.update_wrapper


def problems_of(folder: Path, body: str, *, header: str = HEADER, **responses: Any) -> tuple[tuple[Problem, ...], Path]:
    """The problems with which a logic file is refused, and the file."""
    path = write(folder, body, header=header, **responses)
    with pytest.raises(PolicyError) as caught:
        load_anew(str(path), "desk")
    return caught.value.problems, path


def marked_lines(path: Path, mark: str = "# <-") -> list[int]:
    """The lines of a file that end in a mark: where its problems are."""
    return [number for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if mark in line]
