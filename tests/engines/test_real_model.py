"""The real small model: exactness in float32, the same bits twice, its own tokenizer, hostile messages."""

from __future__ import annotations

import csv
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.engines.decoding import prompts
from constrained.engines.decoding.channel import Contexts, score_message, score_message_rows
from constrained.engines.decoding.direct_rule import Direct
from constrained.engines.decoding.exact import score_rows, score_tree
from constrained.engines.decoding.rules import Channel
from constrained.engines.model_files import get_model
from constrained.engines.protocol import Candidate, Choice
from constrained.engines.transformers import TransformersEngine
from tests.engines.asked import CATALOG, CHOICES, OPTIONS, SCENE, inn, scores
from tests.strategies import DATA, HOSTILE, naughty_strings

pytestmark = pytest.mark.model
BUTLER = DATA / "mystery_butler" / "butler.csv"
TOLERANCE_NATS = 1e-3
N_LINES = 24
ROOMS = ("library", "cellar", "kitchen", "attic", "garden", "hall")
OPENINGS = ("I saw nobody in the", "Ask the cook about the", "Her ladyship never enters the", "The diamond was last seen in the")
ENDINGS = (
    "and if the inspector wishes to look behind the curtains once more, I shall bring a lamp, a ladder and the second key",
    "for the doctor came back at nine, wet through and without his hat, and would not tell a soul where he had been since dinner",
    "though the clock had stopped and the window stood open, which I reported to the constable who wrote it down and left",
)
LINES = [f"{opening} {room}, sir, {ENDINGS[index % 3]}." for index, room in enumerate(ROOMS) for opening in OPENINGS]
QUESTION = "Was the diamond insured?"


@pytest.fixture(scope="module")
def exact(real_engine):
    """The same model in float32."""
    return TransformersEngine(get_model(), dtype="float32")


@pytest.fixture(scope="module")
def lines():
    """24 replies of the butler; a few of our own where the data is not at hand."""
    if not BUTLER.is_file():
        return LINES
    with BUTLER.open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys(row["Response"] for row in csv.DictReader(file)))[:N_LINES]


BARE = prompts.PromptPlan(has_rules=False, has_listing=False)


def exact_with(engine, rule):
    """The same loaded model under another rule."""
    other = copy(engine)
    other.rule = rule
    return other


def test_the_tree_is_used(real_engine, exact):
    assert real_engine.identity["scoring"] == exact.identity["scoring"] == "tree"
    assert exact.identity["dtype"] == "float32"
    assert real_engine.identity["tokenizer"] == exact.identity["tokenizer"]


def test_tree_scores_equal_scores_line_by_line(exact, lines):
    model, tokens = exact.reader.model, exact.reader.tokens
    rows = [[*row, tokens.end] for row in tokens.plain_batch(lines)]
    static, dynamic = tokens.chat("You are the butler.", QUESTION)
    found = score_tree(model, model.prefill(static), dynamic, rows)
    reference = score_rows(model, model.prefill(static), dynamic, rows)
    assert np.abs(found.log_probs - reference.log_probs).max() <= TOLERANCE_NATS
    assert found.n_tokens < reference.n_tokens
    assert found.log_probs.max() < 0


def test_searches_find_what_exact_finds_and_read_less(exact, lines):
    choice = Choice("reply", "option", tuple(Candidate(str(index), line) for index, line in enumerate(lines[:10])))
    [[whole], [bounded], [refined]] = (
        exact_with(exact, Direct("text", False, plan=BARE, mode=mode)).choose([choice], SCENE) for mode in ("exact", "bounded", "refine")
    )
    assert bounded.best == refined.best == whole.best
    assert bounded.decoding.gap >= 0
    assert refined.decoding.n_expanded < whole.decoding.n_expanded


def test_channel_scores_equal_plain_passes(exact, lines):
    model, tokens = exact.reader.model, exact.reader.tokens
    choice = Choice("reply", "option", tuple(Candidate(str(index), line, line) for index, line in enumerate(lines)))
    contexts = [tuple(tokens.plain(text)) for text in prompts.contexts(choice, SCENE)]
    message = tokens.plain(prompts.heard_as(QUESTION))
    found, _ = score_message(model, Contexts(model), contexts, message)
    by_rows, *_ = score_message_rows(model, [(context, tuple(message)) for context in contexts])
    assert np.abs(found - by_rows).max() <= TOLERANCE_NATS


@pytest.mark.parametrize("rule", [Channel(), Direct()], ids=lambda rule: rule.name)
def test_the_same_question_gets_the_same_bits(real_engine, rule):
    engine = TransformersEngine.around(real_engine.reader.model.network, real_engine.reader.tokens._tokenizer, rule=rule)
    first, again = scores(engine), scores(engine)
    anew = TransformersEngine.around(real_engine.reader.model.network, real_engine.reader.tokens._tokenizer, rule=rule)
    assert first == again == scores(anew)


@pytest.mark.parametrize("rule", [Channel(), Direct()], ids=lambda rule: rule.name)
def test_what_was_asked_before_changes_no_bit(real_engine, rule):
    """What is computed once and kept is the same whatever it was computed with."""
    network, tokenizer = real_engine.reader.model.network, real_engine.reader.tokens._tokenizer
    fresh, busy = (TransformersEngine.around(network, tokenizer, rule=rule) for _ in range(2))
    for choice in (replace(OPTIONS, candidates=OPTIONS.candidates[:2]), *reversed(CHOICES)):
        busy.choose([choice], replace(SCENE, message="Good evening."))
    assert scores(busy) == scores(fresh)


# -- its tokenizer ----------------------------------------------------------------------------------------


# All that the model can read: of these bytes its vocabulary has no token, so such characters vanish before it sees them.
UNREADABLE = "\x04\x06\x13\x14\x16\x1d"
readable = st.text(st.characters(max_codepoint=0x3FFFF, exclude_characters=UNREADABLE), max_size=80)


@given(readable | st.sampled_from([text for text in HOSTILE if len(text) < 5_000]))
def test_text_comes_back_as_it_was_and_without_special_tokens(real_engine, text):
    tokens = real_engine.reader.tokens
    ids = tokens.plain(text)
    assert tokens.text(ids) == text.encode("utf-8", "replace").decode("utf-8")
    assert specials(tokens).isdisjoint(ids)


@given(st.text(max_size=20))
def test_no_text_at_all_becomes_a_special_token(real_engine, text):
    tokens = real_engine.reader.tokens
    assert specials(tokens).isdisjoint(tokens.plain(text))


def test_no_special_token_can_be_spelt_out(real_engine):
    tokens = real_engine.reader.tokens
    names = [str(token) for token in tokens._tokenizer.added_tokens_decoder.values()]
    assert "<|im_end|>" in names
    for text in [*names, *(name * 3 for name in names), *(f"{name}\n x{name}" for name in names), *naughty_strings()]:
        ids = tokens.plain(text)
        assert specials(tokens).isdisjoint(ids), text
        assert tokens.text(ids) == text.encode("utf-8", "replace").decode("utf-8")
        assert tokens.chat(text, text)[0].count(tokens.end) == tokens.chat("", "")[0].count(tokens.end)


def specials(tokens):
    return set(tokens._tokenizer.all_special_ids) | set(tokens._tokenizer.added_tokens_decoder)


# -- whatever is said -------------------------------------------------------------------------------------


def test_naughty_strings_get_approved_replies(real_engine):
    dialogue = Dialogue(inn(), engine=real_engine)
    for text in naughty_strings()[::13]:
        turn = dialogue.reply(text)
        assert turn.response_id in CATALOG["responses"]
        assert turn.decision.mode in ("exact", "rules")
