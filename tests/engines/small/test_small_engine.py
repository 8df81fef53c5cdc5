"""The small engine: its answers are distributions that do not depend on order, cache, threads or time of day."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constrained.engines import loading
from constrained.engines.protocol import (
    BatchEngine,
    Candidate,
    Choice,
    ChoiceRequest,
    Deadline,
    Engine,
    ExtractionField,
    Extractor,
    checked,
)
from constrained.engines.small import encoder as encoders
from constrained.engines.small.engine import SmallEngine
from constrained.engines.small.head import OFFSETS, Sample, fit_head
from constrained.engines.small.respell import make_speller
from constrained.engines.small.store import MOST_FILES, VectorStore
from constrained.engines.small.words import DENIES, LETTERS, form_of, letter_vectors, mention, pieces
from constrained.errors import DeadlineError, EngineError
from tests.engines.asked import CHOICES, OPTIONS, SCENE, SPAN, THREAT


class LetterEncoder:
    """Vectors of letters alone: quick, and near for texts that share words."""

    name, weights = "letters", "letters-1"

    def __init__(self) -> None:
        self.n_read = 0

    def vectors(self, texts):
        self.n_read += len(texts)
        return letter_vectors(texts) if len(texts) else np.zeros((0, LETTERS), dtype=np.float32)


def small(folder=None, encoder=None):
    return SmallEngine(folder, lambda language: encoder or LetterEncoder())


@pytest.fixture(scope="module")
def engine():
    return small()


def scene(message):
    return replace(SCENE, message=message)


def best(choice, answer):
    return choice.candidates[answer.best].key


def test_it_is_every_kind_of_engine_that_the_protocol_names(engine):
    assert isinstance(engine, Engine)
    assert isinstance(engine, BatchEngine)
    assert isinstance(engine, Extractor)
    assert all(isinstance(value, str) and value for value in engine.identity.values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=300), st.sampled_from(["", " ", "a" * 500, "\ud800", "🎉", "<script>", "?!. " * 50])))
def test_any_message_gets_a_distribution_for_every_choice(engine, message):
    answers = engine.choose(CHOICES, scene(message))
    assert checked(answers, [len(choice.candidates) for choice in CHOICES])


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(3)), st.sampled_from(["here is the money for the key", "any gossip?", "xyzzy", "the key, any gossip"]))
def test_the_order_of_the_candidates_plays_no_part(engine, order, message):
    turned = replace(OPTIONS, candidates=tuple(OPTIONS.candidates[index] for index in order))
    straight, other = (engine.choose([choice], scene(message))[0].probabilities for choice in (OPTIONS, turned))
    assert [straight[index] for index in order] == pytest.approx(other, abs=1e-6)


def test_examples_are_picked_and_nonsense_is_none_of_them(engine):
    for message, key in [("here is the money for the key", "0:sell"), ("any gossip?", "1:rumour"), ("qqq zzz vvv", "2:pardon")]:
        assert best(OPTIONS, engine.choose([OPTIONS], scene(message))[0]) == key


def test_an_example_of_the_fallback_is_answered_by_the_fallback(engine):
    rest = replace(OPTIONS.candidates[2], examples=("the parrot talks about the key", "my knee hurts"))
    choice = replace(OPTIONS, candidates=(*OPTIONS.candidates[:2], rest))
    for message in rest.examples:
        assert best(choice, engine.choose([choice], scene(message))[0]) == "2:pardon"


@pytest.mark.parametrize("message", ["do not cancel my booking", "I don't want to cancel my booking", "never cancel my booking"])
def test_a_denied_request_is_not_the_request(engine, message):
    cancel = Candidate("0:cancel", "Done.", "wants to cancel", ("cancel my booking", "please cancel it", "I want to cancel"), name="cancel")
    hours = Candidate("1:hours", "From nine.", "asks for hours", ("when do you open", "are you open today"), name="hours")
    choice = Choice("reply", "option", (cancel, hours, Candidate("2:rest", "Pardon?", no_match=True, name="rest")))
    plain, denied = (engine.choose([choice], scene(text))[0].probabilities[0] for text in ("cancel my booking", message))
    assert plain > 0.8
    assert denied < 0.5


def test_a_question_is_answered_by_its_examples(engine):
    assert best(THREAT, engine.choose([THREAT], scene("I'll burn this place down"))[0]) == "yes"
    assert best(THREAT, engine.choose([THREAT], scene("lovely weather in the mountains"))[0]) == "no"


@pytest.mark.parametrize(
    ("message", "key"),
    [("send 50, no wait, 60", "60"), ("send 60, no wait, 50", "50"), ("60, sorry, I meant 50", "50"), ("not 60 but rather 50", "50")],
)
def test_of_several_values_the_corrected_one_is_heard(engine, message, key):
    assert best(SPAN, engine.choose([SPAN], scene(message))[0]) == key


@pytest.mark.parametrize(
    ("message", "key"),
    [("how much for the axe", "axe"), ("another SHIELD!!", "shield"), ("two axes", "axe"), ("to Munchen", "München"), ("nice day", "none")],
)
def test_what_is_named_is_heard_where_there_are_no_examples(engine, message, key):
    names = ["axe", "shield", "München"]
    candidates = tuple(Candidate(name, name, f"Which? {name}.", name=name) for name in names)
    choice = Choice("item", "heard", (*candidates, Candidate("none", "none of these", no_match=True, name="none")), "Which?")
    assert best(choice, engine.choose([choice], scene(message))[0]) == key


def test_two_fillings_of_one_response_are_told_apart_by_their_words(engine):
    same = {"when": "the player asks for the price", "examples": ("what does it cost?", "how much is that?"), "name": "price"}
    choice = Choice("reply", "option", (Candidate("0:p", "The axe is 30.", **same), Candidate("1:p", "The shield is 30.", **same)))
    assert best(choice, engine.choose([choice], scene("how much is the shield?"))[0]) == "1:p"
    assert best(choice, engine.choose([choice], scene("how much is the axe?"))[0]) == "0:p"


def test_a_request_at_the_end_of_a_long_letter_is_found(engine):
    letter = "My uncle plants trees near Oslo every spring. " * 12 + "Here is the money for the key."
    assert best(OPTIONS, engine.choose([OPTIONS], scene(letter))[0]) == "0:sell"


def test_a_second_engine_gives_the_same_answers_from_the_cache_and_reads_nothing_twice(tmp_path):
    first, second = LetterEncoder(), LetterEncoder()
    answers = [small(tmp_path, one).choose(CHOICES, scene("any gossip?")) for one in (first, second)]
    assert answers[0] == answers[1]
    assert second.n_read < first.n_read / 4  # the message, names, and lone texts, which are not kept


def test_a_cache_by_another_encoder_is_not_used(tmp_path):
    other = LetterEncoder()
    other.weights = "letters-2"
    small(tmp_path).choose(CHOICES, scene("any gossip?"))
    first = LetterEncoder()
    small(None, first).choose(CHOICES, scene("any gossip?"))
    small(tmp_path, other).choose(CHOICES, scene("any gossip?"))
    assert other.n_read == first.n_read


def test_a_damaged_cache_is_not_used(tmp_path):
    expected = small(tmp_path).choose(CHOICES, scene("any gossip?"))
    for file in tmp_path.glob("*.f32"):
        file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\1")
    assert small(tmp_path).choose(CHOICES, scene("any gossip?")) == expected


def test_the_cache_has_a_bound(tmp_path):
    for number in range(MOST_FILES + 5):
        VectorStore(LetterEncoder(), tmp_path).add([f"one {number}", f"two {number}"])
    assert len(list(tmp_path.glob("*.f32"))) == MOST_FILES


def test_a_cache_that_cannot_be_written_changes_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert small(tmp_path / "file" / "vectors").choose(CHOICES, scene("any gossip?")) == small().choose(CHOICES, scene("any gossip?"))


def test_a_cache_on_a_read_only_volume_is_read(tmp_path, monkeypatch):
    before = small(tmp_path).choose(CHOICES, scene("any gossip?"))

    def refuse(*_):
        raise PermissionError("a read-only volume")

    monkeypatch.setattr("constrained.engines.small.store.os.utime", refuse)
    monkeypatch.setattr("constrained.engines.small.store.replace_file", lambda *_: pytest.fail("made anew"))
    assert small(tmp_path).choose(CHOICES, scene("any gossip?")) == before


def test_threads_get_what_one_gets():
    messages = ["any gossip?", "here is the money for the key", "I'll burn this place down", "qqq"] * 4
    shared = small()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda message: shared.choose(CHOICES, scene(message)), messages))
    alone = small()
    for message, answers in zip(messages, found, strict=True):
        for answer, expected in zip(answers, alone.choose(CHOICES, scene(message)), strict=True):
            assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-6)


def test_many_conversations_get_what_each_gets(engine):
    asks = [ChoiceRequest(CHOICES, scene(message)) for message in ("any gossip?", "qqq")]
    assert engine.decide_many(asks) == [engine.choose(ask.choices, ask.scene) for ask in asks]


def test_a_deadline_that_is_over_is_told(engine):
    for call in (lambda: engine.choose(CHOICES, scene("hi"), Deadline(0.0, 0.0)), lambda: engine.read([], scene("hi"), Deadline(0.0, 0.0))):
        with pytest.raises(DeadlineError):
            call()


@pytest.mark.parametrize(
    ("message", "text"),
    [("it's ng-123456, thanks", "ng-123456"), ("NG-1234567", None), ("no number here", None), ("XNG-123456", None)],
)
def test_a_text_of_a_form_is_read_whole_or_not_at_all(engine, message, text):
    assert engine.read([ExtractionField("ref", "Which reference?", pattern=r"[A-Z]{2}-[0-9]{6}")], scene(message)) == [text]


def test_a_missing_package_is_told_with_the_command(monkeypatch):
    monkeypatch.setattr(encoders.importlib.util, "find_spec", lambda name: None)
    encoders._minilm.cache_clear()  # in this process another test may have loaded it
    with pytest.raises(EngineError) as raised:
        SmallEngine(None).choose(CHOICES, scene("hi"))
    assert "constrained[small]" in raised.value.hint


def test_weights_with_other_bytes_are_refused(monkeypatch, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"other")
    found = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})()
    monkeypatch.setattr(encoders.importlib.util, "find_spec", lambda name: found)
    with pytest.raises(EngineError, match="not the file"):
        encoders.ENGLISH.locate()


def test_it_takes_no_adapter_and_no_calibration():
    with pytest.raises(EngineError):
        loading.load_engine("small", adapter="x")
    with pytest.raises(EngineError):
        loading.load_engine("small", fitted="x")


def test_it_imports_no_torch():
    code = "import sys; from constrained.engines.loading import load_engine; load_engine('small'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


# -- heads -----------------------------------------------------------------------------------------------------------


def _problem(seed, n=30, classes=3):
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    points = np.eye(classes)[labels] + 0.4 * chance.normal(size=(n, classes))
    samples = [Sample(row, int(label), float(chance.uniform(0.3, 1))) for row, label in enumerate(labels)]
    return np.exp(points @ points.T - 2), samples


@pytest.mark.parametrize("seed", range(3))
def test_left_out_scores_are_those_of_a_head_without_the_message(seed):
    """The closed form against the fit that it stands for: the share that was right while left out."""
    kernel, samples = _problem(seed)
    hits = weights = 0.0
    for out in samples:
        kept = [one for one in samples if one is not out]
        rows = [one.row for one in kept]
        found = fit_head("heard", kernel[np.ix_(rows, rows)], kept, 3, None)
        hits += out.weight * (found.scores(kernel[[out.row]], np.zeros(1, dtype=np.int64))[0].argmax() == out.label)
        weights += out.weight
    assert fit_head("heard", kernel, samples, 3, None).left_out == pytest.approx(hits / weights)


def test_the_same_samples_give_the_same_head():
    kernel, samples = _problem(0)
    assert fit_head("heard", kernel, samples, 3, 2).hash == fit_head("heard", kernel, samples, 3, 2).hash


@pytest.mark.parametrize("far", [False, True])
def test_none_of_these_is_said_as_readily_as_left_out_messages_ask_for(far):
    """Messages for "none of these" that stand among an option's own ask for less of it than such that stand apart."""
    points = np.asarray([[1.0, 0, 0]] * 10 + [[0, 1.0, 0]] * 10 + [[0, 0, 1.0] if far else [0.7, 0.7, 0]] * 10)
    points = points + 0.3 * np.random.default_rng(0).normal(size=points.shape)
    samples = [Sample(row, row // 10, 1.0 if row < 20 else 0.3) for row in range(30)]
    kernel = np.exp(2 * (points @ points.T / np.linalg.norm(points, axis=1)[:, None] / np.linalg.norm(points, axis=1) - 1))
    found = fit_head("option", kernel, samples, 3, 2)
    assert found.offset in OFFSETS["option"]
    assert fit_head("heard", kernel, samples, 3, 2).offset == 0
    right = found.logits(found.scores(kernel, np.zeros(30, dtype=np.int64)), np.zeros(30, dtype=np.int64)).argmax(1) == np.arange(30) // 10
    assert right[:20].mean() >= (0.95 if far else 0.8)


@settings(deadline=None)
@given(st.integers(0, 3), st.sampled_from([-0.2, 0.0, 0.1]), st.lists(st.floats(-1, 2), min_size=3, max_size=3))
def test_a_denial_is_never_left_to_an_option_by_the_offset(form, offset, scores):
    kernel, samples = _problem(0)
    fitted = replace(fit_head("option", kernel, samples, 3, 2), offset=offset)
    plain = replace(fitted, offset=0.0)
    row, forms = np.asarray([scores]), np.asarray([form])
    moved = fitted.logits(row, forms)[0, 2] - plain.logits(row, forms)[0, 2]
    assert moved == pytest.approx(max(offset, 0) / fitted.temperature if form & DENIES else offset / fitted.temperature)


def test_an_option_without_examples_is_chosen_by_its_name_and_when(engine):
    """Names of options are no things to mention: one shared word must not outweigh what is meant."""
    options = (
        Candidate("0", "Sure.", "the user wants to open an account", name="new account"),
        Candidate("1", "Gone.", "the user wants to close an account for good", name="close account"),
        Candidate("2", "Pardon?", no_match=True, name="rest"),
    )
    choice = Choice("reply", "option", options)
    assert best(choice, engine.choose([choice], scene("please close my account for good"))[0]) == "1"
    assert best(choice, engine.choose([choice], scene("zzz qqq xxx"))[0]) == "2"


# -- words -----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_pieces_leave_out_no_word_and_stay_few(message):
    whole, *rest = pieces(message)
    assert whole == message
    assert len(rest) <= 12
    if rest:
        assert "".join(" ".join(rest).split()).replace("\u2013", "").replace("\u2014", "") == "".join(message.split()).replace(
            "\u2013", ""
        ).replace("\u2014", "")


@pytest.mark.parametrize("text", ["don't cancel it", "no lo canceles", "nicht stornieren", "ne l'annulez pas", "I can\u2019t"])
def test_a_denial_is_told_in_each_language(text):
    assert form_of(text) & 2


@pytest.mark.parametrize("text", ["why was it cancelled", "¿cuándo abren?", "wann macht ihr auf", "où est la gare", "open?"])
def test_a_question_is_told_in_each_language(text):
    assert form_of(text) & 1


@pytest.mark.parametrize("text", ["cancel it", "quiero cancelar", "bitte stornieren", "annulez ma carte", "note this knot"])
def test_a_plain_request_is_neither(text):
    assert form_of(text) == 0


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("blokc my crad pls", "block my card please"),
        ("wehre is my paymnet", "where is my payment"),
        ("block the bicycle", "block the bicycle"),
        ("whats the fee atm", "what is the fee at the moment"),
    ],
)
def test_typing_errors_go_to_words_of_the_desk(written, meant):
    speller = make_speller(["please block my card", "where is my payment", "the fee"], "en")
    assert speller.mend(written) == meant


def test_what_the_desk_says_is_left_alone():
    texts = ["block my kard", "4 u"]
    speller = make_speller(texts, "en")
    assert [speller.mend(text) for text in texts] == texts


@pytest.mark.parametrize(("name", "message", "least"), [("New York", "take me to NEW YORK!!!", 1), ("St John's", "to St John\u2019s", 1)])
def test_a_mention_needs_no_case_and_no_accents(name, message, least):
    assert mention(name, message) >= least


def test_part_of_a_word_is_no_mention():
    assert mention("axe", "relaxed taxes") == 0


def test_packaged_background_is_whole():
    from constrained.engines.small import background

    for language, n in (("en", 60), ("es", 40), ("de", 40), ("fr", 40)):
        lines = background.chatter(language)
        assert len(lines) >= n
        assert len(set(lines)) == len(lines)
    assert all(background.other_desks(language) for language in ("en", "es", "de"))
    assert json.loads(background.PACKS.read_text(encoding="utf-8"))
