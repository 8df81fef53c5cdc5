"""A pack in the making: the responses, logic lines and dialogues read so far, and what became of every item of the source."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from constrained.catalog.template import refused_in_text

# Words that a generated logic file uses itself, arguments of its steps, and attributes of State and Understanding.
_TAKEN = (
    "state heard self say start ask tell confirm perform choose effect policy procedure amount choice pattern question decimal literal"
    " response_id field answers again tries otherwise asides alone values unread source replace copy json dict schema construct validate"
    " fields default parse_obj parse_raw parse_file from_orm schema_json update_forward_refs range or_none str int bool"
)
RESERVED = frozenset(_TAKEN.split())
Form = Literal["yarn", "table", "csv", "xlsx", "renpy"]
STUB = "(To be written: {what}.)"
HOLE = re.compile(r"(?<!\{)\{\w+\}")
LINE = 120  # characters of a text of the source that a comment or a reason shows


@dataclass(slots=True)
class Item:
    """One thing that the source holds.

    Attributes:
        line: 1-based; 0 where the whole file is meant.
        became: what of the pack carries it; empty when nothing does.
        reasons: why it was not carried or, beside ``became``, what of it was changed.
    """

    kind: str
    name: str
    file: str
    line: int
    became: str = ""
    reasons: list[str] = field(default_factory=list)

    def carry(self, became: str) -> None:
        self.became = self.became or became

    def note(self, reason: str) -> None:
        """A reason why it, or a part of it, is not carried."""
        if reason not in self.reasons:
            self.reasons.append(reason)


@dataclass(slots=True)
class Reply:
    """A response of the draft. ``slots``: name -> what stands in the catalog for its type. ``used``: a line of logic says it."""

    id: str
    texts: dict[str, str]
    when: str
    slots: dict[str, object] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    is_stub: bool = False
    used: bool = False
    tags: list[str] = field(default_factory=list)
    voice: str = ""

    def add_examples(self, locale: str, messages: Iterable[str]) -> None:
        known = self.examples.setdefault(locale, [])
        folded = {message.casefold() for message in known}
        for message in messages:
            if message.casefold() not in folded:
                folded.add(message.casefold())
                known.append(message)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text of a response stands in the source, so that an edited text can be put there.

    Attributes:
        text: as the catalog would have it. start, end: in characters of the file; of a cell in a workbook its row and column.
        form: how the source writes texts. holes: slot -> how it is written there.
        stuck: why another text cannot be put there; empty where it can. sheet: of a workbook.
        is_named: the source itself gives it an id, so that it is known whatever its text becomes.
    """

    response_id: str
    locale: str
    text: str
    file: str
    line: int
    start: int
    end: int
    form: Form
    holes: dict[str, str] = field(default_factory=dict)
    stuck: str = ""
    sheet: str = ""
    is_named: bool = False


@dataclass(slots=True)
class Candidate:
    """A dialogue that may become a golden one; it is written if the pack goes as it says."""

    item: Item
    turns: list[dict[str, object]]


class Names:
    """Identifiers for the names of a source: the same for the same name, never one for two."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        """The identifier (a-z, 0-9, _; at most 60 characters) that stands for ``name``."""
        if name not in self._given:
            self._given[name] = self.new(name)
        return self._given[name]

    def new(self, name: str) -> str:
        """An identifier like ``name`` that nothing else has."""
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain[:200]).lower()
        base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:50].strip("_")
        base = base if base[:1].isalpha() else f"n_{base}".rstrip("_")
        if keyword.iskeyword(base) or keyword.issoftkeyword(base) or base in RESERVED or base.startswith("model_"):
            base += "_value"
        found, number = base, 2
        while found in self._taken:
            found, number = f"{base}_{number}", number + 1
        self._taken.add(found)
        return found


class Draft:
    """What an importer fills.

    Attributes:
        state: lines of State by field. heard: lines of Heard by field. effects: name -> docstring.
        functions: async functions, each a text. offers: lines of the policy; a pack without offers is one procedure, ``main``.
        places: where the texts stand, for the way back to the source.
        paths: for each way through ``main`` the responses in order. starts: the states from which these ways are taken.
    """

    def __init__(self, name: str, locale: str, source: str) -> None:
        self.name, self.locale, self.source = name, locale, source
        self.items: list[Item] = []
        self.replies: dict[str, Reply] = {}
        self.state: dict[str, str] = {}
        self.heard: dict[str, str] = {}
        self.effects: dict[str, str] = {}
        self.functions: list[str] = []
        self.offers: list[str] = []
        self.main = self.speaker = ""
        self.paths: list[tuple[str, ...]] = []
        self.starts: list[dict[str, bool]] = []
        self.candidates: list[Candidate] = []
        self.places: list[Place] = []
        self.fallback = ""
        self.ids, self.fields = Names(), Names()
        self._by_text: dict[tuple[tuple[str, str], ...], Reply] = {}

    def item(self, kind: str, name: object, file: str, line: int, reason: str = "") -> Item:
        """Counts one thing of the source; with ``reason`` one that is not carried."""
        one = Item(kind, str(name), file, line)
        if reason:
            one.note(reason)
        self.items.append(one)
        return one

    def reply(
        self, name: str, texts: dict[str, str], when: str, slots: dict[str, object] | None = None, *, by_order: bool = False
    ) -> Reply | str:
        """A new response, or the one that says the same already; a text where it may not be said: why.

        ``by_order``: one that says the same may have other names for its slots; they are the caller's, in order.
        """
        clean = {locale: unicodedata.normalize("NFC", text).strip() for locale, text in texts.items()}
        for text in clean.values():
            if not text:
                return "its text is empty"
            if refused := refused_in_text(text):
                return f"its text holds {refused}"
        same = tuple((tag, " ".join(HOLE.sub("{}", text.replace("{{", "{ {")).split())) for tag, text in sorted(clean.items()))
        known = self._by_text.get(same)
        if known is not None:
            is_same = by_order and list(known.slots.values()) == list((slots or {}).values())
            return known if is_same or known.slots.keys() == (slots or {}).keys() else f"it says the same as {known.id}, with other slots"
        response_id = self.ids.new(name)
        one = Reply(response_id, clean, sayable(when) or f"what {response_id} answers", dict(slots or {}))
        self.replies[response_id] = self._by_text[same] = one
        return one

    def translate(self, reply: Reply, locale: str, text: str, item: Item) -> bool:
        """Gives a response a text in one more language, unless it may not be said there; the item tells which."""
        clean = unicodedata.normalize("NFC", text).strip()
        refused = refused_in_text(clean) if clean else "nothing"
        same = ((locale, " ".join(clean.split())),)
        known = self._by_text.setdefault(same, reply)
        if refused or locale in reply.texts or known is not reply:
            if refused:
                item.note(f"its text holds {refused}")
            elif known is not reply:
                item.note(f"{known.id} says the same in {locale}")
            else:
                item.note(f"it has a text in {locale} already")
            return False
        reply.texts[locale] = clean
        item.carry(f"the response {reply.id}, in {locale}")
        return True

    def stub(self, name: str, what: str, when: str = "") -> Reply:
        """A response whose text a person has to write."""
        response_id = self.ids.new(name)
        text = escape_braces(STUB.format(what=sayable(what) or response_id))
        one = Reply(response_id, {self.locale: f"{text[:-1]} [{response_id}])"}, sayable(when or what) or response_id, is_stub=True)
        self.replies[response_id] = one
        return one


def sayable(text: str) -> str:
    """``text`` in one line of at most ``LINE`` characters; empty when a catalog refuses it."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    line = line if len(line) <= LINE else line[: LINE - 3] + "..."
    return "" if refused_in_text(line) else line


def escape_braces(text: str) -> str:
    """Text of a source that means its braces as they stand."""
    return text.replace("{", "{{").replace("}", "}}")


def shown(text: object) -> str:
    """A text of the source in a comment or a reason: one line, nothing that ends a comment, of at most ``LINE`` characters."""
    line = repr(str(text))
    return line if len(line) <= LINE else line[: LINE - 4] + "...'"
