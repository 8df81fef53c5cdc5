"""The judges of a turn, and how each is switched off from outside: the library itself has no such switches."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

from benchmarks.measure import BenchmarkError

Change = tuple[str, str, Callable[[], Any]]  # module, attribute, what stands there while the judge is off


@dataclass(frozen=True, slots=True)
class Judge:
    """Something that a turn is decided by.

    Attributes:
        name: in the table. about: what is missing without it. changes: none for one that the engine is made without.
        is_evidence: it can choose by itself. is_there: whether this library has it.
    """

    name: str
    about: str
    changes: tuple[Change, ...] = ()
    is_evidence: bool = False

    @property
    def is_there(self) -> bool:
        try:
            return all(hasattr(_module(module), name) for module, name, _ in self.changes)
        except ModuleNotFoundError:
            return False


class _AsWritten:
    """A speller that mends nothing."""

    def mend(self, message: str) -> str:
        return message


class LetterEncoder:
    """Reads letters in place of meanings."""

    name = weights = "letters"

    def vectors(self, texts: Sequence[str]) -> Any:
        from constrained.engines.small.words import letter_vectors

        return letter_vectors(texts)


def _returns(value: Any, *given: Any, **named: Any) -> Any:
    return value


def _constant(value: Any) -> Callable[[], Any]:
    """Makes a function that returns ``value`` whatever it is given."""
    return lambda: partial(_returns, value)


def _whole(message: str) -> list[str]:
    return [message]


def _equal_forms() -> Any:
    import numpy as np

    return np.ones((4, 4))


def _nothing_named() -> Any:
    from constrained.understanding.names import Naming

    return partial(_returns, Naming({}, frozenset()))


def _nothing_protected() -> Any:
    judged = _module("constrained.understanding.protected.judges").Judged
    return partial(_returns, judged((0.0, 0.0, 1.0), "switched off", ""))


SMALL, UNDERSTANDING = "constrained.engines.small", "constrained.understanding"
VECTORS = "vectors"  # the engine is made with LetterEncoder in place of its encoder
JUDGES = (
    Judge(VECTORS, "meanings: letters are read in their place", is_evidence=True),
    Judge("letters", "runs of letters shared with the examples", ((f"{SMALL}.store", "LETTER_SHARE", lambda: 0.0),), is_evidence=True),
    Judge("spelling", "typing errors and short forms are mended", ((f"{SMALL}.engine", "make_speller", _constant(_AsWritten())),)),
    Judge(
        "background",
        "everyday chatter and other desks' messages for 'none of these'",
        ((f"{SMALL}.evidence", "chatter", _constant(())), (f"{SMALL}.evidence", "other_desks", _constant(()))),
    ),
    Judge(
        "literal mention",
        "a thing that is named is heard, and weighs where there are no examples",
        ((f"{UNDERSTANDING}.hearing", "find_named", _nothing_named), (f"{SMALL}.evidence", "MENTION", lambda: 0.0)),
    ),
    Judge(
        "denial marks",
        "denials and questions lie apart from assertions, and examples denied are 'none of these'",
        (
            (f"{SMALL}.store", "FORMS", _equal_forms),
            (f"{SMALL}.head", "FORMS", _equal_forms),
            (f"{SMALL}.evidence", "_denied", _constant([])),
        ),
    ),
    Judge("sentence by sentence", "a message of several sentences in pieces", ((f"{SMALL}.words", "pieces", lambda: _whole),)),
    Judge(
        "act rule",
        "an act needs a probability and a message that does not speak against it",
        tuple((f"constrained.logic.{module}", "is_act", _constant(False)) for module in ("objections", "acts")),
    ),
    Judge(
        "answer reader",
        "a yes or no to an open question is read; without it every confirmation asks again",
        (("constrained.logic.acts", "read_open_answer", _constant(None)),),
    ),
    Judge(
        "answer head",
        "a fitted judge of answers that the phrases leave open",
        (("constrained.engines.loading", "load_answer_judge", _constant(None)),),
    ),
    Judge("offers", "an act that is likely and not sure is offered", (("constrained.logic.acts", "_asked", _constant(())),)),
    Judge(
        "protected triggers",
        "self-harm, emergencies, humans wanted and the like are read by judges of their own",
        ((f"{UNDERSTANDING}.protected.judges", "judge", _nothing_protected),),
    ),
)


def of_this_library() -> tuple[Judge, ...]:
    """Those that are there. Raises BenchmarkError when one is not where it is looked for: what is measured as off is off."""
    missing = [judge.name for judge in JUDGES if not judge.is_there]
    if missing:
        raise BenchmarkError(f"{', '.join(missing)}: not where benchmarks/judges.py looks for it")
    return JUDGES


@contextmanager
def without(judges: Iterable[Judge]) -> Iterator[None]:
    """Nothing of these judges is heard within."""
    with ExitStack() as stack:
        for judge in judges:
            for module, name, stand_in in judge.changes:
                stack.enter_context(patch.object(_module(module), name, stand_in()))
        yield


def _module(name: str) -> Any:
    return importlib.import_module(name)
