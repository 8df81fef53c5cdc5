"""What may be said in a turn, told a second time: the tests' own short model of allowing and rendering.

It runs the policy and reads the catalog, and shares no code with ``allow``, ``render``, ``compose`` and ``verify``.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Any

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal

from constrained import Policy
from constrained.dialogue.turn import Turn
from constrained.logic.options import Offer

VARIANTS = " |{}| "  # between the variants of a text, in its source


@dataclass(frozen=True)
class Sayable:
    """What the turn may say: texts by response id, with all their variants, and what is said before and after."""

    options: Mapping[str, set[str]]
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...]


def sayable(policy: Policy, state: Any, heard: Any, *, said: Mapping[str, int], locale: str, today: dt.date) -> Sayable:
    says, onlys, acts, obliged, is_closed = [], [], [], {}, False
    fallback = (policy.catalog.fallback, filled(policy, policy.catalog.fallback, {}, locale))
    for offer in policy(state, heard):
        is_closed |= offer.kind == "only"
        if not _may(policy, offer, state, said, locale, today):
            continue
        if not _can_be_said(policy, offer):
            if offer.kind == "must":
                return Sayable({fallback[0]: {fallback[1]}}, (), ())
            continue
        text = filled(policy, offer.response_id, offer.slots, locale)
        if offer.kind == "must":
            obliged.setdefault(text, (offer.response_id, text, offer.is_after))
        else:
            (onlys if offer.kind == "only" else says).append((offer.response_id, text))
            acts += [any(one.kind.risk == "high" for one in offer.effects)] if offer.kind == "only" else []
    options: dict[str, set[str]] = {}
    for response_id, text in onlys if is_closed else [*says, fallback]:
        if response_id not in {one for one, _, _ in obliged.values()}:
            options.setdefault(response_id, set()).add(text)
    if is_closed and onlys and all(acts):  # a message may be evidence for none of these acts, or come too late
        options.setdefault(fallback[0], set()).add(fallback[1])
    before = tuple((one, text) for one, text, is_after in obliged.values() if not is_after)
    after = tuple((one, text) for one, text, is_after in obliged.values() if is_after)
    return Sayable(options or {fallback[0]: {fallback[1]}}, before, after)


def check(turn: Turn, may: Sayable) -> None:
    """Asserts that the turn says, byte for byte, one of the options and every obligation."""
    texts = {
        "\n".join(lines)
        for text in may.options.get(turn.response_id, ())
        for lines in product(*(one.split(VARIANTS) for one in [*(text for _, text in may.before), text, *(text for _, text in may.after)]))
    }
    assert turn.text in texts, f"{turn.text!r} is not among {texts!r}"
    assert turn.said == (*(one for one, _ in may.before), turn.response_id, *(one for one, _ in may.after))
    assert turn.record.text == turn.text


def check_in_place(policy: Policy, turn: Turn, may: Sayable, locale: str) -> None:
    """Asserts that what is said in place of an option, or beside one, is approved, is about options of the turn, and does nothing."""
    catalog = policy.catalog
    check_spelt(policy, turn, locale)
    for one in turn.decision.spoken or (turn.decision.chosen,):
        asked = catalog[one.id].offer_of
        assert (asked or one.id) in may.options or one.id == catalog.way_out or one.response.tags & {"returned", "too_long"}
        assert not asked or one.text not in next(iter(may.options.get(asked, ())), "").split(VARIANTS)
        assert not one.effects or one is turn.decision.chosen
    assert not (turn.effects and catalog[turn.response_id].offer_of)
    assert [one for one in turn.said if one in dict(may.before) or one in dict(may.after)] == [one for one, _ in (*may.before, *may.after)]


def check_spelt(policy: Policy, turn: Turn, locale: str) -> None:
    """Asserts that the turn says the approved texts of what it names, in that order, with something in their holes and nothing between."""
    parts = ["|".join(_pattern(each) for each in _sources(policy, one, locale)) for one in turn.said]
    assert re.fullmatch("\n".join(f"(?:{part})" for part in parts), turn.text), f"{turn.text!r} is not what {turn.said} say"
    assert turn.response_id in turn.said
    assert turn.record.text == turn.text


_SELECTION = re.compile(r"\{(\w+), (plural|select), ((?:\S+ \{(?:[^{}]|\{\w+\})*\} ?)+)\}")
_FORM = re.compile(r"(\S+) \{((?:[^{}]|\{\w+\})*)\}")


def _pattern(source: str) -> str:
    """A regular expression for what a template says; doubled braces are braces."""
    source = _SELECTION.sub("{selected}", source)
    marked = re.escape(source.replace("{{", "\x01").replace("}}", "\x02"))
    holes = re.sub(r"\\\{\w+\\\}", r"[^{}]+?", marked)
    return re.sub("\\\\?\x01", r"\{", re.sub("\\\\?\x02", r"\}", holes))


def _sources(policy: Policy, response_id: str, locale: str) -> list[str]:
    """The text and its variants."""
    response = policy.catalog[response_id]
    at = next(one for one in (locale, locale.split("-")[0], policy.catalog.locale) if one in response.texts)
    return [str(each.source) for each in response.texts[at].each]


def filled(policy: Policy, response_id: str, slots: Mapping[str, Any], locale: str) -> str:
    response = policy.catalog[response_id]
    at = next(one for one in (locale, locale.split("-")[0], policy.catalog.locale) if one in response.texts)

    def part(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        slot = response.slots[match[1]]
        return _words(slot, slots[slot.name], at)

    def selected(match: re.Match[str]) -> str:
        name, kind, written = match.groups()
        forms, value = dict(_FORM.findall(written)), slots[name]
        if kind == "select":
            return str(forms.get(value.value if isinstance(value, Enum) else value, forms["other"]))
        category = Locale.parse(at, sep="-").plural_form(value)
        return str(forms.get(f"={value}", forms.get(category, forms["other"]))).replace("#", f"{{{name}}}")

    return re.sub(r"\{\{|\}\}|\{(\w+)\}", part, _SELECTION.sub(selected, response.texts[at].source))


def _words(slot: Any, value: Any, locale: str) -> str:
    known = Locale.parse(locale, sep="-")
    if slot.kind == "money":
        return format_currency(value, slot.currency, locale=known)
    if slot.kind == "date":
        return format_date(value, "long", locale=known)
    if slot.kind == "time":
        return format_time(value, "short", locale=known)
    if slot.kind == "choice":
        words = slot.choices[value.value if isinstance(value, Enum) else value]
        return words.get(locale, words.get("en"))
    if slot.kind == "decimal":
        decimals = max(0, -value.as_tuple().exponent) if hasattr(value, "as_tuple") else 0
        return format_decimal(value, "#,##0." + "0" * decimals if decimals else "#,##0", locale=known)
    return format_decimal(value, "#,##0", locale=known) if slot.kind == "integer" else str(value)


def _can_be_said(policy: Policy, offer: Offer) -> bool:
    """Whether every text in the slots is one line of visible characters, of the length that the slot allows, and no chat marker."""
    slots = policy.catalog[offer.response_id].slots
    texts = [(slots[name], value.strip()) for name, value in offer.slots.items() if slots[name].kind == "text"]
    written = [value for name, value in offer.slots.items() if slots[name].kind == "user_text"]
    return all(0 < len(text) <= slot.max_length and text.isprintable() and "<|" not in text for slot, text in texts) and all(
        re.fullmatch("[A-Z]{2}-[0-9]{2}", one) for one in written
    )


def _may(policy: Policy, offer: Offer, state: Any, said: Mapping[str, int], locale: str, today: dt.date) -> bool:
    approval = policy.catalog[offer.response_id].approval
    is_approved = approval is None or (approval.on <= today and (approval.until is None or today <= approval.until))
    return is_approved and not (offer.is_once and offer.response_id in said) and all(effect.holds(state) for effect in offer.effects)
