"""Recognisers: what is an amount, what is a day, in several languages; never an error, never unbounded work."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.understanding.questions import Prefer
from constrained.understanding.spans import READ, SPANS, Span, amounts, dates
from tests.strategies import HOSTILE, naughty_strings

TODAY = dt.date(2026, 3, 18)  # a Wednesday
LOCALES = ("en", "en-GB", "es", "es-MX", "de", "fr", "it", "pt-BR", "nl", "da", "zh-Hant", "ar", "pl", "xx", "not a locale", "")

AMOUNTS = [
    ("en", "I'll pay you fifty", {"fifty": "50"}),
    ("en", "twenty five gold, or twenty-six", {"twenty five": "25", "twenty-six": "26"}),
    ("en", "two hundred and fifty", {"two hundred and fifty": "250"}),
    ("en", "fifty-one million five hundred", {"fifty-one million five hundred": "51000500"}),
    ("en", "a dozen eggs, half a dozen, three dozen", {"a dozen": "12", "half a dozen": "6", "three dozen": "36"}),
    ("en", "three point five", {"three point five": "3.5"}),
    ("en", "1,200.50 and 30", {"1,200.50": "1200.50", "30": "30"}),
    ("en", "1.200,50", {"1.200,50": "1200.50"}),
    ("en", "£1,200 and $3.99 and 20€", {"1,200": "1200", "3.99": "3.99", "20": "20"}),
    ("en", "5k, 2 hundred, 3 million", {"5k": "5000", "2 hundred": "200", "3 million": "3000000"}),
    ("en", "50gp", {"50": "50"}),
    ("en", "0,500", {"0,500": "0.500"}),
    ("en", "on 5 April 2026 or April 6th I paid 20; I have 30. May I?", {"20": "20", "30": "30"}),
    ("es", "el 5 de mayo pagué 20", {"20": "20"}),
    ("en", "1.999 euros or 1.990", {"1.990": "1.990"}),
    ("en", "one or two", {"one": "1", "two": "2"}),
    ("es", "un céntimo", {"un": "0.01"}),
    ("en", "50, no, 50!", {"50": "50"}),
    ("de", "1.200,50 oder 1.200", {"1.200,50": "1200.50", "1.200": "1200"}),
    ("de", "fünfundzwanzig Gold", {"fünfundzwanzig": "25"}),
    ("es", "cincuenta y tres monedas o una docena", {"cincuenta y tres": "53", "una docena": "12"}),
    ("es", "media docena", {"media docena": "6"}),
    ("fr", "quatre-vingts pièces, 1 200,5", {"quatre-vingts": "80", "1 200,5": "1200.5"}),
    ("zh-Hant", "五十 50", {"50": "50"}),
]  # fmt: skip

NO_AMOUNTS = [
    ("en", "hello there"),
    ("en", "no one wants the first one, each one of them is good"),
    ("en", "at 10:30 or 7pm or on 12/04/2026 or 2026-04-01"),
    ("en", "order A17, room B2, version 1.2.3, 192.168.0.1"),
    ("en", "-5 gold"),
    ("en", "50% off, or 50 %"),
    ("en", "the 3rd time, a second chance, third"),
    ("en", "4111111111111111"),
    ("en", "9999999999999k or 999999999 billion"),
    ("en", "²³ ½ ٣ ⅷ"),
    ("en", "1 200"),
    ("fr", "une pièce"),
]

DATES = [
    ("en", "can I come next Tuesday?", {"Tuesday": "2026-03-24"}),
    ("en", "tomorrow or the day after tomorrow", {"tomorrow": "2026-03-19", "the day after tomorrow": "2026-03-20"}),
    ("en", "the day before yesterday, yesterday, today",
     {"the day before yesterday": "2026-03-16", "yesterday": "2026-03-17", "today": "2026-03-18"}),
    ("en", "I may march on 5 May", {"5 May": "2026-05-05"}),
    ("en", "on the 3rd", {"on the 3rd": "2026-04-03"}),
    ("en", "on the 21st", {"on the 21st": "2026-03-21"}),
    ("en", "2026-04-01 please", {"2026-04-01": "2026-04-01"}),
    ("en", "12/04/2026", {"12/04/2026": "2026-12-04"}),
    ("en", "13/04", {"13/04": "2026-04-13"}),
    ("en-GB", "12/04/2026, 1.5.26", {"12/04/2026": "2026-04-12", "1.5.26": "2026-05-01"}),
    ("en", "in two weeks, in 3 days, three days ago",
     {"in two weeks": "2026-04-01", "in 3 days": "2026-03-21", "three days ago": "2026-03-15"}),
    ("en", "Monday 3pm", {"Monday": "2026-03-23"}),
    ("en", "wednesday", {"wednesday": "2026-03-25"}),
    ("en", "last tuesday, past friday", {"last tuesday": "2026-03-17", "past friday": "2026-03-13"}),
    ("en", "the 21st of april, April 22, Apr. 23rd, 2027",
     {"21st of april": "2026-04-21", "April 22": "2026-04-22", "Apr. 23rd, 2027": "2027-04-23"}),
    ("en", "29 february", {"29 february": "2028-02-29"}),
    ("en", "sat or sun", {"sat": "2026-03-21", "sun": "2026-03-22"}),
    ("en", "tonight? last night?", {"tonight": "2026-03-18", "last night": "2026-03-17"}),
    ("es", "pasado mañana o el 5 de mayo", {"pasado mañana": "2026-03-20", "5 de mayo": "2026-05-05"}),
    ("es", "el martes que viene", {"martes": "2026-03-24"}),
    ("es", "el lunes pasado", {"lunes pasado": "2026-03-16"}),
    ("es", "mañana por la mañana, hoy, ayer", {"mañana": "2026-03-19", "hoy": "2026-03-18", "ayer": "2026-03-17"}),
    ("es", "dentro de tres días, hace dos días", {"dentro de tres días": "2026-03-21", "hace dos días": "2026-03-16"}),
    ("es", "el día 3", {"el día 3": "2026-04-03"}),
    ("de", "übermorgen, am Montag, 5. Mai, am 3.",
     {"übermorgen": "2026-03-20", "Montag": "2026-03-23", "5. Mai": "2026-05-05", "am 3.": "2026-04-03"}),
    ("fr", "après-demain ou mardi prochain", {"après-demain": "2026-03-20", "mardi": "2026-03-24"}),
    ("pl", "jutro", {"jutro": "2026-03-19"}),
]  # fmt: skip

NO_DATES = [
    ("en", "hello there, I may come, march on"),
    ("en", "at 5pm, at 10:30"),
    ("en", "next week, this month, every day, in May 2027"),
    ("en", "for two days, 5 days of pain, a second, a minute, one day"),
    ("en", "30/02/2026, 31 June 2026, 45/45, 1.50, 12.30, 3.5"),
    ("en", "I paid 50 for A17"),
    ("en", "in 99999999 years, 99999999 days ago"),
    ("es", "la semana que viene, por la mañana"),
]


def said(spans: list[Span]) -> dict[str, str]:
    return {span.text: span.key for span in spans}


@pytest.mark.parametrize(("locale", "message", "expected"), AMOUNTS)
def test_amounts(locale: str, message: str, expected: dict[str, str]) -> None:
    spans = amounts(message, locale, is_whole=False)
    assert said(spans) == expected
    assert [span.value for span in spans] == [Decimal(value) for value in expected.values()]


@pytest.mark.parametrize(("locale", "message"), NO_AMOUNTS)
def test_what_is_no_amount(locale: str, message: str) -> None:
    assert amounts(message, locale, is_whole=False) == []


def test_more_decimals_may_be_asked_for() -> None:
    assert [span.key for span in amounts("1.999 or 1.9999", "en", is_whole=False, decimals=3)] == ["1.999"]


def test_a_message_proposes_so_many_spans_at_most() -> None:
    assert [span.key for span in amounts(", ".join(map(str, range(100))), "en", is_whole=True)] == [str(n) for n in range(SPANS)]


def test_a_library_that_stumbles_over_a_text_finds_nothing_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import dateparser.search

    def stumble(*args: object, **kwargs: object) -> None:
        raise OverflowError

    monkeypatch.setattr(dateparser.search, "search_dates", stumble)
    assert [span.key for span in dates("tomorrow, or on 5 May", "en", today=TODAY)] == ["2026-05-05"]


def test_a_whole_amount_leaves_fractions_out() -> None:
    (span,) = amounts("12.50 or 3.00", "en", is_whole=True)
    assert (span.text, span.value, type(span.value)) == ("3.00", 3, int)


@pytest.mark.parametrize(("locale", "message", "expected"), DATES)
def test_dates(locale: str, message: str, expected: dict[str, str]) -> None:
    spans = dates(message, locale, today=TODAY)
    assert said(spans) == expected
    assert [span.value.isoformat() for span in spans] == list(expected.values())


@pytest.mark.parametrize(("locale", "message"), NO_DATES)
def test_what_is_no_date(locale: str, message: str) -> None:
    assert dates(message, locale, today=TODAY) == []


@pytest.mark.parametrize(
    ("message", "future", "past"),
    [
        ("12 March", "2027-03-12", "2026-03-12"),
        ("18 March", "2026-03-18", "2026-03-18"),
        ("monday", "2026-03-23", "2026-03-16"),
        ("wednesday", "2026-03-25", "2026-03-11"),
        ("on the 20th", "2026-03-20", "2026-02-20"),
        ("3/17", "2027-03-17", "2026-03-17"),
        ("tomorrow", "2026-03-19", "2026-03-19"),
        ("last monday", "2026-03-16", "2026-03-16"),
        ("29 February", "2028-02-29", "2024-02-29"),
    ],
)
def test_a_preference_settles_what_is_open(message: str, future: str, past: str) -> None:
    assert [span.key for span in dates(message, "en", today=TODAY, prefer="future")] == [future]
    assert [span.key for span in dates(message, "en", today=TODAY, prefer="past")] == [past]


@pytest.mark.parametrize("prefer", ["future", "past"])
@pytest.mark.parametrize(
    ("locale", "message", "day"),
    [
        ("en", "next monday", "2026-03-23"),
        ("en", "Monday next week", "2026-03-23"),
        ("en", "the coming Monday", "2026-03-23"),
        ("en", "last Monday", "2026-03-16"),
        ("en", "12 March last year", "2025-03-12"),
        ("en", "on the third of May, last year", "2025-05-03"),
        ("en", "June 3 of this year", "2026-06-03"),
        ("en", "12 March next year", "2027-03-12"),
        ("es", "el próximo lunes", "2026-03-23"),
        ("es", "el lunes que viene", "2026-03-23"),
        ("es", "el 12 de marzo del año pasado", "2025-03-12"),
        ("es", "el 12 de marzo del año que viene", "2027-03-12"),
        ("de", "nächsten Montag", "2026-03-23"),
        ("de", "am 12. März letzten Jahres", "2025-03-12"),
        ("de", "am 12. März nächstes Jahr", "2027-03-12"),
        ("fr", "lundi prochain", "2026-03-23"),
        ("fr", "le 12 mars de l'année dernière", "2025-03-12"),
        ("fr", "le 12 mars de l'an prochain", "2027-03-12"),
    ],
)
def test_what_a_message_says_of_the_year_or_week_outweighs_a_preference(locale: str, message: str, day: str, prefer: Prefer) -> None:
    assert [span.key for span in dates(message, locale, today=TODAY, prefer=prefer)] == [day]


@given(st.integers(1, 31), st.integers(1, 12), st.dates(dt.date(1990, 1, 1), dt.date(2090, 12, 31)), st.sampled_from(["future", "past"]))
def test_a_day_without_a_year_lies_on_the_preferred_side_as_near_as_can_be(day: int, month: int, today: dt.date, prefer: Prefer) -> None:
    try:
        dt.date(2024, month, day)
    except ValueError:
        return
    name = dt.date(2024, month, 1).strftime("%B")
    (found,) = (span.value for span in dates(f"on {day} {name}", "en", today=today, prefer=prefer))
    assert (found.day, found.month) == (day, month)
    assert found == today or (found > today) is (prefer == "future")
    step = 1 if prefer == "future" else -1
    between = (today + dt.timedelta(step * n) for n in range(abs((found - today).days)))
    assert not any((one.day, one.month) == (day, month) for one in between)


@given(st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)), st.sampled_from(["future", "past"]))
def test_no_day_of_the_calendar_is_too_early_or_too_late(today: dt.date, prefer: str) -> None:
    message = "29 february, monday, on the 31st, 31/12, tomorrow, in 2 weeks, the day before yesterday, last friday"
    for span in dates(message, "en", today=today, prefer=prefer):  # type: ignore[arg-type]
        assert isinstance(span.value, dt.date)


@given(st.dates(dt.date(1990, 1, 1), dt.date(2090, 12, 31)))
def test_a_written_day_is_read_as_itself(day: dt.date) -> None:
    from babel.dates import format_date

    for locale in ("en", "en-GB", "es", "de", "fr", "it", "pt-BR", "nl"):
        for width in ("long", "full"):
            text = f"on {format_date(day, width, locale=locale.replace('-', '_'))} please"
            assert day in [span.value for span in dates(text, locale, today=TODAY)], text
    assert [span.value for span in dates(f"say {day.isoformat()}?", "xx", today=TODAY)] == [day]


@given(st.decimals(0, 10**9, places=2), st.sampled_from(["en", "de", "es", "fr", "it", "pt-BR", "nl", "da"]))
def test_a_written_number_is_read_as_itself(number: Decimal, locale: str) -> None:
    from babel.numbers import format_decimal

    text = format_decimal(number, "#,##0.00", locale=locale.replace("-", "_"))
    assert [span.value for span in amounts(f"I give {text} now", locale, is_whole=False)] == [number], text


pieces = re.findall(
    r"\S+",
    "5 may in two hundred monday the 3rd , . - / : ago days % k dozen half a \x00 ٣ \u202e \ud800 $ one 99999 next week of point İ ß "
    "mañana pasado de e+9 inf nan \uff11\uff12",
)
fragments = st.lists(st.sampled_from(pieces), max_size=30).map(" ".join)


@given(fragments | st.text(max_size=80) | st.sampled_from([*naughty_strings(), *HOSTILE]), st.sampled_from(LOCALES))
def test_any_text_is_ordinary_and_spans_lie_in_it(message: str, locale: str) -> None:
    whole, exact = amounts(message, locale, is_whole=True), amounts(message, locale, is_whole=False)
    days = dates(message, locale, today=TODAY)
    for spans in (whole, exact, days):
        assert len({span.key for span in spans}) == len(spans) <= SPANS
        assert [span.start for span in spans] == sorted(span.start for span in spans)
        for span in spans:
            assert message[span.start : span.end].encode("utf-8", "replace").decode() == span.text != ""
    assert all(isinstance(span.value, int) and span.value >= 0 for span in whole)
    assert all(span.value.is_finite() and span.value >= 0 for span in exact)
    assert all(isinstance(span.value, dt.date) for span in days)
    assert days == dates(message, locale, today=TODAY)


@pytest.mark.parametrize(
    "piece", ["5 may ", "1 2 3 ", "tomorrow ", "in 2 days 3 ", "one hundred ", "monday, ", "(5/5", "a1 ", "dozen ", "9", "\x00"]
)
def test_a_long_message_costs_no_more_than_its_head(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from constrained.understanding import relative_days as module

    read: list[str] = []
    original = module._dateparser
    monkeypatch.setattr(module, "_dateparser", lambda text, *rest: read.append(text) or original(text, *rest))
    message = piece * (1_000_000 // len(piece))
    assert dates(message, "en", today=TODAY) == dates(message[:READ], "en", today=TODAY)
    assert amounts(message, "en", is_whole=True) == amounts(message[:READ], "en", is_whole=True)
    assert sum(len(module._TOKEN.findall(text)) for text in read) <= 2 * 2 * module.TOKENS
