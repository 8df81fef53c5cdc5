"""What stage 2 of a turn gives to the others, and what it takes over from the turn before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from constrained.errors import ConstrainedError, EngineError
from constrained.logic.clarifying import OfferReading
from constrained.logic.state import Memory
from constrained.understanding.hearing import Hearing, Understanding


@dataclass(frozen=True, slots=True)
class HeardNow:
    """What was heard in a turn.

    Attributes:
        value: what was understood; None where the policy reads none. hearings: how each field was heard.
        is_late: the deadline was over before an answer.
        reading: the message as an answer to what the turn before offered; None where nothing was.
    """

    value: Understanding | None = None
    hearings: tuple[Hearing, ...] = ()
    is_late: bool = False
    reading: OfferReading | None = None


def heard_before(heard_type: type[Understanding], reading: OfferReading, memory: Memory) -> HeardNow:
    """What was heard when the offer was made that this message is a yes to: it counts as heard now, as recorded then."""
    offer = reading.offer or memory.open_offers[0]  # several were made in one turn
    value = heard_type.from_json(offer.heard)
    how = f"heard in turn {memory.number}, before the yes to its offer"
    hearings = tuple(Hearing(name, getattr(value, name), 1.0, (), (), how) for name in heard_type.model_fields)
    return HeardNow(value, hearings, reading=reading)


@contextmanager
def engine_failing() -> Iterator[None]:
    """Whatever an engine raises becomes an EngineError; errors of this library stay what they are."""
    try:
        yield
    except ConstrainedError:
        raise
    except Exception as error:  # whatever torch or a server's client raises
        hint = "nothing was said; without a model the rules alone choose"
        raise EngineError(f"the engine failed: {type(error).__name__}: {error}", hint=hint) from error
