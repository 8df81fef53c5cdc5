"""The texts of a response, their variants and slots, and the checks of words, ids and locales that all of a catalog file shares."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from constrained.catalog.document import Path, Report, named, nearest
from constrained.catalog.locales import canonical_tag
from constrained.catalog.plurals import misfit
from constrained.catalog.response import Slot
from constrained.catalog.schema import IDENTIFIER
from constrained.catalog.template import Template, TemplateSyntaxError, parse_template, refused_in_text, with_variants


@dataclass(frozen=True, slots=True)
class Text:
    """A template, and how and where it was written."""

    template: Template
    written: str
    path: Path


Written = str | list[str] | dict[str, str] | dict[str, list[str]] | None
Texts = dict[str, list[Text]]
"""Locale -> the variants of its text; most have one."""


def read_texts(path: Path, fields: Mapping[str, Written], default: str, report: Report) -> Texts:
    """What is written under these fields of the response at ``path``. ``default``: the catalog's locale."""
    texts = Texts()
    written = {field: given for field, given in fields.items() if given is not None}
    for field, given in written.items():
        for locale, found in _by_locale((*path, field), given, default, report).items():
            texts.setdefault(locale, []).extend(found)
    for found in texts.values():
        for n, text in enumerate(found):
            if any(" ".join(text.template.source.split()) == " ".join(one.template.source.split()) for one in found[:n]):
                report.add(text.path, f"{named(text.path)} says the same as another variant", "say it in other words, or take it out")
    here = (*path, next(iter(written), "text"))
    tags = [tag for given in written.values() if isinstance(given, dict) for tag in given]
    is_known = all(map(canonical_tag, tags)) and not any(report.has_bad((*path, field)) for field in fields)
    if not written and is_known:
        report.add(here, f"{named(here)} is missing", "write what is said")
    elif default not in texts and is_known and not report.is_bad(("locale",)):
        hint = f"every response has a text for the catalog's locale: write {default}: ..."
        report.add(here, f"{named(here)} has no text for the default locale {default!r}", hint, at_key=True)
    return texts


def _by_locale(here: Path, given: Written, default: str, report: Report) -> Texts:
    texts = Texts()
    for tag, one in given.items() if isinstance(given, dict) else [(default, given)]:
        at = (*here, tag) if isinstance(given, dict) else here
        locale = read_locale(tag, at, report, at_key=True) if isinstance(given, dict) else tag
        if locale in texts:
            report.add_key(at, f"{named(at)} names the locale {locale!r} a second time", "keep one text for each locale")
        if one == []:
            report.add(at, f"{named(at)} has no texts", "write ['one text', 'another'], or take it out", at_key=True)
        places = [(at, one)] if isinstance(one, str) else [((*at, index), text) for index, text in enumerate(one or ())]
        found = [(template, text, place) for place, text in places if (template := _template(text, place, report)) is not None]
        texts[locale] = [Text(template, text, place) for template, text, place in found]
    return {locale: found for locale, found in texts.items() if found}


def templates_of(written: Texts) -> dict[str, Template]:
    return {locale: with_variants([text.template for text in texts]) for locale, texts in written.items()}


def _template(text: str, at: Path, report: Report) -> Template | None:
    clean = read_said(text, at, report)
    if not clean:
        return None
    try:
        return parse_template(clean)
    except TemplateSyntaxError as error:
        character = text.find(clean) + error.column - 1 if clean in text else None
        report.add(at, f"{named(at)}: {error.message} (character {error.column})", error.hint, character=character)
        return None


def match_slots(path: Path, written: Texts, slots: Mapping[str, Slot], report: Report) -> None:
    """Every hole is declared, and every text uses every slot: a translation that drops an amount is a mistake."""
    declared_at = (*path, "slots")
    texts = [(locale, text) for locale, found in written.items() for text in found]
    for _, text in texts:
        for name in sorted(text.template.slots - slots.keys()):
            if report.is_bad((*declared_at, name)):
                continue
            character = text.written.find("{" + name + "}")
            hint = nearest(name, slots) if slots else f"write slots: {{{name}: integer}}, or {{{{ for a brace that is said"
            report.add(text.path, f"{named(text.path)} has the slot {name!r}, which is not declared", hint, character=character)
    if not texts:
        return
    for name in slots:
        without = [locale for locale, text in texts if name not in text.template.slots]
        is_bad = report.has_bad((*path, "text")) or report.has_bad((*path, "variants"))
        if without and not is_bad and not report.is_bad((*declared_at, name)):
            where = "in its text" if len(without) == len(texts) else f"in its text for {', '.join(dict.fromkeys(without))}"
            where = where.replace("its text", "each variant of its text") if len(texts) > len(written) else where
            hint = f"write {{{name}}} in the text, or take the slot out"
            report.add_key((*declared_at, name), f"the slot {name!r} of {path[1]!r} is not used {where}", hint)


def match_selections(written: Texts, slots: Mapping[str, Slot], report: Report) -> None:
    """Every plural and select goes by a slot of its kind, and each text that its forms make may be said."""
    for locale, text in ((locale, text) for locale, found in written.items() for text in found):
        for one in text.template.selections:
            wrong = misfit(one, slots[one.name], locale) if one.name in slots else None
            if wrong and not report.is_bad(text.path):
                report.add(text.path, f"{named(text.path)}: {wrong[0]}", wrong[1], character=text.written.find("{" + one.name))
        for flat in text.template.flattened() if text.template.selections and not report.is_bad(text.path) else ():
            read_said("".join(part if isinstance(part, str) else "0" for part in flat), text.path, report)


# -- words, ids, locales -----------------------------------------------------------------------------


def read_said(text: str, path: Path, report: Report) -> str:
    """``text`` in NFC without space around it; a problem when nothing is left or it holds what may not be said."""
    clean = unicodedata.normalize("NFC", text).strip()
    if not clean and not report.is_bad(path):
        report.add(path, f"{named(path)} is empty", "write it, or take it out")
    check_safe(clean, path, report)
    return clean


def check_safe(text: str, path: Path, report: Report) -> None:
    refused = refused_in_text(text)
    if refused and not report.is_bad(path):
        report.add(path, f"{named(path)} holds {refused}", "take it out; it could steer a model or hide from a reader")


def check_identifier(name: str, path: Path, what: str, report: Report, *, at_key: bool = True) -> None:
    if re.fullmatch(IDENTIFIER.strip("^$"), name) or report.is_bad(path):
        return
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    better = re.sub(r"[^a-z0-9]+", "_", plain[:60]).strip("_").lstrip("0123456789_")
    hint = "use a-z, 0-9 and _, a letter first" + (f", such as {better!r}" if better else "")
    message = f"{what} {name[:60]!r} is not an identifier"
    (report.add_key if at_key else report.add)(path, message, hint)


def read_locale(tag: str, path: Path, report: Report, *, at_key: bool = False) -> str:
    canonical = canonical_tag(tag)
    if canonical is not None:
        return canonical
    better = canonical_tag(tag.replace("_", "-"))
    if not report.is_bad(path):
        hint = f"did you mean {better!r}?" if better else "write a tag such as en, en-GB or zh-Hant; a text that begins with { needs quotes"
        (report.add_key if at_key else report.add)(path, f"{named(path)} is not a BCP 47 locale: {tag[:60]!r}", hint)
    return better or tag
