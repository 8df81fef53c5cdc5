"""Advice for the writers of a catalog: it may be used, but a model will choose worse."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator

from constrained.catalog.invisible import look
from constrained.catalog.plurals import missing_categories
from constrained.catalog.response import Catalog, Response
from constrained.errors import Problem

LONG_TEXT = 400  # characters; people stop reading, and scoring the text costs its length
_ARTICLES = frozenset({"a", "an", "the"})
_WORD = re.compile(r"\w+")


Together = Callable[[str, str], bool]
"""Whether the responses of two ids are ever offered together."""


def lint(catalog: Catalog, *, picked: Container[str] | None = None, together: Together = lambda one, other: True) -> tuple[Problem, ...]:
    """Warnings about a catalog, each at the line of its response, in the order of the file.

    Args:
        picked: ids that a model picks among others; the rest is told as it comes and needs no examples. None: all are picked.
        together: whether two responses are ever offered together; those that are not need no telling apart.
    """
    every = tuple(catalog.responses.values())
    responses = tuple(response for response in every if not response.offer_of)  # no model chooses an offer: nothing describes it
    found = [
        *(problem for response in every for problem in _alone(response, catalog, picked is None or response.id in picked)),
        *_shared_examples(responses, together),
        *_near_whens(responses, together),
        *_same_keys(responses, together),
        *_alike_texts(responses, together),
    ]
    return tuple(sorted(found))


def _alone(response: Response, catalog: Catalog, is_picked: bool) -> Iterator[Problem]:
    """What one response shows by itself."""
    is_fallback = response.id == catalog.fallback
    if is_picked and not is_fallback and not response.offer_of and not any(response.examples.values()):
        yield response.source.problem(
            f"{response.id!r} has no examples", "write three to eight messages that it answers, each in other words"
        )
    for locale, messages in response.examples.items():
        seen: set[str] = set()
        for message in messages:
            if _folded(message) in seen:
                yield response.source.problem(f"{response.id!r} has the example {_short(message)} twice in {locale!r}", "take one out")
            seen.add(_folded(message))
    for locale, template in response.texts.items():
        longest = max(map(len, template.wordings()))
        if longest > LONG_TEXT:
            message = f"the text of {response.id!r} in {locale!r} has {longest} characters"
            yield response.source.problem(message, f"say it in {LONG_TEXT} characters, or in two responses")
        for one in template.selections:
            for form in missing_categories(one, locale):
                message = f"the plural of {one.name!r} in {response.id!r} has no form {form!r}, which {locale!r} tells apart"
                yield response.source.problem(message, f"write {form} {{...}}; what is said there now is the form 'other'")
    if is_fallback and response.approval and response.approval.until:
        message = f"the approval of the fallback {response.id!r} ends on {response.approval.until}"
        yield response.source.problem(message, "from the next day nothing can be said when nothing fits; renew it in time")


def _shared_examples(responses: tuple[Response, ...], together: Together) -> Iterator[Problem]:
    """One remark for two responses, however many examples they share."""
    holders: dict[tuple[str, str], list[Response]] = {}
    shared: dict[tuple[str, str], dict[str, str]] = {}
    for response in responses:
        for locale, messages in response.examples.items():
            for message in messages:
                before = holders.setdefault((locale, _folded(message)), [])
                other = next((one for one in before if one is not response and together(one.id, response.id)), None)
                if other is not None:
                    shared.setdefault((response.id, other.id), {}).setdefault(_folded(message), message)
                before += [response] if response not in before else []
    by_id = {response.id: response for response in responses}
    for (own, others), found in shared.items():
        example, rest = _short(next(iter(found.values()))), len(found) - 1
        more = f" and {rest} more of {own!r} stand" if rest else f" of {own!r} stands"
        yield by_id[own].source.problem(
            f"the example {example}{more} under {others!r} too", "keep each where it fits best: under both it tells them apart for nobody"
        )


def _near_whens(responses: tuple[Response, ...], together: Together) -> Iterator[Problem]:
    """Equal but for articles, case, punctuation and the order of words."""
    yield from _repeated([(response, _words(response.when)) for response in responses], together, "'when'", "say how the two differ")


def _same_keys(responses: tuple[Response, ...], together: Together) -> Iterator[Problem]:
    yield from _repeated([(response, _folded(response.key)) for response in responses], together, "'key'", "give each its own key")


def _alike_texts(responses: tuple[Response, ...], together: Together) -> Iterator[Problem]:
    """Texts that a reader takes for one: equal but for case, quotes, dashes, and letters of another script that look the same."""
    for locale in sorted({locale for response in responses for locale in response.texts}):
        traits = [(one, look(text.source)) for one in responses if locale in one.texts for text in one.texts[locale].each]
        yield from _repeated(traits, together, f"the text in {locale!r}", "say them in other words, or use one response for both")


def _repeated(traits: Iterable[tuple[Response, object]], together: Together, what: str, hint: str) -> Iterator[Problem]:
    holders: dict[object, list[Response]] = {}
    for response, trait in traits:
        before = holders.setdefault(trait, [])
        other = next((one for one in before if one is response or together(one.id, response.id)), None)
        if other is not None:
            others = "another of its variants" if other is response else f"that of {other.id!r}"
            yield response.source.problem(f"{what} of {response.id!r} is nearly {others}", hint)
        before.append(response)


def _words(text: str) -> tuple[str, ...]:
    return tuple(sorted(word for word in _WORD.findall(text.casefold()) if word not in _ARTICLES))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _short(text: str) -> str:
    return repr(text if len(text) <= 50 else text[:47] + "...")
