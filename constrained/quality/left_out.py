"""What an engine that fits itself at load makes of a pack's own examples, each left out in turn: no command has to run first.

Beside each other stand the responses that the policy allows at the beginning of a conversation. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from constrained.catalog.response import Catalog
from constrained.dialogue.context import examples as examples_of
from constrained.dialogue.context import static_id
from constrained.dialogue.dialogue import Dialogue
from constrained.engines.cascade import ThresholdFit, fit_threshold
from constrained.engines.protocol import Candidate, Choice, CrossValidated, PromptContext
from constrained.errors import ConstrainedError, EngineError
from constrained.logic.policy import Policy


@dataclass(frozen=True, slots=True)
class LeftOutReport:
    """One language of a pack.

    Attributes:
        n_allowed: responses beside each other. n: messages.
        accuracy: share of left-out messages that go where they belong, by what each counts.
        threshold: what a cascade would hand on for the error asked for, and what is then wrong among the rest.
    """

    locale: str
    n_allowed: int
    n: int
    accuracy: float
    threshold: ThresholdFit


def measure_left_out(policy: Policy, engine: CrossValidated, *, target_error: float, most_handed_on: float) -> list[LeftOutReport]:
    """One report a locale with examples of its own; locales that have too few to leave any out are missing.

    Raises EngineError where none has enough.
    """
    found = []
    written = {locale for response in policy.catalog.responses.values() for locale in response.examples}
    for locale in sorted(written, key=lambda one: (one != policy.catalog.locale, one)):
        choice, scene = catalog_choice(policy, locale)
        allowed = allowed_at_first(policy)
        candidates = tuple(one for one in choice.candidates if one.text in allowed) if allowed else choice.candidates
        known = engine.left_out(replace(choice, candidates=candidates), scene)
        if known is not None:
            accuracy = float(np.dot(known.is_right, known.counts))
            found.append(
                LeftOutReport(locale, len(candidates), len(known.is_right), accuracy, fit_threshold(known, target_error, most_handed_on))
            )
    if not found:
        raise EngineError(f"{policy.name} has too few examples to leave any out", hint="give each response a few messages that it answers")
    return found


def allowed_at_first(policy: Policy) -> frozenset[str]:
    """Ids of the responses that a turn at the beginning chooses among; empty where it needs facts that only its host knows."""
    try:
        begun = Dialogue(policy, drafts=True).reply("")
    except ConstrainedError:
        return frozenset()
    return frozenset(option.id for option in begun.record.options)


def catalog_choice(policy: Policy, locale: str) -> tuple[Choice, PromptContext]:
    """All responses of a catalog as one choice, and what a model may read at the beginning of a conversation."""
    catalog = policy.catalog
    candidates = catalog_candidates(catalog, locale)
    scene = PromptContext(
        static_id=static_id(policy, locale),
        speaker=catalog.speaker,
        persona=catalog.persona,
        rules=policy.rules,
        listing=tuple((response.id, response.when) for response in catalog.responses.values() if not response.offer_of),
        background=tuple(example for one in candidates for example in one.examples),
        state="",
        history=(),
        message="",
        locale=locale,
    )
    return Choice("reply", "option", tuple(candidates)), scene


def catalog_candidates(catalog: Catalog, locale: str) -> list[Candidate]:
    """[response] as an engine sees them, their ids for texts, since slots are not filled."""
    return [
        Candidate(
            key=f"{index}:{response.id}",
            text=response.id,
            name=response.key,
            when=response.when,
            examples=examples_of(response, locale, catalog),
            no_match=response.id == catalog.fallback,
        )
        for index, response in enumerate(one for one in catalog.responses.values() if not one.offer_of)
    ]
