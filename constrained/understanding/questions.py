"""The questions that a message can be asked, one kind a class.

question  yes or no            bool
choice    one of several       Literal or Enum, | None
score     a whole number       int
entity    one alive in State   any | None
amount    a number said        int or Decimal | None
date      a day said           dt.date | None
pattern   a text of one form   str | None
grammar   a text of a grammar  str | None
protected a trigger            Protected
"""

from __future__ import annotations

import datetime as dt
import enum
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Literal

from constrained.engines.protocol import Candidate, ExtractionField
from constrained.understanding.names import names_of
from constrained.understanding.patterns import fits, grammar_flaw, pattern_flaw
from constrained.understanding.protected.values import TRIGGERS, Protected

Prefer = Literal["future", "past"]
Messages = tuple[str, ...] | str  # example messages; one text is refused by ``flaw``
Flaw = tuple[str, str]  # what is wrong, and a hint
NONE = "none"


@dataclass(frozen=True, slots=True)
class Answer:
    """A candidate and the value that choosing it means."""

    candidate: Candidate
    value: Any


@dataclass(frozen=True, slots=True)
class Question:
    """What a field of an Understanding asks of the message.

    Attributes:
        text: the question in plain language.
        at_least: the probability that an answer needs to be believed; below it the default stands.
    """

    text: str
    at_least: float
    annotations: ClassVar[str] = ""

    def flaw(self) -> Flaw | None:
        """What is wrong with the question itself."""
        if not self.text.strip():
            return "the question is empty", "ask it in plain language"
        if not 0 <= self.at_least <= 1:
            return f"at_least={self.at_least:g} is no probability", "a number between 0 and 1"
        return None

    def misfit(self, annotation: Any) -> Flaw | None:
        """Why a field of this annotation cannot hold the answers."""
        reason = self.mismatch(annotation)
        return (reason, f"annotate it as {self.annotations}, or ask another kind of question") if reason else None

    def mismatch(self, annotation: Any) -> str:
        """``misfit`` without its hint; empty when there is none."""
        raise NotImplementedError

    def default(self, annotation: Any) -> Any:
        """The value when nothing was heard."""
        return None

    def none(self, taken: Sequence[str] = ()) -> Answer:
        """The way out: the message answers with none of the others."""
        key = NONE
        while key in taken:
            key += "_"
        return Answer(Candidate(key, "none of these", f"{self.text} The message does not say.", no_match=True, name="none"), None)


@dataclass(frozen=True, slots=True)
class YesNo(Question):
    """Is it so? ``yes`` and ``no`` are example messages."""

    yes: Messages = ()
    no: Messages = ()
    annotations: ClassVar[str] = "bool"

    def flaw(self) -> Flaw | None:
        return Question.flaw(self) or _loose("yes", self.yes) or _loose("no", self.no)

    def mismatch(self, annotation: Any) -> str:
        return "" if annotation is bool else "a question is answered by yes or no"

    def default(self, annotation: Any) -> bool:
        return False

    def answers(self) -> list[Answer]:
        return [
            Answer(Candidate("yes", "yes", f"{self.text} Yes.", tuple(self.yes), name="yes"), True),
            Answer(Candidate("no", "no", f"{self.text} No.", tuple(self.no), no_match=True, name="no"), False),
        ]


@dataclass(frozen=True, slots=True)
class OneOf(Question):
    """Which of several values? ``examples``: value (as text) or member name -> example messages."""

    examples: typing.Mapping[str, Messages] = field(default_factory=dict)
    annotations: ClassVar[str] = "Literal[...] or an Enum, | None"

    def flaw(self) -> Flaw | None:
        loose = (_loose(name, given) for name, given in self.examples.items())
        return Question.flaw(self) or next(filter(None, loose), None)

    def mismatch(self, annotation: Any) -> str:
        values = _values(_core(annotation))
        if not values:
            return "a choice needs the values to choose from"
        names = {name for value in values for name in _names(value)}
        unknown = [name for name in self.examples if name not in names]
        if unknown:
            return f"examples for {', '.join(map(repr, unknown))}, which is none of its values"
        readable = [_readable(value) for value in values]
        if NONE in readable and _is_optional(annotation):
            return "'none' stands for None already: name the value otherwise, or leave out None"
        return "" if len(set(readable)) == len(readable) else "two values read the same"

    def default(self, annotation: Any) -> Any:
        return None if _is_optional(annotation) else _values(_core(annotation))[0]

    def answers(self, annotation: Any) -> list[Answer]:
        found = [self._answer(value) for value in _values(_core(annotation))]
        none = [self.none([one.candidate.key for one in found])] if _is_optional(annotation) else []
        return [*found, *none]

    def names(self, annotation: Any) -> dict[str, list[str]]:
        """Key of a candidate -> what its value is called."""
        return {_readable(value): [_readable(value), *_names(value)] for value in _values(_core(annotation))}

    def _answer(self, value: Any) -> Answer:
        examples = next((self.examples[name] for name in _names(value) if name in self.examples), ())
        readable = _readable(value)
        return Answer(Candidate(readable, readable, f"{self.text} {readable}.", tuple(examples), name=readable), value)


@dataclass(frozen=True, slots=True)
class Score(Question):
    """How much, as a whole number from ``low`` to ``high``?"""

    low: int = 1
    high: int = 5
    annotations: ClassVar[str] = "int"

    def mismatch(self, annotation: Any) -> str:
        if not self.low < self.high <= self.low + 100:
            return f"a score from {self.low} to {self.high} has no use"
        return "" if annotation is int else "a score is a whole number"

    def default(self, annotation: Any) -> int:
        return self.low

    def answers(self) -> list[Answer]:
        span = f"from {self.low} (least) to {self.high} (most)"
        numbers = range(self.low, self.high + 1)
        return [
            Answer(Candidate(str(number), str(number), f"{self.text} {number}, {span}.", name=str(number)), number) for number in numbers
        ]


@dataclass(frozen=True, slots=True)
class Entity(Question):
    """Which of the things in the State field ``among`` is meant? The answer is the thing's ``by`` attribute."""

    among: str = ""
    by: str = ""
    annotations: ClassVar[str] = "the type of the thing (or of its `by`), | None"

    def mismatch(self, annotation: Any) -> str:
        return "" if _is_optional(annotation) else "no entity may be meant, so None must be allowed"

    def value(self, thing: Any) -> Any:
        return getattr(thing, self.by) if self.by else thing

    def answers(self, things: typing.Iterable[Any]) -> list[Answer]:
        found: dict[str, Answer] = {}
        for thing in things:
            value = self.value(thing)
            readable = _readable(value)
            candidate = Candidate(readable, readable, f"{self.text} {_described(thing)}.", name=readable)
            found.setdefault(readable, Answer(candidate, value))
        return [*found.values(), self.none(list(found))] if found else []

    def names(self, things: typing.Iterable[Any]) -> dict[str, list[str]]:
        """Key of a candidate -> what the things that it stands for are called."""
        called: dict[str, list[str]] = {}
        for thing in things:
            readable = _readable(self.value(thing))
            called.setdefault(readable, []).extend(names_of(thing, readable))
        return called


@dataclass(frozen=True, slots=True)
class Amount(Question):
    """Which of the numbers said in the message? One with more ``decimals`` is no amount."""

    decimals: int = 2
    annotations: ClassVar[str] = "int or Decimal, | None"

    def mismatch(self, annotation: Any) -> str:
        if not _is_optional(annotation):
            return "no amount may be said, so None must be allowed"
        return "" if _core(annotation) in (int, Decimal) else "an amount is an int or a Decimal"


@dataclass(frozen=True, slots=True)
class Day(Question):
    """Which of the days said in the message? ``prefer`` settles what "Tuesday" or "5 May" leaves open."""

    prefer: Prefer = "future"
    annotations: ClassVar[str] = "dt.date, | None"

    def mismatch(self, annotation: Any) -> str:
        if not _is_optional(annotation):
            return "no day may be said, so None must be allowed"
        return "" if _core(annotation) is dt.date else "a day is a datetime.date"


@dataclass(frozen=True, slots=True)
class PatternQuestion(Question):
    """Which text of a given form does the message say? An engine reads it; what it read is checked against the form.

    Attributes:
        grammar: a Lark grammar, ``start`` its root. pattern: a regular expression; one of the two is empty.
        examples: texts of the form, to show it.
    """

    grammar: str = ""
    pattern: str = ""
    examples: Messages = ()
    annotations: ClassVar[str] = "str | None"

    def flaw(self) -> Flaw | None:
        return Question.flaw(self) or _loose("it", self.examples) or self._form_flaw()

    def _form_flaw(self) -> Flaw | None:
        reason = pattern_flaw(self.pattern) if self.pattern or not self.grammar else grammar_flaw(self.grammar)
        if reason:
            return reason, 'pattern(r"[A-Z]{2}-[0-9]{6}", ...), or grammar("start: ...", ...)'
        unlike = next((one for one in self.examples if not self.fits(one)), None)
        return None if unlike is None else (f"the example {unlike!r} is not of the form", "give texts that the field may hold")

    def mismatch(self, annotation: Any) -> str:
        if not _is_optional(annotation):
            return "no such text may be said, so None must be allowed"
        return "" if _core(annotation) is str else "a pattern or grammar is answered by a text"

    def fits(self, text: str) -> bool:
        return fits(text, self.grammar, self.pattern)

    def extraction_field(self, name: str) -> ExtractionField:
        return ExtractionField(name, self.text, self.grammar, self.pattern, tuple(self.examples))

    def answers(self, reading: str) -> list[Answer]:
        """What was read, or nothing of the kind."""
        found = Answer(Candidate(reading, reading, f"{self.text} {reading}.", name=reading), reading)
        return [found, self.none([reading])]


@dataclass(frozen=True, slots=True)
class ProtectedTrigger(Question):
    """Does the message say what must be heard whatever else it says? ``more``: messages of the author's own that do; ``unlike``: none."""

    trigger: str = ""
    more: Messages = ()
    unlike: Messages = ()
    annotations: ClassVar[str] = "Protected"

    def flaw(self) -> Flaw | None:
        if self.trigger not in TRIGGERS:
            return f"there is no protected trigger {self.trigger!r}", f"the triggers are {', '.join(TRIGGERS)}"
        return Question.flaw(self) or _loose("more", self.more) or _loose("unlike", self.unlike)

    def mismatch(self, annotation: Any) -> str:
        return "" if annotation is Protected else "a protected trigger is heard as no, likely or yes"

    def default(self, annotation: Any) -> Protected:
        return Protected.NO

    def answers(self) -> list[Answer]:
        """Yes, likely and no, in this order: ``believed`` counts on it."""
        return [
            Answer(Candidate("yes", "yes", f"{self.text} Yes.", tuple(self.more), name="yes"), Protected.YES),
            Answer(Candidate("likely", "likely", f"{self.text} Likely.", name="likely"), Protected.LIKELY),
            Answer(Candidate("no", "no", f"{self.text} No.", tuple(self.unlike), no_match=True, name="no"), Protected.NO),
        ]

    @staticmethod
    def believed(probabilities: Sequence[float]) -> int:
        """The first of yes, likely and no that is, together with those before it, at least as probable as not."""
        return 0 if probabilities[0] >= 0.5 else 1 if probabilities[0] + probabilities[1] >= 0.5 else 2


def messages(given: Sequence[str]) -> Messages:
    """Example messages as a tuple; a single text is kept for ``flaw`` to refuse."""
    return given if isinstance(given, str) else tuple(given)


def _loose(name: str, given: Messages) -> Flaw | None:
    if isinstance(given, str) or not all(isinstance(message, str) and message.strip() for message in given):
        return f"the examples of {name} are a list of messages, not one text and no empty ones", f"{name}=[...]"
    return None


def is_whole(annotation: Any) -> bool:
    """Whether an amount's field holds whole numbers only."""
    return _core(annotation) is int


def _is_optional(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation) or None in _literal(annotation)


def _core(annotation: Any) -> Any:
    """The annotation without ``| None``."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    rest = [one for one in typing.get_args(annotation) if one is not type(None)]
    return rest[0] if len(rest) == 1 else annotation


def _literal(annotation: Any) -> tuple[Any, ...]:
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def _values(core: Any) -> tuple[Any, ...]:
    if isinstance(core, type) and issubclass(core, enum.Enum):
        return tuple(core)
    return tuple(value for value in _literal(core) if value is not None)


def _names(value: Any) -> tuple[str, ...]:
    return (value.name, value.name.lower(), str(value.value)) if isinstance(value, enum.Enum) else (str(value),)


def _readable(value: Any) -> str:
    """A value in words: ``CELLAR_KEY`` and ``cellar_key`` read "cellar key"."""
    if isinstance(value, enum.Enum):
        value = value.value if isinstance(value.value, str) else value.name.lower()
    return " ".join(str(value).replace("_", " ").split())


def _described(thing: Any) -> str:
    """A thing in words: the fields of a model that tell it apart in speech (no flags), itself otherwise."""
    if not getattr(type(thing), "model_fields", None):
        return _readable(thing)
    spoken = {name: value for name, value in dict(thing).items() if value is not None and not isinstance(value, bool)}
    return ", ".join(f"{_readable(name)} {_readable(value)}" for name, value in spoken.items())
