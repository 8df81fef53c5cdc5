"""The values of a catalog: Response, Slot, Catalog. Knows neither YAML nor policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from constrained.catalog.frozen import FrozenDict
from constrained.catalog.template import Template

SlotKind = Literal["integer", "decimal", "money", "date", "time", "text", "choice"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where something was written: file and 1-based line and column (0 when unknown)."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Slot:
    """A hole in a response's text that the host fills; never the model, never the message.

    Attributes:
        kind: what may fill it.
        currency: ISO 4217 code, for ``money`` only.
        choices: value -> word per locale, for ``choice`` only.
        max_length: most characters of a ``text`` value.
    """

    name: str
    kind: SlotKind
    currency: str | None = None
    choices: Mapping[str, Mapping[str, str]] = FrozenDict()
    max_length: int = 80


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved a response, on which day, and the last day on which it may be said (None: no end)."""

    by: str
    on: date
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One approved thing to say.

    Attributes:
        id: authored, never derived from the text, never moves.
        texts: BCP 47 locale -> template.
        when: plain language, what it answers ("the player wants to buy the cellar key").
        examples: BCP 47 locale -> user messages that it answers.
        key: a short readable name to score instead of the text; the id with spaces unless authored.
        exact_locale: where a locale has no text, refuse to speak the default locale's (the text of a parent, `es` for
            `es-MX`, is spoken).
    """

    id: str
    texts: Mapping[str, Template]
    slots: Mapping[str, Slot]
    when: str
    key: str
    examples: Mapping[str, tuple[str, ...]] = FrozenDict()
    tags: frozenset[str] = frozenset()
    voice: str | None = None
    approval: Approval | None = None
    exact_locale: bool = False
    source: Source = Source()


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """The responses of one speaker or one desk. Immutable; ``hash`` covers all content, no positions.

    Attributes:
        locale: the locale that every response must have, and the default of a turn.
        fallback: id of the response that is said when nothing else fits; it has no slots.
        hash: ``sha256:`` and hex digits over the canonical JSON of the content.
    """

    name: str
    version: int
    locale: str
    speaker: str
    persona: str
    fallback: str
    responses: Mapping[str, Response]
    hash: str
    path: str = ""

    def __getitem__(self, response_id: str) -> Response:
        return self.responses[response_id]

    def __contains__(self, response_id: object) -> bool:
        return response_id in self.responses
