"""Closure: whatever the catalog, the policy, the model and the message, what is released is an approved rendering.

The packs are random and are loaded like real ones, from files; the oracle says a second time what may be said.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from contextlib import contextmanager
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.errors import EngineError
from constrained.packs import load_policy_file
from constrained.records.replay import replay
from constrained.testing import SABOTAGES, RandomEngine, SabotagedEngine
from tests import oracle
from tests.strategies import HOSTILE, LOCALES, catalogs, messages, naughty_strings, programs, states

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
numbers = count()


@contextmanager
def loaded(folder, data):
    """A random pack, written and loaded like a real one."""
    name = f"random_{next(numbers)}"
    catalog = data.draw(catalogs(name))
    program = data.draw(programs(catalog))
    for kind, suffix, text in (("catalogs", "yaml", json.dumps(catalog, ensure_ascii=False)), ("logic", "py", program)):
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / f"{name}.{suffix}").write_text(text, encoding="utf-8")
    try:
        yield load_policy_file(folder / "logic" / f"{name}.py")
    finally:
        for module in [module for module in sys.modules if module.startswith(f"constrained_pack_{name}_")]:
            del sys.modules[module]


def converse(dialogue, state, said_messages, locale=None):
    """Takes the turns, checks each against the oracle, applies the effects; only a broken engine's typed error says nothing."""
    said: dict[str, int] = {}
    expected = EngineError if isinstance(dialogue.engine, SabotagedEngine) else ()
    for message in said_messages:
        before = state.model_dump_json()
        n_records = len(dialogue.log.records)
        try:
            turn = dialogue.reply(message, state, locale=locale)
        except expected:
            assert len(dialogue.log.records) == n_records
            continue
        spoken = locale or dialogue.locale
        may = oracle.sayable(dialogue.policy, state, turn.heard, said=said, locale=spoken, today=NOON.date())
        if turn.decision.how in ("", "agreed", "tried"):
            oracle.check(turn, may)
        else:
            oracle.check_in_place(dialogue.policy, turn, may, spoken)
        assert state.model_dump_json() == before
        assert turn.record.said == said
        said |= dict.fromkeys(turn.said, turn.record.number)
        state = turn.apply(state)
    differences = [replayed.error for replayed in replay(dialogue.policy, dialogue.log.records) if replayed.error]
    assert not differences


@given(data=st.data())
def test_every_reply_is_an_approved_rendering_allowed_that_turn(tmp_path, data):
    with loaded(tmp_path, data) as policy:
        engine = data.draw(st.sampled_from([None, RandomEngine(data.draw(st.integers(0, 99)))]))
        threshold = data.draw(st.sampled_from([0.0, 0.5, 1.0]))
        dialogue = Dialogue(policy, engine=engine, threshold=threshold, now=lambda: NOON)
        state = policy.state_type.from_json(data.draw(states))
        converse(
            dialogue,
            state,
            data.draw(st.lists(messages, min_size=1, max_size=4)),
            data.draw(st.sampled_from([None, *LOCALES, "de-AT", "xx"])),
        )


@pytest.mark.parametrize("how", SABOTAGES)
@settings(max_examples=8)
@given(data=st.data())
def test_a_broken_engine_gets_nothing_else_said(tmp_path, how, data):
    with loaded(tmp_path, data) as policy:
        dialogue = Dialogue(policy, engine=SabotagedEngine(how, data.draw(st.integers(0, 9))), now=lambda: NOON)
        state = policy.state_type.from_json(data.draw(states))
        converse(dialogue, state, data.draw(st.lists(messages, min_size=1, max_size=3)))


def test_every_hostile_message_is_an_ordinary_message(library):
    dialogue = Dialogue(library, engine=RandomEngine(7), now=lambda: NOON)
    hostile = [*naughty_strings(), *HOSTILE]
    converse(dialogue, library.state_type(owed=3), hostile)
    assert len(dialogue.log.records) == len(hostile)
