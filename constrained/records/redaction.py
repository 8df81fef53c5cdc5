"""Views of records for people who need not see everything: numbers of cards and accounts do not show, nor what is marked sensitive.

The record stays as it is. What may not be logged at all is taken out before: ``masking``.
"""

from __future__ import annotations

import re
from typing import Any

from constrained.records.masking import has_check_digits
from constrained.records.record import Record
from constrained.records.sealing import SENSITIVE

SEALED = "[sealed]"
MARKED = "[sensitive]"
_BETWEEN = r"[\s./_\u2010-\u2015\u2212-]"  # what people and programs write between the groups of a number
_IBAN = re.compile(rf"\b[A-Z]{{2}}\d{{2}}(?:{_BETWEEN}?[A-Z0-9]){{11,30}}\b", re.IGNORECASE)
_GROUPED = re.compile(rf"(?<!\d)\d(?:{_BETWEEN}{{0,2}}\d){{8,29}}(?!\d)")
_LONG = re.compile(r"\d{8,}")
_ACCOUNTS = ("es.ccc", "no.kontonr", "nz.bankaccount", "cz.bankaccount", "us.rtn")  # national forms with check digits


def redacted_text(text: str) -> str:
    """``text`` with cards and accounts reduced to their last four digits, and other long numbers taken out."""
    text = _IBAN.sub(_iban, text)
    text = _GROUPED.sub(_grouped, text)
    return _LONG.sub("[number]", text)


def redacted_value(value: Any) -> Any:
    """A JSON value with every text in it redacted, names too, and numbers of eight digits or more."""
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**7:
        return redacted_text(str(value))
    if isinstance(value, float) and abs(value) >= 10**7:
        return redacted_text(f"{value:f}")
    if isinstance(value, dict):
        return _redacted_dict(value)
    return [redacted_value(item) for item in value] if isinstance(value, list | tuple) else value


def _redacted_dict(value: dict[str, Any]) -> dict[str, Any]:
    """Names that read the same when they are redacted are counted."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        shown_name = redacted_text(name)
        n_alike = sum(other == shown_name or other.startswith(f"{shown_name} (") for other in found)
        found[f"{shown_name} ({n_alike + 1})" if n_alike else shown_name] = redacted_value(item)
    return found


def redacted(record: Record) -> dict[str, Any]:
    """A record as plain data for showing; what is sealed is named as such, what is taken out cannot be got back from it."""
    content = record.model_dump(mode="json")
    sealed = content["sealed"]
    for name in ("message", "state", "heard", "options", "obligations", "text", "effects", "blocked", "said", "memory"):
        content[name] = redacted_value(content[name])
    is_marked = bool(record.sensitive) and sealed is None
    for name in sealed["fields"] if sealed else SENSITIVE if is_marked else ():
        if name in content and name != "heard":
            content[name] = MARKED if is_marked else SEALED
    if is_marked:
        content["heard"] = [one | {"value": MARKED} for one in content["heard"]]
        for kind in ("options", "obligations"):
            content[kind] = [one | {"slots": dict.fromkeys(one["slots"], MARKED)} for one in content[kind]]
    return content


def shown(record: Record, text: str) -> str:
    """One of a record's texts as a view shows it: redacted, or nothing of it where the record holds what is marked sensitive."""
    return MARKED if record.sensitive else redacted_text(text)


def _iban(found: re.Match[str]) -> str:
    plain = re.sub(_BETWEEN, "", found[0])
    return f"[account ending {plain[-4:]}]" if has_check_digits("iban", plain) else found[0]


def _grouped(found: re.Match[str]) -> str:
    text = found[0]
    digits = re.sub(r"\D", "", text)
    if 13 <= len(digits) <= 19 and has_check_digits("luhn", digits):
        return f"[card ending {digits[-4:]}]"
    if any(has_check_digits(kind, text) for kind in _ACCOUNTS):
        return f"[account ending {digits[-4:]}]"
    return "[number]" if len(digits) >= 13 else text
