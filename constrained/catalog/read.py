"""The responses of a CatalogFile; what fits in shape but not in sense becomes a problem."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from constrained.catalog.document import Path, Report, named, nearest
from constrained.catalog.locales import canonical_tag, nearest_tag
from constrained.catalog.read_texts import (
    check_identifier,
    check_safe,
    match_selections,
    match_slots,
    read_locale,
    read_said,
    read_texts,
    templates_of,
)
from constrained.catalog.render import CURRENCIES, can_format
from constrained.catalog.response import (
    Approval,
    Citation,
    Response,
    Slot,
    Source,
    freeze,
    offer_id,
)
from constrained.catalog.schema import (
    ApprovalFile,
    CatalogFile,
    ChoiceSlot,
    CitationFile,
    DocumentFile,
    MoneySlot,
    ResponseFile,
    SlotFile,
    TextSlot,
    UserTextSlot,
)
from constrained.catalog.user_text import POSTCODES

# Languages that Babel surely formats; for others it is asked, which costs its import.
_CODES = "ar bg ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv nb nl pl pt ro ru sk sl sr sv th tr uk vi zh"
_FORMATTED = frozenset(_CODES.split())
_FREE_KINDS = ("text", "user_text", "choice")


@dataclass(frozen=True, slots=True)
class _Context:
    """What reading one response needs to know besides the response."""

    report: Report
    locale: str
    today: date
    author: str
    documents: Mapping[str, DocumentFile]


def read_responses(shape: CatalogFile, report: Report, today: date) -> dict[str, Response]:
    """The responses of a catalog file, checked; problems go into ``report``."""
    locale = read_locale(shape.locale, ("locale",), report)
    check_identifier(shape.catalog, ("catalog",), "the catalog's name", report, at_key=False)
    for field, text in (("speaker", shape.speaker), ("persona", shape.persona)):
        check_safe(text, (field,), report)
    if shape.version < 1:
        report.add(("version",), "'version' must be at least 1", "write version: 1")
    if not shape.responses and not report.has_bad(("responses",)):
        report.add(("responses",), "a catalog has at least one response", "write the fallback first")
    author = "" if shape.author is None else read_said(shape.author, ("author",), report)
    context = _Context(report, locale, today, author, shape.documents)
    responses: dict[str, Response] = {}
    for response_id, one in shape.responses.items():
        response = responses[response_id] = _response(response_id, one, context)
        if one.offer is not None:
            offer = _offer(response, one.offer, context)
            responses[offer.id] = offer
    _fallback(shape, responses, context)
    _way_out(shape, responses, report)
    _check_aliases(responses, report)
    return responses


def _response(response_id: str, shape: ResponseFile, context: _Context) -> Response:
    report, path = context.report, ("responses", response_id)
    check_identifier(response_id, path, "the response id", report)
    written = read_texts(path, {"text": shape.text, "variants": shape.variants}, context.locale, report)
    slots = {name: _slot(name, one, (*path, "slots", name), written, context) for name, one in shape.slots.items()}
    match_slots(path, written, slots, report)
    match_selections(written, slots, report)
    place = report.place(path, at_key=True)
    return Response(
        id=response_id,
        texts=freeze(templates_of(written)),
        slots=freeze(slots),
        when=read_said(shape.when, (*path, "when"), report),
        key=response_id.replace("_", " ") if shape.key is None else read_said(shape.key, (*path, "key"), report),
        examples=freeze(_examples(path, shape.examples, context)),
        tags=frozenset(read_said(tag, (*path, "tags", index), report) for index, tag in enumerate(shape.tags)),
        voice=None if shape.voice is None else read_said(shape.voice, (*path, "voice"), report),
        approval=_approval((*path, "approval"), shape.approval, context),
        exact_locale=shape.exact_locale,
        author=context.author if shape.author is None else read_said(shape.author, (*path, "author"), report),
        cites=_cites((*path, "cites"), shape.cites, context),
        claims=_claims((*path, "claims"), shape.claims, report),
        free_text="" if shape.free_text is None else read_said(shape.free_text, (*path, "free_text"), report),
        aliases=tuple(shape.aliases),
        source=Source(report.file, place.line, place.column),
    )


def _offer(asked: Response, given: str | dict[str, str], context: _Context) -> Response:
    """The response that asks whether another one is meant. It takes over who answers for that one, and is approved by itself."""
    report, path = context.report, ("responses", asked.id, "offer")
    written = read_texts(path[:-1], {"offer": given}, context.locale, report)
    texts = [(locale, text) for locale, found in written.items() for text in found]
    for locale, text in texts:
        if locale not in asked.texts and not report.has_bad((*path[:-1], "text")) and not report.has_bad((*path[:-1], "variants")):
            hint = f"write a text for {locale!r}, too"
            report.add(text.path, f"{named(text.path)} asks in {locale!r} about what is not said in {locale!r}", hint)
        elif unknown := sorted(text.template.slots - asked.slots.keys()):
            hint = nearest(unknown[0], asked.slots) or "an offer uses slots of its response only"
            report.add(text.path, f"{named(text.path)} has the slot {unknown[0]!r}, which is not declared", hint)
    match_selections(written, asked.slots, report)
    used = frozenset[str]().union(*(text.template.slots for _, text in texts))
    for _, text in texts:
        if used - text.template.slots and not report.is_bad(text.path):
            name = min(used - text.template.slots)
            report.add(text.path, f"{named(text.path)} lacks the slot {name!r} of the other locales", f"write {{{name}}} in it")
    place = report.place(path, at_key=True)
    return replace(
        asked,
        id=offer_id(asked.id),
        texts=freeze(templates_of(written)),
        slots=freeze({name: slot for name, slot in asked.slots.items() if name in used}),
        when=f"offer of: {asked.when}",
        key=f"{asked.key}?",
        examples=freeze({}),
        voice=None if asked.voice is None else offer_id(asked.voice),
        claims="",
        source=Source(report.file, place.line, place.column),
        offer_of=asked.id,
        aliases=(),
    )


def _check_aliases(responses: Mapping[str, Response], report: Report) -> None:
    """An id of before names one response, and none that is there now."""
    owners: dict[str, str] = {}
    for response in responses.values():
        for index, alias in enumerate(response.aliases):
            path = ("responses", response.id, "aliases", index)
            check_identifier(alias, path, "the alias", report, at_key=False)
            if alias in responses:
                report.add(path, f"the alias {alias!r} of {response.id!r} is the id of a response", "take one of the two out")
            elif owners.setdefault(alias, response.id) != response.id or alias in response.aliases[:index]:
                report.add(path, f"the alias {alias!r} stands at {owners[alias]!r} already", "an old id belongs to one response, once")


def _way_out(shape: CatalogFile, responses: Mapping[str, Response], report: Report) -> None:
    if shape.way_out is None or report.is_bad(("responses",)) or report.is_bad(("responses", shape.way_out)):
        return
    response, path = responses.get(shape.way_out), ("way_out",)
    if response is None or response.offer_of:
        report.add(path, f"the way out {shape.way_out!r} is not a response of this catalog", nearest(shape.way_out, shape.responses))
    elif response.id == shape.fallback:
        report.add(path, "the way out is the fallback", "name a response that says what else the user can do")
    elif response.slots or response.claims:
        hint = "it is said whatever the policy offers, so it cannot need a value or an event"
        report.add_key(("responses", response.id), f"the way out {response.id!r} has {'slots' if response.slots else 'claims'}", hint)


def _fallback(shape: CatalogFile, responses: Mapping[str, Response], context: _Context) -> None:
    report, path = context.report, ("fallback",)
    if report.is_bad(path) or report.is_bad(("responses", shape.fallback)) or report.is_bad(("responses",)):
        return
    response = responses.get(shape.fallback)
    if response is None or response.offer_of:
        report.add(path, f"the fallback {shape.fallback!r} is not a response of this catalog", nearest(shape.fallback, shape.responses))
        return
    place, at = f"the fallback {response.id!r}", ("responses", response.id)
    if response.slots or any(template.slots for template in response.texts.values()):
        report.add_key(at, f"{place} has slots", "it is said when nothing else fits, so it cannot need a value")
    if response.claims:
        report.add((*at, "claims"), f"{place} claims an event, so it could not always be said", "take claims out", at_key=True)
    if response.exact_locale:
        hint = "take exact_locale out, or choose another fallback"
        report.add((*at, "exact_locale"), f"{place} is exact_locale, so in other locales nothing could be said", hint, at_key=True)
    if response.approval and response.approval.on > context.today:
        report.add((*at, "approval", "on"), f"{place} is approved only from {response.approval.on}", "choose a fallback that is in force")


# -- slots ----------------------------------------------------------------------------------------


def _slot(name: str, shape: SlotFile, path: Path, texts: Iterable[str], context: _Context) -> Slot:
    report = context.report
    check_identifier(name, path, "the slot name", report)
    if name == "response_id" or keyword.iskeyword(name):
        report.add_key(path, f"{name!r} cannot name a slot: Python uses the word", f"rename it, such as {name}_value")
    kind, is_sensitive = (shape, False) if isinstance(shape, str) else (shape.type, shape.sensitive)
    if kind not in _FREE_KINDS:
        _formattable(texts, path, report)
    if isinstance(shape, MoneySlot):
        _currency(shape.currency, (*path, "currency"), report)
        return Slot(name, kind, currency=shape.currency, is_sensitive=is_sensitive)
    if isinstance(shape, TextSlot):
        return Slot(name, kind, max_length=shape.max_length, is_sensitive=is_sensitive)
    if isinstance(shape, UserTextSlot):
        return _user_text(name, shape, path, report)
    if isinstance(shape, ChoiceSlot):
        return Slot(name, kind, choices=_choices(shape, path, texts, context), is_sensitive=is_sensitive)
    return Slot(name, kind, is_sensitive=is_sensitive)


def _user_text(name: str, shape: UserTextSlot, path: Path, report: Report) -> Slot:
    country = shape.country or ""
    if country and shape.form != "postcode":
        report.add((*path, "country"), f"{named(path)} is a {shape.form}, and only postcodes have a country", "take country out")
    elif country and country not in POSTCODES:
        report.add((*path, "country"), f"{named(path)} has no postcodes of {country[:20]!r}", nearest(country, POSTCODES))
    return Slot(name, "user_text", max_length=shape.max_length, is_sensitive=shape.sensitive, form=shape.form, country=country)


def _currency(code: str, path: Path, report: Report) -> None:
    if code in CURRENCIES or report.is_bad(path):
        return
    upper = code.strip().upper()
    hint = f"did you mean {upper!r}?" if upper in CURRENCIES else "write the three-letter code, such as EUR, GBP or USD"
    report.add(path, f"{named(path)} is {code[:20]!r}, which is not an ISO 4217 currency", hint)


def _formattable(texts: Iterable[str], path: Path, report: Report) -> None:
    for locale in texts:
        if locale.split("-")[0] in _FORMATTED or canonical_tag(locale) is None:
            continue
        if not can_format(locale) and not report.is_bad(path):
            report.add(
                path, f"{named(path)} cannot be formatted for the locale {locale!r}", "use a text slot, and format the value in Python"
            )


def _choices(shape: ChoiceSlot, path: Path, texts: Iterable[str], context: _Context) -> Mapping[str, Mapping[str, str]]:
    report, here = context.report, (*path, "of")
    if not shape.of and not report.has_bad(here):
        report.add(here, f"{named(here)} has no choices", "write of: [ale, stew]", at_key=True)
    choices: dict[str, Mapping[str, str]] = {}
    for index, value in enumerate(shape.of):
        at = (*here, index if isinstance(shape.of, list) else value)
        given = {context.locale: value} if isinstance(shape.of, list) else shape.of[value]
        words = {context.locale: given} if isinstance(given, str) else given
        if value in choices:
            report.add(at, f"{named(at)} stands twice in the list", "take one out")
        choices[value] = freeze(_words(words, at, texts, report, is_map=isinstance(given, dict) and isinstance(shape.of, dict)))
    return freeze(choices)


def _words(words: Mapping[str, str], at: Path, texts: Iterable[str], report: Report, *, is_map: bool) -> dict[str, str]:
    """Word per locale; every locale that the response has a text for needs one, its own or its parent's."""
    found: dict[str, str] = {}
    for tag, word in words.items():
        here = (*at, tag) if is_map else at
        found[read_locale(tag, here, report, at_key=True) if is_map else tag] = read_said(word, here, report)
    for locale in texts:
        nearest_word = nearest_tag(found, locale)
        if nearest_word is not None:
            found.setdefault(locale, found[nearest_word])
        elif not report.has_bad(at) and not report.is_bad(("locale",)):
            report.add(at, f"{named(at)} has no word for {locale!r}", f"write {{{locale}: ...}} beside the other words")
    return found


# -- the rest of a response --------------------------------------------------------------------------


def _examples(path: Path, given: list[str] | dict[str, list[str]], context: _Context) -> dict[str, tuple[str, ...]]:
    report, here = context.report, (*path, "examples")
    if isinstance(given, list):
        return {context.locale: _messages(given, here, report)} if given else {}
    examples: dict[str, tuple[str, ...]] = {}
    for tag, messages in given.items():
        at = (*here, tag)
        locale = read_locale(tag, at, report, at_key=True)
        examples[locale] = (*examples.get(locale, ()), *_messages(messages, at, report))
    return examples


def _messages(messages: list[str], path: Path, report: Report) -> tuple[str, ...]:
    """Example messages; they are what users write, so chat markers are allowed in them."""
    for index, message in enumerate(messages):
        if not message.strip() and not report.is_bad((*path, index)):
            report.add((*path, index), f"{named((*path, index))} is empty", "write a message, or take the entry out")
    return tuple(unicodedata.normalize("NFC", message).strip() for message in messages)


def _approval(path: Path, shape: ApprovalFile | None, context: _Context) -> Approval | None:
    if shape is None:
        return None
    report, until = context.report, shape.until
    if until is not None and not report.has_bad(path):
        if until < shape.on:
            report.add(
                (*path, "until"),
                f"{named((*path, 'until'))} ({until}) is before the day of approval ({shape.on})",
                "correct one of the days",
            )
        elif until < context.today:
            report.add((*path, "until"), f"the approval of {path[1]!r} ended on {until}", "renew the approval, or take the response out")
    return Approval(read_said(shape.by, (*path, "by"), report), shape.on, until)


def _cites(path: Path, shape: CitationFile | None, context: _Context) -> Citation | None:
    if shape is None:
        return None
    report, at = context.report, (*path, "document")
    if shape.document not in context.documents and not report.is_bad(at) and not report.has_bad(("documents",)):
        report.add(at, f"{named(at)} is {shape.document!r}, which is not under documents", nearest(shape.document, context.documents))
    passage = "" if shape.passage is None else read_said(shape.passage, (*path, "passage"), report)
    document = context.documents.get(shape.document)
    digest = read_said(shape.hash, (*path, "hash"), report)
    return Citation(shape.document, digest, passage, *((document.file.strip(), document.on_change) if document else ()))


def _claims(path: Path, event: str | None, report: Report) -> str:
    if event is None:
        return ""
    check_identifier(event, path, "the event", report, at_key=False)
    return event
