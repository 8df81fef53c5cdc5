"""What is read before a message, what weighs "none of these", and that rules score what they say they score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.engines.decoding import prompts
from constrained.engines.decoding.direct_rule import Direct
from constrained.engines.decoding.exact import score_rows
from constrained.engines.decoding.prompts import PromptPlan
from constrained.engines.decoding.reader import Reader
from constrained.engines.decoding.rules import PLAIN_SOFTMAX, Channel, ProbabilityMap
from constrained.engines.protocol import Candidate, Choice, ChoiceRequest, PromptContext
from constrained.errors import EngineError

KEY = Candidate("0:key", "Fifty gold.", "the player wants the key", ("the key please", "sell me the key"), name="sell the key")
ROOM = Candidate("1:room", "Ten gold a night.", "the player wants a room", ("a bed please",), name="rent a room")
PARDON = Candidate("2:pardon", "Pardon?", "nothing else fits", no_match=True, name="pardon")
REPLY = Choice("reply", "option", (KEY, ROOM, PARDON))
BARE = PromptPlan(has_rules=False, has_listing=False)
probabilities = st.lists(st.floats(-50, 50), min_size=3, max_size=3).map(np.asarray)


def scene(message="the key", **changes):
    static = {"speaker": "Brom", "persona": "Gruff.", "rules": "", "listing": (), "background": ("a", "b", "c"), "locale": "en"}
    return PromptContext(static_id="one", state="", history=(), message=message, **(static | changes))


@pytest.fixture
def reader(llama, tokens):
    return Reader(llama, tokens)


def test_the_most_typical_example_stands_nearest_to_the_message():
    first = prompts.contexts(REPLY, scene())[0]
    assert first == "The player wants the key. For example:\n- sell me the key\n- the key please\n-"


@given(st.sampled_from(["The KEY!", "the key.", "the key?", "the key …", "The key"]))
def test_style_does_not_count(text):
    assert prompts.heard_as(text) == " the key\n"


def test_a_message_of_punctuation_alone_stays():
    assert prompts.heard_as("?!") == " ?!\n"


def test_the_fallback_is_messages_of_every_kind():
    assert prompts.contexts(REPLY, scene())[2] == "Messages of every kind. For example:\n- c\n- b\n- a\n-"


@given(
    st.lists(st.sampled_from("stuvwxyz"), max_size=30, unique=True),
    st.lists(st.sampled_from("abcdefghijklmnopqrstuv"), max_size=60, unique=True),
)
def test_the_fallbacks_own_examples_stand_nearest_to_the_message(own, others):
    """All of them up to a bound, each once, then messages of the whole desk."""
    rest = Candidate("2:pardon", "Pardon?", "nothing else fits", tuple(own), no_match=True)
    (_, found) = prompts.contexts(Choice("reply", "option", (KEY, rest)), scene(background=(*own, *others)))
    listed = [line.removeprefix("- ") for line in found.splitlines()[1:-1]][::-1]
    assert listed[: len(own)] == own[: prompts.N_EXAMPLES]
    assert len(set(listed)) == len(listed) <= prompts.N_BACKGROUND
    assert set(listed[len(own) :]) <= set(others) - set(own)
    assert len(listed) == min(prompts.N_BACKGROUND, len({*own, *others}))


def test_what_only_its_text_tells_apart_shows_its_text():
    twins = Choice("reply", "option", (KEY, Candidate("1:key", "Forty gold.", KEY.when, KEY.examples)))
    found = prompts.contexts(twins, scene())
    assert "Fifty gold." in found[0]
    assert "Forty gold." in found[1]


def test_candidates_without_examples_all_read_the_same_messages():
    things = Choice("which", "heard", (Candidate("a", "a", "The ring."), Candidate("none", "none", "None.", no_match=True)), "Which?")
    one, none = (text.partition(" For example:")[2] for text in prompts.contexts(things, scene()))
    assert one == none


@given(probabilities, st.floats(0.1, 10), st.floats(-5, 5))
def test_probabilities_sum_to_one_and_rest_weighs_on_the_fallback_alone(scores, temperature, rest):
    found = ProbabilityMap(temperature_option=temperature, rest_option=rest).probabilities(scores, REPLY)
    assert found.sum() == pytest.approx(1)
    odds = np.log(found[0] + 1e-300) - np.log(found[1] + 1e-300)
    if min(found[:2]) > 1e-12:
        assert odds == pytest.approx((scores[0] - scores[1]) / temperature, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "candidates", "weight"), [("option", (KEY, PARDON), 1.0), ("heard", (KEY, PARDON), 2.0), ("span", (KEY, PARDON), 4.0)]
)
def test_each_kind_of_choice_has_its_own_weight(kind, candidates, weight):
    mapped = ProbabilityMap(rest_option=1.0, rest_shown=2.0, rest_told=3.0, rest_span=4.0)
    found = mapped.probabilities(np.zeros(2), Choice("one", kind, candidates))
    assert np.log(found[1] / found[0]) == pytest.approx(weight)


def test_the_order_of_the_options_changes_nothing(reader):
    turned = Choice("reply", "option", REPLY.candidates[::-1])
    there, back = (Channel().scores(reader, [ChoiceRequest([choice], scene())], None)[0][0].scores for choice in (REPLY, turned))
    assert there == pytest.approx(back[::-1], abs=1e-4)


def test_questions_scored_together_are_scored_as_alone(reader):
    other = Choice("which", "heard", (KEY, PARDON), "Which?")
    for rule in (Channel(), Direct("key", plan=BARE), Direct("text", False, plan=BARE)):
        together = [one.scores for one in rule.scores(reader, [ChoiceRequest([REPLY, other], scene())], None)[0]]
        alone = [rule.scores(reader, [ChoiceRequest([choice], scene())], None)[0][0].scores for choice in (REPLY, other)]
        assert np.concatenate(together) == pytest.approx(np.concatenate(alone), abs=1e-3), rule.name


def test_the_plain_direct_score_is_the_likelihood_of_the_text(reader, llama, tokens):
    found = Direct("text", False, plan=BARE).scores(reader, [ChoiceRequest([REPLY], scene())], None)[0][0].scores
    static, _ = tokens.chat(BARE.static(scene()), "")
    dynamic = tokens.chat("", prompts.dynamic(scene(), REPLY))[1]
    rows = [[*tokens.plain(candidate.text), *([] if tokens.end is None else [tokens.end])] for candidate in REPLY.candidates]
    assert found == pytest.approx(score_rows(llama, None, [*static, *dynamic], rows).log_probs, abs=1e-3)


def test_a_prior_is_what_the_neutral_prompt_gives(reader):
    silent = prompts.neutral(scene())
    assert Direct("key", plan=BARE).scores(reader, [ChoiceRequest([REPLY], silent)], None)[0][0].scores == pytest.approx(
        np.zeros(3), abs=1e-3
    )


def test_rules_without_a_probability_map_of_their_own_add_nothing():
    assert Direct().probability_map == PLAIN_SOFTMAX == ProbabilityMap()


@pytest.mark.parametrize("surface", ["text", "key", "when"])
@pytest.mark.parametrize("has_prior", [True, False])
@pytest.mark.parametrize("mode", ["refine", "bounded", "prefix", "walk", "code", "auto"])
def test_every_mode_answers_over_every_surface_and_says_which_it_was(reader, mode, surface, has_prior):
    rule = Direct(surface, has_prior, plan=BARE, mode=mode)
    [[found]] = rule.scores(reader, [ChoiceRequest([REPLY], scene())], None)
    assert found.mode == mode or mode == "auto"
    assert found.decoding.reason
    assert found.decoding.n_passes >= 1
    if mode == "walk":
        assert found.picked in range(3)
    else:
        assert np.isfinite(found.scores).all()
    if mode in ("refine", "bounded"):
        exact = Direct(surface, has_prior, plan=BARE).scores(reader, [ChoiceRequest([REPLY], scene())], None)[0][0].scores
        assert found.scores.argmax() == exact.argmax()


def test_the_letters_of_a_list_are_asked_for_in_several_orders(reader):
    [[two]] = Direct("key", False, plan=BARE, mode="code").scores(reader, [ChoiceRequest([REPLY], scene())], None)
    [[six]] = Direct("key", False, plan=BARE, mode="code", n_orders=6).scores(reader, [ChoiceRequest([REPLY], scene())], None)
    assert 0 <= two.decoding.flips <= 2
    assert 0 <= six.decoding.flips <= 6
    assert np.exp(six.scores).sum() <= 1 + 1e-6  # a mean of log-probabilities


@pytest.mark.parametrize("settings", [{"surface": "txt"}, {"mode": "fast"}, {"mode": "rules"}, {"backend": "regex"}])
def test_a_setting_that_nothing_answers_to_is_refused(settings):
    with pytest.raises(EngineError, match="is not known") as caught:
        Direct(**settings)
    assert "use one of" in caught.value.hint
    with pytest.raises(EngineError, match="mode"):
        Channel("prefix")


def test_more_candidates_than_letters_are_refused(reader):
    many = Choice("reply", "option", tuple(Candidate(f"{n}", f"text {n}", name=f"name {n}") for n in range(27)))
    with pytest.raises(EngineError, match="26"):
        Direct("key", mode="code", plan=BARE).scores(reader, [ChoiceRequest([many], scene())], None)


def test_the_channel_reads_what_shares_words_with_the_message_and_none_of_these(reader):
    many = tuple(Candidate(f"{n}", f"text {n}", f"thing {n} is wanted", (f"give me thing{n}",)) for n in range(60))
    choice = Choice("reply", "option", (*many, PARDON))
    [[exact]] = Channel("exact").scores(reader, [ChoiceRequest([choice], scene("give me thing7"))], None)
    [[found]] = Channel("refine").scores(reader, [ChoiceRequest([choice], scene("give me thing7"))], None)
    assert found.mode == "refine"
    assert found.decoding.n_exact in (32, 33)
    assert found.scores[7] == pytest.approx(exact.scores[7], abs=1e-3)
    assert found.scores[-1] == pytest.approx(exact.scores[-1], abs=1e-3)
    assert len(found.scores) == 61


def test_words_that_an_option_shares_with_the_message_add_to_its_score_and_to_no_question_s(reader):
    plain, with_words = Channel(words=0.0), Channel(words=0.5)
    question = Choice("which", "heard", (KEY, PARDON), "Which?")
    asks = [ChoiceRequest([REPLY, question], scene("a bed please"))]
    [[reply, heard]], [[reply_more, heard_more]] = (rule.scores(reader, asks, None) for rule in (plain, with_words))
    more = reply_more.scores - reply.scores
    assert more[1] > more[0] >= 0 == more[2]
    assert heard_more.scores == pytest.approx(heard.scores)


def test_many_conversations_are_answered_as_each_alone(reader):
    asks = [
        ChoiceRequest([REPLY], scene("the key")),
        ChoiceRequest([Choice("reply", "option", (ROOM, PARDON))], scene("a bed for the night please")),
    ]
    for rule in (Channel(), Direct("key", plan=BARE), Direct("text", mode="refine", plan=BARE)):
        together = rule.scores(reader, asks, None)
        alone = [rule.scores(reader, [ask], None)[0] for ask in asks]
        for one, other in zip(together, alone, strict=True):
            assert one[0].scores == pytest.approx(other[0].scores, abs=1e-3)
