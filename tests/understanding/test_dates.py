"""Days in en, es, de, fr: the right one or none; corrections and negations count, and words that look like days are none."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.understanding.questions import Prefer
from constrained.understanding.spans import amounts, dates

TODAY = dt.date(2026, 11, 27)  # a Friday


def words(text: str) -> list[str]:
    return text.split()


RIGHT = [
    ("en", "the Friday after next", "2026-12-11"),
    ("en", "Monday after next", "2026-12-07"),
    ("en", "Friday week", "2026-12-11"),
    ("en", "a week on Friday", "2026-12-11"),
    ("en", "next week on Monday", "2026-11-30"),
    ("en", "tmrw", "2026-11-28"),
    ("en", "Thurs 5pm", "2026-12-03"),
    ("en", "Tuesday, 1 December", "2026-12-01"),
    ("en", "Tuesday the 1st of December", "2026-12-01"),
    ("en", "April 5 (Monday)", "2027-04-05"),
    ("en", "on Monday the 30th", "2026-11-30"),
    ("en", "third of May twenty twenty-eight", "2028-05-03"),
    ("en", "3 May 28", "2028-05-03"),
    ("en", "3 May 10", "2027-05-03"),
    ("en", "the Friday before last", "2026-11-13"),
    ("en", "first of December", "2026-12-01"),
    ("en", "December first", "2026-12-01"),
    ("en", "the twenty-first of March", "2027-03-21"),
    ("en", "the first of May 2027", "2027-05-01"),
    ("en", "2027-04-05T10:00:00Z", "2027-04-05"),
    ("en", "2027-04-05T10:00+02:00", "2027-04-05"),
    ("en", "4月5日", "2027-04-05"),
    ("en", "2028年4月5日", "2028-04-05"),
    ("en", "on 1/2", "2027-01-02"),
    ("en", "on sat", "2026-11-28"),
    ("en", "Sat 5pm", "2026-11-28"),
    ("en", "sat", "2026-11-28"),
    ("en", "May 5", "2027-05-05"),
    ("en", "on may 5", "2027-05-05"),
    ("en", "\uff12\uff10\uff12\uff17-\uff10\uff14-\uff10\uff15", "2027-04-05"),
    ("es", "primero de mayo", "2027-05-01"),
    ("es", "el uno de diciembre", "2026-12-01"),
    ("es", "cinco de abril", "2027-04-05"),
    ("es", "5/4", "2027-04-05"),
    ("es", "martes 1 de diciembre", "2026-12-01"),
    ("de", "am 5.4.", "2027-04-05"),
    ("de", "am 5.4. um 10", "2027-04-05"),
    ("de", "am 05. 04.", "2027-04-05"),
    ("de", "übernächsten Freitag", "2026-12-11"),
    ("de", "am ersten Mai", "2027-05-01"),
    ("de", "am dritten Dezember", "2026-12-03"),
    ("de", "am So", "2026-11-29"),
    ("de", "Dienstag, den 1. Dezember", "2026-12-01"),
    ("fr", "vendredi en huit", "2026-12-11"),
    ("fr", "le premier mai", "2027-05-01"),
    ("fr", "le cinq avril", "2027-04-05"),
    ("fr", "mardi 1er décembre", "2026-12-01"),
]

NO_DAY = [
    ("en", "sat down"),
    ("en", "I sat and waited"),
    ("en", "the sun is out"),
    ("en", "sun is out"),
    ("en", "The sun."),
    ("en", "we wed"),
    ("en", "24/7"),
    ("en", "open 24/7 since"),
    ("en", "1/2 a pint"),
    ("en", "2 1/2"),
    ("en", "9/10 would buy"),
    ("en", "1/4 of it"),
    ("en", "I may 5 times"),
    ("en", "may 5 people come"),
    ("en", "we march 5 miles"),
    ("en", "I have 30. May I?"),
    ("en", "Tuesday 5 April"),
    ("en", "tuesday the 5th"),
    ("en", "3 May 80"),
    ("es", "el 5.4"),
    ("es", "el 5,5"),
    ("de", "am Morgen"),
    ("de", "guten Morgen"),
    ("fr", "le 5.4."),
    ("es", "el mar está lejos"),
    ("es", "24/7"),
    ("es", "sin sol"),
    ("de", "so ist das"),
    ("de", "mit mir"),
    ("de", "24/7"),
    ("de", "die Sonne"),
    ("fr", "la mer"),
    ("fr", "24/7"),
    ("fr", "le jeu est fini"),
]

CORRECTIONS = {
    "en": [
        "{old}, no, {new}",
        "I come on {old}, no, {new}",
        "{old}, sorry, {new}",
        "{old}, no wait, {new}",
        "not {old}, {new}",
        "not on {old}, on {new}",
        "{new}, not {old}",
        "{old}? No, {new}.",
        "{new} instead of {old}",
        "instead of {old}, {new}",
        "{old} doesn't work, {new} is fine",
        "I can't come on {old}, I can on {new}",
        "{old}, I mean {new}",
    ],
    "es": [
        "el {old}, no, el {new}",
        "el {old}, perdón, el {new}",
        "no el {old}, el {new}",
        "el {new}, no el {old}",
        "el {old} no puedo, el {new} sí",
        "el {old}, digo el {new}",
    ],
    "de": [
        "{old}, nein, {new}",
        "am {old}, nein, am {new}",
        "nicht am {old}, sondern am {new}",
        "am {new}, nicht am {old}",
        "{old}, ich meine {new}",
        "{old} geht nicht, {new} schon",
    ],
    "fr": [
        "{old}, non, {new}",
        "{old}, pardon, {new}",
        "pas {old}, {new}",
        "{new}, pas {old}",
        "{old}, je veux dire {new}",
        "pas {old} mais {new}",
    ],
}
WEEKDAYS = {
    "en": words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "es": words("lunes martes miércoles jueves viernes sábado domingo"),
    "de": words("Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag"),
    "fr": words("lundi mardi mercredi jeudi vendredi samedi dimanche"),
}

WITHDRAWN = [
    ("en", "any day but Monday"),
    ("en", "any day but Monday or Tuesday"),
    ("en", "any day except Monday and Tuesday"),
    ("en", "neither Monday nor Tuesday"),
    ("es", "ni el lunes ni el martes"),
    ("es", "el lunes no"),
    ("de", "weder Montag noch Dienstag"),
    ("fr", "ni lundi ni mardi"),
    ("en", "not Monday"),
    ("en", "every day except Monday"),
    ("en", "I can't come on Monday"),
    ("en", "Monday doesn't work"),
    ("en", "Monday, no wait, next week"),
    ("es", "cualquier día menos el lunes"),
    ("es", "no el lunes"),
    ("es", "no puedo el lunes"),
    ("de", "jeden Tag außer Montag"),
    ("de", "nicht am Montag"),
    ("de", "Montag geht nicht"),
    ("fr", "tous les jours sauf lundi"),
    ("fr", "pas lundi"),
    ("fr", "je ne peux pas lundi"),
]


def days(message: str, locale: str, prefer: Prefer = "future") -> list[str]:
    return [span.key for span in dates(message, locale, today=TODAY, prefer=prefer)]


@pytest.mark.parametrize(("locale", "message", "day"), RIGHT)
@pytest.mark.parametrize("frame", ["{}", "{}!", "({})"])
def test_a_day_is_the_right_one(locale: str, message: str, day: str, frame: str) -> None:
    assert days(frame.format(message), locale) == [day]


@pytest.mark.parametrize(("locale", "message"), NO_DAY)
def test_what_only_looks_like_a_day_is_none(locale: str, message: str) -> None:
    assert days(message, locale) == []


@pytest.mark.parametrize(("locale", "form"), [(locale, form) for locale, forms in CORRECTIONS.items() for form in forms])
@given(places=st.permutations(range(7)))
def test_a_corrected_day_is_the_new_one(locale: str, form: str, places: list[int]) -> None:
    old, new = (WEEKDAYS[locale][place] for place in places[:2])
    assert days(form.format(old=old, new=new), locale) == days(new, locale) != []


@pytest.mark.parametrize(("locale", "message"), WITHDRAWN)
def test_a_day_that_is_ruled_out_is_none(locale: str, message: str) -> None:
    assert days(message, locale) == []


@pytest.mark.parametrize(
    ("locale", "message", "past", "future"),
    [
        ("de", "03.05.80", "1980-05-03", "2080-05-03"),
        ("en", "05/03/80", "1980-05-03", "2080-05-03"),
        ("es", "3/5/80", "1980-05-03", "2080-05-03"),
        ("fr", "03/05/80", "1980-05-03", "2080-05-03"),
        ("de", "03.05.26", "2026-05-03", "2026-05-03"),
        ("en", "third of May nineteen eighty", "1980-05-03", "1980-05-03"),
        ("en", "May third, nineteen eighty-five", "1985-05-03", "1985-05-03"),
        ("es", "3 de mayo de mil novecientos ochenta", "1980-05-03", "1980-05-03"),
        ("de", "3. Mai neunzehnhundertachtzig", "1980-05-03", "1980-05-03"),
        ("fr", "le trois mai mille neuf cent quatre-vingts", "1980-05-03", "1980-05-03"),
        ("en", "3 May 27", "1927-05-03", "2027-05-03"),
        ("en", "12/24/26", "1926-12-24", "2026-12-24"),
        ("en", "I was born on 03/05/1980", "1980-03-05", "1980-03-05"),
        ("en", "I was born on 29/02/80", "1980-02-29", "2080-02-29"),
    ],
)
def test_a_year_of_two_digits_is_past_where_a_past_day_is_asked_for(locale: str, message: str, past: str, future: str) -> None:
    assert days(message, locale, "past") == [past]
    assert days(message, locale) == [future]


@pytest.mark.parametrize(("locale", "message"), [("en", "3 May 80"), ("en", "3 May '80"), ("es", "3 de mayo del 80"), ("de", "3. Mai 80"),
                                                 ("fr", "3 mai 80")])  # fmt: skip
def test_a_short_year_in_words_is_part_of_the_birthday(locale: str, message: str) -> None:
    assert days(message, locale, "past") == ["1980-05-03"]


def test_of_a_list_of_days_each_is_one() -> None:
    assert days("Tuesday, 5 April", "en") == ["2026-12-01", "2027-04-05"]
    assert days("not Monday and Tuesday is fine", "en") == ["2026-12-01"]


@given(st.dates(dt.date(1927, 1, 1), TODAY), st.sampled_from(["en", "es", "de", "fr"]))
def test_a_birthday_with_two_digits_is_itself(day: dt.date, locale: str) -> None:
    text = f"{day:%m/%d/%y}" if locale == "en" else f"{day:%d/%m/%y}"
    assert days(text, locale, "past") == [day.isoformat()]


@given(st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)), st.sampled_from(["en", "es", "de", "fr"]), st.times())
def test_an_iso_day_with_a_time_is_itself(day: dt.date, locale: str, time: dt.time) -> None:
    assert days(dt.datetime.combine(day, time).isoformat(), locale) == [day.isoformat()]
    assert days(f"{day.year}年{day.month}月{day.day}日", locale) == [day.isoformat()]


@pytest.mark.parametrize(
    ("locale", "message"),
    [("de", "am 5.4."), ("en", "the 5th of May"), ("en", "2027-04-05T10:00:00Z"), ("en", "4月5日"), ("es", "cinco de abril")],
)
def test_a_day_is_no_amount(locale: str, message: str) -> None:
    assert amounts(message, locale, is_whole=False) == []


def test_a_relative_day_at_the_end_of_a_long_message_is_read() -> None:
    assert days("I have been with this clinic for quite some time and I like it. " * 25 + "Could I come tomorrow?", "en") == ["2026-11-28"]
