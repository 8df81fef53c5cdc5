"""Two responses that would be said in the same words: nobody could tell which one was. Knows no files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from constrained.catalog.problems import Report
from constrained.catalog.response import Response, Slot
from constrained.catalog.template import Hole, Template

MOST_WORDINGS = 256  # of one template; a closed choice multiplies them


def add_clashes(responses: Mapping[str, Response], report: Report) -> None:
    """Adds a problem for every response whose wording another one before it has, in the same locale."""
    first: dict[tuple[str, Any], str] = {}
    for response in responses.values():
        for locale, template in response.texts.items():
            taken = _claim(first, response, locale, template)
            if taken is not None:
                at = ("responses", response.id, "text", locale)
                line = responses[taken].source.line
                other = f"{taken!r} (line {line})" if line else repr(taken)
                report.add(
                    at, f"{response.id!r} says in {locale!r} the same as {other}", "say it differently, or use one response for both"
                )


def _claim(first: dict[tuple[str, Any], str], response: Response, locale: str, template: Template) -> str | None:
    """Notes every wording as this response's; the id of another response that had one before, if any."""
    owners = {first.setdefault((locale, wording), response.id) for wording in _wordings(response, locale, template)}
    return next(iter(sorted(owners - {response.id})), None)


def _wordings(response: Response, locale: str, template: Template) -> Iterator[Any]:
    """What a template can say, with white space folded; other slots stand for whatever fills them."""
    if template.literal is not None:
        yield (_folded(template.literal),)
        return
    choices = [_words(response.slots.get(part.name), locale) for part in template.parts if isinstance(part, Hole)]
    count = 1
    for words in choices:
        count *= max(1, len(words))
    if count > MOST_WORDINGS:
        choices = [[] for _ in choices]
    nothing: tuple[str | None, ...] = (None,)
    for chosen in itertools.product(*(words or nothing for words in choices)):
        yield _wording(response, template, iter(chosen))


def _wording(response: Response, template: Template, words: Iterator[str | None]) -> Any:
    pieces: list[Any] = [""]
    order: dict[str, int] = {}
    for part in template.parts:
        word = part if isinstance(part, str) else next(words)
        if word is not None:
            pieces[-1] += word
        elif isinstance(part, Hole):
            slot = response.slots.get(part.name)
            number = order.setdefault(part.name, len(order))
            pieces += [(number, slot.kind, slot.currency) if slot else part.name, ""]
    return tuple(_folded(piece) if isinstance(piece, str) else piece for piece in pieces)


def _words(slot: Slot | None, locale: str) -> list[str]:
    """The words of a choice slot; empty for other slots."""
    if slot is None or slot.kind != "choice":
        return []
    return [words[locale] for words in slot.choices.values() if locale in words]


def _folded(text: str) -> str:
    """Texts are in NFC since they were read, so white space is all that is left to fold."""
    return " ".join(text.split())
