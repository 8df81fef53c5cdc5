"""A cascade whose first stage knows how right it is of its own examples: thresholds fitted at load, who spoke, what the first said."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue, replay
from constrained.engines import cascade, loading
from constrained.engines.cascade import FEWEST, Cascade, Stage, fit_threshold
from constrained.engines.protocol import Choice, Deadline, Decoding, Distribution, ExtractionField, HandedOn, LeftOut, PromptContext
from constrained.errors import DeadlineError, EngineError, ModelNotFoundError
from constrained.records.log import MemoryLog
from constrained.records.redecide import redecide
from constrained.testing import ScriptedEngine
from tests.engines.asked import ONE, OPTIONS, SCENE, THREAT, inn
from tests.engines.small.test_small_engine import small
from tests.engines.test_cascade import Sure

KINDS = frozenset(("option",))


def known(confidences: Sequence[float], is_right: Sequence[bool], counts: Sequence[float] | None = None) -> LeftOut:
    weights = np.asarray(counts if counts is not None else np.ones(len(confidences)), dtype=float)
    return LeftOut(tuple(confidences), tuple(is_right), tuple((weights / weights.sum()).tolist()))


class Fitted(Sure):
    """Says the first option, and hears nothing, with ``probability``; of its own 100 examples those above ``level`` were right."""

    def __init__(self, probability: float, level: float = 0.7) -> None:
        super().__init__("fitted", probability)
        sure = np.arange(1, 101) / 100
        self.known: LeftOut | None = known(sure.tolist(), (sure > level).tolist())

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        self.asked.append([choice.name for choice in choices])
        nothing = [next((at for at, one in enumerate(choice.candidates) if one.no_match), 0) for choice in choices]
        found = []
        for choice, at in zip(choices, nothing, strict=True):
            self.index = 0 if choice.kind == "option" else at
            found.append(self._answer(len(choice.candidates)))
        return found

    def left_out(self, choice: Choice, scene: PromptContext) -> LeftOut | None:
        return self.known


messages = st.lists(
    st.tuples(st.sampled_from([0.2, 0.4, 0.5, 0.7, 0.9, 1.0]) | st.floats(0, 1), st.booleans(), st.sampled_from([0.05, 0.3, 1.0])),
    min_size=FEWEST,
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(messages, st.sampled_from([0.0, 0.05, 0.1, 0.3, 1.0]), st.sampled_from([0.0, 0.1, 0.3, 1.0]))
def test_a_fitted_threshold_keeps_the_error_or_the_share_and_no_lower_one_does(rows: Any, target: float, most: float) -> None:
    sure, right, counts = zip(*rows, strict=True)
    one = known(sure, right, counts)
    found = fit_threshold(one, target, most)

    def told(threshold: float) -> tuple[float, float]:
        """Error of what is kept, and the share handed on, message by message."""
        kept = [at for at, value in enumerate(sure) if value >= threshold]
        share = sum(one.counts[at] for at in kept)
        return (sum(one.counts[at] for at in kept if not right[at]) / share if share else 0.0), 1.0 - share

    assert (found.error, found.handed_on) == pytest.approx(told(found.threshold), abs=1e-9)
    assert found.handed_on <= most + 1e-9
    lower = [level for level in sure if level < found.threshold]
    assert all(told(level)[0] > target - 1e-9 for level in lower), "a lower threshold would have kept the error"
    if found.error > target + 1e-9:  # the share was the bound: the next level would hand on more than it allows
        higher = min((level for level in sure if level > found.threshold), default=2.0)
        assert told(higher)[1] > most
    assert found == fit_threshold(known(sure, right, counts), target, most)


def test_with_few_messages_a_probability_is_taken_by_its_word() -> None:
    few = known([0.5] * (FEWEST - 1), [True] * (FEWEST - 1))
    assert fit_threshold(few, 0.1).threshold == pytest.approx(0.9)


def test_a_first_stage_answers_from_its_fitted_threshold_on() -> None:
    large = Sure("large", 0.9, index=1)
    for probability, by in ((0.72, "1: fitted"), (0.70, "2: large")):
        (found,) = Cascade([Stage(Fitted(probability), target_error=0.0), Stage(large)]).choose([OPTIONS], SCENE)
        assert found.decoding is not None
        assert found.decoding.answered_by == by


def test_what_the_first_stage_said_is_told() -> None:
    (found,) = Cascade([Stage(Fitted(0.6), target_error=0.0), Stage(Sure("large", 0.9, index=1))]).choose([OPTIONS], SCENE)
    assert found.decoding is not None
    assert found.best == 1
    assert found.decoding.handed_on == (HandedOn("1: fitted", "0:sell", 0.6, pytest.approx(0.71)),)
    told = json.loads(json.dumps(found.decoding.to_json()))
    assert told["handed_on"] == [{"stage": "1: fitted", "best": "0:sell", "probability": 0.6, "threshold": pytest.approx(0.71)}]
    assert "handed_on" not in Decoding().to_json(), "a record of one engine is as it was"


def test_no_more_is_handed_on_than_is_allowed() -> None:
    stage = Stage(Fitted(0.35), target_error=0.0, most_handed_on=0.3)
    assert stage.threshold_of(OPTIONS, SCENE) == pytest.approx(0.31)
    assert Cascade([stage, Stage(Sure("large", 0.9, 1))]).choose([OPTIONS], SCENE)[0].best == 0


def test_other_kinds_and_choices_without_examples_stay_with_the_first() -> None:
    large, engine = Sure("large", 0.9, index=1), Fitted(0.6)
    found = Cascade([Stage(engine, target_error=0.0, kinds=KINDS), Stage(large)]).choose([THREAT, OPTIONS, ONE], SCENE)
    assert [one.best for one in found] == [1, 1, 0]
    assert large.asked == [["reply"]]
    engine.known = None
    assert Cascade([Stage(engine, target_error=0.0), Stage(large)]).choose([OPTIONS], SCENE)[0].best == 0


def test_an_engine_that_cannot_tell_has_no_target() -> None:
    with pytest.raises(EngineError, match="own examples"):
        Stage(Sure("plain", 0.5), target_error=0.1)
    with pytest.raises(EngineError, match="target_error is 2"):
        Stage(Fitted(0.6), target_error=2.0)


def test_the_identity_tells_what_decides() -> None:
    identity = Cascade([Stage(Fitted(0.6), target_error=0.1, most_handed_on=0.3, kinds=KINDS), Stage(Sure("large", 0.9))]).identity
    assert identity["model"] == "fitted > large"
    assert (identity["1.target_error"], identity["1.most_handed_on"], identity["1.hands_on"]) == ("0.1", "0.3", "option")
    assert (identity["1.weights"], identity["2.weights"]) == ("sha256:fitted", "sha256:large")
    assert "1.threshold" not in identity


def test_a_turn_records_both_and_replays_without_them() -> None:
    log = MemoryLog()
    policy = inn()
    first = Fitted(0.6)
    dialogue = Dialogue(policy, engine=Cascade([Stage(first, target_error=0.0, kinds=KINDS), Stage(ScriptedEngine(["rumour"]))]), log=log)
    turn = dialogue.reply("What's new?")
    told = turn.record.decision.decoding
    assert told["answered_by"].startswith("2: ")
    assert told["handed_on"][0]["stage"] == "1: fitted"
    again = [type(one).model_validate_json(one.model_dump_json()) for one in log.records]
    assert [one.is_same for one in replay(policy, again)] == [True]
    assert [one.change for one in redecide(policy, again)] == ["same"]


def test_the_same_messages_get_the_same_answers() -> None:
    def said() -> list[tuple[str, Any]]:
        second = ScriptedEngine(lambda message: "rumour" if len(message) % 2 else "pardon")
        dialogue = Dialogue(inn(), engine=Cascade([Stage(small(), target_error=0.05, kinds=KINDS), Stage(second)]))
        turns = [dialogue.reply(message) for message in ("What's new?", "the key please", "xyzzy", "any gossip", "")]
        return [(turn.response_id, turn.record.decision.decoding) for turn in turns]

    assert said() == said()


def test_a_late_second_stage_is_late() -> None:
    class Late(Sure):
        def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
            raise DeadlineError("too late", within_s=1)

    with pytest.raises(DeadlineError):
        Cascade([Stage(Fitted(0.6), target_error=0.0), Stage(Late("late", 0.9))]).choose([OPTIONS], SCENE, Deadline.after(60))
    turn = Dialogue(inn(), engine=Cascade([Stage(Fitted(0.6), target_error=0.0, kinds=KINDS), Stage(Late("late", 0.9))])).reply(
        "What's new?", within=60
    )
    assert turn.decision.is_late
    assert not turn.effects


def test_what_has_a_grammar_is_read_by_the_next_one() -> None:
    class Reads(Sure):
        def __init__(self, name: str, said: Mapping[str, str]) -> None:
            super().__init__(name, 0.9)
            self.said, self.put = said, list[str]()

        def read(self, blanks: Sequence[ExtractionField], scene: PromptContext, deadline: Deadline | None = None) -> list[str | None]:
            self.put += [blank.name for blank in blanks]
            return [self.said.get(blank.name) for blank in blanks]

    first, second = Reads("a", {"plate": "AB 1"}), Reads("b", {"order": "7", "code": "no"})
    blanks = [
        ExtractionField("plate", "?", grammar="g"),
        ExtractionField("order", "?", grammar="g"),
        ExtractionField("code", "?", pattern="c"),
    ]
    assert Cascade([Stage(first), Stage(second)]).read(blanks, SCENE) == ["AB 1", "7", None]
    assert second.put == ["order"]


# -- the small engine, and the name of both ------------------------------------------------------------------------


def test_the_small_engine_tells_of_every_message_that_it_was_fitted_on() -> None:
    engine = small()
    found = engine.left_out(OPTIONS, SCENE)
    assert found is not None
    assert found is engine.left_out(OPTIONS, SCENE)
    assert len(found.confidences) == len(found.is_right) == len(found.counts) > 3
    assert sum(found.counts) == pytest.approx(1.0)
    assert all(0.0 <= one <= 1.0 for one in found.confidences)
    assert engine.left_out(ONE, SCENE) is None, "nothing was learned of a choice without examples"


def test_a_name_of_two_is_a_cascade_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    second, asked = Sure("large", 0.9), []
    load = loading.load_engine
    monkeypatch.setattr(loading, "load_engine", lambda *given: asked.append(given) or second)
    engine: Any = load("small+nobody/large", None, "folder")
    assert isinstance(engine, cascade.Cascade)
    assert asked == [("nobody/large", None, "folder")]
    assert engine.identity["model"] == "small > large"
    assert engine.stages[0].kinds == KINDS
    assert engine.stages[0].target_error == loading.TARGET_ERROR


def test_a_cascade_whose_language_model_is_not_there_says_which_command_gets_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("CONSTRAINED_HOME", str(tmp_path))
    with pytest.raises(ModelNotFoundError) as caught:
        loading.load_engine("small+smollm2-135m")
    assert caught.value.hint == "constrained model get smollm2-135m"
