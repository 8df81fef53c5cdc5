"""The small engine with its real encoders on the shipped packs: what nobody answers, each language's encoder, no torch."""

from __future__ import annotations

import numpy as np
import pytest

from constrained import Dialogue
from constrained.engines.small.encoder import PLAIN, UNIVERSAL_SHARE, WEIGHTED, MiniLM, UniversalEncoder, shared_encoder, shared_pair
from constrained.engines.small.engine import SmallEngine

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return SmallEngine(tmp_path_factory.mktemp("vectors"))


@pytest.mark.parametrize("message", ["xyzzy", "tell me a joke", "a" * 500, "<script>", "\U0001f642", "qwpo zmxn", "what is 3 times 9?"])
@pytest.mark.parametrize(("pack", "locale"), [("tavern", "en"), ("bank_disputes", "en-GB"), ("clinic_booking", "en")])
def test_what_nobody_answers_goes_to_the_fallback(engine, pack, locale, message):
    dialogue = Dialogue(pack, engine=engine, locale=locale, drafts=True)
    assert dialogue.reply(message).response_id == dialogue.catalog.fallback


@pytest.mark.parametrize(
    "make", [lambda: shared_encoder("en"), UniversalEncoder, lambda: shared_pair("en")], ids=["english", "other", "pair"]
)
def test_a_text_has_the_same_unit_vector_alone_and_in_a_batch(make):
    encoder = make()
    texts = ["cancel my card", "a much longer sentence about nothing that anybody at a desk would ever want to know", "?", ""]
    together = encoder.vectors(texts)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-3)
    for text, vector in zip(texts, together, strict=True):
        assert encoder.vectors([text])[0] @ vector == pytest.approx(1, abs=1e-3)


def test_likeness_in_english_is_the_mean_of_both_encoders():
    texts = ["cancel my card", "block the card please", "is there a chapel in town?"]
    both, first, second = (one.vectors(texts) for one in (shared_pair("en"), MiniLM(), UniversalEncoder()))
    first = first[:, WEIGHTED]
    expected = (1 - UNIVERSAL_SHARE) * (first @ first.T) + UNIVERSAL_SHARE * (second @ second.T)
    assert both @ both.T == pytest.approx(expected, abs=1e-3)


def test_common_words_count_less_and_denials_in_full():
    encoder = MiniLM()
    card_alone, common = encoder.vectors(["cancel card", "I have to cancel the card and it is of the"])
    assert card_alone[WEIGHTED] @ common[WEIGHTED] > 0.8
    assert card_alone[WEIGHTED] @ common[WEIGHTED] > card_alone[PLAIN] @ common[PLAIN]
    counts = encoder._counts
    the, card, no = (encoder._tokenizer.token_to_id(word) for word in ("the", "card", "not"))
    assert counts[the] < 0.1 < counts[card] < counts[no] == 1


def test_languages_meet_in_the_multilingual_encoder():
    english, spanish, other = UniversalEncoder().vectors(["I want to cancel my card", "quiero cancelar mi tarjeta", "the cat sleeps"])
    assert english @ spanish > 0.8 > 0.5 > english @ other


def test_a_pack_in_spanish_is_read_without_being_asked(engine):
    dialogue = Dialogue("clinic_booking", engine=engine, locale="es", drafts=True)
    decision = dialogue.reply("quiero pedir una cita con el médico").decision
    assert decision.chosen.id != dialogue.catalog.fallback
    assert "other" in engine._stores
