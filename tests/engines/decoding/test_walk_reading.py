"""Reading: what a message spells of a form, which of several the model takes, and that all of it is said and of the form."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.engines.decoding.grammar_masks import XgrammarMask
from constrained.engines.decoding.reader import Reader
from constrained.engines.decoding.slot_reading import MOST_READINGS, read, readings
from constrained.engines.decoding.tokens import spelling_of
from constrained.engines.protocol import Deadline, ExtractionField, PromptContext
from constrained.errors import DeadlineError, EngineError
from constrained.understanding.patterns import fits, is_said
from tests.engines.decoding import tiny

pytest.importorskip("xgrammar", reason="xgrammar is not installed: pip install xgrammar")

ORDER = r"[A-Z]{2}-\d{6}"
PLATE = 'start: CITY "-" LETTERS " " NUMBER\nCITY: /[A-Z]{1,3}/\nLETTERS: /[A-Z]{1,2}/\nNUMBER: /[1-9][0-9]{0,3}/'
NEAR = ("AB", "123456", "ab", "12", "3456", "B", "MW", "1234", "is", "no", "x1")


@pytest.fixture(scope="module")
def order(tokens):
    return XgrammarMask.of_regex(spelling_of(tokens, tiny.N_VOCABULARY), ORDER)


@pytest.fixture(scope="module")
def plate(tokens):
    return XgrammarMask.of_lark(spelling_of(tokens, tiny.N_VOCABULARY), PLATE)


def scene(message: str) -> PromptContext:
    return PromptContext("s", "Ida", "", "", (), (), "", (), message, "en")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("my order is AB-123456, where is it?", ["AB-123456"]),
        ("QX 998 231 arrived broken", ["QX-998231"]),
        ("zk204417 never came!!", ["ZK-204417"]),
        ("AB-123456 or CD 654321, and ab-123456 again", ["AB-123456", "CD-654321"]),
        ("注文AB-123456です", ["AB-123456"]),
        ("a b 1 2 3 4 5 6", ["AB-123456"]),
        ("XAB1234567", []),
        ("AB1234567", []),
        ("where is my parcel", []),
        ("", []),
        ("- - -", []),
    ],
)
def test_a_message_s_letters_side_by_side_are_what_can_be_read(order, message, expected):
    assert readings(order, message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("the plate is B MW 1234", ["B-MW 1234"]),  # not IS-BMW 1234
        ("HH-AB 77 has its lights on", ["HH-AB 77"]),
        ("b-mw 1", ["B-MW 1"]),
        ("b-mw 0", []),
    ],
)
def test_of_pieces_that_overlap_the_one_nearest_to_the_message_is_read(plate, message, expected):
    assert readings(plate, message) == expected


@given(st.lists(st.sampled_from(NEAR), max_size=6), st.sampled_from([" ", "-", ", ", ""]))
def test_every_reading_is_said_and_of_the_form(order, plate, words, separator):
    """Held against the check of the dialogue, which shares no code with it."""
    message = separator.join(words)
    for text in readings(order, message):
        assert fits(text, "", ORDER)
        assert is_said(text, message)
    for text in readings(plate, message):
        assert fits(text, PLATE)
        assert is_said(text, message)


@given(st.from_regex(r"[A-Z]{2}-[0-9]{6}", fullmatch=True), st.sampled_from(["{}", "see {}!", "about {}, please", "({})"]))
def test_what_is_written_is_read(order, number, frame):
    assert number in readings(order, frame.format(number))
    assert number in readings(order, frame.format(number.lower().replace("-", " ")))


def test_a_grammar_of_many_ways_ends(tokens):
    anything = XgrammarMask.of_regex(spelling_of(tokens, tiny.N_VOCABULARY), r"[A-Za-z0-9 ,.-]{1,60}")
    found = readings(anything, "the quick brown fox jumps over the lazy dog, and then some more words come " * 8)
    assert 1 < len(found) <= MOST_READINGS


def test_one_reading_needs_no_model(llama, tokens, network):
    fed = []
    hook = network.get_input_embeddings().register_forward_pre_hook(lambda *_: fed.append(1))
    try:
        found = read(
            Reader(llama, tokens),
            [ExtractionField("o", "Which?", "", ORDER), ExtractionField("p", "Which?", PLATE)],
            scene("it is AB 123456"),
            None,
        )
    finally:
        hook.remove()
    assert found == ["AB-123456", None]
    assert not fed


@given(st.integers(0, 20))
def test_of_several_readings_the_model_takes_one(llama, tokens, number):
    message = f"AB-{number:06} or CD-{number + 1:06} or EF-{number + 2:06}"
    (found,) = read(Reader(llama, tokens), [ExtractionField("o", "Which?", "", ORDER)], scene(message), None)
    assert found in message.split(" or ")


def test_a_grammar_that_xgrammar_cannot_use_is_told_with_its_field(llama, tokens):
    with pytest.raises(EngineError, match=r"'o' cannot be read: xgrammar cannot use this grammar: .*priorities"):
        read(Reader(llama, tokens), [ExtractionField("o", "Which?", "start: X\nX.2: /a+/")], scene("aa"), None)


def test_without_xgrammar_the_error_names_the_command(llama, tokens, monkeypatch):
    monkeypatch.setitem(sys.modules, "xgrammar", None)
    with pytest.raises(EngineError, match="xgrammar is not installed") as caught:
        read(Reader(llama, tokens), [ExtractionField("o", "Not compiled before?", "", "[a-c]+")], scene("aa"), None)
    assert caught.value.hint == "pip install xgrammar"


def test_a_deadline_is_kept(llama, tokens):
    with pytest.raises(DeadlineError):
        read(Reader(llama, tokens), [ExtractionField("o", "Which?", "", ORDER)], scene("AB-123456"), Deadline.after(-1))


@pytest.mark.model
def test_the_real_engine_reads_an_order_number(real_engine):
    blank = ExtractionField("order", "Which order number does the customer give?", "", ORDER)
    for message, expected in (
        ("hi, about QX 998 231: it arrived broken", "QX-998231"),
        ("where is my parcel", None),
        ("I ordered two lamps on 3 May under number LM-330192 and one is missing", "LM-330192"),
    ):
        assert real_engine.read([blank], scene(message)) == [expected]
    assert real_engine.read([blank], scene("Not AB-111111, I mean CD-222222"))[0] in ("AB-111111", "CD-222222")
