"""Heard: defined by questions, asked as closed choices, understood from distributions."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from constrained import State, Understanding
from constrained.engines.protocol import Distribution
from constrained.errors import EngineError, PolicyError, StateError
from constrained.hear import amount, choice, date, entity, question, score
from constrained.understanding.hearing import AskedQuestion, ask, understand
from tests.strategies import naughty_strings

TODAY = dt.date(2026, 3, 18)  # a Wednesday


class Item(Enum):
    CELLAR_KEY = "cellar_key"
    LAMP = 2


class Order(BaseModel):
    model_config = ConfigDict(frozen=True)
    id: str
    what: str
    day: dt.date | None = None


class Desk(State):
    orders: tuple[Order, ...] = ()
    belt: frozenset[Item] = frozenset()
    names: tuple[str, ...] = ()


class Heard(Understanding):
    threat: bool = question("Is it a threat?", yes=["I'll burn it down"], no=["nice place"])
    mood: Literal["friendly", "very_rude"] | None = choice("How does it sound?", friendly=["good day"], very_rude=["move it"])
    tone: Literal["low", "high"] = choice("Which tone?", at_least=0.6)
    tool: Item | None = choice("Which tool?", CELLAR_KEY=["the key"])
    anger: int = score("How angry?", low=1, high=3)
    order: str | None = entity("Which order?", among="orders", by="id")
    item: Item | None = entity("Which item?", among="belt")
    name: str | None = entity("Which name?", among="names", at_least=0.7)
    offer: int | None = amount("How much?")
    exact: Decimal | None = amount("How much exactly?")
    day: dt.date | None = date("Which day?")
    past: dt.date | None = date("Which day was it?", prefer="past")
    sure: bool = question("Is it sure?", at_least=0.7)
    single: Literal["one"] = choice("Which one?")


ORDERS = (Order(id="A17", what="boots"), Order(id="B2", what="a hat", day=dt.date(2026, 3, 1)))
FULL = Desk(orders=ORDERS, belt={Item.CELLAR_KEY, Item.LAMP}, names=("Ann", "none", "Bo"))


def asked_by_name(message: str, state: State = FULL, heard: type[Understanding] = Heard) -> dict[str, AskedQuestion]:
    return {one.name: one for one in ask(heard, state, message, today=TODAY, locale="en")}


def pick(one: AskedQuestion, index: int) -> Distribution:
    return Distribution(tuple(0.9 if number == index else 0.1 / max(1, len(one.values) - 1) for number in range(len(one.values))), "exact")


# -- the class ---------------------------------------------------------------------------------------


def test_nothing_heard_is_the_defaults() -> None:
    heard, hearings = understand(Heard, (), [])
    assert heard == Heard() == Heard.default()
    assert hearings == ()
    assert heard.model_dump() == {
        "threat": False, "mood": None, "tone": "low", "tool": None, "anger": 1, "order": None, "item": None, "name": None,
        "offer": None, "exact": None, "day": None, "past": None, "sure": False, "single": "one",
    }  # fmt: skip


def test_questions_are_inherited() -> None:
    class More(Heard):
        extra: bool = question("More?")

    assert list(More.__questions__) == [*Heard.__questions__, "extra"]
    assert "extra" not in Heard.__questions__
    assert More().tone == "low"


def test_heard_is_frozen_and_strict() -> None:
    with pytest.raises(StateError):
        Heard(threat="perhaps")
    with pytest.raises(StateError, match="did you mean 'threat'"):
        Heard.from_json({"thread": True})
    with pytest.raises(StateError):
        Heard().threat = True  # type: ignore[misc]


def define(annotation: Any, made: Any) -> None:
    class Bad(Understanding):
        right: bool = question("Is it?")
        wrong: annotation = made  # the line


def define_bare(annotation: Any) -> None:
    class Bad(Understanding):
        wrong: annotation  # the line


@pytest.mark.parametrize(
    ("annotation", "made", "message", "hint"),
    [
        (int, question("Is it?"), "a question is answered by yes or no", "annotate it as bool"),
        (bool | None, question("Is it?"), "a question is answered by yes or no", "annotate it as bool"),
        (str, choice("Which?"), "a choice needs the values to choose from", "Literal[...] or an Enum"),
        (Literal["a", "b"], choice("Which?", c=["x"]), "examples for 'c', which is none of its values", "annotate"),
        (Literal["a b", "a_b"], choice("Which?"), "two values read the same", "annotate"),
        (Literal["a", 1] | int, choice("Which?"), "a choice needs the values", "annotate"),
        (bool, score("How?"), "a score is a whole number", "annotate it as int"),
        (int | None, score("How?"), "a score is a whole number", "annotate it as int"),
        (int, score("How?", low=3, high=3), "a score from 3 to 3 has no use", "annotate"),
        (int, score("How?", low=0, high=1000), "a score from 0 to 1000 has no use", "annotate"),
        (str, entity("Which?", among="orders"), "no entity may be meant, so None must be allowed", "| None"),
        (int, amount("How much?"), "no amount may be said, so None must be allowed", "int or Decimal, | None"),
        (float | None, amount("How much?"), "an amount is an int or a Decimal", "int or Decimal"),
        (dt.date, date("When?"), "no day may be said, so None must be allowed", "dt.date, | None"),
        (dt.datetime | None, date("When?"), "a day is a datetime.date", "dt.date, | None"),
        (bool, False, "is not made by a question", "make it with question, choice"),
        (bool, ..., "is not made by a question", "make it with question, choice"),
        (bool, question(""), "the question is empty", "ask it in plain language"),
        (bool, question("Is it?", at_least=1.5), "at_least=1.5 is no probability", "between 0 and 1"),
        (bool, question("Is it?", yes="I'll burn"), "the examples of yes are a list of messages", "yes=["),
        (Literal["none", "b"] | None, choice("Which?"), "'none' stands for None already", "annotate"),
    ],
)  # fmt: skip
def test_a_field_that_does_not_fit_its_question_is_refused(annotation: Any, made: Any, message: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        define_bare(annotation) if made is ... else define(annotation, made)
    (problem,) = caught.value.problems
    assert problem.message.startswith("Bad.wrong: ")
    assert message in problem.message
    assert hint in problem.hint
    assert problem.file == __file__
    assert Path(__file__).read_text(encoding="utf-8").splitlines()[problem.line - 1].endswith("# the line")


def test_every_misfit_of_a_class_is_told_at_once() -> None:
    with pytest.raises(PolicyError) as caught:

        class Bad(Understanding):
            a: int = question("A?")
            b: bool = score("B?")
            c: Optional[str] = amount("C?")  # noqa: UP045

    assert [problem.message.partition(":")[0] for problem in caught.value.problems] == ["Bad.a", "Bad.b", "Bad.c"]


# -- asking ------------------------------------------------------------------------------------------


def test_each_question_is_a_closed_choice() -> None:
    asked = asked_by_name("fifty gold, or 60, tomorrow?")
    keys = {name: tuple(candidate.key for candidate in one.choice.candidates) for name, one in asked.items()}
    assert keys == {
        "threat": ("yes", "no"),
        "mood": ("friendly", "very rude", "none"),
        "tone": ("low", "high"),
        "tool": ("cellar key", "lamp", "none"),
        "anger": ("1", "2", "3"),
        "order": ("A17", "B2", "none"),
        "item": ("cellar key", "lamp", "none"),
        "name": ("Ann", "none", "Bo", "none_"),
        "offer": ("50", "60", "none"),
        "exact": ("50", "60", "none"),
        "day": ("2026-03-19", "none"),
        "past": ("2026-03-19", "none"),
        "sure": ("yes", "no"),
    }
    assert all(one.choice.name == name and one.choice.question for name, one in asked.items())
    assert {name for name, one in asked.items() if one.choice.kind == "span"} == {"offer", "exact", "day", "past"}
    assert {one.choice.kind for one in asked.values()} == {"heard", "span"}
    assert asked["day"].choice.candidates[0].text == "tomorrow"
    assert "Thursday, March 19, 2026" in asked["day"].choice.candidates[0].when
    assert asked["offer"].choice.candidates[0].text == "fifty"
    assert "50" in asked["offer"].choice.candidates[0].when
    assert "what a hat, day 2026-03-01" in asked["order"].choice.candidates[1].when
    assert asked["threat"].choice.candidates[0].examples == ("I'll burn it down",)
    assert asked["tool"].choice.candidates[0].examples == ("the key",)
    assert [one.choice.candidates[-1].no_match for one in asked.values()] == [name not in ("tone", "anger") for name in asked]


def test_a_question_without_a_choice_is_not_asked() -> None:
    assert set(asked_by_name("hello there", Desk())) == {"threat", "mood", "tone", "tool", "anger", "sure"}
    assert asked_by_name(" \n ") == {}


def test_entities_that_read_the_same_are_one_candidate() -> None:
    one = asked_by_name("hello", Desk(names=("Ann", "Ann", "Bo")))["name"]
    assert one.values == ("Ann", "Bo", None)


@given(st.text(max_size=60) | st.sampled_from(naughty_strings()), st.sampled_from(["en", "de-AT", "es", "zh-Hant", "xx-nope", ""]))
def test_asking_never_raises_and_its_candidates_are_distinct(message: str, locale: str) -> None:
    for one in ask(Heard, FULL, message, today=TODAY, locale=locale):
        keys = [candidate.key for candidate in one.choice.candidates]
        assert len(set(keys)) == len(keys) == len(one.values) >= 2
        assert ask(Heard, FULL, message, today=TODAY, locale=locale)


# -- understanding -----------------------------------------------------------------------------------


@given(st.data())
def test_every_candidate_can_be_understood_and_means_its_value(data: st.DataObject) -> None:
    asked = ask(Heard, FULL, "fifty gold, or 60, tomorrow?", today=TODAY, locale="en")
    picks = [data.draw(st.integers(0, len(one.values) - 1)) for one in asked]
    heard, hearings = understand(Heard, asked, [pick(one, index) for one, index in zip(asked, picks, strict=True)])
    for one, index, hearing in zip(asked, picks, hearings, strict=True):
        assert getattr(heard, one.name) == one.values[index] == hearing.value
        assert hearing.name == one.name
        assert hearing.probability == pytest.approx(0.9)
        assert hearing.candidates == tuple(candidate.key for candidate in one.choice.candidates)


@pytest.mark.parametrize(
    ("name", "probabilities", "value", "probability"),
    [
        ("threat", (0.5, 0.5), True, 0.5),
        ("threat", (0.49, 0.51), False, 0.51),
        ("sure", (0.69, 0.31), False, 0.31),
        ("sure", (0.7, 0.3), True, 0.7),
        ("name", (0.69, 0.1, 0.11, 0.1), None, 0.1),
        ("name", (0.7, 0.1, 0.1, 0.1), "Ann", 0.7),
        ("name", (0.2, 0.2, 0.2, 0.4), None, 0.4),
        ("tone", (0.45, 0.55), "low", 0.45),
        ("tone", (0.4, 0.6), "high", 0.6),
        ("anger", (0.3, 0.3, 0.4), 3, 0.4),
        ("anger", (0.4, 0.4, 0.2), 1, 0.4),
    ],
)
def test_an_answer_is_believed_from_its_threshold_on(name: str, probabilities: tuple[float, ...], value: Any, probability: float) -> None:
    one = asked_by_name("hello")[name]
    heard, (hearing,) = understand(Heard, [one], [Distribution(probabilities, "exact")])
    assert getattr(heard, name) == hearing.value == value
    assert hearing.probability == probability


def test_an_engine_that_answers_otherwise_than_asked_is_refused() -> None:
    asked = tuple(asked_by_name("hello").values())
    with pytest.raises(EngineError, match="questions were asked, 1 answered"):
        understand(Heard, asked, [Distribution((1.0,), "exact")])
    with pytest.raises(EngineError, match="has 2 candidates, 3 were scored"):
        understand(Heard, asked[:1], [Distribution((0.2, 0.3, 0.5), "exact")])
