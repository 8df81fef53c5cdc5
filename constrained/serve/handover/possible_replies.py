"""What a person may say in a conversation: the catalog's responses in force there, rendered, ranked for what is looked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from rapidfuzz import fuzz

from constrained.approval.in_force import ApprovalSnapshot
from constrained.catalog.response import Response
from constrained.dialogue.context import clean_message, examples, make_candidate, plain_letters, static_id
from constrained.dialogue.recording import sensitive_fields_of
from constrained.engines.protocol import Choice, Deadline, Engine, PromptContext, checked
from constrained.errors import ConstrainedError, SlotError
from constrained.logic.option_builder import builder_of
from constrained.logic.options import Allowed, Option, say
from constrained.logic.policy import Policy
from constrained.logic.source_offers import act_ids
from constrained.logic.state import State
from constrained.records.masking import find_numbers
from constrained.verify import verify

SEARCH_S = 2.0  # for the engine; then the words are compared
LEAST_LIKENESS = 50.0  # of 100, by words


@dataclass(frozen=True, slots=True)
class ReplyPlace:
    """Where a reply would be said: the conversation's locale and state, the approvals in force, the day, what was committed there.

    Attributes:
        has_slots: whether a reply may hold values of the state; a log that is sealed keeps none outside a turn.
        is_masking: whether a value that may not be logged, such as a card's number, may not be said: the record holds every byte.
    """

    locale: str
    state: State
    approvals: ApprovalSnapshot
    today: date
    done: Collection[str] = ()
    has_slots: bool = True
    is_masking: bool = False


@dataclass(frozen=True, slots=True)
class RankedReply:
    """One reply that may be said, how well it fits what was looked for (0 to 1; None: nothing was), and who says so."""

    option: Option
    score: float | None = None
    by: Literal["", "engine", "words"] = ""


def sayable(policy: Policy, place: ReplyPlace) -> list[Option]:
    """The responses that a person may say there, in the catalog's order. None has effects, none opens a question of the engine's.

    Left out: what is not in force or has no text there, offers, what claims an event that was not committed, what the logic says with
    an act only (a person's reply does none), and what has slots that no field of the state of the same name can fill, that are marked
    sensitive, or whose value may not be logged.
    """
    found = (_option(policy, place, response) for response in policy.catalog.responses.values())
    return [one for one in found if one is not None]


def find_sayable(policy: Policy, place: ReplyPlace, response_id: str) -> Option | None:
    """The response as it would be said there, verified byte for byte; None where it may not be."""
    response = policy.catalog.responses.get(response_id)
    option = None if response is None else _option(policy, place, response)
    if option is not None:
        verify(option.text, option, Allowed((option,)), policy.catalog, place.today, place.approvals, place.done)
    return option


def rank(policy: Policy, options: list[Option], words: str, locale: str, engine: Engine | None, most: int = 20) -> list[RankedReply]:
    """The best of the options for what a person writes in own words: by the engine of the conversations, else by the words."""
    words = clean_message(words)
    if not words:
        return [RankedReply(one) for one in options[:most]]
    shares = _asked(policy, options, words, locale, engine) if engine is not None and options else None
    if shares is None:
        scored = [(_likeness(policy, one, words, locale), one) for one in options]
        ranked = [RankedReply(one, round(score / 100, 3), "words") for score, one in scored if score >= LEAST_LIKENESS]
    else:
        ranked = [RankedReply(one, round(share, 4), "engine") for share, one in zip(shares, options, strict=True)]
    return sorted(ranked, key=lambda one: -(one.score or 0.0))[:most]


def _option(policy: Policy, place: ReplyPlace, response: Response) -> Option | None:
    if response.offer_of or (response.claims and response.claims not in place.done) or response.id in _acts(policy):
        return None
    slots = _slots(response, place)
    if slots is None:
        return None
    try:
        outcome = builder_of(policy, place.locale, place.today, place.approvals).outcome(say(response.id, **slots), place.state)
    except SlotError:  # the field of the state is of another type than the slot
        return None
    recorded = "\n".join((getattr(outcome, "text", ""), *map(str, slots.values())))
    if not isinstance(outcome, Option) or (place.is_masking and slots and find_numbers(recorded)):
        return None
    return outcome


@lru_cache(maxsize=64)
def _acts(policy: Policy) -> frozenset[str]:
    return act_ids(policy.script, policy.functions)


def _slots(response: Response, place: ReplyPlace) -> Mapping[str, Any] | None:
    """Slot -> the value of the state's field of that name; None where one cannot be filled."""
    if not response.slots:
        return {}
    sealed = {name.partition(".")[0] for name in sensitive_fields_of(type(place.state))}
    fields = type(place.state).model_fields.keys() - sealed
    if not place.has_slots or any(slot.is_sensitive or name not in fields for name, slot in response.slots.items()):
        return None
    return {name: getattr(place.state, name) for name in response.slots}


def _asked(policy: Policy, options: list[Option], words: str, locale: str, engine: Engine) -> list[float] | None:
    """The engine's probability of each option for the words; None where it fails or takes too long."""
    catalog = policy.catalog
    candidates = tuple(make_candidate(one, index, catalog, locale, one.id == catalog.fallback) for index, one in enumerate(options))
    scene = PromptContext(
        static_id=static_id(policy, locale),
        speaker=catalog.speaker,
        persona=catalog.persona,
        rules="",
        listing=tuple((one.id, one.response.when) for one in options),
        background=tuple(example for one in catalog.responses.values() for example in examples(one, locale, catalog)),
        state="",
        history=(),
        message=plain_letters(words),
        locale=locale,
    )
    try:
        answers = engine.choose([Choice("reply", "option", candidates)], scene, Deadline.after(SEARCH_S))
        return list(checked(answers, [len(candidates)])[0].probabilities)
    except (ConstrainedError, RuntimeError, ValueError, TypeError, OSError):  # what an engine of the host's raises: then words are compared
        return None


def _likeness(policy: Policy, option: Option, words: str, locale: str) -> float:
    """How much of the words stands in what is said, in what it answers, or in its examples; 0 to 100."""
    response = option.response
    texts = (option.text, response.when, response.id.replace("_", " "), *examples(response, locale, policy.catalog))
    folded = words.casefold()
    return max(fuzz.token_set_ratio(folded, text.casefold()) for text in texts if text)
