"""What one turn is about: its cleaned message and its circumstances, and how an engine sees them: a scene and candidates."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache

from constrained.approval.in_force import NO_LEDGER, ApprovalSnapshot
from constrained.catalog.render import render, resolve_locale
from constrained.catalog.response import Catalog, Response
from constrained.engines.protocol import Candidate, Deadline, PromptContext
from constrained.errors import LocaleError, MessageError
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory, State

MESSAGE_LIMIT = 2_000  # characters; of a longer message nothing is decided, and what is cut off is not recorded


@dataclass(slots=True)
class TurnContext:
    """What one turn is about: filled by the first stage, read by every later one, which only adds its own time.

    Attributes:
        id: of the turn. message: cleaned. locale: the one that is spoken.
        now: the clock when the message came. deadline: None where the turn may take any time.
        approvals: the signed ones in force.
        timings_ms: stage -> milliseconds.
        is_too_long: there was more than ``message`` holds.
    """

    id: str
    message: str
    state: State
    locale: str
    now: datetime
    deadline: Deadline | None
    approvals: ApprovalSnapshot = NO_LEDGER
    timings_ms: dict[str, float] = field(default_factory=dict)
    is_too_long: bool = False

    @property
    def plain(self) -> str:
        """The message in the form in which it is understood; the record keeps it as it was written."""
        return plain_letters(self.message)

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def host_today(self) -> date:
        """The day from which "tomorrow" is counted: the host's, where its State holds one."""
        today = getattr(self.state, "today", None)
        return today if isinstance(today, date) else self.today


@contextmanager
def timed(context: TurnContext, stage: str) -> Iterator[None]:
    """Writes down how long a stage took."""
    start = time.perf_counter()
    yield
    context.timings_ms[stage] = round((time.perf_counter() - start) * 1000, 3)


def clean_message(message: str) -> str:
    """NFC, without control characters (line breaks become spaces), at most MESSAGE_LIMIT characters."""
    return cut_message(message)[0]


def cut_message(message: str) -> tuple[str, bool]:
    """The message as ``clean_message`` gives it, and whether that is not all of it."""
    if not isinstance(message, str):
        raise MessageError(f"a message is text, not {type(message).__name__}", hint="decode bytes as UTF-8 first")
    if message.isascii() and message.isprintable():
        whole = message.strip()
        return whole[:MESSAGE_LIMIT].strip(), len(whole) > MESSAGE_LIMIT
    message = message.strip()
    head = message[: MESSAGE_LIMIT * 4]  # a bound on the work below; normalising 1 MB would cost more than the turn
    kept = "".join(
        " " if char.isspace() else char for char in head if char.isspace() or unicodedata.category(char) not in ("Cc", "Cs", "Cf")
    )
    whole = unicodedata.normalize("NFC", kept).strip()
    return whole[:MESSAGE_LIMIT].strip(), len(whole) > MESSAGE_LIMIT or len(message) > len(head)


def plain_letters(message: str) -> str:
    """Full-width, half-width and mathematical letters and digits, ligatures and circled letters as the plain ones that they stand for.

    That is NFKC but for fractions, powers and numbers in circles: "2½" is not "21/2", and "5²" not "52".
    """
    if message.isascii():
        return message
    return unicodedata.normalize("NFC", "".join(map(_plain_letter, message)))


def _plain_letter(char: str) -> str:
    form = unicodedata.decomposition(char).partition(" ")[0]
    if form not in _PLAIN_FORMS:
        return char
    plain = unicodedata.normalize("NFKC", char)
    is_letter = form == "<circle>" or unicodedata.category(char).startswith("L")
    return plain if form in _SAME_CHARACTER or (is_letter and plain.isalpha()) else char


_SAME_CHARACTER = ("<wide>", "<narrow>", "<font>")
_PLAIN_FORMS = (*_SAME_CHARACTER, "<compat>", "<circle>")


def check_locale(catalog: Catalog, locale: str) -> str:
    """``locale``, if every response marked ``exact_locale`` can be said in it: an emergency must not turn into the fallback."""
    missing = _not_in(catalog, locale)
    if missing:
        raise LocaleError(
            f"the catalog {catalog.name!r} may not speak {locale!r}: {', '.join(missing)} must be said in the exact locale",
            locale=locale,
            missing=missing,
            hint="choose a locale that the catalog serves, or write and approve these texts in it",
        )
    return locale


@lru_cache(maxsize=256)
def _not_in(catalog: Catalog, locale: str) -> tuple[str, ...]:
    """The responses that must be said in the exact locale and have no text in this one. An offer need not be said."""
    found = (response for response in catalog.responses.values() if resolve_locale(response, locale, catalog.locale) is None)
    return tuple(response.id for response in found if not response.offer_of)


def make_prompt_context(policy: Policy, context: TurnContext, memory: Memory) -> PromptContext:
    """What a model may read in this turn."""
    catalog = policy.catalog
    listing, background = _described(catalog, context.locale)
    return PromptContext(
        static_id=static_id(policy, context.locale),
        speaker=catalog.speaker,
        persona=catalog.persona,
        rules=policy.rules,
        listing=listing,
        background=background,
        state=context.state.model_dump_json(),
        history=memory.history,
        message=context.plain,
        locale=context.locale,
    )


@lru_cache(maxsize=64)
def _described(catalog: Catalog, locale: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """(id, what it answers) of every response, and all their examples: the same in every turn."""
    responses = catalog.responses.values()
    listing = tuple((response.id, response.when) for response in responses if not response.offer_of)
    return listing, tuple(example for response in responses for example in examples(response, locale, catalog))


def static_id(policy: Policy, locale: str) -> str:
    """Names the static part of what a model reads."""
    return f"{policy.catalog.hash} {policy.hash} {locale}"


def make_candidate(option: Option, index: int, catalog: Catalog, locale: str, is_no_match: bool) -> Candidate:
    """One option of a turn as the engine sees it. ``is_no_match``: said when none of the others is likely enough."""
    return Candidate(
        key=f"{index}:{option.id}",
        text=render(option.response, option.slots, option.locale) if option.variant else option.text,  # whatever the variant, one choice
        name=option.response.key,
        when=option.response.when,
        examples=examples(option.response, locale, catalog),
        no_match=is_no_match,
    )


def examples(response: Response, locale: str, catalog: Catalog) -> tuple[str, ...]:
    """The user messages that a response answers, in the turn's locale or its language, else in the catalog's."""
    by_locale: Mapping[str, tuple[str, ...]] = response.examples
    return by_locale.get(locale) or by_locale.get(locale.split("-")[0]) or by_locale.get(catalog.locale, ())
