"""The library as a player of challenge conversations sees it: every method does what the player asks of it."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from benchmarks.measure import ROOT
from constrained.errors import EngineError

CASE = {"pack": "tavern", "locale": "en"}


@pytest.fixture(scope="module")
def library() -> Any:
    return runpy.run_path(str(ROOT / "benchmarks" / "challenge_library.py"))["Library"](None)


def test_a_turn_by_the_rules_is_told(library: Any) -> None:
    state = library.state("tavern", {"gold": 80})
    assert state.gold == 80
    dialogue = library.begin(CASE)
    turn = library.reply(dialogue, "Good evening.", state)
    assert turn.response_id in library.options(turn)
    assert set(library.options(turn)) <= library.response_ids("tavern")
    assert library.fallback("tavern") in library.response_ids("tavern")
    assert all(probability is None for _, probability in library.top(turn)), "no model was asked"
    assert library.heard(turn) == {}


def test_a_scripted_turn_is_forced_and_its_effects_are_settled(library: Any) -> None:
    state, dialogue = library.state("tavern", {"gold": 80}), library.begin_scripted(CASE)
    fork, turn = library.force(dialogue, "tavern", "Sixty for the key!", {"offer": 60}, "sell_key", state)
    assert library.effects(turn) == library.effects_of_options(turn)["sell_key"] == ["pay", "give"]
    assert library.heard(turn) == {"offer": 60}
    assert library.settle(fork, turn, state).gold == 30
    assert library.memory(dialogue).history == (), "a fork leaves the conversation as it was"
    library.back_to(dialogue, library.memory(fork))
    assert library.memory(dialogue) == library.memory(fork)


def test_a_reply_that_is_no_option_is_an_error_of_the_library(library: Any) -> None:
    with pytest.raises(EngineError, match="sell_key") as raised:
        library.force(library.begin_scripted(CASE), "tavern", "Sixty!", {"offer": 60}, "sell_key", library.state("tavern", {"gold": 0}))
    assert isinstance(raised.value, library.error)
