"""What a catalog's ``review`` block asks of its texts: reading level, length, phrases, translations, promises."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from typing import Any

from constrained.analysis.diff import effects_by_response
from constrained.catalog.render import spoken
from constrained.catalog.response import Catalog, Response, Slot
from constrained.catalog.template import Template
from constrained.errors import PackError, Problem
from constrained.logic.policy import Policy

_LONGEST: dict[str, Any] = {
    "integer": 1_000_000,
    "decimal": Decimal("10000.55"),
    "money": 100_000,
    "date": dt.date(2026, 9, 30),
    "time": dt.time(22, 30),
}
_PYPHEN_HINT = "pip install 'constrained[evidence]', or take reading_grade out of the catalog"
_SENTENCE_ENDS = re.compile(r"[.!?…:;]+(?=\s|$)")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")


def lint_review(catalog: Catalog) -> Iterator[Problem]:
    """Remarks about texts that do not keep what the catalog's review block asks, in the order of the catalog."""
    is_graded = catalog.review.reading_grade is not None
    if is_graded and find_spec("pyphen") is None:
        is_graded = False
        yield Problem(catalog.path, 0, 0, "reading levels were not measured: they need the package pyphen", _PYPHEN_HINT)
    for response in catalog.responses.values():
        yield from _missing(response, catalog)
        for locale in response.texts:
            yield from _forbidden(response, locale, catalog)
            yield from _too_long(response, locale, catalog)
            if is_graded:
                yield from _hard(response, locale, catalog)


def lint_promises(policy: Policy) -> Iterator[Problem]:
    """Remarks about texts that tell of an effect which the response neither has nor claims, and about effects that do not exist."""
    promises = policy.catalog.review.promises
    if not promises:
        return
    effects, known = effects_by_response(policy)
    for name in sorted(set(promises) - known):
        hint = f"the policy has {', '.join(sorted(known)) or 'no effect'}"
        yield Problem(policy.catalog.path, 0, 0, f"review.promises names the effect {name!r}, which the policy never uses", hint)
    for response in policy.catalog.responses.values():
        for name in sorted(set(promises) & known - effects.get(response.id, frozenset())):
            if response.claims in known:  # it is said only after an effect was done: which, its approver has seen
                continue
            for locale, template in response.texts.items():
                found = _found(template, promises[name])
                if found:
                    message = f"the text of {response.id!r} in {locale!r} says {found!r}, but the response never has the effect {name}"
                    yield response.source.problem(message, f"yield it with .then({name}, ...), or say it otherwise")


def reading_grade(text: str) -> float:
    """School grade of an English text by Flesch and Kincaid (1975); syllables are counted by hyphenation.

    Raises PackError where the package ``pyphen`` is not installed.
    """
    words = _WORD.findall(text)
    if not words:
        return 0.0
    n_sentences = max(1, len(_SENTENCE_ENDS.findall(text)))
    n_syllables = sum(_syllables(word) for word in words)
    return 0.39 * len(words) / n_sentences + 11.8 * n_syllables / len(words) - 15.59


def longest(response: Response, locale: str) -> int:
    """Characters of a text with its slots filled as long as they are likely to be."""
    return max(
        len("".join(part if isinstance(part, str) else _filler(response, part.name, locale) for part in flat))
        for flat in response.texts[locale].flattened()
    )


def _missing(response: Response, catalog: Catalog) -> Iterator[Problem]:
    missing = [locale for locale in catalog.review.locales if locale not in response.texts]
    if missing:
        yield response.source.problem(
            f"{response.id!r} has no text in {', '.join(missing)}",
            f"translate it: constrained sheet export {catalog.name} {catalog.name}.xlf --locale {missing[0]}",
        )


def _forbidden(response: Response, locale: str, catalog: Catalog) -> Iterator[Problem]:
    found = _found(response.texts[locale], catalog.review.forbidden)
    if found:
        yield response.source.problem(f"the text of {response.id!r} in {locale!r} holds the forbidden phrase {found!r}", "say it otherwise")


def _too_long(response: Response, locale: str, catalog: Catalog) -> Iterator[Problem]:
    limits = catalog.review.lengths
    for channel in sorted(response.tags & set(limits) or limits):
        n_characters = longest(response, locale)
        if n_characters > limits[channel]:
            message = f"the text of {response.id!r} in {locale!r} can have {n_characters} characters, {channel} takes {limits[channel]}"
            yield response.source.problem(message, "shorten it, or tag the response with the channels that it is for")


def _hard(response: Response, locale: str, catalog: Catalog) -> Iterator[Problem]:
    limit = catalog.review.reading_grade
    if limit is None or locale.split("-")[0] != "en":
        return
    flattened = response.texts[locale].flattened()
    grade = max(reading_grade("".join(part if isinstance(part, str) else "ten" for part in flat)) for flat in flattened)
    if grade > limit:
        message = f"the text of {response.id!r} in {locale!r} reads at grade {grade:.1f}, above {limit:g}"
        yield response.source.problem(message, "use shorter sentences and words")


def _found(template: Template, phrases: tuple[str, ...]) -> str:
    """The first phrase that stands in a form of a text as whole words, whatever its case; empty when none does."""
    folded = [_folded(text) for text in template.wordings()] if phrases else []
    return next((one for one in phrases if any(re.search(rf"(?<!\w){re.escape(_folded(one))}(?!\w)", text) for text in folded)), "")


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _filler(response: Response, name: str, locale: str) -> str:
    slot: Slot = response.slots[name]
    if slot.kind in ("text", "user_text"):
        return "x" * slot.max_length
    if slot.kind == "choice":
        return max((words.get(locale, "") for words in slot.choices.values()), key=len, default="")
    return spoken(response.id, slot, _LONGEST[slot.kind], locale)


def _syllables(word: str) -> int:
    return len(_hyphenation().positions(word)) + 1


@cache
def _hyphenation() -> Any:
    """Hyphenation of English; the patterns come with the package, nothing is fetched."""
    try:
        import pyphen
    except ImportError as error:
        raise PackError("reading levels need the package pyphen", name="pyphen", hint=_PYPHEN_HINT) from error
    return pyphen.Pyphen(lang="en_US")
