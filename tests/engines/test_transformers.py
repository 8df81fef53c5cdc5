"""The engine around tiny networks: scores by their definition, in any batch, for every family, in time."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.engines.decoding import prompts
from constrained.engines.decoding.direct_rule import Direct
from constrained.engines.decoding.rules import Channel, ProbabilityMap, ScoredChoice
from constrained.engines.protocol import Candidate, Choice, ChoiceRequest, Deadline, Decoding, Engine
from constrained.engines.transformers import TransformersEngine
from constrained.errors import DeadlineError, EngineError
from tests.engines.asked import CATALOG, CHOICES, ONE, OPTIONS, SCENE, SPAN, THREAT, inn, scores
from tests.engines.decoding import tiny
from tests.engines.decoding.test_selftest import CAN
from tests.strategies import HOSTILE, naughty_strings

RULES = [Channel(), Direct(), Direct("key"), Direct("when", has_prior=False), Direct("text", is_mean=True)]
TOLERANCE_NATS = 1e-3


@pytest.fixture(scope="module")
def engine(network):
    return TransformersEngine.around(network, tiny.bpe())


def around(network, rule=None, **options):
    return TransformersEngine.around(network, tiny.bpe(), rule=rule, **options)


# -- what it answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_it_answers_every_choice_with_a_distribution(network, rule):
    engine = around(network, rule)
    answers = engine.choose(CHOICES, SCENE)
    assert isinstance(engine, Engine)
    assert [len(answer.probabilities) for answer in answers] == [3, 2, 3, 1]
    for answer in answers:
        assert sum(answer.probabilities) == pytest.approx(1.0)
        assert all(type(value) is float and 0 <= value <= 1 for value in answer.probabilities)
        assert all(type(value) is float and np.isfinite(value) for value in answer.scores)
        assert answer.mode == "exact"
    assert answers[-1].probabilities == (1.0,)


def test_no_choice_has_no_answer(engine):
    assert engine.choose([], SCENE) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_choices_asked_together_score_as_each_does_alone(network, rule):
    engine = around(network, rule)
    together = scores(engine)
    alone = [score for choice in CHOICES for score in scores(engine, [choice])]
    assert together == pytest.approx(alone, abs=TOLERANCE_NATS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_who_else_asks_changes_no_bit_of_an_answer(rule):
    """In bfloat16 sums of other shapes are rounded otherwise; a near tie must not depend on that."""
    engine = around(tiny.network("llama", dtype=torch.bfloat16), rule)
    asks = [ChoiceRequest(CHOICES[: 1 + number % 3], replace(SCENE, message="news? " * number)) for number in range(1, 7)]
    alone = [[one.scores for one in engine.choose(ask.choices, ask.scene)] for ask in asks]
    assert [[one.scores for one in row] for row in engine.decide_many(asks)] == alone
    assert [[one.scores for one in row] for row in engine.decide_many(asks[::-1])] == alone[::-1]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_order_of_candidates_changes_no_score(network, rule):
    engine = around(network, rule)
    turned = replace(OPTIONS, candidates=OPTIONS.candidates[::-1])
    assert scores(engine, [turned])[::-1] == pytest.approx(scores(engine, [OPTIONS]), abs=TOLERANCE_NATS)


def test_the_channel_scores_the_message_after_each_context(network):
    engine = around(network, Channel(words=0.0))
    model, tokens = engine.reader.model, engine.reader.tokens
    message = tokens.plain(prompts.heard_as(SCENE.message))
    expected = [tiny.by_definition(model, tokens.plain(text), message) for choice in CHOICES for text in prompts.contexts(choice, SCENE)]
    assert scores(engine) == pytest.approx(expected, abs=TOLERANCE_NATS)


@pytest.mark.parametrize("choice", [OPTIONS, THREAT], ids=lambda choice: choice.name)
def test_direct_scores_are_likelihoods_after_the_prompt_less_those_after_the_neutral_one(network, choice):
    plain, relative = around(network, Direct(has_prior=False)), around(network, Direct())
    model, tokens = plain.reader.model, plain.reader.tokens

    def likelihoods(scene):
        static, dynamic = tokens.chat(prompts.PromptPlan().static(scene), prompts.dynamic(scene, choice))
        rows = [[*tokens.plain(candidate.text), tokens.end] for candidate in choice.candidates]
        return np.asarray([tiny.by_definition(model, static + dynamic, row) for row in rows])

    assert scores(plain, [choice]) == pytest.approx(likelihoods(SCENE), abs=TOLERANCE_NATS)
    expected = likelihoods(SCENE) - likelihoods(prompts.neutral(SCENE))
    assert scores(relative, [choice]) == pytest.approx(expected, abs=TOLERANCE_NATS)


@pytest.mark.parametrize("rule", [Channel(), Direct(), Direct("key")], ids=lambda rule: rule.name)
@pytest.mark.parametrize(("family", "attention", "has_tree", "has_cache"), CAN, ids=str)
def test_whatever_a_family_can_do_its_scores_are_those_of_plain_passes(rule, family, attention, has_tree, has_cache):
    built = tiny.network(family, attention=attention)
    engine, plain = around(built, rule), around(built, rule)
    plain.reader.has_tree = plain.reader.model.has_cache = False
    assert engine.identity["scoring"] == ("tree" if has_tree else "rows" if has_cache else "rows without cache")
    assert scores(engine) == pytest.approx(scores(plain), abs=TOLERANCE_NATS)


@pytest.mark.parametrize("rule", [Channel(), Direct()], ids=lambda rule: rule.name)
def test_a_network_that_ignores_masks_is_scored_in_plain_passes(network, rule):
    deaf = around(tiny.ignoring_masks(tiny.network()), rule)
    assert deaf.identity["scoring"] == "rows"
    assert scores(deaf) == pytest.approx(scores(around(network, rule)), abs=TOLERANCE_NATS)


@pytest.mark.parametrize("rule", [Channel(), Direct()], ids=lambda rule: rule.name)
@pytest.mark.parametrize("make", tiny.TOKENIZERS.values(), ids=tiny.TOKENIZERS)
def test_any_kind_of_tokenizer_will_do(network, make, rule):
    engine = TransformersEngine.around(network, make(), rule=rule)
    assert len(engine.choose(CHOICES, SCENE)) == len(CHOICES)


def test_bfloat16_scores_are_near_those_of_float32(engine):
    short = around(tiny.network(dtype=torch.bfloat16))
    assert short.identity["dtype"] == "bfloat16"
    found, exact = np.asarray(scores(short)), np.asarray(scores(engine))
    assert (np.abs(found - exact) <= 0.02 * np.abs(exact)).all()


def test_a_message_beyond_the_window_is_scored_by_its_head_and_tail(engine):
    long = " ".join(f"word{number}" for number in range(400))
    again = replace(SCENE, message=long.replace("word200", "gold"))
    assert scores(engine, scene=replace(SCENE, message=long)) == scores(engine, scene=again)


# -- whatever is said -------------------------------------------------------------------------------------

HARD = Choice(
    "hard",
    "option",
    tuple(Candidate(f"{index}", text, text, (text,)) for index, text in enumerate(text for text in HOSTILE if 0 < len(text) < 500)),
)


@pytest.fixture(scope="module", params=RULES[:2], ids=lambda rule: rule.name)
def asked(request, network):
    """An engine for each direction of scoring."""
    return around(network, request.param)


@settings(max_examples=30)
@given(st.text(max_size=40) | st.sampled_from([text for text in HOSTILE if len(text) < 2_000]))
def test_any_message_and_any_candidate_are_scored(asked, message):
    answers = asked.choose([OPTIONS, HARD], replace(SCENE, message=message, state=message, history=(("user", message),)))
    assert [len(answer.scores) for answer in answers] == [3, len(HARD.candidates)]


def test_every_naughty_string_gets_an_approved_reply(engine):
    """Through the whole turn: the message is heard, candidates are made of it, a reply is chosen and verified."""
    dialogue = Dialogue(inn(), engine=engine)
    modes = set()
    for text in naughty_strings():
        turn = dialogue.reply(text)
        assert turn.response_id in CATALOG["responses"]
        modes.add(turn.decision.mode)
    assert "exact" in modes


@pytest.mark.parametrize(
    ("make", "rule"),
    [(make, rule) for make in (tiny.bpe, tiny.unigram, tiny.wordpiece) for rule in RULES[:2]],
)
def test_a_message_of_which_a_tokenizer_knows_nothing_is_an_ordinary_one(network, make, rule):
    engine = TransformersEngine.around(network, make(), rule=rule)
    for message in ("", " ", "\n", "漢字", "!!!", "\u200b", "[UNK]", "</s>"):
        assert len(engine.choose([OPTIONS], replace(SCENE, message=message))[0].probabilities) == 3


# -- in time, and in turn ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES[:2], ids=lambda rule: rule.name)
def test_a_late_answer_is_a_deadline_error_and_the_next_one_is_right(network, rule):
    engine, expected = around(network, rule), scores(around(network, rule))
    with pytest.raises(DeadlineError):
        engine.choose(CHOICES, SCENE, Deadline(0.5, at_s=0.0))
    assert scores(engine) == expected


def test_who_waits_for_the_model_waits_no_longer_than_the_deadline(engine):
    is_held, may_end = threading.Event(), threading.Event()

    def hold():
        with engine.reader.model.lock:
            is_held.set()
            may_end.wait(10)  # a failing test is not to hang

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait()
    try:
        with pytest.raises(DeadlineError) as caught:
            engine.choose(CHOICES, SCENE, Deadline.after(0.01))
        assert caught.value.within_s == 0.01
    finally:
        may_end.set()
        holder.join()
    assert len(engine.choose(CHOICES, SCENE, Deadline.after(1e12))) == len(CHOICES)


@pytest.mark.parametrize("rule", RULES[:2], ids=lambda rule: rule.name)
def test_threads_get_what_each_would_get_alone(network, rule):
    shared, found = around(network, rule), {}
    scenes = [replace(SCENE, message=message) for message in ("Sixty gold?", "What's new, old man?", "50")]
    expected = [scores(around(network, rule), scene=scene) for scene in scenes]

    def ask(index):
        found[index] = [scores(shared, scene=scenes[index]) for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(scenes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, one in enumerate(expected):
        assert all(again == pytest.approx(one, abs=TOLERANCE_NATS) for again in found[index])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_same_question_gets_the_same_bits(network, rule):
    engine = around(network, rule)
    assert scores(engine) == scores(engine) == scores(around(network, rule))


# -- what it is -------------------------------------------------------------------------------------------


def test_its_identity_is_complete_and_plain(engine):
    identity = engine.identity
    names = {"engine", "model", "weights", "tokenizer", "dtype", "device", "rule", "calibration", "scoring"}
    assert set(identity) == names
    assert json.loads(json.dumps(identity)) == identity
    assert all(type(value) is str and value for value in identity.values())
    assert identity["weights"].startswith("sha256:")
    assert (identity["model"], identity["dtype"], identity["device"]) == ("LlamaForCausalLM", "float32", "cpu")
    identity["weights"] = "changed"
    assert engine.identity["weights"] != "changed"


def test_weights_are_hashed_once_and_not_before_somebody_asks(network, monkeypatch):
    engine = around(network)
    hashed = []
    monkeypatch.setattr(engine.reader.model, "weights_hash", lambda: hashed.append(1) or "sha256:1")
    engine.choose([ONE], SCENE)
    assert hashed == []
    assert engine.identity["weights"] == engine.identity["weights"] == "sha256:1"
    assert hashed == [1]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("weights", {"network": lambda: tiny.network(seed=1)}),
        ("tokenizer", {"tokenizer": lambda: tiny.bpe(None)}),
        ("rule", {"rule": Direct()}),
        ("calibration", {"probability_map": ProbabilityMap(rest_option=0.125)}),
        ("dtype", {"network": lambda: tiny.network(dtype=torch.bfloat16)}),
        ("scoring", {"network": lambda: tiny.network(attention="eager")}),
    ],
)
def test_what_differs_shows_in_the_identity(engine, network, name, changes):
    made = {"network": lambda: network, "tokenizer": tiny.bpe} | changes
    other = TransformersEngine.around(made.pop("network")(), made.pop("tokenizer")(), **made)
    assert engine.identity[name] != other.identity[name]


def test_scores_that_are_no_numbers_are_an_engine_error(engine, monkeypatch):
    monkeypatch.setattr(engine.rule.__class__, "scores", lambda *_: [[ScoredChoice(np.asarray([0.0, np.nan, 1.0]), "exact", Decoding())]])
    with pytest.raises(EngineError, match="not finite for 'reply'") as caught:
        engine.choose([OPTIONS], SCENE)
    assert "float32" in caught.value.hint


def test_a_span_is_one_of_the_numbers_in_the_message(engine):
    assert len(engine.choose([SPAN], SCENE)[0].probabilities) == 3
