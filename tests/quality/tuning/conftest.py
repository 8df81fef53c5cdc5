"""A desk of four responses with a few examples each, and an engine around a tiny model of random weights."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

HAS_PEFT = all(find_spec(name) is not None for name in ("torch", "transformers", "peft"))
collect_ignore_glob = [] if HAS_PEFT else ["test_*.py"]
if HAS_PEFT:
    from constrained import Policy, State, policy, say
    from constrained.catalog.load import catalog_from
    from constrained.engines.transformers import TransformersEngine
    from tests.engines.decoding import tiny
    from tests.engines.decoding.conftest import _one_thread

    __all__ = ["_one_thread"]

EXAMPLES = {
    "sell_key": ["here are 60 gold for the key", "I'd like to buy the key", "what do you want for the key"],
    "rumour": ["what's new?", "any gossip?", "tell me what people say at night"],
    "room": ["a room for the night", "are the rooms upstairs quiet", "a warm bed please"],
}


class Nothing(State):
    """No facts."""


def everything(state: Nothing):
    """All of it, always."""
    for name in EXAMPLES:
        yield say(name)


def desk(**changes: Any) -> Policy:
    responses = {
        name: {"text": f"This is about {name}.", "when": f"the guest asks about {name}", "examples": examples}
        for name, examples in EXAMPLES.items()
    }
    told = {"catalog": "desk", "version": 1, "locale": "en", "speaker": "Brom", "fallback": "pardon", **changes}
    return policy(catalog_from(told | {"responses": responses | {"pardon": {"text": "What was that?", "when": "nothing else fits"}}}))(
        everything
    )


@cache
def tokenizer() -> Any:
    """One for all: merges of equal counts fall differently each time they are learned."""
    return tiny.bpe()


def engine(seed: int = 0, **options: Any) -> Any:
    return TransformersEngine.around(tiny.network("llama", seed=seed), tokenizer(), **options)


@pytest.fixture(scope="session")
def inn() -> Any:
    return desk()
