"""Numbers that may not be logged, made here: valid ones of each kind, in fifteen ways of writing, in sentences of four languages.

Nobody's numbers: they are drawn until their check digits fit. And texts in which nothing is meant: orders, telephones, amounts, dates.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from constrained.records.masking import NATIONAL, is_card

LANGUAGES = ("en", "es", "de", "fr")
NAMED = {
    "en": "Hello, my {kind} is {number}, can you help me?",
    "es": "Hola, mi {kind} es {number}, ¿me puede ayudar?",
    "de": "Hallo, meine {kind} ist {number}, können Sie mir helfen?",
    "fr": "Bonjour, mon {kind} est le {number}, pouvez-vous m'aider ?",
}
UNNAMED = {
    "en": "Sure, here it is: {number} thanks",
    "es": "Claro, aquí está: {number} gracias",
    "de": "Klar, hier ist sie: {number} danke",
    "fr": "Bien sûr, le voici : {number} merci",
}
KIND_NAMES = {
    "card": ("card number", "tarjeta", "Kartennummer", "numéro de carte"),
    "iban": ("IBAN", "IBAN", "IBAN", "IBAN"),
    "us.ssn": ("social security number", "SSN", "Social Security Number", "SSN"),
    "gb.nhs": ("NHS number", "número NHS", "NHS-Nummer", "numéro NHS"),
    "nl.bsn": ("BSN", "BSN", "Burgerservicenummer", "BSN"),
    "pt.nif": ("NIF", "NIF", "NIF", "NIF"),
}
_OTHER_NAMES = ("ID number", "número de identificación", "Ausweisnummer", "numéro d'identité")
_WORDS = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "es": ("cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"),
    "de": ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
    "fr": ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"),
}
_CARDS = (("4", 16), ("51", 16), ("2345", 16), ("37", 15), ("6011", 16), ("36", 14), ("3530", 16), ("62", 16), ("6761", 16), ("4", 13))
_IBANS = {"DE": "9" * 18, "ES": "9" * 20, "FR": "9" * 10 + "A" * 11 + "99", "GB": "AAAA" + "9" * 14, "NL": "AAAA" + "9" * 10,
          "IT": "A" + "9" * 22, "PT": "9" * 21, "BE": "9" * 12}  # fmt: skip


_FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"  # check characters


@dataclass(frozen=True, slots=True)
class PrivateText:
    """Messages with one number. ``messages``: one, or two where the number is split. ``number``: as it is written."""

    kind: str
    way: str
    language: str
    is_named: bool
    messages: tuple[str, ...]
    number: str


def kinds() -> tuple[str, ...]:
    return ("card", "iban", *dict.fromkeys(kind.name for kind in NATIONAL))


def private_texts(seed: int, n_each: int) -> Iterator[PrivateText]:
    """``n_each`` texts of every kind, way, language, with and without the number's name."""
    rng = random.Random(seed)
    for kind in kinds():
        for way, write in WAYS.items():
            for place, language in enumerate(LANGUAGES):
                for template, is_named in ((NAMED, True), (UNNAMED, False)):
                    for _ in range(n_each):
                        written = write(make_number(kind, rng), language)
                        name = KIND_NAMES.get(kind, _OTHER_NAMES)[place]
                        text = template[language].format(kind=name, number=written)
                        messages = tuple(text.split(SPLIT))
                        yield PrivateText(kind, way, language, is_named, messages, written)


def make_number(kind: str, rng: random.Random) -> str:
    """A valid number without gaps."""
    if kind == "card":
        prefix, length = rng.choice(_CARDS)
        return _drawn(lambda: prefix + _filled("9" * (length - len(prefix)), rng), is_card)
    if kind == "iban":
        country = rng.choice(sorted(_IBANS))
        return _drawn(lambda: _with_check_digits(country, _filled(_IBANS[country], rng)), _validator("iban"))
    pictures = [one for one in NATIONAL if one.name == kind]
    picture = rng.choice(pictures)
    valid = _validator(picture.module) if picture.module else bool
    return _drawn(lambda: _national(kind, picture.picture, rng), valid)


def _drawn(make: Callable[[], str], is_valid: Callable[[str], object]) -> str:
    while True:
        number = make()
        if is_valid(number):
            return number


def _validator(kind: str) -> Callable[[str], object]:
    found: Callable[[str], object] = importlib.import_module(f"stdnum.{kind}").is_valid
    return found


def _with_check_digits(country: str, account: str) -> str:
    digits = "".join(str(int(char, 36)) for char in f"{account}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{account}"


def _national(kind: str, picture: str, rng: random.Random) -> str:
    """A draw that is likely to be valid: a date of birth where the number holds one."""
    year, month, day = rng.randint(1940, 2005), rng.randint(1, 12), rng.randint(1, 28)
    short = f"{year % 100:02d}{month:02d}{day:02d}"
    tail = lambda n: _filled("9" * n, rng)  # noqa: E731  # a name for what is used in every line below
    made = {
        "fr.nir": lambda: _nir(f"{rng.choice('12')}{year % 100:02d}{month:02d}{rng.randint(1, 95):02d}{tail(6)}"),
        "it.codicefiscale": lambda: (
            _filled("AAAAAA", rng) + f"{year % 100:02d}{rng.choice('ABCDEHLMPRST')}{day:02d}" + _filled("A999A", rng)
        ),
        "pl.pesel": lambda: f"{year % 100:02d}{month + (20 if year >= 2000 else 0):02d}{day:02d}{tail(5)}",
        "se.personnummer": lambda: f"{short}-{tail(4)}" if "-" in picture else f"{year}{month:02d}{day:02d}{tail(4)}",
        "no.fodselsnummer": lambda: f"{day:02d}{month:02d}{year % 100:02d}{tail(5)}",
        "fi.hetu": lambda: f"{day:02d}{month:02d}{year % 100:02d}{'A' if year >= 2000 else '-'}{tail(3)}{rng.choice(_FINNISH)}",
        "be.nn": lambda: _belgian(f"{short}{tail(3)}", year),
        "gb.nino": lambda: _filled("{}999999{}", rng).format(rng.choice(("AB", "CE", "JK", "PR")), rng.choice("ABCD")),
        "es.nie": lambda: rng.choice("XYZ") + _filled("9999999A", rng),
        "ch.ssn": lambda: "756" + tail(10),
    }
    return made[kind]() if kind in made else _filled(picture, rng)


def _nir(body: str) -> str:
    return f"{body}{97 - int(body) % 97:02d}"


def _belgian(body: str, year: int) -> str:
    return f"{body}{97 - int(('2' if year >= 2000 else '') + body) % 97:02d}"


def _filled(picture: str, rng: random.Random) -> str:
    among = {"9": "0123456789", "A": "ABCDEFGHJKLMNPRSTVWXYZ"}
    return "".join(rng.choice(among[char]) if char in among else char for char in picture)


# -- fifteen ways of writing ---------------------------------------------------------------------------------------

SPLIT = "\x00"
APART = ("words between groups", "an expiry date stuck to it", "digits in words", "two messages")  # found by chance only


def grouped(number: str, between: str) -> str:
    """In groups of three or four, as people read numbers out; a mark of the number's own stays."""
    size = 4 if len(number) > 12 else 3
    return between.join(number[start : start + size] for start in range(0, len(number), size))


def _translated(number: str, zero: str) -> str:
    return "".join(chr(ord(zero) + int(char)) if char in "0123456789" else char for char in number)


def _spelled(number: str, language: str) -> str:
    return " ".join(_WORDS[language][int(char)] if char in "0123456789" else char for char in number)


WAYS: dict[str, Callable[[str, str], str]] = {
    "as it is": lambda number, _: number,
    "groups, blanks": lambda number, _: grouped(number, " "),
    "groups, dashes": lambda number, _: grouped(number, "-"),
    "groups, dots": lambda number, _: grouped(number, "."),
    "groups, slashes": lambda number, _: grouped(number, " / "),
    "groups, narrow blanks": lambda number, _: grouped(number, "\u202f"),
    "character by character": lambda number, _: " ".join(number),
    "full width": lambda number, _: "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in number),
    "Arabic-Indic digits, small letters": lambda number, _: _translated(number.lower(), "\u0660"),
    "an expiry date behind, in brackets": lambda number, _: f"({number} 12/27)",
    "groups, commas": lambda number, _: grouped(number, ","),
    "words between groups": lambda number, _: grouped(number, " then "),
    "an expiry date stuck to it": lambda number, _: number + "1227",
    "digits in words": _spelled,
    "two messages": lambda number, _: number[: len(number) // 2] + SPLIT + number[len(number) // 2 :],
}


# -- texts in which no such number is meant -----------------------------------------------------------------------


def harmless_texts(seed: int, n_each: int) -> Iterator[tuple[str, str]]:
    """Pairs of a group and a text."""
    rng = random.Random(seed)
    for group, makers in _HARMLESS.items():
        for number in range(n_each):
            yield group, makers[number % len(makers)](rng)


def _digits(pattern: str) -> Callable[[random.Random], str]:
    return lambda rng: _filled(pattern, rng)


_HARMLESS: dict[str, tuple[Callable[[random.Random], str], ...]] = {
    "order numbers": tuple(
        _digits(one)
        for one in (
            "My order is 999-9999999-9999999.",
            "Bestellung AB-999999",
            "pedido 2026-00999999",
            "where is order #99999999?",
            "commande 9999999999",
            "order no. 9999 9999 99",
            "ticket AAA-9999-99",
            "parcel 1ZA99A999999999999",
        )
    ),
    "telephone numbers": tuple(
        _digits(one)
        for one in (
            "call me on +44 7999 999999",
            "+49 151 99999999",
            "llámame al +34 6 99 99 99 99",
            "0033 6 99 99 99 99",
            "06 99 99 99 99",
            "(555) 999-9999",
            "+1 555 999 9999",
            "0171 9999999",
            "+48 699 999 999",
            "+46 79 999 99 99",
        )
    ),
    "amounts": tuple(
        _digits(one)
        for one in (
            "I paid 1,999,999.99 and 99.99",
            "19.999,99 EUR am 3. März",
            "9 999 999,99 €",
            "99,999 to 199,999 GBP",
            "$99999999",
        )
    ),
    "dates and times": tuple(
        _digits(one)
        for one in (
            "on 2026-03-19 19:29:59",
            "19.03.2026, 19:29 bis 20.03.2026, 08:19",
            "19/12/2026 - 29/12/2026",
            "20260319T192959.999999",
            "1799999999 seconds",
            "1799999999999 ms",
            "from 03 19 2026 to 04 29 2026",
        )
    ),
    **{f"any {length} digits": (_digits("reference " + "9" * length),) for length in (9, 10, 11, 12, 13, 14, 15, 16, 18, 20)},
}
