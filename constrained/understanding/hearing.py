"""Heard: what a message meant, as answers to closed questions, and the spans of it that recognisers propose.

    class Heard(Understanding):
        threat: bool = question("Does the player threaten the innkeeper?", yes=["I'll burn this place down"])
        offer: int | None = amount("How much gold does the player offer?")

Each field becomes one Choice; the model only ever picks a candidate, so a field holds nothing but what Python
proposed: yes or no, a value of the annotation, an entity alive in State, or a span that a recogniser found. A text of
a given form is read by an engine first; it is proposed once it fits its form and the message says it.

Any text is ordinary: nothing here raises for what a message holds. Work is bounded by ``READ`` characters and ``SPANS``
spans, so a long message costs no more than a short one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date as Date
from typing import Any, ClassVar, Literal

from constrained._values import Values, field_problem
from constrained.engines.protocol import Choice, Distribution, ExtractionField
from constrained.errors import EngineError, PolicyError, Problem
from constrained.understanding.contrasts import contrasted
from constrained.understanding.names import find_named
from constrained.understanding.patterns import is_said
from constrained.understanding.protected.values import TRIGGERS
from constrained.understanding.questions import (
    Amount,
    Answer,
    Day,
    Entity,
    OneOf,
    PatternQuestion,
    Prefer,
    ProtectedTrigger,
    Question,
    Score,
    YesNo,
    is_whole,
    messages,
)
from constrained.understanding.spans import amounts, dates, message_locale, readable

# -- questions to a message, and their answers --------------------------------------------------------------------

_KINDS = "question, choice, score, entity, amount, date, pattern, grammar or protected"


class Understanding(Values):
    """What was said: every field is made by ``question``, ``choice``, ``score``, ``entity``, ``amount``, ``date``,
    ``pattern``, ``grammar`` or ``protected``.

    Every field has a default, so ``Heard()`` is what is understood when nothing was.
    """

    __questions__: ClassVar[dict[str, Question]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Question)}
        cls.__questions__ = {**cls.__questions__, **own}
        for name in own:
            setattr(cls, name, None)  # pydantic must see a default; the right one needs the resolved annotation

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        problems = [problem for name in cls.model_fields if (problem := _problem(cls, name))]
        if problems:
            raise PolicyError(f"{cls.__name__} cannot be heard", problems)
        for name, asked in cls.__questions__.items():
            cls.model_fields[name].default = asked.default(cls.model_fields[name].annotation)
        cls.model_rebuild(force=True)


@dataclass(frozen=True, slots=True)
class Hearing:
    """How one field was heard.

    Attributes:
        value: what the field holds now.
        probability: how sure ``value`` is, by the model; of its candidate.
        candidates: keys of all candidates; ``probabilities``: one each.
        how: why no model was asked; empty when one was.
        judge: of a protected trigger, the judges that read it, with their versions.
    """

    name: str
    value: Any
    probability: float
    candidates: tuple[str, ...]
    probabilities: tuple[float, ...]
    how: str = ""
    judge: str = ""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question put to this message.

    Attributes:
        values: what each candidate of ``choice`` means.
        answer: of the message itself, where it names one thing; then no model is asked. ``how``: the reason. ``judge``: see Hearing.
    """

    name: str
    choice: Choice
    values: tuple[Any, ...]
    answer: Distribution | None = None
    how: str = ""
    judge: str = ""


def question(text: str, *, yes: Sequence[str] = (), no: Sequence[str] = (), at_least: float = 0.5) -> Any:
    """Yes or no (``bool``); True needs the probability ``at_least``. ``yes`` and ``no`` are example messages."""
    return YesNo(text, at_least, messages(yes), messages(no))


def choice(text: str, *, at_least: float = 0.0, **examples: Sequence[str]) -> Any:
    """One of the values of a Literal or an Enum; with ``| None``, or none of them. ``value=[example messages]``.

    The default is None, or the first value where None is not allowed.
    """
    return OneOf(text, at_least, {name: messages(given) for name, given in examples.items()})


def score(text: str, *, low: int = 1, high: int = 5) -> Any:
    """A whole number from ``low`` (also the default) to ``high``."""
    return Score(text, 0.0, low, high)


def entity(text: str, *, among: str, by: str = "", at_least: float = 0.0) -> Any:
    """One of the things in the State field ``among``, or None. The value is the thing's attribute ``by``, or the thing."""
    return Entity(text, at_least, among, by)


def amount(text: str, *, at_least: float = 0.0, decimals: int = 2) -> Any:
    """One of the numbers that a recogniser finds in the message, or None. One with more ``decimals`` is left out."""
    return Amount(text, at_least, decimals)


def date(text: str, *, prefer: Prefer = "future", at_least: float = 0.0) -> Any:
    """One of the days that a recogniser finds in the message, or None. ``prefer`` reads "Tuesday" as the next or the last."""
    return Day(text, at_least, prefer)


def pattern(form: str, text: str, *, examples: Sequence[str] = (), at_least: float = 0.0) -> Any:
    """A text that the message says and that the regular expression ``form`` matches as a whole, or None.

    ``examples`` are texts of the form: what the policy is tried with when it is checked.
    """
    return PatternQuestion(text, at_least, "", form, messages(examples))


def grammar(form: str, text: str, *, examples: Sequence[str] = (), at_least: float = 0.0) -> Any:
    """A text that the message says and that the Lark grammar ``form`` parses from ``start``, or None."""
    return PatternQuestion(text, at_least, form, "", messages(examples))


def protected(trigger: str, *, more: Sequence[str] = (), unlike: Sequence[str] = ()) -> Any:
    """A trigger that must be heard whatever else a message says (``Protected``): one of ``TRIGGERS``, read in every turn.

    ``more``: messages of your own that are meant, one sentence each; ``unlike``: such that are not, though they look like it.
    """
    return ProtectedTrigger(TRIGGERS.get(trigger, trigger), 0.0, trigger, messages(more), messages(unlike))


def extraction_fields(heard_type: type[Understanding], message: str) -> tuple[ExtractionField, ...]:
    """What an engine is to read out of this message. Nothing out of an empty one."""
    if not message.strip():
        return ()
    return tuple(one.extraction_field(name) for name, one in heard_type.__questions__.items() if isinstance(one, PatternQuestion))


def entity_fields(heard_type: type[Understanding], among: Collection[str] | None = None) -> frozenset[str]:
    """The fields that ask for an entity, of ``among`` or of all: those that a message can answer without a model."""
    return frozenset(name for name, one in heard_type.__questions__.items() if isinstance(one, Entity) and (among is None or name in among))


def protected_fields(heard_type: type[Understanding]) -> frozenset[str]:
    """The fields that ask for a protected trigger: they are read in every turn, with a model and without one."""
    return frozenset(name for name, one in heard_type.__questions__.items() if isinstance(one, ProtectedTrigger))


def checked_readings(
    heard_type: type[Understanding], wanted: Sequence[ExtractionField], read: Sequence[str | None], message: str
) -> dict[str, str]:
    """Field -> what was read, where it is of the field's form and the message says it.

    Raises EngineError when ``read`` is not one text or None per field.
    """
    if len(read) != len(wanted) or not all(one is None or isinstance(one, str) for one in read):
        raise EngineError(
            f"{len(wanted)} texts were to be read, the engine gave {read!r:.100}", hint="the engine is faulty; nothing was said"
        )
    found = {field.name: str(one) for field, one in zip(wanted, read, strict=True) if one is not None}
    forms = heard_type.__questions__
    return {
        name: one
        for name, one in found.items()
        if isinstance(form := forms[name], PatternQuestion) and form.fits(one) and is_said(one, message)
    }


def ask(
    heard_type: type[Understanding],
    state: Values,
    message: str,
    *,
    today: Date,
    locale: str,
    readings: Mapping[str, str] | None = None,
    fields: Collection[str] | None = None,
    is_scripted: bool = False,
    has_vectors: bool = False,
) -> tuple[AskedQuestion, ...]:
    """The questions of ``heard_type`` for this message, those that leave a choice. None for an empty message.

    Of things of which the message names one, by its name or by a word of its own, that one is the answer; where it names several, they are
    the candidates; those that it rules out ("not the dagger") are none.

    Args:
        is_scripted: every question is asked in full, since the answers are given.
        has_vectors: protected triggers are read by sentence vectors besides phrases, where the extra ``small`` is installed.
        readings: field -> the text that was read for it, as ``checked_readings`` gives it.
        fields: those that anything depends on now; all of them when None.

    Raises PolicyError when an ``entity`` names what ``state`` does not have.
    """
    if not message.strip():
        return ()
    asked = []
    for name, one in heard_type.__questions__.items():
        if fields is not None and name not in fields:
            continue
        if isinstance(one, PatternQuestion):
            answers = one.answers(readings[name]) if readings and name in readings else []
        elif isinstance(one, Entity) and not is_scripted:
            found = _entity(name, one, state, message, locale)
            asked += [found] if found else []
            continue
        elif isinstance(one, OneOf) and not is_scripted:
            kept, named = contrasted(one, heard_type.model_fields[name].annotation, readable(message), message_locale(locale).language)
            if len(kept) > 1:
                asked.append(_named(_asked(name, one, kept), *named) if named else _asked(name, one, kept))
            continue
        elif isinstance(one, ProtectedTrigger) and not is_scripted:
            asked.append(_judged(name, one, message, locale, has_vectors))
            continue
        else:
            answers = _answers(one, heard_type.model_fields[name].annotation, state, message, today, locale)
        if len(answers) > 1:
            asked.append(_asked(name, one, answers))
    return tuple(asked)


def _asked(name: str, one: Question, answers: Sequence[Answer]) -> AskedQuestion:
    candidates = tuple(answer.candidate for answer in answers)
    kind: Literal["heard", "span"] = "span" if isinstance(one, Amount | Day | PatternQuestion) else "heard"
    return AskedQuestion(name, Choice(name, kind, candidates, one.text), tuple(answer.value for answer in answers))


def _entity(name: str, one: Entity, state: Values, message: str, locale: str) -> AskedQuestion | None:
    """The question which thing is meant, answered where the message names one; None where it leaves no choice."""
    things = tuple(entities_in(one, state))
    answers = one.answers(things)
    if len(answers) < 2:
        return None
    named = find_named(readable(message), one.names(things), message_locale(locale).language)
    meant = [answer for answer in answers[:-1] if answer.candidate.key in named.meant]
    if not meant:
        return _asked(name, one, answers) if not named.ruled_out else None
    if len(meant) > 1:
        return _asked(name, one, [*meant, answers[-1]])
    likeness, is_in_part = named.meant[meant[0].candidate.key], meant[0].candidate.key in named.in_part
    return _named(_asked(name, one, answers), likeness, answers.index(meant[0]), is_in_part=is_in_part)


def _named(asked: AskedQuestion, likeness: float, place: int, *, is_in_part: bool = False) -> AskedQuestion:
    """The question, answered by the candidate at ``place``, which the message names."""
    n = len(asked.values)
    probabilities = tuple(likeness if at == place else (1.0 - likeness) / (n - 1) for at in range(n))
    how = "the message names it" + (", in part" if is_in_part else "" if likeness == 1.0 else ", with a typing error")
    return replace(asked, answer=Distribution(probabilities, "rules"), how=how)


def _judged(name: str, one: ProtectedTrigger, message: str, locale: str, has_vectors: bool) -> AskedQuestion:
    """The question whether a trigger is there, answered by its judges."""
    from constrained.understanding.protected.judges import judge

    found = judge(one.trigger, message, locale, more=tuple(one.more), unlike=tuple(one.unlike), has_vectors=has_vectors)
    answer = Distribution(found.probabilities, "rules")
    return replace(_asked(name, one, one.answers()), answer=answer, how=f"protected: {found.why}", judge=found.judge)


def understand(
    heard_type: type[Understanding], asked: Sequence[AskedQuestion], distributions: Sequence[Distribution]
) -> tuple[Understanding, tuple[Hearing, ...]]:
    """What was heard, from one distribution per question that the message did not answer itself; fields not asked keep their defaults.

    Raises EngineError when the distributions do not fit the questions.
    """
    n_open = sum(one.answer is None for one in asked)
    if n_open != len(distributions):
        raise EngineError(f"{n_open} questions were asked, {len(distributions)} answered", hint="the engine is faulty")
    given = iter(distributions)
    hearings = tuple(_hearing(heard_type, one, one.answer or next(given)) for one in asked)
    return heard_type(**{hearing.name: hearing.value for hearing in hearings}), hearings


def _hearing(heard_type: type[Understanding], asked: AskedQuestion, answer: Distribution) -> Hearing:
    if len(answer.probabilities) != len(asked.values):
        raise EngineError(
            f"{asked.name!r} has {len(asked.values)} candidates, {len(answer.probabilities)} were scored", hint="the engine is faulty"
        )
    chosen = _chosen(heard_type.__questions__[asked.name], asked, answer)
    keys = tuple(candidate.key for candidate in asked.choice.candidates)
    return Hearing(asked.name, asked.values[chosen], answer.probabilities[chosen], keys, answer.probabilities, asked.how, asked.judge)


def _chosen(one: Question, asked: AskedQuestion, answer: Distribution) -> int:
    """Index of the candidate that is believed: the best, or the default one when the best is less probable than it must be."""
    if isinstance(one, YesNo):
        return 0 if answer.probabilities[0] >= one.at_least else 1
    if isinstance(one, ProtectedTrigger):
        return one.believed(answer.probabilities)
    if answer.probabilities[answer.best] >= one.at_least:
        return answer.best
    return next((index for index, candidate in enumerate(asked.choice.candidates) if candidate.no_match), 0)


def _answers(one: Question, annotation: Any, state: Values, message: str, today: Date, locale: str) -> list[Answer]:
    if isinstance(one, YesNo | Score | ProtectedTrigger):
        return one.answers()
    if isinstance(one, OneOf):
        return one.answers(annotation)
    if isinstance(one, Entity):
        return one.answers(entities_in(one, state))
    return _spans(one, annotation, message, today, locale)


def entities_in(one: Entity, state: Values) -> Iterable[Any]:
    """The things in the State field, in an order that is the same in every process."""
    things = getattr(state, one.among, ())
    if isinstance(things, frozenset):
        return sorted(things, key=lambda thing: json.dumps(repr(thing)))
    return things if isinstance(things, tuple) else ()


def _spans(one: Question, annotation: Any, message: str, today: Date, locale: str) -> list[Answer]:
    if isinstance(one, Amount):
        spans = amounts(message, locale, is_whole=is_whole(annotation), decimals=one.decimals, question=one.text)
    elif isinstance(one, Day):
        spans = dates(message, locale, today=today, prefer=one.prefer)
    else:
        raise PolicyError(f"{type(one).__name__} is no kind of question", hint=f"use {_KINDS}")
    if not spans:
        return []
    found = [span.answer(one.text) for span in spans]
    return [*found, one.none([answer.candidate.key for answer in found])]


def _problem(cls: type[Understanding], name: str) -> Problem | None:
    one = cls.__questions__.get(name)
    if one is None:
        hint = f"make it with {_KINDS}; facts of the host belong in State"
        return field_problem(cls, name, "is not made by a question", hint)
    misfit = one.flaw() or one.misfit(cls.model_fields[name].annotation)
    return field_problem(cls, name, *misfit) if misfit else None
