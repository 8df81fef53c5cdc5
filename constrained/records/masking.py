"""What may not be logged, found in a text and replaced by a mark: payment cards, IBANs, national numbers, card security codes.

    mask("my card 4111 1111 1111 1111")    # 'my card [card ••1111]'

Found is what passes its check digits (python-stdnum), however its digits are grouped. A number whose check digits a tenth of all
numbers pass is taken only behind a word that names it. What is missed and what is taken wrongly is measured: docs/privacy.md.
"""

from __future__ import annotations

import importlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from constrained.errors import AuditError
from constrained.records.record import MASKED_FORMAT, Chained, Outcome, Record

N_LEAST = 3  # digits without which a text is not looked through
_BETWEEN = r"[\s.,/_|\u00b7\u2022\u2010-\u2015\u2212-]"  # what people and programs write between the groups of a number
_GAP = rf"{_BETWEEN}{{0,3}}"
_NEAR = 40  # characters before a number in which the word that names it may stand


class Found(NamedTuple):
    """A number in a text: its kind, where it begins and ends, and the mark that stands for it."""

    kind: str
    start: int
    end: int
    mark: str


@dataclass(frozen=True, slots=True)
class NumberKind:
    """A kind of national number.

    Attributes:
        name: in marks. module: of python-stdnum, empty where the pattern alone decides.
        picture: ``9`` a digit, ``A`` a letter, ``*`` either; anything in braces is a pattern of one character.
        word: a pattern of the words of which one must stand shortly before; empty where the check digits suffice.
    """

    name: str
    module: str
    picture: str
    word: str = ""


_MONTH_CODES = "{[ABCDEHLMPRST]}"
_CF_DIGIT = "{[0-9LMNPQRSTUV]}"  # of a codice fiscale: letters stand for digits where two people would have the same
NATIONAL: tuple[NumberKind, ...] = (
    NumberKind("es.dni", "es.dni", "99999999A"),
    NumberKind("es.nie", "es.nie", "{[XYZ]}9999999A"),
    NumberKind("us.ssn", "us.ssn", "999999999", r"\bSSN|SOCIAL SECURITY|SEGURIDAD SOCIAL|SOZIALVERSICHERUNG|S[ÉE]CURIT[ÉE] SOCIALE"),
    NumberKind("gb.nino", "", "{[A-CEGHJ-PR-TW-Z]}{[A-CEGHJ-NPR-TW-Z]}999999{[A-D]}"),
    NumberKind("gb.nhs", "gb.nhs", "9999999999", r"\bNHS"),
    NumberKind("de.idnr", "de.idnr", "99999999999"),
    NumberKind("fr.nir", "fr.nir", "{[12378]}9999{[0-9]}{[0-9AB]}99999999"),
    NumberKind("it.codicefiscale", "it.codicefiscale", f"AAAAAA{_CF_DIGIT * 2}{_MONTH_CODES}{_CF_DIGIT * 2}A{_CF_DIGIT * 3}A"),
    NumberKind("nl.bsn", "nl.bsn", "999999999", r"\bBSN|BURGERSERVICE|SOFI"),
    NumberKind("pl.pesel", "pl.pesel", "99999999999"),
    NumberKind("br.cpf", "br.cpf", "99999999999"),
    NumberKind("pt.nif", "pt.nif", "999999999", r"\bNIF\b|CONTRIBUINTE"),
    NumberKind("se.personnummer", "se.personnummer", "999999{[-+]}9999"),
    NumberKind("se.personnummer", "se.personnummer", "{[12]}{[90]}9999999999"),
    NumberKind("no.fodselsnummer", "no.fodselsnummer", "99999999999"),
    NumberKind("fi.hetu", "fi.hetu", "999999{[-+ABCDEFUVWXY]}999*"),
    NumberKind("be.nn", "be.nn", "99999999999"),
    NumberKind("ch.ssn", "ch.ssn", "{7}{5}{6}9999999999"),
)
_SSN = re.compile(
    r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\d-])"
)  # this way it needs no word: nothing else is written so
_CODE = re.compile(
    r"\b(?:CVV2?|CVC2?|CVN|CID|(?:CARD )?SECURITY CODE|C[ÓO]DIGO DE SEGURIDAD|PR[ÜU]FZIFFER|KARTENPR[ÜU]FNUMMER|SICHERHEITSCODE|"
    r"CRYPTOGRAMME|CODE DE S[ÉE]CURIT[ÉE])\b[^\d]{0,15}(\d(?: ?\d){2,3})(?!\d)"
)
_DIGITS = re.compile(r"\d+")
_GAP_ONLY = re.compile(rf"{_GAP}\Z")
_IBAN = re.compile(rf"(?<![A-Z0-9])[A-Z]{_GAP}[A-Z]{_GAP}\d{_GAP}\d(?:{_GAP}[A-Z0-9]){{11,30}}")
_PREFIXES = (  # of card networks: first and last prefix, lengths (ISO/IEC 7812 as the networks publish them)
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)), ("2221", "2720", (16,)),  # Mastercard
    ("34", "34", (15,)), ("37", "37", (15,)),  # American Express
    ("6011", "6011", (16, 19)), ("644", "649", (16, 19)), ("65", "65", (16, 19)),  # Discover
    ("300", "305", (14, 16)), ("36", "36", (14, 16)), ("38", "39", (14, 16)),  # Diners Club
    ("3528", "3589", (16, 19)),  # JCB
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("5018", "5018", (12, 13, 16, 19)), ("5020", "5020", (16,)), ("5038", "5038", (16,)), ("5893", "5893", (16,)),
    ("6304", "6304", (16, 18, 19)), ("6759", "6759", (16, 18, 19)), ("6761", "6763", (16, 18, 19)),  # Maestro
    ("2200", "2204", (16, 19)),  # Mir
)  # fmt: skip
_LENGTHS = frozenset(length for *_, lengths in _PREFIXES for length in lengths)


def mask(text: str) -> str:
    """The text with a mark in place of each number that may not be logged. A masked text stays as it is."""
    return masked_with_kinds(text)[0]


def masked_with_kinds(text: str) -> tuple[str, tuple[str, ...]]:
    """The masked text, and the kinds of what was taken out, each once."""
    found = find_numbers(text)
    if not found:
        return text, ()
    parts, at = list[str](), 0
    for one in found:
        parts += (text[at : one.start], one.mark)
        at = one.end
    return "".join((*parts, text[at:])), tuple(dict.fromkeys(one.kind for one in found))


def find_numbers(text: str) -> list[Found]:
    """What may not be logged of a text, in its order; what overlaps is one, named after the longer part.

    Raises AuditError where python-stdnum is missing: nothing is taken for clean that was not looked at.
    """
    if sum(map(str.isdigit, text)) < N_LEAST:
        return []
    plain = _folded(text)
    kept: list[Found] = []
    for one in sorted((*_cards(plain), *_ibans(plain), *_nationals(plain), *_codes(plain)), key=lambda one: (one.start, -one.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
        elif one.end > kept[-1].end:
            longer = max(kept[-1], one, key=lambda each: each.end - each.start)
            kept[-1] = longer._replace(start=kept[-1].start, end=one.end)
    return kept


def _folded(text: str) -> str:
    """Character by character: digits of any script as ASCII, letters in plain capitals, invisible characters as blanks."""
    return text.upper() if text.isascii() else "".join(map(_folded_char, text))


@lru_cache(maxsize=4096)
def _folded_char(char: str) -> str:
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(char) in ("Cf", "Cc", "Mn"):
        return " "
    plain = unicodedata.normalize("NFKC", char).upper()
    return plain if len(plain) == 1 else char


def _cards(plain: str) -> Iterator[Found]:
    """Runs of whole groups of digits: a card within a longer number without gaps is none."""
    groups = list(_DIGITS.finditer(plain))
    for first, group in enumerate(groups):
        digits = ""
        for last in range(first, len(groups)):
            if last > first and not _GAP_ONLY.match(plain[groups[last - 1].end() : groups[last].start()]):
                break
            digits += groups[last][0]
            if len(digits) > max(_LENGTHS):
                break
            if is_card(digits):
                yield Found("card", group.start(), groups[last].end(), f"[card ••{digits[-4:]}]")


def is_card(digits: str) -> bool:
    """Whether a network issues cards of this prefix and length, and the check digit is right."""
    if len(digits) not in _LENGTHS or len(set(digits)) == 1:
        return False
    is_issued = any(first <= digits[: len(first)] <= last and len(digits) in lengths for first, last, lengths in _PREFIXES)
    return is_issued and has_check_digits("luhn", digits)


def _ibans(plain: str) -> Iterator[Found]:
    """What looks like one and is none is left by one character only: "is 4111 1111 and IBAN DE89 ..." begins as an IBAN does."""
    at = 0
    while found := _IBAN.search(plain, at):
        at = found.start() + 1
        ends = [found.start() + place + 1 for place, char in enumerate(found[0]) if char.isalnum()]
        compact = "".join(char for char in found[0] if char.isalnum())
        for length in range(min(34, len(compact)), 14, -1):
            if has_check_digits("iban", compact[:length]):
                at = ends[length - 1]
                yield Found("iban", found.start(), at, f"[iban ••{compact[length - 4 : length]}]")
                break


def _nationals(plain: str) -> Iterator[Found]:
    for kind, pattern, word in _patterns():
        for found in pattern.finditer(plain):
            if word is not None and not word.search(plain, max(0, found.start() - _NEAR), found.start()):
                continue
            compact = re.sub(_BETWEEN, "", found[0])
            if kind.name == "fi.hetu" and len(compact) == 10:
                compact = f"{compact[:6]}-{compact[6:]}"  # its own dash is no gap
            if kind.module == "" or has_check_digits(kind.module, compact):
                yield Found(kind.name, found.start(), found.end(), f"[{kind.name}]")
    yield from (Found("us.ssn", found.start(), found.end(), "[us.ssn]") for found in _SSN.finditer(plain))


def _codes(plain: str) -> Iterator[Found]:
    for found in _CODE.finditer(plain):
        yield Found("card code", found.start(1), found.end(1), "[card code]")


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[NumberKind, re.Pattern[str], re.Pattern[str] | None], ...]:
    return tuple((kind, _pattern(kind.picture), re.compile(kind.word) if kind.word else None) for kind in NATIONAL)


def _pattern(picture: str) -> re.Pattern[str]:
    """A picture as a pattern with gaps; what stands beside must not go on in the same way. No number of a telephone: no plus before."""
    parts = [part.strip("{}") for part in re.findall(r"\{.*?\}|.", picture)]
    classes = [{"9": r"\d", "A": "[A-Z]", "*": "[0-9A-Z]"}.get(part, part) for part in parts]
    before = r"(?<![\d+])" if parts[0] in ("9", "7") or parts[0].startswith("[1") else "(?<![A-Z0-9])"
    after = r"(?!\d)" if parts[-1] == "9" else "(?![A-Z0-9])"
    return re.compile(before + _GAP.join(classes) + after)


@lru_cache(maxsize=64)
def _validator(kind: str) -> Callable[[str], Any]:
    try:
        found: Callable[[str], Any] = importlib.import_module(f"stdnum.{kind}").is_valid
    except ImportError as error:
        raise AuditError("finding what may not be logged needs python-stdnum", hint="pip install python-stdnum") from error
    return found


def has_check_digits(kind: str, text: str) -> bool:
    """Whether a number is a valid one, by the module of python-stdnum for its kind. Raises AuditError where the package is missing."""
    return bool(_validator(kind)(text))


# -- values and entries of a log ----------------------------------------------------------------------------------

T = TypeVar("T", bound=Chained)
MASKED = ("message", "state", "heard", "options", "obligations", "blocked", "text", "effects", "memory")  # fields that may quote a user


def masked_entry(entry: T) -> T:
    """The entry without what may not be logged; it names the fields and the kinds. The same entry where nothing was found.

    The hash of what a model was given to read is left out of such a turn: with it a number could be found by trying all.
    """
    if isinstance(entry, Outcome):
        told = [(one, mask(one.effect), mask(one.detail)) for one in entry.outcomes]
        outcomes = tuple(one.model_copy(update={"effect": effect, "detail": detail}) for one, effect, detail in told)
        return entry if outcomes == entry.outcomes else entry.model_copy(update={"outcomes": outcomes})
    return _masked_record(entry) if isinstance(entry, Record) else entry  # type: ignore[return-value]  # a Record is what came in


def _masked_record(record: Record) -> Record:
    content, taken = record.model_dump(), dict[str, tuple[str, ...]]()
    for name in MASKED:
        seen = _Seen()
        value = seen.masked(content[name])
        if seen.kinds:
            content[name], taken[name] = value, tuple(sorted(seen.kinds))
    if not taken:
        return record
    return Record.model_validate(content | {"format": MASKED_FORMAT, "masked": {**record.masked, **taken}, "prompt": ""})


class _Seen:
    """Masks JSON values, and keeps the kinds of what it took out."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()

    def masked(self, value: Any) -> Any:
        """Names are masked too; a number that may not be logged becomes the text of its mark; JSON within a text is read."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 10**8:
            text = f"{value:.0f}" if isinstance(value, float) else str(value)
            masked = self._text(text)
            return value if masked == text else masked
        if isinstance(value, dict):
            return {self._text(str(name)): self.masked(item) for name, item in value.items()}
        return [self.masked(item) for item in value] if isinstance(value, list | tuple) else value

    def _text(self, text: str) -> str:
        masked, kinds = masked_with_kinds(text)
        if not kinds:
            return text
        self.kinds.update(kinds)
        inner = _json_in(text)
        return masked if inner is None else json.dumps(self.masked(inner), ensure_ascii=False)


def _json_in(text: str) -> Any:
    """The object or list that a text is the JSON of; None where it is none."""
    try:
        return json.loads(text) if text[:1] in "{[" else None
    except (ValueError, RecursionError):
        return None
