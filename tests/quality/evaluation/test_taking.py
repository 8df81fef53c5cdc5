"""Turns in batches are the turns that a dialogue takes one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from constrained import Dialogue, Policy
from constrained.errors import EngineError
from constrained.quality.evaluation import run_examples
from constrained.quality.labelled_data import Example
from constrained.testing import ScriptedEngine
from tests.quality.evaluation.conftest import SCRIPT, Counting


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_each_outcome_is_that_of_a_turn_of_its_own(batch: int, library: Policy, examples: tuple[Example, ...]) -> None:
    outcomes = run_examples(library, Counting(), examples, batch=batch)
    for example, outcome in zip(examples, outcomes, strict=True):
        turn = Dialogue(library, engine=ScriptedEngine(SCRIPT), drafts=True).reply(example.message)
        assert (outcome.said, outcome.spoken, outcome.abstained) == (turn.response_id, turn.said, turn.decision.abstained)
        assert outcome.options == tuple(option.id for option in turn.decision.options)
        assert outcome.is_asked == bool(turn.decision.probabilities)
        assert not outcome.is_asked or outcome.probabilities == turn.decision.probabilities
        assert {name: one.is_right for name, one in outcome.heard.items()} == {
            hearing.name: hearing.value == getattr(example.heard, hearing.name) for hearing in turn.trace.heard
        }
        assert len(outcome.scores) in (0, len(outcome.options))


def test_questions_of_many_are_put_at_once(library: Policy, examples: tuple[Example, ...]) -> None:
    engine, told = Counting(), []
    run_examples(library, engine, examples, batch=4, report_progress=told.append)
    assert engine.batches == [4, 4, 3, 2], "four messages are heard, then answered; of the last three one has a single option"
    assert told == [4, 7]


def test_what_a_row_says_is_heard_can_be_taken_as_heard(library: Policy, examples: tuple[Example, ...]) -> None:
    deaf = ScriptedEngine({message: answer if isinstance(answer, str) else answer["reply"] for message, answer in SCRIPT.items()})
    rows = tuple(one for one in examples if one.message not in ("AAAAH",))
    with pytest.raises(EngineError, match="'lend' is no candidate"):
        run_examples(library, deaf, rows)
    assert [one.said for one in run_examples(library, deaf, rows, is_heard_given=True)][-1] == "lend"
    assert run_examples(library, deaf, examples, is_heard_given=True)[5].said == "quiet"


def test_the_rules_alone_and_the_threshold(library: Policy, examples: tuple[Example, ...]) -> None:
    alone = run_examples(library, None, examples)
    assert not any(one.is_asked for one in alone)
    assert all(sum(one.probabilities) == 1.0 for one in alone)
    strict = run_examples(library, Counting(), examples, threshold=0.95)
    assert [one.said for one in strict] == ["sorry"] * 5 + ["quiet", "sorry"]
    assert [one.abstained for one in strict] == [True] * 4 + [False] * 2 + [True]


def test_state_locale_and_history_reach_the_turn(library: Policy) -> None:
    seen = []

    class Listening(Counting):
        def decide_many(self, asks, deadline=None):  # type: ignore[no-untyped-def]
            seen.extend(ask.scene for ask in asks)
            return super().decide_many(asks, deadline)

    state = library.state_type.from_json({"visits": 7})
    row = Example("hello", ("welcome",), state=state, history=(("user", "hi"), ("reply", "Welcome.")), locale="es")
    run_examples(library, Listening(), [row, replace(row, locale=None)])
    assert {(scene.locale, scene.history, '"visits":7' in scene.state) for scene in seen} == {
        ("es", row.history, True),
        ("en", row.history, True),
    }
