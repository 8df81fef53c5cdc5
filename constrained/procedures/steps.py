"""The steps of a procedure: what it awaits.

await tell("greeting")
transaction = await ask("which_payment", "transaction")
if await confirm("shall_i_file", amount=payment.amount): ...
if await perform("filing_now").then(file_dispute, payment.id): ...
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, Literal

from constrained.catalog.response import Source
from constrained.errors import PolicyError, Problem
from constrained.logic.effects import EffectKind
from constrained.logic.options import Offer, ProcedureMove, source_of

StepKind = Literal["tell", "ask", "confirm", "perform", "choose"]
TRIES = 2


class GaveUp(Exception):  # no error: what a procedure may catch when nobody answered
    """Raised at the ``ask`` or ``confirm`` that was not answered in all its tries. Not caught, it ends the procedure."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a procedure awaits.

    Attributes:
        offer: what is said. fields: of Heard, that answer it. among: label -> value, where the answer is picked.
        again: said when it was not answered. otherwise: said when it is given up.
        tries: how often it is put at most.
        asides: what may be said at this step without leaving it. is_alone: nothing else may, but what leaves the step or must be said.
    """

    kind: StepKind
    offer: Offer
    fields: tuple[str, ...] = ()
    among: tuple[tuple[str, Any], ...] = ()
    again: Offer | None = None
    otherwise: Offer | None = None
    tries: int = TRIES
    asides: tuple[Offer, ...] = ()
    is_alone: bool = False

    @property
    def id(self) -> str:
        return self.offer.response_id

    def then(self, effect: EffectKind, *args: Any, **kwargs: Any) -> Step:
        """Adds an effect that the host runs once this was said."""
        return replace(self, offer=self.offer.then(effect, *args, **kwargs))

    def __await__(self) -> Generator[Step, Any, Any]:
        return (yield self)

    def value(self, label: str) -> Any:
        """What a picked label stands for. Raises KeyError for one that is not there."""
        return dict(self.among)[label]


def tell(response_id: str, **slots: Any) -> Step:
    """Says this; the procedure goes on at once."""
    return _made("tell", response_id, slots, sys._getframe(1))


def ask(
    response_id: str,
    *answers: Any,
    again: str | Offer = "",
    tries: int = TRIES,
    otherwise: str | Offer = "",
    asides: tuple[Offer, ...] = (),
    alone: bool = False,
    **slots: Any,
) -> Step:
    """Asks this, and comes back with the answer.

    Args:
        answers: names of fields of Heard, which must all hold something: their values are the answer, one or a tuple.
            Or an Enum, or a tuple of values: the answer is then the one whose continuation the model picks.
        again: the response that asks once more; by default the fallback, and the question again.
        tries: how often it is put at most. otherwise: said when it is given up; the fallback by default.
        asides: offers that may be said at this step without leaving it. alone: of the interruptions of the procedure, only
            those that leave the step (``only``, ``.ends()``) and ``must`` count at this step.

    Raises GaveUp in the procedure when all tries are used up.
    """
    caller = sys._getframe(1)
    return _made(
        "ask", response_id, slots, caller, answers=answers, again=again, tries=tries, otherwise=otherwise, asides=asides, is_alone=alone
    )


def confirm(
    response_id: str,
    field: str = "",
    *,
    again: str | Offer = "",
    tries: int = TRIES,
    otherwise: str | Offer = "",
    asides: tuple[Offer, ...] = (),
    alone: bool = False,
    **slots: Any,
) -> Step:
    """Asks for a yes or no, and comes back with True or False: by what the model picks, or by a field of Heard. As ``ask`` else."""
    answers: tuple[Any, ...] = (field,) if field else _YES_NO
    caller = sys._getframe(1)
    return _made(
        "confirm", response_id, slots, caller, answers=answers, again=again, tries=tries, otherwise=otherwise, asides=asides, is_alone=alone
    )


def perform(response_id: str, *, again: str | Offer = "", **slots: Any) -> Step:
    """Says this, hands the effects of its ``.then(...)`` to the host, and waits for what became of them.

    Comes back with True when all were done, with False when one failed. ``again`` is said to messages before that.
    """
    return _made("perform", response_id, slots, sys._getframe(1), again=again)


def choose(*values: Any) -> Step:
    """One of these values, or of an Enum: the one whose continuation the model picks, of the message that is here already.

    Says nothing and waits for nothing. What the procedure says next, after each of the values, is an option of this turn.
    """
    caller = sys._getframe(1)
    source = source_of(caller.f_code, caller)
    among = values[0] if len(values) == 1 and isinstance(values[0], type(enum.Enum)) else values
    return Step("choose", Offer("say", "", {}, source), among=_labelled(among, source))


def start(procedure: Any) -> Offer:
    """Offers an interruption: a procedure of this file that may be begun now. What was open is asked again when it is over."""
    name = getattr(procedure, "__name__", "")
    caller = sys._getframe(1)
    source = source_of(caller.f_code, caller)
    if not name:
        raise PolicyError(f"start({procedure!r:.60}) names no procedure", [_problem(source, "start() takes an async function")])
    return Offer("say", STARTS + name, {}, source, move=ProcedureMove())


STARTS = "start "  # before the name of a procedure: no response id holds a space


_YES_NO: tuple[Any, ...] = ((True, False),)
_MOST_MADE = 1 << 14
_MADE: dict[Any, tuple[CodeType, Step]] = {}  # the code is kept, so that its id stays its own


def _made(
    kind: StepKind,
    response_id: str,
    slots: Any,
    caller: FrameType,
    *,
    answers: tuple[Any, ...] = (),
    again: Any = "",
    tries: int = TRIES,
    otherwise: Any = "",
    asides: tuple[Offer, ...] = (),
    is_alone: bool = False,
) -> Step:
    """The step of one call; made once where nothing in it can change: a procedure is run anew in every turn."""
    is_plain = not slots and (answers is _YES_NO or all(type(one) is str for one in answers)) and type(again) is type(otherwise) is str
    key = (kind, response_id, answers, again, tries, otherwise, id(caller.f_code), caller.f_lasti) if is_plain else None
    found = _MADE.get(key) if key else None
    made = found[1] if found else _step(kind, response_id, slots, caller, answers, again, tries, otherwise)
    if key and not found:
        if len(_MADE) >= _MOST_MADE:
            _MADE.clear()
        _MADE[key] = caller.f_code, made
    return replace(made, asides=tuple(asides), is_alone=is_alone) if asides or is_alone else made


def _step(
    kind: StepKind, response_id: str, slots: Any, caller: FrameType, answers: tuple[Any, ...], again: Any, tries: int, otherwise: Any
) -> Step:
    if kind in ("tell", "perform"):
        return Step(kind, _offer(response_id, slots, caller), again=_wording(again, caller))
    offer = _offer(response_id, slots, caller)
    if tries < 1 or not answers:
        raise PolicyError(f"{kind}() is put at least once, and has answers", [_problem(offer.source, 'ask("id", "field", tries=2)')])
    fields = tuple(one for one in answers if isinstance(one, str))
    among = () if fields else _labelled(answers[0], offer.source)
    return Step(kind, offer, fields, among, _wording(again, caller), _wording(otherwise, caller), tries)


def _labelled(values: Any, source: Source) -> tuple[tuple[str, Any], ...]:
    """Label -> value of what may be picked."""
    if not isinstance(values, tuple | type(enum.Enum)) or not tuple(values):
        raise PolicyError("ask() takes fields of Heard, an Enum or a tuple of values", [_problem(source, 'ask("id", Reason)')])
    labels = _labels(values, tuple(map(type, values)))
    if len(labels) != len(tuple(values)):
        raise PolicyError("two answers have one label", [_problem(source, "give values that read differently")])
    return labels


@lru_cache(maxsize=1024)
def _labels(values: Any, _types: tuple[type, ...]) -> tuple[tuple[str, Any], ...]:
    return tuple({_label(one): one for one in tuple(values)}.items())


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.name if isinstance(value, enum.Enum) else str(value)


def _wording(given: Any, caller: FrameType) -> Offer | None:
    if isinstance(given, Offer):
        return given
    return _offer(given, {}, caller) if given else None


def _offer(response_id: str, slots: Any, caller: FrameType) -> Offer:
    return Offer("say", response_id, slots, source_of(caller.f_code, caller))


def _problem(source: Source, hint: str) -> Problem:
    return Problem(source.file, source.line, 0, "a step that cannot be taken", hint)
