"""A cascade of scripted engines: who answers, who is asked at all, what the record tells; thresholds fitted on arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.engines.cascade import Cascade, Stage, fit_cascade, judge_cascade
from constrained.engines.protocol import Choice, ChoiceRequest, Deadline, Decoding, Distribution, Engine, Extractor, PromptContext
from constrained.errors import CalibrationError, DeadlineError, EngineError
from constrained.logic.evidence import ACT_THRESHOLD
from constrained.testing import SABOTAGES, RandomEngine, SabotagedEngine, ScriptedEngine
from tests.engines.asked import CHOICES, ONE, OPTIONS, SCENE, THREAT, inn


class Sure:
    """Says candidate ``index`` with ``probability``, and keeps what it was asked."""

    def __init__(self, name: str, probability: float, index: int = 0, decoding: Decoding | None = None) -> None:
        self.identity: Mapping[str, str] = {"model": name, "weights": f"sha256:{name}"}
        self.probability, self.index, self.decoding = probability, index, decoding
        self.asked: list[list[str]] = []

    def choose(self, choices: Sequence[Choice], scene: PromptContext, deadline: Deadline | None = None) -> list[Distribution]:
        self.asked.append([choice.name for choice in choices])
        return [self._answer(len(choice.candidates)) for choice in choices]

    def _answer(self, n: int) -> Distribution:
        others = (1 - self.probability) / (n - 1) if n > 1 else 0.0
        chosen = self.probability if n > 1 else 1.0
        return Distribution(tuple(chosen if i == self.index % n else others for i in range(n)), "exact", (), self.decoding)


def test_a_cascade_is_an_engine() -> None:
    assert isinstance(Cascade([Stage(Sure("a", 1.0))]), Engine)


def test_a_sure_first_stage_answers_and_the_second_is_not_asked() -> None:
    small, large = Sure("small", 0.9), Sure("large", 0.99, index=1)
    found = Cascade([Stage(small, 0.9), Stage(large)]).choose([OPTIONS], SCENE)
    assert found[0].best == 0
    assert large.asked == []
    assert found[0].decoding is not None
    assert found[0].decoding.answered_by == "1: small"


def test_only_what_the_first_stage_leaves_open_goes_on() -> None:
    small, large = Sure("small", 0.6), Sure("large", 0.8, index=1)
    found = Cascade([Stage(small, 0.7), Stage(large)]).choose([OPTIONS, ONE, THREAT], SCENE)
    assert large.asked == [["reply", "threat"]]  # one candidate is certain at once
    assert [one.best for one in found] == [1, 0, 1]
    assert [one.decoding.answered_by for one in found if one.decoding] == ["2: large", "1: small", "2: large"]


def test_a_pooled_stage_needs_the_agreement_of_the_one_before() -> None:
    small, large = Sure("small", 0.6), Sure("large", 0.98, index=1)
    alone, pooled = (Cascade([Stage(small, 0.7), Stage(large, is_pooled=one)]) for one in (False, True))
    assert alone.choose([OPTIONS], SCENE)[0].probabilities[1] == pytest.approx(0.98)
    found = pooled.choose([OPTIONS], SCENE)[0]
    assert found.best == 1
    assert found.probabilities[1] < ACT_THRESHOLD
    assert sum(found.probabilities) == pytest.approx(1)
    assert pooled.identity["2.pooled"] == "yes"
    assert Cascade([Stage(Sure("sure", 0.9), 0.7), Stage(large, is_pooled=True)]).choose([OPTIONS], SCENE)[0].best == 0


def test_the_last_stage_answers_however_unsure_it_is() -> None:
    found = Cascade([Stage(Sure("a", 0.4), 1.0), Stage(Sure("b", 0.5, 2), 1.0)]).choose([OPTIONS], SCENE)
    assert found[0].best == 2


def test_what_decoding_cost_is_kept_beside_who_answered() -> None:
    found = Cascade([Stage(Sure("a", 0.9, decoding=Decoding("few candidates", 12, 1)), name="tiny")]).choose([OPTIONS], SCENE)
    assert found[0].decoding == Decoding("few candidates", 12, 1, answered_by="1: tiny")


def test_conversations_are_answered_in_their_order() -> None:
    small, large = Sure("small", 0.5), Sure("large", 0.9, index=1)
    asks = [ChoiceRequest([ONE], SCENE), ChoiceRequest([OPTIONS], SCENE), ChoiceRequest([], SCENE), ChoiceRequest([ONE, THREAT], SCENE)]
    found = Cascade([Stage(small, 0.7), Stage(large)]).decide_many(asks)
    assert [[one.best for one in row] for row in found] == [[0], [1], [], [0, 1]]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.integers(0, 1000))
def test_every_answer_is_the_first_sure_stages_own(thresholds: list[float], seed: int) -> None:
    stages = [Stage(RandomEngine(seed + index), threshold) for index, threshold in enumerate(thresholds)]
    same = [RandomEngine(seed + index) for index in range(len(thresholds))]
    found = Cascade(stages).choose([OPTIONS], SCENE)[0]
    answers = [engine.choose([OPTIONS], SCENE)[0] for engine in same]
    sure = [answer for answer, limit in zip(answers[:-1], thresholds, strict=False) if max(answer.probabilities) >= limit]
    assert found.probabilities == (sure or answers[-1:])[0].probabilities


def test_a_dialogue_records_who_answered() -> None:
    engine = Cascade([Stage(ScriptedEngine(["rumour"], probability=0.4), 0.8, "small"), Stage(ScriptedEngine(["rumour"]), name="large")])
    turn = Dialogue(inn(), engine=engine).reply("What's new?")
    assert turn.response_id == "rumour"
    assert turn.record.decision.decoding["answered_by"] == "2: large"
    assert turn.record.versions["model"] == "small > large"
    assert turn.record.versions["1.threshold"] == "0.8"


@pytest.mark.parametrize("how", SABOTAGES)
@pytest.mark.parametrize("place", [0, 1])
def test_a_broken_stage_says_nothing_that_is_not_approved(how: Any, place: int) -> None:
    stages = [Stage(Sure("sound", 0.5), 0.9), Stage(Sure("sound", 0.9))]
    stages[place] = Stage(SabotagedEngine(how), 0.9, "broken")
    dialogue = Dialogue(inn(), engine=Cascade(stages))
    try:
        turn = dialogue.reply("What's new?")
    except EngineError:
        return
    assert turn.text in {one.text for one in turn.decision.options}


def test_a_late_stage_is_late() -> None:
    deadline = Deadline(0.0, 0.0)
    with pytest.raises(DeadlineError):
        Cascade([Stage(Sure("a", 1.0))]).choose(CHOICES, SCENE, deadline)


def test_the_first_stage_that_reads_does() -> None:
    engine = Cascade([Stage(Sure("a", 1.0)), Stage(ScriptedEngine({SCENE.message: {"plate": "AB 1"}}))])
    blank: Any = type("Blank", (), {"name": "plate"})()
    assert isinstance(engine, Extractor)
    assert list(engine.read([blank], SCENE)) == ["AB 1"]
    assert list(Cascade([Stage(Sure("a", 1.0))]).read([blank, blank], SCENE)) == [None, None]


def test_no_stages_and_no_probability_are_refused() -> None:
    with pytest.raises(EngineError, match="no engines"):
        Cascade([])
    with pytest.raises(EngineError, match=r"1\.5"):
        Stage(Sure("a", 1.0), 1.5)
    with pytest.raises(EngineError, match="nan"):
        Stage(Sure("a", 1.0), float("nan"))


# -- thresholds ---------------------------------------------------------------------------------------------


def test_the_cheapest_thresholds_that_reach_the_target() -> None:
    sure = [[0.9, 0.8, 0.7, 0.6], [0.9, 0.9, 0.9, 0.9]]
    right = [[True, True, False, True], [True, True, True, False]]
    found = fit_cascade(sure, right, [1.0, 10.0], target_error=0.25)  # the first stage answers all; the highest such threshold
    assert (found.thresholds, found.error, found.cost, found.shares) == ((0.6, 0.0), 0.25, 1.0, (1.0, 0.0))
    with pytest.raises(CalibrationError, match=r"the least is 0\.25"):
        fit_cascade(sure, right, [1.0, 10.0], target_error=0.2)
    right[0] = [True, True, False, False]
    found = fit_cascade(sure, right, [1.0, 10.0], target_error=0.25)
    assert (found.thresholds, found.error, found.cost, found.shares) == ((0.8, 0.0), 0.25, 6.0, (0.5, 0.5))


def stages(n_stages: int) -> st.SearchStrategy[tuple[Any, Any, list[float]]]:
    def arrays(n: int) -> st.SearchStrategy[Any]:
        sure = st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), min_size=n, max_size=n), min_size=n_stages, max_size=n_stages)
        right = st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=n_stages, max_size=n_stages)
        return st.tuples(sure, right, st.lists(st.integers(0, 9).map(float), min_size=n_stages, max_size=n_stages))

    return st.integers(1, 6).flatmap(arrays)


def simulated(sure: Any, right: Any, costs: Any, thresholds: Any) -> tuple[float, float]:
    """Error and cost, message by message."""
    n_wrong, cost = 0, 0.0
    for message in range(len(sure[0])):
        for stage in range(len(sure)):
            cost += costs[stage]
            if stage == len(sure) - 1 or sure[stage][message] >= thresholds[stage]:
                n_wrong += not right[stage][message]
                break
    return n_wrong / len(sure[0]), cost / len(sure[0])


@settings(max_examples=150, deadline=None)
@given(stages(2) | stages(3), st.sampled_from([0.0, 0.2, 0.5]))
def test_no_other_thresholds_are_cheaper_at_the_target(known: Any, target: float) -> None:
    sure, right, costs = known
    grid = [0.0, 0.25, 0.5, 0.9, 1.0]
    pairs = [(a, b) for a in grid for b in grid] if len(sure) == 3 else [(a,) for a in grid]
    possible = [simulated(sure, right, costs, pair) for pair in pairs]
    allowed = [cost for error, cost in possible if error <= target + 1e-12]
    try:
        found = fit_cascade(sure, right, costs, target_error=target)
    except CalibrationError:
        assert not allowed
        return
    error, cost = simulated(sure, right, costs, found.thresholds)
    assert (error, cost) == (pytest.approx(found.error), pytest.approx(found.cost))
    assert error <= target + 1e-12
    assert not allowed or cost <= min(allowed) + 1e-9
    assert found == fit_cascade(sure, right, costs, target_error=target)


def test_what_the_thresholds_do_to_other_messages() -> None:
    generator = np.random.default_rng(0)
    sure = generator.random((3, 400))
    right = generator.random((3, 400)) < np.sqrt(sure)
    found = fit_cascade(sure[:, :200], right[:, :200], [1, 5, 25], target_error=0.3)
    there = judge_cascade(sure[:, 200:], right[:, 200:], [1, 5, 25], found.thresholds)
    error, cost = simulated(sure[:, 200:], right[:, 200:], [1, 5, 25], found.thresholds)
    assert (there.error, there.cost) == (pytest.approx(error), pytest.approx(cost))
    assert sum(there.shares) == pytest.approx(1.0)
    assert there.n == 200


@pytest.mark.parametrize(
    ("sure", "right", "costs"),
    [([], [], []), ([[0.5]], [[True, False]], [1]), ([[1.5]], [[True]], [1]), ([[0.5]], [[True]], [-1]), ([[float("nan")]], [[True]], [1])],
)
def test_arrays_that_fit_nothing_are_refused(sure: Any, right: Any, costs: Any) -> None:
    with pytest.raises(CalibrationError):
        fit_cascade(sure, right, costs, target_error=0.1)
