"""The values of a catalog: Response, Slot, Catalog, all immutable, and the hashes of what they say."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from constrained._canonical_json import canonical_json, sha256
from constrained.catalog.template import Template
from constrained.errors import Problem

Key = TypeVar("Key")
Value = TypeVar("Value")


class FrozenDict(dict[Key, Value]):
    """An immutable, hashable dict: lookups at the speed of dict, and it can be pickled and copied."""

    __slots__ = ()

    def _refuse(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise TypeError("a catalog is immutable; load a changed file instead")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # dict has none because it changes
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def __copy__(self) -> FrozenDict[Key, Value]:
        return self

    def __deepcopy__(self, memo: Any) -> FrozenDict[Key, Value]:
        return self


def freeze(mapping: Mapping[Key, Value]) -> Mapping[Key, Value]:
    """``mapping`` as it is now; later changes to it do not show."""
    return FrozenDict(mapping)


SlotKind = Literal["integer", "decimal", "money", "date", "time", "text", "user_text", "choice"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where something was written: file and 1-based line and column (0 when unknown)."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    def problem(self, message: str, hint: str) -> Problem:
        """What is wrong here."""
        return Problem(self.file, self.line, self.column, message, hint)


@dataclass(frozen=True, slots=True)
class Slot:
    """A hole in a response's text that the host fills; never the model, never the message.

    Attributes:
        kind: what may fill it.
        currency: ISO 4217 code, for ``money`` only.
        choices: value -> word per locale, for ``choice`` only.
        max_length: most characters of a ``text`` or ``user_text`` value.
        is_sensitive: its values are sealed before a record is kept; see ``records.sealing``.
        form: of what a user wrote, for ``user_text`` only; see ``user_text.FORMS``.
        country: ISO 3166 code, for a postcode only; that of any country when empty.
    """

    name: str
    kind: SlotKind
    currency: str | None = None
    choices: Mapping[str, Mapping[str, str]] = FrozenDict()
    max_length: int = 80
    is_sensitive: bool = False
    form: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved a response, on which day, and the last day on which it may be said (None: no end)."""

    by: str
    on: date
    until: date | None = None


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A document that responses cite: ``file`` as written, relative to the catalog's folder.

    Attributes:
        on_change: what becomes of a response when the passage that it cites changes: ``flag`` tells it in ``check``
            and in sheets, ``suspend`` stops the response as well.
    """

    name: str
    file: str
    on_change: Literal["flag", "suspend"] = "flag"


@dataclass(frozen=True, slots=True)
class Citation:
    """The passage of a policy document that a response rests on, and the hash that it had when somebody last read it.

    Attributes:
        passage: the heading of the passage; empty for the whole document.
        file, on_change: of the document: to rest on another file, or to stop no longer, is another version too.
    """

    document: str
    hash: str
    passage: str = ""
    file: str = ""
    on_change: Literal["flag", "suspend"] = "flag"


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """What ``check`` and sheets hold texts against.

    Attributes:
        reading_grade: highest school grade of English texts (Flesch-Kincaid); None: not looked at.
        lengths: channel -> most characters of a text, its slots filled as long as they can be.
        forbidden: phrases that no text may hold.
        locales: locales that every response must have a text of its own for.
        promises: effect name -> phrases that only a response with that effect may say.
    """

    reading_grade: float | None = None
    lengths: Mapping[str, int] = FrozenDict()
    forbidden: tuple[str, ...] = ()
    locales: tuple[str, ...] = ()
    promises: Mapping[str, tuple[str, ...]] = FrozenDict()


@dataclass(frozen=True, slots=True)
class Box:
    """What the place where replies are shown holds of one text.

    Attributes:
        chars: most characters. lines: most lines. columns: characters of a line, after which it breaks between words; without them
            only written line breaks count. None: no limit.
    """

    chars: int | None = None
    lines: int | None = None
    columns: int | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One approved thing to say.

    Attributes:
        id: authored, never derived from the text, never moves.
        texts: BCP 47 locale -> template; of several variants, one of which is said, ``Template.variants`` has each.
        aliases: ids that it had before, the oldest first; what was kept under one of them, in a save or a memory, is its own.
        when: plain language, what it answers ("the player wants to buy the cellar key").
        examples: BCP 47 locale -> user messages that it answers.
        key: a short readable name to score instead of the text; the id with spaces unless authored.
        exact_locale: where a locale has no text, refuse to speak the default locale's (the text of a parent, `es` for
            `es-MX`, is spoken).
        author: who wrote it; nobody approves their own words.
        cites: the passage of a policy document that it rests on.
        claims: the event (the name of an effect) that its text says has happened; it is said only once the host has told,
            in the same conversation, that it was done.
        offer_of: id of the response that this one asks about ("Do you want me to block your card?"); empty where it is none.
            Such a response stands in the file as ``offer`` of the other one, and no policy yields it.
        free_text: why its ``text`` slots may hold what a user wrote freely; empty: they may not. Approvers sign for it.
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
    author: str = ""
    cites: Citation | None = None
    claims: str = ""
    source: Source = Source()
    offer_of: str = ""
    free_text: str = ""
    aliases: tuple[str, ...] = ()

    def voice_of(self, variant: int) -> str | None:
        """The voice key of a variant: that of the first as it is written, of the second with ``_2`` behind it, and so on."""
        return f"{self.voice}_{variant + 1}" if self.voice and variant else self.voice


OFFER = ".offer"  # ends the id of an offer; authored ids hold no dot, so none can be taken for one


def offer_id(response_id: str) -> str:
    """The id of the text that asks whether this response is meant."""
    return response_id + OFFER


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """The responses of one speaker or one desk. Immutable; ``hash`` covers all content, no positions.

    Attributes:
        locale: the locale that every response must have, and the default of a turn.
        fallback: id of the response that is said when nothing else fits; it has no slots.
        way_out: id of the response that is said in place of a third fallback in a row; it has no slots. Empty: there is none.
        hash: ``sha256:`` and hex digits over the canonical JSON of the content.
        is_approval_required: nothing is said without a ledger of signed approvals.
        documents: name -> a document that responses cite. review: what texts are held against.
        box: what every text must fit, else it is not said.
        path: of its file, as it was given; ``file_hash``: of the bytes that were read there. Both are empty for a catalog
            that came from no file.
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
    is_approval_required: bool = False
    documents: Mapping[str, PolicyDocument] = FrozenDict()
    review: ReviewRules = ReviewRules()
    file_hash: str = ""
    way_out: str = ""
    box: Box | None = None

    @classmethod
    def load(cls, path: str | Path, *, today: date | None = None) -> Catalog:
        """Loads a catalog file.

        Args:
            path: a YAML file; a relative path is one from the working directory.
            today: the day on which approvals must not have ended; now, in UTC, when None.

        Raises:
            CatalogError: ``problems`` holds everything that is wrong, with file, line, column and a hint.
        """
        # The loader makes Catalogs, so it imports this module: by its name it is found without a circle of imports.
        catalog: Catalog = importlib.import_module("constrained.catalog.load").load_catalog(path, today=today)
        return catalog

    def is_current(self) -> bool:
        """Whether its file holds what it held when it was loaded; True for a catalog that came from no file."""
        if not self.path:
            return True
        try:
            return sha256(Path(self.path).read_bytes()) == self.file_hash
        except OSError:
            return False

    def offer(self, response_id: str) -> Response | None:
        """What asks whether this response is meant; None where nobody wrote such a text."""
        return self.responses.get(offer_id(response_id))

    def current_id(self, old_id: str) -> str | None:
        """The id of the response that has, or once had, this id; None where there is none."""
        if old_id in self.responses:
            return old_id
        asked = old_id.removesuffix(OFFER)
        found = next((one.id for one in self.responses.values() if asked in one.aliases), None)
        if found is None or asked == old_id:
            return found
        return offer_id(found) if offer_id(found) in self.responses else None

    @property
    def has_variants(self) -> bool:
        return any(template.variants for response in self.responses.values() for template in response.texts.values())

    def __getitem__(self, response_id: str) -> Response:
        return self.responses[response_id]

    def __contains__(self, response_id: object) -> bool:
        return response_id in self.responses


# -- hashes: of what is said and when, whatever the file looks like ------------------------------------


def content_hash(head: Mapping[str, Any], responses: Mapping[str, Response]) -> str:
    """``sha256:`` and hex digits over canonical JSON; the order of keys in a file does not matter."""
    content = {**head, "responses": {response.id: _content(response) for response in responses.values()}}
    return sha256(canonical_json(content))


def _content(response: Response) -> dict[str, Any]:
    approval = response.approval
    content: dict[str, Any] = {
        "texts": {locale: template.source for locale, template in response.texts.items()},
        "slots": {slot.name: _slot(slot) for slot in response.slots.values()},
        "when": response.when,
        "key": response.key,
        "examples": {locale: list(messages) for locale, messages in response.examples.items()},
        "tags": sorted(response.tags),
        "voice": response.voice,
        "approval": approval and [approval.by, str(approval.on), approval.until and str(approval.until)],
        "exact_locale": response.exact_locale,
    }
    if response.author:
        content["author"] = response.author
    if response.cites:
        content["cites"] = _cites(response.cites)
    if response.claims:
        content["claims"] = response.claims
    if response.offer_of:
        content["offer_of"] = response.offer_of
    if response.free_text:
        content["free_text"] = response.free_text
    if response.aliases:
        content["aliases"] = sorted(response.aliases)
    return content


def version_hash(response: Response, locale: str) -> str:
    """The version of a response in one locale: ``sha256:`` and hex digits over all that an approver signs for.

    That is what is said (text, slots with their words, recording), what decides who must approve it (tags), the
    passage that it rests on, with its file and what a change of it does, the event that it claims, why a user's own
    words may stand in it, and the ids whose past is its own. What only steers the model (``when``, ``key``, examples) is no part of it.
    """
    cites = response.cites
    content = {
        "id": response.id,
        "locale": locale,
        "text": response.texts[locale].source,
        "slots": {slot.name: _spoken_slot(slot, locale) for slot in response.slots.values()},
        "voice": response.voice,
        "tags": sorted(response.tags),
        "cites": cites and _cites(cites),
    }
    if response.claims:
        content["claims"] = response.claims
    if response.free_text:
        content["free_text"] = response.free_text
    if response.aliases:
        content["aliases"] = sorted(response.aliases)
    return sha256(canonical_json(content))


def _cites(cites: Citation) -> list[str]:
    return [cites.document, cites.passage, cites.hash, cites.file, cites.on_change]


def _spoken_slot(slot: Slot, locale: str) -> list[Any]:
    """A slot as far as it is said in ``locale``: a word changed in another locale is another version there, not here."""
    content = [slot.kind, slot.currency, {value: words.get(locale) for value, words in slot.choices.items()}, slot.max_length]
    return [*content, slot.form, slot.country] if slot.form else content


def _slot(slot: Slot) -> list[Any]:
    content = [slot.kind, slot.currency, {value: dict(words) for value, words in slot.choices.items()}, slot.max_length]
    content += [slot.form, slot.country] if slot.form else []
    return [*content, "sensitive"] if slot.is_sensitive else content
