"""A response and its slot values become the text that is said; values are strictly typed, Babel formats them."""

from __future__ import annotations

import copy
import datetime as dt
import unicodedata
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from constrained.catalog.locales import babel_locale, nearest_tag
from constrained.catalog.plurals import with_forms
from constrained.catalog.response import Response, Slot, SlotKind
from constrained.catalog.template import Template, find_marker, refused_in_value
from constrained.catalog.user_text import form_misfit
from constrained.errors import CatalogError, SlotError, SlotValueError

if TYPE_CHECKING:
    from babel import Locale

# ISO 4217, active codes of countries and unions.
_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP "
    "CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR "
    "ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
    "MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
    "SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR "
    "ZMW ZWG"
)
CURRENCIES = frozenset(_CODES.split())
MOST = 10**15  # numbers of this size and more are a mistake, not an amount
DECIMALS = 9


def resolve_locale(response: Response, locale: str, default: str) -> str | None:
    """The locale whose text of ``response`` is said to a user of ``locale``.

    That is ``locale`` itself, else the nearest parent (``es`` for ``es-MX``), else ``default``. A response
    marked ``exact_locale`` has no such last resort, and no parent that leaves out the script.

    Returns:
        A key of ``response.texts``, or None when the response may not be said in that locale.
    """
    texts = response.texts
    if locale in texts:
        return locale
    if response.exact_locale:
        return nearest_tag(texts, locale, same_script=True)
    return nearest_tag(texts, locale) or nearest_tag(texts, default)


def render(response: Response, slots: Mapping[str, Any], locale: str, variant: int = 0) -> str:
    """The text of ``response`` with its slots filled, formatted for the locale of that text; of several, the one of that number.

    Raises:
        SlotError: a slot is missing or surplus; SlotValueError: it has a value that may not be said.
        CatalogError: the response has no text for ``locale`` or its parents; ``resolve_locale`` finds one.
    """
    template = response.texts.get(locale)
    if template is None:
        locale, template = _nearest(response, locale)
    if template.literal is not None and not slots:
        return template.literal
    return _filled(response, template.each[variant], slots, locale)


def render_each(response: Response, slots: Mapping[str, Any], locale: str) -> tuple[str, ...]:
    """Every variant of the text as ``render`` gives it; raises what it does, where one of them cannot be said."""
    template = response.texts.get(locale)
    n_variants = len(template.each) if template is not None else 1
    return tuple(render(response, slots, locale, variant) for variant in range(n_variants))


def _nearest(response: Response, locale: str) -> tuple[str, Template]:
    nearest = nearest_tag(response.texts, locale)
    if nearest is None:
        raise CatalogError(
            f"{response.id!r} has no text for {locale!r}, only for {', '.join(sorted(response.texts))}",
            hint="find the locale with resolve_locale first",
        )
    return nearest, response.texts[nearest]


def _filled(response: Response, template: Template, slots: Mapping[str, Any], locale: str) -> str:
    _check_names(response, template, slots)
    words = {name: spoken(response.id, response.slots[name], slots[name], locale) for name in template.slots}
    parts = with_forms(template, slots, locale)
    text = "".join(part if isinstance(part, str) else words[part.name] for part in parts)
    free = [name for name in template.slots if response.slots[name].kind in ("text", "user_text", "choice")]
    marker = find_marker(text) if free else None
    if marker:
        raise SlotValueError(
            f"the value makes the chat marker {marker!r} in the text of {response.id!r}",
            response=response.id,
            slot=free[0],
            value=slots[free[0]],
            hint="take the brackets out of the text or out of the value",
        )
    return text


def _check_names(response: Response, template: Template, slots: Mapping[str, Any]) -> None:
    for name in sorted(template.slots):
        if name not in slots:
            _refuse(response, name, None, f"the slot {name!r} of {response.id!r} is missing", f'say("{response.id}", {name}=...)')
        if name not in response.slots:
            _refuse(response, name, slots[name], f"{response.id!r} does not declare the slot {name!r}", "declare it under slots")
    for name in slots:
        if name not in template.slots:
            known = ", ".join(sorted(template.slots)) or "none"
            _refuse(response, name, slots[name], f"{response.id!r} has no slot {name!r}", f"its slots: {known}")


def _refuse(response: Response, slot: str, value: object, message: str, hint: str) -> NoReturn:
    raise SlotError(message, response=response.id, slot=slot, value=value, hint=hint)


# -- one value -----------------------------------------------------------------------------------------


class _RefusedValue(Exception):
    """Why a value may not be said, and what to do; becomes a SlotValueError that names the slot."""

    def __init__(self, reason: str, hint: str) -> None:
        self.reason, self.hint = reason, hint
        super().__init__(reason)


def spoken(response_id: str, slot: Slot, value: Any, locale: str) -> str:
    """The words for ``value`` in ``slot`` of a response, in ``locale``.

    Raises:
        SlotValueError: the value is not of the slot's kind, out of range, or unsafe.
    """
    try:
        return _SPEAK[slot.kind](slot, value, locale)
    except _RefusedValue as refused:
        raise SlotValueError(
            f"the slot {slot.name!r} of {response_id!r} {refused.reason}",
            response=response_id,
            slot=slot.name,
            value=value,
            hint=refused.hint,
        ) from None


def _integer(slot: Slot, value: Any, locale: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        _wrong("a whole number (int)", value, "pass an int; round on purpose where there are decimals")
    _check_size(value)
    return _number_words(str(int(value)), locale)


def _decimal(slot: Slot, value: Any, locale: str) -> str:
    return _number_words(str(_exact(value)), locale)


def _money(slot: Slot, value: Any, locale: str) -> str:
    return _money_words(str(_exact(value)), slot.currency or "", locale)


def _date(slot: Slot, value: Any, locale: str) -> str:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        _wrong("a datetime.date", value, "pass the day alone: value.date() in the user's time zone")
    return _date_words(value, locale)


def _time(slot: Slot, value: Any, locale: str) -> str:
    if not isinstance(value, dt.time):
        _wrong("a datetime.time", value, "pass the time of day alone: value.time() in the user's time zone")
    if value.tzinfo is not None:
        raise _RefusedValue("takes a time of day without a time zone", "convert to the user's time zone, then value.replace(tzinfo=None)")
    return _time_words(value, locale)


def _text(slot: Slot, value: Any, locale: str) -> str:
    if not isinstance(value, str):
        _wrong("text (str)", value, "format it in Python, or declare the slot with the type of the value")
    text = unicodedata.normalize("NFC", value[: 4 * slot.max_length + 4]).strip()
    if not text:
        raise _RefusedValue("got an empty text", "yield another response when there is nothing to fill in")
    if len(text) > slot.max_length or len(value) > 4 * slot.max_length + 4:
        raise _RefusedValue(
            f"takes at most {slot.max_length} characters, got {len(value)}", "shorten the value, or raise max_length in the catalog"
        )
    reason = refused_in_value(text)
    if reason:
        raise _RefusedValue(f"holds {reason}", "clean the value in Python before it is said")
    return text


def _user_text(slot: Slot, value: Any, locale: str) -> str:
    if not isinstance(value, str):
        _wrong("text (str)", value, "pass what the user wrote, as it was heard")
    text = unicodedata.normalize("NFKC", value[: 4 * slot.max_length + 4]).strip()
    if not text:
        raise _RefusedValue("got an empty text", "yield another response when there is nothing to fill in")
    if len(text) > slot.max_length or len(value) > 4 * slot.max_length + 4:
        raise _RefusedValue(f"takes at most {slot.max_length} characters, got {len(value)}", "yield another response for such a text")
    reason = refused_in_value(text)
    misfit = f"holds {reason}" if reason else form_misfit(text, slot.form, slot.country)
    if misfit:
        raise _RefusedValue(misfit, "yield another response for such a text; it is what the user wrote, not what the desk knows")
    return text


def _choice(slot: Slot, value: Any, locale: str) -> str:
    key = value.value if isinstance(value, Enum) else value
    words = slot.choices.get(key) if isinstance(key, str) else None
    if words is None:
        known = ", ".join(slot.choices)
        raise _RefusedValue(
            f"takes one of {known}; got {_value_in_words(value)}", "add the value to the slot's choices in the catalog, or pass one of them"
        )
    word = words.get(locale)
    if word is None:
        raise _RefusedValue(f"has no word for {key!r} in {locale!r}", "add it to the slot's choices in the catalog")
    return word


_SPEAK: dict[SlotKind, Callable[[Slot, Any, str], str]] = {
    "integer": _integer,
    "decimal": _decimal,
    "money": _money,
    "date": _date,
    "time": _time,
    "text": _text,
    "user_text": _user_text,
    "choice": _choice,
}


# -- numbers -----------------------------------------------------------------------------------------


def _exact(value: Any) -> Decimal:
    """An int or a finite Decimal of a sane size as a Decimal; floats are refused, they are not what was meant."""
    if isinstance(value, float):
        _wrong("an exact number (Decimal or int)", value, f"pass Decimal({str(value)!r})")
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        _wrong("an exact number (Decimal or int)", value, "pass a Decimal or an int")
    if isinstance(value, Decimal) and not value.is_finite():
        raise _RefusedValue(f"takes a finite number, got {value}", "yield another response when there is no amount")
    _check_size(value)
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > DECIMALS:
        raise _RefusedValue(f"takes at most {DECIMALS} decimals, got {-exponent}", "round on purpose with Decimal.quantize")
    return abs(number) if number.is_zero() else number  # "-0" is not an amount


def _check_size(value: int | Decimal) -> None:
    if not -MOST < value < MOST:
        raise _RefusedValue(f"takes numbers between -{MOST:.0e} and {MOST:.0e}", "check where the value comes from")


@lru_cache(maxsize=4096)
def _number_words(number: str, locale: str) -> str:
    """All decimals that were given, none that were not: 1.50 stays 1.50."""
    value = Decimal(number)
    known = _babel_locale(locale)
    exponent = value.as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    pattern = copy.copy(known.decimal_formats[None])
    pattern.frac_prec = (decimals, decimals)
    return str(pattern.apply(value, known))


@lru_cache(maxsize=4096)
def _money_words(number: str, currency: str, locale: str) -> str:
    from babel.numbers import format_currency, get_currency_precision

    value, digits = Decimal(number), get_currency_precision(currency)
    if value != round(value, digits):
        raise _RefusedValue(f"takes {digits} decimals in {currency}, got {number}", "round on purpose with Decimal.quantize")
    return format_currency(value, currency, locale=_babel_locale(locale))


# -- days and times ----------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _date_words(value: dt.date, locale: str) -> str:
    from babel.dates import format_date

    return format_date(value, "long", locale=_babel_locale(locale))


@lru_cache(maxsize=4096)
def _time_words(value: dt.time, locale: str) -> str:
    from babel.dates import format_time

    return format_time(value, "short", locale=_babel_locale(locale))


def _babel_locale(locale: str) -> Locale:
    found = babel_locale(locale)
    if found is None:
        raise _RefusedValue(f"cannot be formatted for {locale!r}", "use a text slot, and format the value in Python")
    return found


def can_format(locale: str) -> bool:
    """Whether numbers and days can be formatted for ``locale``."""
    return babel_locale(locale) is not None


# -- words for errors --------------------------------------------------------------------------------


def _wrong(expected: str, value: Any, hint: str) -> NoReturn:
    raise _RefusedValue(f"takes {expected}, got {_value_in_words(value)}", hint)


def _value_in_words(value: Any) -> str:
    """The type and the head of a value; the value may be huge, or its repr may fail."""
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, bool | float | dt.date | dt.time):
        return f"{type(value).__name__} {value}"
    return "None" if value is None else type(value).__name__
