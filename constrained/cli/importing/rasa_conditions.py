"""Conditions of Rasa's flows (``not slots.x and slots.y = "z"``) as Python over State and the answers of a procedure."""

from __future__ import annotations

import re
from collections.abc import Callable

from constrained.cli.importing.rasa_project import Slot

_TRUTH = re.compile(r"(not\s+)?slots\.(\w+)", re.ASCII)
_COMPARED = re.compile(r"""slots\.(\w+)\s*(is not|is|!=|==|<=|>=|=|<|>)\s*("[^"\n]*"|'[^'\n]*'|-?\d{1,15}(?:\.\d{1,9})?|\w+)""", re.ASCII)
_SAME = {"=": "==", "is": "==", "is not": "!="}
_WORDS = {"true": True, "false": False, "null": None, "none": None}


def translate(text: str, slots: dict[str, Slot], value_of: Callable[[Slot], str]) -> str | None:
    """Python for a condition; None for one that says more than this grammar: a slot, a comparison, ``and``, ``or``, ``not``."""
    if len(text) > 500:
        return None
    either = [[_atom(one, slots, value_of) for one in re.split(r"\s+and\s+", part)] for part in re.split(r"\s+or\s+", text.strip())]
    if any(one is None for part in either for one in part):
        return None
    joined = [" and ".join(str(one) for one in part) for part in either]
    return " or ".join(f"({part})" if len(joined) > 1 and " and " in part else part for part in joined)


def _atom(text: str, slots: dict[str, Slot], value_of: Callable[[Slot], str]) -> str | None:
    match = _TRUTH.fullmatch(text.strip())
    if match and match[2] in slots:
        slot = slots[match[2]]
        if slot.kind == "bool":
            return f"{'not ' if match[1] else ''}{value_of(slot)}"
        return f"{value_of(slot)} is {'' if match[1] else 'not '}None"
    match = _COMPARED.fullmatch(text.strip())
    if match is None or match[1] not in slots:
        return None
    return _comparison(slots[match[1]], _SAME.get(match[2], match[2]), match[3], value_of)


def _comparison(slot: Slot, operator: str, written: str, value_of: Callable[[Slot], str]) -> str | None:
    is_quoted, word = written[0] in "\"'", written.strip("\"'")
    if not is_quoted and word.lower() in _WORDS:
        value = _WORDS[word.lower()]
        if operator not in ("==", "!="):
            return None
        if value is None:
            return f"{value_of(slot)} is {'not ' if operator == '!=' else ''}None"
        if slot.kind != "bool":
            return None
        return f"{'' if (operator == '==') == value else 'not '}{value_of(slot)}"
    is_number = not is_quoted and re.fullmatch(r"-?[\d.]+", word) is not None
    if slot.kind == "decimal" and is_number:
        expression = value_of(slot)
        return f"({expression} is not None and {expression} {operator} Decimal({word!r}))"
    if slot.kind in ("text", "choice") and not is_number and operator in ("==", "!="):
        return f"{value_of(slot)} {operator} {word!r}"
    return None
