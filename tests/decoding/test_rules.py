"""What is read before a message, what weighs "none of these", and that rules score what they say they score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.choice import Candidate, Choice, Scene
from constrained.decoding import prompt
from constrained.decoding.calibration import NONE, Calibration
from constrained.decoding.exact import score_rows
from constrained.decoding.prompt import PromptPlan
from constrained.decoding.rules import Channel, Direct, Reader

KEY = Candidate("0:key", "Fifty gold.", "the player wants the key", ("the key please", "sell me the key"), name="sell the key")
ROOM = Candidate("1:room", "Ten gold a night.", "the player wants a room", ("a bed please",), name="rent a room")
PARDON = Candidate("2:pardon", "Pardon?", "nothing else fits", rest=True, name="pardon")
REPLY = Choice("reply", "option", (KEY, ROOM, PARDON))
BARE = PromptPlan(has_rules=False, has_listing=False)
probabilities = st.lists(st.floats(-50, 50), min_size=3, max_size=3).map(np.asarray)


def scene(message="the key", **changes):
    static = {"speaker": "Brom", "persona": "Gruff.", "rules": "", "listing": (), "background": ("a", "b", "c"), "locale": "en"}
    return Scene(static_id="one", state="", history=(), message=message, **(static | changes))


@pytest.fixture
def reader(llama, tokens):
    return Reader(llama, tokens)


def test_the_most_typical_example_stands_nearest_to_the_message():
    first = prompt.contexts(REPLY, scene())[0]
    assert first == "The player wants the key. For example:\n- sell me the key\n- the key please\n-"


@given(st.sampled_from(["The KEY!", "the key.", "the key?", "the key …", "The key"]))
def test_style_does_not_count(text):
    assert prompt.heard_as(text) == " the key\n"


def test_a_message_of_punctuation_alone_stays():
    assert prompt.heard_as("?!") == " ?!\n"


def test_the_fallback_is_messages_of_every_kind():
    assert prompt.contexts(REPLY, scene())[2] == "Messages of every kind. For example:\n- c\n- b\n- a\n-"


def test_what_only_its_text_tells_apart_shows_its_text():
    twins = Choice("reply", "option", (KEY, Candidate("1:key", "Forty gold.", KEY.when, KEY.examples)))
    found = prompt.contexts(twins, scene())
    assert "Fifty gold." in found[0]
    assert "Forty gold." in found[1]


def test_candidates_without_examples_all_read_the_same_messages():
    things = Choice("which", "heard", (Candidate("a", "a", "The ring."), Candidate("none", "none", "None.", rest=True)), "Which?")
    one, none = (text.partition(" For example:")[2] for text in prompt.contexts(things, scene()))
    assert one == none


@given(probabilities, st.floats(0.1, 10), st.floats(-5, 5))
def test_probabilities_sum_to_one_and_rest_weighs_on_the_fallback_alone(scores, temperature, rest):
    found = Calibration(temperature_option=temperature, rest_option=rest).probabilities(scores, REPLY)
    assert found.sum() == pytest.approx(1)
    odds = np.log(found[0] + 1e-300) - np.log(found[1] + 1e-300)
    if min(found[:2]) > 1e-12:
        assert odds == pytest.approx((scores[0] - scores[1]) / temperature, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "candidates", "weight"), [("option", (KEY, PARDON), 1.0), ("heard", (KEY, PARDON), 2.0), ("span", (KEY, PARDON), 4.0)]
)
def test_each_kind_of_choice_has_its_own_weight(kind, candidates, weight):
    calibration = Calibration(rest_option=1.0, rest_shown=2.0, rest_told=3.0, rest_span=4.0)
    found = calibration.probabilities(np.zeros(2), Choice("one", kind, candidates))
    assert np.log(found[1] / found[0]) == pytest.approx(weight)


def test_the_order_of_the_options_changes_nothing(reader):
    turned = Choice("reply", "option", REPLY.candidates[::-1])
    there, back = (Channel().scores(reader, [choice], scene(), None)[0] for choice in (REPLY, turned))
    assert there == pytest.approx(back[::-1], abs=1e-4)


def test_questions_scored_together_are_scored_as_alone(reader):
    other = Choice("which", "heard", (KEY, PARDON), "Which?")
    for rule in (Channel(), Direct("key", plan=BARE), Direct("text", False, plan=BARE)):
        together = rule.scores(reader, [REPLY, other], scene(), None)
        alone = [rule.scores(reader, [choice], scene(), None)[0] for choice in (REPLY, other)]
        assert np.concatenate(together) == pytest.approx(np.concatenate(alone), abs=1e-3), rule.name


def test_the_plain_direct_score_is_the_likelihood_of_the_text(reader, llama, tokens):
    found = Direct("text", False, plan=BARE).scores(reader, [REPLY], scene(), None)[0]
    static, _ = tokens.chat(BARE.static(scene()), "")
    dynamic = tokens.chat("", prompt.dynamic(scene(), REPLY))[1]
    rows = [[*tokens.plain(candidate.text), *([] if tokens.end is None else [tokens.end])] for candidate in REPLY.candidates]
    assert found == pytest.approx(score_rows(llama, None, [*static, *dynamic], rows).log_probs, abs=1e-3)


def test_a_prior_is_what_the_neutral_prompt_gives(reader):
    silent = prompt.neutral(scene())
    assert Direct("key", plan=BARE).scores(reader, [REPLY], silent, None)[0] == pytest.approx(np.zeros(3), abs=1e-3)


def test_rules_without_a_calibration_of_their_own_add_nothing():
    assert Direct().calibration == NONE == Calibration()
