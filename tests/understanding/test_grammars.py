"""Fields of a given form: what is believed of a reading, whoever read it; and the turn that it fills."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import Dialogue, State, Understanding
from constrained.analysis.check import check_policy
from constrained.engines.protocol import ExtractionField, Extractor
from constrained.errors import EngineError, PolicyError
from constrained.hear import grammar, pattern, question
from constrained.packs import load_policy_file
from constrained.quality.golden import GoldenDialogue, run_golden
from constrained.testing import RandomEngine, ScriptedEngine
from constrained.understanding.hearing import ask, checked_readings, extraction_fields
from constrained.understanding.patterns import as_grammar, fits, is_said
from tests.strategies import naughty_strings

ORDER = r"[A-Z]{2}-[0-9]{6}"
PLATE = 'start: CITY "-" LETTERS " " NUMBER\nCITY: /[A-Z]{1,3}/\nLETTERS: /[A-Z]{1,2}/\nNUMBER: /[1-9][0-9]{0,3}/'


class Heard(Understanding):
    angry: bool = question("Is the customer angry?")
    order: str | None = pattern(ORDER, "Which order number?", examples=["AB-123456"])
    plate: str | None = grammar(PLATE, "Which plate?", examples=["B-MW 1234"])


class Shop(State):
    pass


def heard(message: str, **read: Any) -> dict[str, str]:
    wanted = extraction_fields(Heard, message)
    return checked_readings(Heard, wanted, [read.get(blank.name) for blank in wanted], message)


# -- the form ----------------------------------------------------------------------------------------


@given(st.from_regex(ORDER, fullmatch=True))
def test_what_the_pattern_matches_fits_by_lark_too(text: str) -> None:
    assert fits(text, "", ORDER)
    assert fits(text, as_grammar(ORDER))


@given(st.text(max_size=12) | st.from_regex(r"[A-Za-z]{1,3}[- ]?[0-9]{4,7}", fullmatch=True))
def test_a_text_fits_exactly_when_the_whole_pattern_matches(text: str) -> None:
    assert fits(text, "", ORDER) == (re.fullmatch(ORDER, text) is not None)


def test_both_checks_of_a_pattern_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("constrained.understanding.patterns._parses", lambda *_: False)
    assert not fits("AB-123456", "", ORDER)


@pytest.mark.parametrize("text", ["a|b", "ab", "a/b", "é", "1.5"])
def test_alternatives_slashes_and_longest_matches_are_read_alike(text: str) -> None:
    form = r"a\|b|a|ab|a/b|é|[0-9]+(?:\.[0-9]+)?"
    assert fits(text, "", form)
    assert not fits(text + "x", "", form)


@pytest.mark.parametrize(
    ("text", "is_plate"), [("B-MW 1234", True), ("HH-A 1", True), ("B-MW 0123", False), ("B MW 1234", False), ("", False)]
)
def test_a_grammar_is_parsed_by_lark(text: str, is_plate: bool) -> None:
    assert fits(text, PLATE) == is_plate


@given(st.sampled_from(naughty_strings()))
def test_no_text_is_too_odd_to_be_checked(text: str) -> None:
    assert fits(text, "", ORDER) in (True, False)
    assert fits(text, PLATE) in (True, False)
    assert is_said(text, text) in (True, False)


def test_a_text_that_cannot_be_shown_or_is_too_long_fits_nothing() -> None:
    for text in ("a\u202eb", "a\nb", "a\x00b", "a" * 121):
        assert re.fullmatch("(?s:.)+", text)
        assert not fits(text, "", "(?:.|\\s)+")


# -- the message -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "is_there"),
    [
        ("my order is AB-123456, where is it?", True),
        ("ab123456", True),
        ("it is a b, 123 456", True),
        ("AB-123456", True),  # full width
        ("注文AB-123456です", True),
        ("#AB-123456!", True),
        ("AB-1234567", False),
        ("XAB-123456", False),
        ("AB 123 and then 456", False),
        ("123456 AB", False),
        ("AB-12345", False),
        ("", False),
    ],
)  # fmt: skip
def test_a_reading_is_believed_only_if_the_message_says_it(message: str, is_there: bool) -> None:
    assert is_said("AB-123456", message) == is_there
    assert heard(message, order="AB-123456") == ({"order": "AB-123456"} if is_there else {})


@given(st.from_regex(ORDER, fullmatch=True), st.text(alphabet="ab 1-,", max_size=10))
def test_a_reading_of_other_letters_is_not_said(text: str, rest: str) -> None:
    changed = text[:-1] + ("1" if text[-1] != "1" else "2")
    assert is_said(text, f"{rest} {text}, thanks")
    assert not is_said(changed, f"{rest} {text}, thanks") or changed[-1] in rest


def test_what_has_neither_letters_nor_digits_is_never_said() -> None:
    assert not is_said("---", "--- AB-123456")
    assert not is_said("", "AB")


# -- what an engine claims to have read --------------------------------------------------------------


@pytest.mark.parametrize("claim", [None, "AB-123457", "ab-123456", "AB-123456 ", "AB-123456\n", "<b>AB-123456</b>", "", "AB-123456" * 50])
def test_a_claim_that_does_not_hold_is_nothing_heard(claim: str | None) -> None:
    assert heard("my order is AB-123456", order=claim) == {}


@pytest.mark.parametrize("read", [[], ["AB-123456"], ["AB-123456", None, None], [1, 2], [b"AB-123456", None]])
def test_an_engine_that_gives_something_else_is_faulty(read: list[Any]) -> None:
    with pytest.raises(EngineError, match="2 texts were to be read"):
        checked_readings(Heard, extraction_fields(Heard, "AB-123456"), read, "AB-123456")


def test_nothing_is_read_out_of_an_empty_message() -> None:
    assert extraction_fields(Heard, "  ") == ()
    assert [blank.name for blank in extraction_fields(Heard, "a")] == ["order", "plate"]


def test_a_reading_is_one_candidate_beside_none() -> None:
    asked = {
        one.name: one for one in ask(Heard, Shop(), "AB-123456", today=dt.date(2026, 1, 1), locale="en", readings={"order": "AB-123456"})
    }
    assert list(asked) == ["angry", "order"]
    assert asked["order"].choice.kind == "span"
    assert asked["order"].values == ("AB-123456", None)
    assert [one.no_match for one in asked["order"].choice.candidates] == [False, True]
    assert [one.text for one in asked["order"].choice.candidates] == ["AB-123456", "none of these"]


# -- the class ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "made", "message"),
    [
        (str, pattern("a+", "Which?"), "None must be allowed"),
        (int | None, pattern("a+", "Which?"), "is answered by a text"),
        (str | None, pattern("", "Which?"), "matches the empty text"),
        (str | None, pattern("a*", "Which?"), "matches the empty text"),
        (str | None, pattern("(a", "Which?"), "no regular expression"),
        (str | None, pattern("(?=a)b", "Which?"), "holds '(?=a', which no token mask can follow"),
        (str | None, pattern(r"a\b", "Which?"), r"holds '\\b'"),
        (str | None, pattern(r"(a)\1", "Which?"), r"holds '\\1'"),
        (str | None, pattern("(?i:a)", "Which?"), "no token mask"),
        (str | None, pattern("a+", "Which?", examples=["b"]), "the example 'b' is not of the form"),
        (str | None, pattern("a+", "Which?", examples="aa"), "are a list of messages"),
        (str | None, pattern("a+", ""), "the question is empty"),
        (str | None, grammar("begin: A", "Which?"), "none that Lark reads"),
        (str | None, grammar("start: /a/?", "Which?"), "matches the empty text"),
        (str | None, grammar('start: "a"', "Which?", examples=["b"]), "not of the form"),
    ],
)
def test_a_form_that_cannot_be_read_with_is_refused(annotation: Any, made: Any, message: str) -> None:
    with pytest.raises(PolicyError) as caught:

        class Bad(Understanding):
            wrong: annotation = made

    assert message in str(caught.value)
    assert caught.value.problems[0].hint


def test_classes_and_escapes_may_hold_what_looks_like_a_group() -> None:
    class Fine(Understanding):
        one: str | None = pattern(r"[(?=^$\]]+\(\?x(?:a|b)+", "Which?")

    assert Fine().one is None


# -- the turn ----------------------------------------------------------------------------------------

CATALOG = """
catalog: parcels
version: 1
locale: en
speaker: Ida, the parcel desk
fallback: pardon
responses:
  pardon:
    text: Which order is it about?
    when: none of the others fits
  looking:
    text: "I am looking for {order}."
    slots: {order: text}
    when: the customer asks where an order is
    examples: [where is my parcel]
"""
LOGIC = """
from constrained import State, Understanding, policy, say
from constrained.hear import pattern


class Desk(State):
    pass


class Heard(Understanding):
    order: str | None = pattern(r"[A-Z]{2}-[0-9]{6}", "Which order number?", examples=["AB-123456"])


@policy("parcels")
def desk(state: Desk, heard: Heard):
    if heard.order:
        letters, number = heard.order.split("-")
        yield say("looking", order=f"{letters} {int(number)}")
"""


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("pack")
    for name, text in (("catalogs/parcels.yaml", CATALOG), ("logic/parcels.py", LOGIC)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return load_policy_file(folder / "logic" / "parcels.py")


class Claims(RandomEngine):
    """Extractor whatever it is told to."""

    def __init__(self, claim: Any, seed: int = 0) -> None:
        super().__init__(seed)
        self.claim = claim

    def read(self, blanks: Any, scene: Any, deadline: Any = None) -> Any:
        if isinstance(self.claim, Exception):
            raise self.claim
        return self.claim if isinstance(self.claim, list) else [self.claim] * len(blanks)


def test_a_turn_says_what_was_read(parcels: Any, tmp_path: Path) -> None:
    engine = ScriptedEngine({"where is ab 123456?": {"order": "AB-123456", "reply": "looking"}})
    turn = Dialogue(parcels, engine=engine).reply("where is ab 123456?")
    assert turn.text == "I am looking for AB 123456."
    assert turn.heard.order == "AB-123456"
    assert [(one.name, one.value) for one in turn.record.heard] == [("order", "AB-123456")]


def test_engines_that_only_choose_leave_it_unheard(parcels: Any) -> None:
    assert not isinstance(RandomEngine(), Extractor)
    for engine in (None, RandomEngine(), ScriptedEngine({"where is AB-123456?": "pardon"})):
        turn = Dialogue(parcels, engine=engine).reply("where is AB-123456?")
        assert turn.heard.order is None
        assert turn.text == "Which order is it about?"


@given(
    st.none() | st.sampled_from(naughty_strings()) | st.sampled_from(["AB-123456", "AB-999999", "{order}", "ZZ-000000"]), st.integers(0, 5)
)
def test_no_claim_is_said_that_the_message_does_not_say(parcels: Any, claim: Any, seed: int) -> None:
    turn = Dialogue(parcels, engine=Claims(claim, seed)).reply("where is AB-123456?")
    assert turn.text in ("I am looking for AB 123456.", "Which order is it about?")
    assert turn.heard.order in (None, "AB-123456")


@pytest.mark.parametrize("claim", [RuntimeError("CUDA"), ["AB-123456", "x"], [7], 7.5])
def test_a_faulty_reader_is_an_error_and_nothing_is_said(parcels: Any, claim: Any) -> None:
    with pytest.raises(EngineError):
        Dialogue(parcels, engine=Claims(claim)).reply("where is AB-123456?")


def test_a_late_reader_leaves_the_turn_to_the_rules(parcels: Any) -> None:
    turn = Dialogue(parcels, engine=Claims("AB-123456")).reply("where is AB-123456?", within=-1)
    assert turn.heard.order is None
    assert turn.decision.mode == "rules"


def test_an_engine_sees_copies_of_the_blanks(parcels: Any) -> None:
    class Meddles(Claims):
        def read(self, blanks: Any, scene: Any, deadline: Any = None) -> Any:
            object.__setattr__(blanks[0], "pattern", ".*")
            return ["where is"]

    assert Dialogue(parcels, engine=Meddles(None)).reply("where is it?").heard.order is None


def test_a_policy_is_tried_with_texts_of_the_form_alone(parcels: Any) -> None:
    """The policy splits the number at its dash: any other text would break it."""
    assert not [problem for problem in check_policy(parcels) if "ValueError" in str(problem)]


def test_a_golden_dialogue_fills_the_field(parcels: Any) -> None:
    turns = [{"says": "where is ab-123456", "heard": {"order": "AB-123456"}, "expects": "looking"}]
    (result,) = run_golden(parcels, GoldenDialogue.model_validate({"name": "a", "turns": turns}))
    assert result.problems == ()


def test_a_blank_holds_what_a_reader_needs() -> None:
    assert extraction_fields(Heard, "a")[0] == ExtractionField("order", "Which order number?", "", ORDER, ("AB-123456",))
    assert extraction_fields(Heard, "a")[1] == ExtractionField("plate", "Which plate?", PLATE, "", ("B-MW 1234",))
