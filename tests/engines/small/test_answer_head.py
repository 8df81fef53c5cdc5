"""The judge of answers: what it is fitted on, that it is the same in every process, and that a yes needs it and the phrases."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from constrained.engines.loading import load_answer_judge
from constrained.engines.small.answers import CLASSES, LANGUAGES, answers, digest
from constrained.understanding.answers import JUDGE, judge_answer

pytest.importorskip("onnxruntime")
QUESTIONS = {
    "en": "Shall I cancel your appointment?",
    "es": "¿Quiere que cancele la cita?",
    "de": "Soll ich den Termin stornieren?",
    "fr": "Dois-je annuler votre rendez-vous ?",
}


class Certain:
    """A judge that is sure of everything."""

    name = "certain"

    def __init__(self, yes, no):
        self._shares = (yes, no)

    def shares(self, message, language):
        return self._shares

    def words(self, language):
        return load_answer_judge().words(language)


def read(message, language="en", judge=None, question=None):
    return judge_answer(message, language, question or QUESTIONS[language], (), judge or load_answer_judge())


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_answers_enough_and_no_text_is_in_two_parts(language):
    found = answers(language)
    counts = Counter((one.part, one.meaning) for one in found)
    assert min(sum(counts[part, meaning] for part in ("train", "dev", "test")) for meaning in CLASSES) >= (150 if language == "en" else 60)
    assert {one.part for one in found} == {"train", "dev", "test"}
    texts = [one.text.casefold() for one in found]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("part", ["train", "dev"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_authored_answer_that_is_none_is_a_yes(language, part):
    wrong = [
        one.text for one in answers(language) if one.part == part and one.meaning != "yes" and read(one.text, language).meaning == "yes"
    ]
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_most_authored_answers_are_read(language):
    for meaning in ("yes", "no"):
        found = [read(one.text, language).meaning for one in answers(language) if one.part == "dev" and one.meaning == meaning]
        assert found.count(meaning) >= (0.45 if meaning == "yes" else 0.55) * len(found)
        assert {"yes": "no", "no": "yes"}[meaning] not in found


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en", "yes, somebody took it out of my bag"),
        ("en", "please do, I've been waiting three weeks"),
        ("en", "yes, I lost it on the train this morning"),
        ("es", "sí, me la robaron en la playa"),
        ("de", "ja, die wurde mir am Bahnhof gestohlen"),
        ("fr", "oui, on me l'a prise à la gare"),
    ],
)
def test_a_yes_in_words_of_its_own_needs_the_judge(language, message):
    assert judge_answer(message, language, QUESTIONS[language]).meaning not in ("yes", "no")
    reading = read(message, language)
    assert (reading.meaning, reading.judge) == ("yes", f"{JUDGE}; {load_answer_judge().name}")
    assert read(message, language, Certain(0.0, 1.0)).meaning != "yes"


@pytest.mark.parametrize(
    "message",
    [
        "yes, but not today",
        "yes if it's free",
        "yes, the blue one",
        "yes, 78",
        "yes, cancel my card",
        "yes, what does it cost",
        "yes, I want another one",
        "yes, said nobody ever",
        "my sister says yes to everything",
        "ok, and the address",
        "right, I want to talk to somebody",
        "yes, keep it",
        "yes, at nine",
        "yes, in two weeks",
        "yes, not that",
        "I suppose yes",
        "well",
        "asdf yes",
        "yes 🤔",
        "<b>yes</b> do it",
        "yes, don't",
        "I'll do it",
        "no, but yes",
    ],
)
def test_neither_judge_nor_engine_makes_a_yes_of_what_takes_it_back(message):
    assert read(message, judge=Certain(1.0, 0.0)).meaning != "yes"
    assert judge_answer(message, "en", QUESTIONS["en"], judge=Certain(1.0, 0.0), agreement=1.0).meaning != "yes"


@pytest.mark.parametrize(
    "message",
    [
        "yes, that's what they all say", "yes, I'm just looking around", "yes, never", "absolutely. never", "yes, call me",
        "yes, with the other doctor", "yes, a bowl of soup", "yes, the gym", "yes, cancel my account", "yes, later", "yes, you fool",
        "yes, and a pie", "yes, three nights", "yes, withdraw my consent", "yes, who is asking",
        "yes, it's about the hotel", "are you sure about that",
    ],
)  # fmt: skip
def test_an_engine_that_chooses_the_yes_is_not_enough(message):
    assert judge_answer(message, "en", QUESTIONS["en"], judge=Certain(1.0, 0.0), agreement=1.0).meaning != "yes"


@pytest.mark.parametrize(
    ("language", "message"),
    [("en", "yes please, fingers crossed"), ("en", "yes, have a look"), ("es", "sí, eche un ojo")],
)
def test_a_yes_that_the_judge_does_not_doubt_needs_an_engine(language, message):
    def meaning(judge, agreement):
        return judge_answer(message, language, QUESTIONS[language], judge=judge, agreement=agreement).meaning

    assert meaning(Certain(0.2, 0.0), 0.95) == "yes"
    assert "yes" not in (meaning(Certain(0.2, 0.0), 0.8), meaning(Certain(0.05, 0.0), 0.95), meaning(None, 0.95))


def test_an_engine_has_a_veto():
    message = "yes, somebody took it out of my bag"
    assert judge_answer(message, "en", QUESTIONS["en"], judge=Certain(1.0, 0.0), agreement=0.4).meaning == "yes"
    assert judge_answer(message, "en", QUESTIONS["en"], judge=Certain(1.0, 0.0), agreement=0.3).meaning != "yes"


@pytest.mark.parametrize(
    "message", ["no, 78", "no, the other one", "no, Tuesday", "no if it costs something", "no, do it", "nobody knows", "north"]
)
def test_no_judge_makes_a_no_of_a_correction(message):
    assert read(message, judge=Certain(0.0, 1.0)).meaning != "no"


def test_the_judge_is_not_asked_where_phrases_decide():
    for message in ("yes please", "no thanks", "maybe", "yes?", "asdf"):
        assert read(message, judge=Certain(1.0, 1.0)).judge == JUDGE


def test_the_head_is_the_same_in_every_process():
    code = (
        "import json; from constrained.engines.loading import load_answer_judge as load; j = load();"
        "print(json.dumps([j.name, j.shares('yes, I lost it', 'en')]))"
    )
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    judge = load_answer_judge()
    assert json.loads(text) == [judge.name, list(judge.shares("yes, I lost it", "en"))]
    assert digest()[:16] in judge.name


def test_without_the_packages_there_is_no_judge(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    load_answer_judge.cache_clear()
    assert load_answer_judge() is None
    load_answer_judge.cache_clear()
