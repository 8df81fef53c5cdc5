"""Things that a message names: heard without a model, the longest name first, ruled out where they are negated or corrected."""

from __future__ import annotations

import datetime as dt
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from constrained import State, Understanding
from constrained.engines.protocol import Distribution
from constrained.errors import EngineError
from constrained.hear import Hearing, entity
from constrained.understanding.hearing import ask, understand
from constrained.understanding.names import Naming, find_named

TODAY = dt.date(2026, 3, 18)
CITIES = ("York", "New York", "München", "St John's", "Newark", "東京", "C++ [lab]", "Zürich", "A Coruña")
ITEMS = ("dagger", "shield", "axe", "long sword", "potion", "ruby")


class Item(Enum):
    OLD_KEY = "old_key"
    LAMP = 2


class Doctor(BaseModel):
    model_config = ConfigDict(frozen=True)
    id: str
    name: str
    room: str = "a room"


class World(State):
    cities: tuple[str, ...] = CITIES
    items: tuple[str, ...] = ITEMS
    belt: frozenset[Item] = frozenset(Item)
    doctors: tuple[Doctor, ...] = (Doctor(id="d1", name="Dr. Novak"), Doctor(id="d2", name="Dr. Ana Ruiz"))
    numbers: tuple[str, ...] = ("50", "60", "a", "the")


class City(Understanding):
    city: str | None = entity("Where to?", among="cities")


class Thing(Understanding):
    item: str | None = entity("Which item?", among="items", at_least=0.5)


class Belt(Understanding):
    item: Item | None = entity("Which item?", among="belt")


class Who(Understanding):
    doctor: str | None = entity("Which doctor?", among="doctors", by="id")


class Number(Understanding):
    number: str | None = entity("Which number?", among="numbers")


def hear(heard: type[Understanding], message: str, locale: str = "en", state: State | None = None) -> Hearing | tuple[str, ...] | None:
    """How the message answers; the candidates that it leaves to a model; None where it is not asked."""
    asked = ask(heard, state or World(), message, today=TODAY, locale=locale)
    if not asked:
        return None
    if asked[0].answer is None:
        return tuple(candidate.key for candidate in asked[0].choice.candidates)
    _, (hearing,) = understand(heard, asked, [])
    return hearing


def value(heard: type[Understanding], message: str, locale: str = "en") -> object:
    hearing = hear(heard, message, locale)
    assert isinstance(hearing, Hearing), hearing
    return hearing.value


@pytest.mark.parametrize(
    ("message", "city"),
    [
        ("York", "York"),
        ("YORK!!!", "York"),
        ("take me to York", "York"),
        ("take me to New York", "New York"),
        ("new york, please", "New York"),
        ("take me to München", "München"),
        ("to munchen", "München"),
        ("nach Muenchen", "München"),
        ("zuerich", "Zürich"),
        ("to St John's", "St John's"),
        ("to St John\u2019s", "St John's"),
        ("St. John's", "St John's"),
        ("Newark", "Newark"),
        ("東京", "東京"),
        ("the C++ [lab]", "C++ [lab]"),
        ("\uff39\uff2f\uff32\uff2b", "York"),
        ("a coruna", "A Coruña"),
        ("Mu\u0308nchen", "München"),
        ("York's walls", "York"),
        ("I go to York, no, Newark", "Newark"),
        ("not York, Newark", "Newark"),
        ("anywhere but York, so Newark", "Newark"),
        ("New-York", "New York"),
    ],
)
def test_a_city_that_is_named_is_heard(message: str, city: str) -> None:
    hearing = hear(City, message)
    assert isinstance(hearing, Hearing)
    assert (hearing.value, hearing.probability, hearing.how) == (city, 1.0, "the message names it")
    assert hearing.candidates == (*CITIES, "none")


@pytest.mark.parametrize(
    ("locale", "message", "item"),
    [
        ("en", "how much for the axe", "axe"),
        ("en", "purchase a shield", "shield"),
        ("en", "another shield", "shield"),
        ("en", "25 for the dagger", "dagger"),
        ("en", "ten for the dagger", "dagger"),
        ("en", "one coin for that axe", "axe"),
        ("en", "axes", "axe"),
        ("en", "I'd like the axe", "axe"),
        ("en", "rubies", "ruby"),
        ("en", "two long swords", "long sword"),
        ("en", "the longsword", "long sword"),
        ("en", "I don't want the dagger, I want the shield. How much?", "shield"),
        ("en", "I don't want the dagger I want the shield", "shield"),
        ("en", "the axe, no, the dagger", "dagger"),
        ("en", "the axe, sorry, the dagger", "dagger"),
        ("en", "the axe, not the dagger", "axe"),
        ("en", "the axe rather than the dagger", "axe"),
        ("en", "the axe instead of the dagger", "axe"),
        ("en", "I don't want to fight with the axe", "axe"),
        ("en", "I never got the axe", "axe"),
    ],
)
def test_an_item_that_is_named_is_heard(locale: str, message: str, item: str) -> None:
    assert value(Thing, message, locale) == item


@pytest.mark.parametrize(
    ("locale", "names", "message", "meant"),
    [
        ("de", ("Axt", "Dolch"), "nicht den Dolch, die Axt", "Axt"),
        ("de", ("Axt", "Dolch"), "Ich will den Dolch nicht, sondern die Axt", "Axt"),
        ("de", ("Axt", "Dolch"), "die Axt, nein, den Dolch", "Dolch"),
        ("de", ("Straße", "Platz"), "zur STRASSE", "Straße"),
        ("es", ("hacha", "daga"), "no la daga, el hacha", "hacha"),
        ("es", ("hacha", "daga"), "no quiero la daga, quiero el hacha", "hacha"),
        ("es", ("hacha", "daga"), "el hacha, perdón, la daga", "daga"),
        ("es", ("camión", "daga"), "¿y el camion?", "camión"),
        ("fr", ("épée", "dague"), "pas la dague, l'epee", "épée"),
        ("fr", ("épée", "dague"), "je ne veux pas la dague, je veux l\u2019épée", "épée"),
        ("fr", ("épée", "dague"), "l'épée, non, la dague", "dague"),
    ],
)
def test_names_in_other_languages(locale: str, names: tuple[str, ...], message: str, meant: str) -> None:
    hearing = hear(Thing, message, locale, World(items=names))
    assert isinstance(hearing, Hearing)
    assert hearing.value == meant


@pytest.mark.parametrize(
    ("message", "item"),
    [
        ("the dager", "dagger"),
        ("sheild please", "shield"),
        ("a daggger", "dagger"),
        ("lomg sword", "long sword"),
        ("the long swrod", "long sword"),
        ("potoin", "potion"),
    ],
)
def test_a_slip_of_the_keyboard_is_heard_and_is_less_sure(message: str, item: str) -> None:
    hearing = hear(Thing, message)
    assert isinstance(hearing, Hearing)
    assert (hearing.value, hearing.how) == (item, "the message names it, with a typing error")
    assert 0.7 < hearing.probability < 1.0
    assert sum(hearing.probabilities) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "message", ["I'm in danger", "a portion of soup", "relaxed", "the motion", "tax", "how are you?", "the staggering field", "yorkshire"]
)
def test_another_word_names_nothing(message: str) -> None:
    assert hear(Thing, message) == (*ITEMS, "none")
    assert hear(City, message) == (*CITIES, "none")


@pytest.mark.parametrize(
    "message", ["not the axe", "anything but the axe", "I don't want the axe", "no, not the axe!", "everything except the axe"]
)
def test_a_thing_that_is_only_ruled_out_leaves_nothing_to_ask(message: str) -> None:
    assert hear(Thing, message) is None


@pytest.mark.parametrize("message", ["the axe or the dagger?", "is the dagger better than an axe", "an axe and a dagger"])
def test_of_two_that_are_named_a_model_picks_one(message: str) -> None:
    assert hear(Thing, message) == ("dagger", "axe", "none")
    asked = ask(Thing, World(), message, today=TODAY, locale="en")
    heard, (hearing,) = understand(Thing, asked, [Distribution((0.1, 0.8, 0.1), "exact")])
    assert (heard.item, hearing.probability, hearing.how) == ("axe", 0.8, "")  # type: ignore[attr-defined]


def test_things_are_called_by_key_and_name_and_a_person_without_the_title() -> None:
    for message in ("d2", "Dr. Ana Ruiz", "dr ana ruiz", "Ana Ruiz"):
        assert value(Who, message) == "d2"
    assert value(Who, "I want to see Novak") == "d1"
    assert hear(Who, "is there a room") == ("d1", "d2", "none")  # what a field holds beside the names is no name
    assert value(Belt, "the old key") is Item.OLD_KEY
    assert value(Belt, "LAMP") is Item.LAMP if isinstance(hear(Belt, "LAMP"), Hearing) else True


def test_numbers_letters_and_articles_name_nothing() -> None:
    assert hear(Number, "50 for the lamp, a lot") == ("50", "60", "a", "the", "none")


INNS = ("The Kestrel Inn", "Blue Anchor", "The Old Mill", "Kestrel Hall")
QUESTS = ("Rat quest", "Key quest", "Wolf quest")
IN_PART = {
    "en": [("at the Anchor please", "Blue Anchor"), ("anchor", "Blue Anchor"), ("the mill", "The Old Mill"), ("old mill", "The Old Mill"),
           ("the inn", "The Kestrel Inn"), ("I liked Anchor best", "Blue Anchor"), ("the Anchor, no, the mill", "The Old Mill"),
           ("the rats", "Rat quest"), ("the wolf one", "Wolf quest"), ("not the wolf, the rats", "Rat quest")],
    "es": [("el molino", "El Molino Viejo"), ("molino viejo", "El Molino Viejo"), ("la espada", "espada larga"),
           ("espada", "espada larga")],
    "de": [("der Adler", "Gasthof Adler"), ("Adler bitte", "Gasthof Adler"), ("die Mühle", "Alte Mühle")],
    "fr": [("le lac", "Auberge du Lac"), ("moulin", "Vieux Moulin"), ("au moulin", "Vieux Moulin")],
}  # fmt: skip
PLACES = (*INNS, *QUESTS, "El Molino Viejo", "espada larga", "Gasthof Adler", "Alte Mühle", "Auberge du Lac", "Vieux Moulin")


def naming(message: str, locale: str = "en", names: tuple[str, ...] = PLACES) -> Naming:
    return find_named(message, {name: [name] for name in names}, locale)


@pytest.mark.parametrize(("locale", "message", "meant"), [(locale, *one) for locale, many in IN_PART.items() for one in many])
def test_a_word_that_is_of_one_name_alone_names_it(locale: str, message: str, meant: str) -> None:
    assert set(naming(message, locale).meant) == {meant}


@pytest.mark.parametrize("message", ["the Kestrel, please", "Kestrel", "the quest", "quest", "which quest?"])
def test_a_word_of_several_names_is_none_of_them(message: str) -> None:
    assert naming(message).meant == {}


@pytest.mark.parametrize(
    "message",
    [
        "the old one",
        "something blue",
        "an old friend",
        "ring the bell",
        "a rat ate it",
        "I mill about",
        "the weather",
        "my key broke",
        "no anchors",
    ],
)
def test_an_everyday_word_and_a_word_in_a_story_name_nothing(message: str) -> None:
    assert naming(message, names=(*PLACES, "silver ring")).meant == {}


def test_what_is_named_in_part_is_less_sure_and_ruled_out_like_the_rest() -> None:
    found = naming("the anchor")
    assert (found.meant["Blue Anchor"] < 1.0, found.in_part) == (True, {"Blue Anchor"})
    assert naming("not the anchor").ruled_out == {"Blue Anchor"}
    assert naming("the Blue Anchor").in_part == frozenset()


def test_several_words_are_mistyped_one_by_one() -> None:
    assert naming("the kestrel no").meant == {}
    assert set(naming("the kestral inn").meant) == {"The Kestrel Inn"}


def test_a_scripted_engine_is_asked_everything() -> None:
    (asked,) = ask(City, World(), "York", today=TODAY, locale="en", is_scripted=True)
    assert asked.answer is None
    assert len(asked.choice.candidates) == len(CITIES) + 1


def test_an_answer_to_what_the_message_answered_is_refused() -> None:
    asked = ask(City, World(), "York", today=TODAY, locale="en")
    with pytest.raises(EngineError, match="0 questions were asked, 1 answered"):
        understand(City, asked, [Distribution((1.0,), "exact")])


names = st.text(alphabet="abcdefghijklmnopqrstuvwxyzäöüéñß", min_size=5, max_size=12).filter(lambda name: name not in ("other", "zzzz"))


@given(
    names,
    st.sampled_from(["en", "es", "de", "fr"]),
    st.sampled_from([str.upper, str.title, str.lower]),
    st.sampled_from(["{}", "{}!!!", "¿{}?", "({})", "\u2018{}\u2019"]),
)
def test_any_name_is_found_in_any_case_and_punctuation(name: str, locale: str, cased: object, frame: str) -> None:
    message = frame.format(cased(name))  # type: ignore[operator]
    assert find_named(message, {name: [name], "zzzz-other": ["zzzz other"]}, locale).meant == {name: 1.0}


@given(st.text(max_size=200), st.lists(st.text(max_size=30), max_size=6))
def test_any_message_and_any_names_are_ordinary(message: str, called: list[str]) -> None:
    found = find_named(message, {str(number): [name] for number, name in enumerate(called)}, "en")
    assert set(found.meant) | found.ruled_out <= {str(number) for number in range(len(called))}
    assert all(0 < likeness <= 1 for likeness in found.meant.values())
    assert not set(found.meant) & found.ruled_out
