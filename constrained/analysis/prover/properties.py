"""What a pack's author declares about whole conversations: properties, and from where and with what they are explored.

    # properties/tavern.py
    key_is_paid = always(lambda turn: turn.before.gold >= 42, on="sell_key", says="nobody gets the key for less than 42")
    told_first = before("cellar_noise", "accept_quest")

An event is the id of a response or the name of an effect, several of them (any), or a function of a TurnView.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from constrained.errors import ConstrainedError, Problem, PropertyError
from constrained.logic.state import State


class TurnView:
    """One turn of a conversation, as a property sees it.

    Attributes:
        before, after: the state as the turn began, and after its effects. heard: what was understood; None where nothing is heard.
        chosen: the response that was picked; ``said``: all that was said, in order.
        effects: names of the effects, in order.
    """

    __slots__ = ("_options", "after", "before", "chosen", "effects", "heard", "said")

    def __init__(
        self,
        before: State,
        after: State,
        chosen: str,
        said: tuple[str, ...],
        effects: tuple[str, ...],
        heard: Any,
        options: Callable[[], tuple[str, ...]],
    ) -> None:
        self.before, self.after, self.chosen, self.said, self.effects, self.heard = before, after, chosen, said, effects, heard
        self._options = options

    @property
    def options(self) -> tuple[str, ...]:
        """The responses among which one was picked."""
        return self._options()


Test = Callable[[TurnView], bool]
Event = str | Sequence[str] | Test
Kind = Literal["always", "before", "never_after", "eventually"]


@dataclass(frozen=True, slots=True)
class Property:
    """Something that holds in every conversation; made by ``always``, ``before``, ``never_after`` and ``eventually``.

    Attributes:
        says: in plain language. name: of the variable that holds it.
        test: of ``always``. on: the turns that it looks at; None: all.
        first, then: the events of ``before`` and ``never_after``; ``first`` may be None for ``eventually``.
        within: turns, for ``eventually``.
    """

    kind: Kind
    says: str
    name: str = ""
    test: Test | None = None
    on: Event | None = None
    first: Event | None = None
    then: Event | None = None
    within: int = 0

    def named(self, name: str) -> Property:
        return replace(self, name=name, says=self.says or name.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Scope:
    """What is explored. All that is proved is proved for this.

    Attributes:
        starts: states in which a conversation begins, as mappings of fields; the state's default when empty.
        heard: field -> the values that are tried, where they cannot all be.
        human: responses or effects that bring in a person; ``within`` so many turns from everywhere.
        fallbacks: most turns in a row in which nothing but the fallback may be said.
        unreached: ids that no conversation from these starts needs to come to.
    """

    starts: tuple[Mapping[str, Any] | State, ...] = ()
    heard: Mapping[str, tuple[Any, ...]] | None = None
    human: tuple[str, ...] = ()
    within: int = 2
    fallbacks: int = 2
    unreached: tuple[str, ...] = ()


def always(test: Test, *, on: Event | None = None, says: str = "") -> Property:
    """``test`` is true of every turn; with ``on``, of every turn in which that happens."""
    if not callable(test):
        raise PropertyError(f"always() takes a function of a TurnView, not {test!r:.60}", hint="always(lambda turn: ..., on=...)")
    return Property("always", says, test=test, on=on)


def before(first: Event, then: Event, *, says: str = "") -> Property:
    """``then`` never happens unless ``first`` happened earlier, in the same turn or before it."""
    return Property("before", says or f"{_shown(first)} comes before {_shown(then)}", first=first, then=then)


def in_order(*steps: Event, says: str = "") -> tuple[Property, ...]:
    """No step happens unless the one before it did: a procedure of which nothing may be skipped."""
    return tuple(before(first, then, says=says) for first, then in itertools.pairwise(steps))


def never_after(first: Event, then: Event, *, says: str = "") -> Property:
    """Once ``first`` has happened, ``then`` never does."""
    return Property("never_after", says or f"after {_shown(first)} never {_shown(then)}", first=first, then=then)


def eventually(then: Event, *, within: int, after: Event | None = None, says: str = "") -> Property:
    """Wherever a conversation stands (once ``after`` has happened), ``then`` can be come to within so many turns, or has happened."""
    if within < 1:
        raise PropertyError(f"eventually(within={within}) leaves no turn", hint="within=1 is the next turn")
    told = says or f"{_shown(then)} can be come to within {within} turns" + (f" of {_shown(after)}" if after else "")
    return Property("eventually", told, first=after, then=then, within=within)


def every(**fields: Iterable[Any]) -> tuple[Mapping[str, Any], ...]:
    """Every combination of these values: ``every(gold=[0, 60], place=["counter", "table"])`` are four states."""
    values = [tuple(one) for one in fields.values()]
    return tuple(dict(zip(fields, row, strict=True)) for row in itertools.product(*values))


def scope(
    *,
    starts: Iterable[Mapping[str, Any] | State] = (),
    heard: Mapping[str, Iterable[Any]] | None = None,
    human: str | Sequence[str] = (),
    within: int = 2,
    fallbacks: int = 2,
    unreached: Sequence[str] = (),
) -> Scope:
    """What is explored; see ``Scope``."""
    people = (human,) if isinstance(human, str) else tuple(human)
    values = {name: tuple(given) for name, given in (heard or {}).items()}
    return Scope(tuple(starts), values, people, within, fallbacks, tuple(unreached))


def _shown(event: Event) -> str:
    if isinstance(event, str):
        return event
    if callable(event):
        return getattr(event, "__name__", "that").replace("_", " ").replace("<lambda>", "that")
    return " or ".join(event)


# -- files: a pack's properties/NAME.py, and proofs/NAME.json ------------------------------------------


@dataclass(frozen=True, slots=True)
class DeclaredProperties:
    """A file of properties, read and run.

    Attributes:
        text: of the file, for its hash; empty where there is none.
    """

    properties: tuple[Property, ...] = ()
    scope: Scope = field(default_factory=Scope)
    text: str = ""
    path: str = ""


def properties_path(logic: Path) -> Path:
    """The file of properties that goes with a logic file."""
    return logic.parent.parent / "properties" / logic.name


def proof_path(logic: Path) -> Path:
    """Where the proof of a pack is kept."""
    return logic.parent.parent / "proofs" / f"{logic.stem}.json"


def read_properties(path: Path) -> DeclaredProperties:
    """What a file of properties declares; nothing where there is no file. Raises PropertyError."""
    if not path.is_file():
        return DeclaredProperties()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PropertyError(f"{path} cannot be read: {error}", hint="a Python file in UTF-8") from error
    return declared_in(text, str(path))


def declared_in(text: str, file: str) -> DeclaredProperties:
    """Runs a file of properties; every Property and the Scope that it leaves in a variable are declared."""
    names: dict[str, Any] = {"__name__": "constrained_properties", "__file__": file}
    try:
        exec(compile(text, file, "exec"), names)
    except ConstrainedError:
        raise
    except Exception as error:  # whatever a user's file raises, they get its line and no traceback of ours
        problem = Problem(file, _line(error, file), 0, f"{type(error).__name__}: {error}", "mend the line")
        raise PropertyError(f"{file} cannot be run", [problem]) from error
    scopes = [value for value in names.values() if isinstance(value, Scope)]
    if len(scopes) > 1:
        raise PropertyError(f"{file} declares {len(scopes)} scopes", hint="one scope(...) a file")
    return DeclaredProperties(tuple(_properties(names)), scopes[0] if scopes else Scope(), text, file)


def _properties(names: dict[str, Any]) -> list[Property]:
    found = []
    for name, value in names.items():
        if isinstance(value, Property):
            found.append(value.named(name))
        elif isinstance(value, tuple) and value and all(isinstance(one, Property) for one in value):
            found += [one.named(f"{name}_{number}") for number, one in enumerate(value, start=1)]
    return found


def _line(error: BaseException, file: str) -> int:
    line = getattr(error, "lineno", 0) or 0
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
