"""State: what is true, the host's typed facts. Memory: what a conversation carries from one turn to the next."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from constrained._values import Values, field_problem, why_mutable
from constrained.engines.protocol import Speaker
from constrained.errors import PolicyError, Problem


class State(Values):
    """What is true now: a frozen pydantic model that the host keeps. The model and the policy only read it.

        class Tavern(State):
            gold: NonNegativeInt = 0
            belt: frozenset[Item] = frozenset()

        Tavern(gold=80).replace(gold=30)

    Fields are of immutable types; a mutable one is refused, with its line, when the class is defined.
    A value that a field refuses raises StateError.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        problems = [problem for name in cls.model_fields if (problem := _problem(cls, name))]
        if problems:
            raise PolicyError(f"the state {cls.__name__} could be changed in place", problems)


def _problem(cls: type[State], name: str) -> Problem | None:
    found = why_mutable(cls.model_fields[name].annotation)
    return field_problem(cls, name, f"{found[0]} can be changed in place", found[1]) if found else None


# -- memory: a value, so that a conversation can go on in another process ---------------------------------------

HISTORY_TURNS = 4  # turns that the model may read; the log keeps all


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Event(_Value):
    """One turn in which a procedure moved, or was asked in vain. A procedure is rebuilt from its events.

    Attributes:
        number: of the turn. step: the response id at which the procedure stood; empty before its first step.
        answer: how it went on: ``began``, ``heard``, ``picked LABEL``, ``done``, ``failed``, ``missed``, ``gave up``.
        picks: the labels that were picked at each ``choose`` on the way.
        heard: JSON of the fields that were heard. state: JSON of the fields that differ from the event before.
    """

    number: int
    step: str
    answer: str
    picks: tuple[str, ...] = ()
    heard: str = "{}"
    state: str = "{}"


class Frame(_Value):
    """A running procedure: which, in which version, by which code (a hash), and what has happened in it."""

    name: str
    version: int
    code: str
    events: tuple[Event, ...] = ()


class OpenOffer(_Value):
    """An offer that the last turn said: what its yes would choose. No policy sees it.

    Attributes:
        id, slots: of the option that was asked about; the slots as JSON. text: what was said.
        heard: JSON of what was heard in that turn: the fields that differ from their defaults.
    """

    id: str
    slots: str
    text: str
    heard: str = "{}"


class Memory(_Value):
    """A conversation between two turns. Hashable, and JSON both ways.

    Attributes:
        said: response id -> number of the turn that last said it.
        history: what the model may read of it, oldest first.
        number: of the last turn; 0 before the first.
        running: the procedures that run, the outermost first; each waits for the one after it.
        done: names of the effects, and other events of the host, that were committed: what claims rest on.
        outcomes: (turn, ``done`` or ``failed``) of the last turns with effects.
        clock: (response id, when it was last said), for what is said every so many minutes; under an empty id when the
            conversation began. Seconds since the epoch.
        open_offers: what the last turn asked, in the order in which it was said; the next turn answers it or drops it.
        n_missed: turns in a row, up to the last, in which nothing fitted or something was offered; counted where the catalog has
            a way out.
        seed: stands for the conversation where the variants of its texts are drawn; empty: the first of each is said.
        times: response id -> how often it was said; of those with variants, where there is a seed.
    """

    said: dict[str, int] = {}
    history: tuple[tuple[Speaker, str], ...] = ()
    number: int = 0
    running: tuple[Frame, ...] = ()
    done: tuple[str, ...] = ()
    outcomes: tuple[tuple[int, str], ...] = ()
    clock: tuple[tuple[str, float], ...] = ()
    open_offers: tuple[OpenOffer, ...] = ()
    n_missed: int = 0
    seed: str = ""
    times: dict[str, int] = {}

    def __hash__(self) -> int:
        logic = (self.number, self.running, self.done, self.outcomes, self.clock, self.seed, frozenset(self.times.items()))
        return hash((frozenset(self.said.items()), logic, self.history, self.open_offers, self.n_missed))

    def overtaken(self) -> Memory:
        """The memory after somebody else said something: nothing was said last, no offer is open, so a bare yes answers neither."""
        said = {one: min(number, self.number - 1) for one, number in self.said.items()}
        return self.model_copy(update={"said": said, "open_offers": ()})

    def next_visit(self) -> Memory:
        """The memory when the user comes back another time.

        What was said and what was done count as before (``.once()``, claims, obligations); what was under way is over: open offers
        and questions, procedures, and what a model reads of the talk.
        """
        return self.overtaken().model_copy(update={"history": (), "running": (), "outcomes": (), "n_missed": 0})

    def to_record(self) -> dict[str, object]:
        """What a turn reads of it besides ``said`` and ``number``, as JSON, without what is empty: for the record of a turn."""
        kept: dict[str, object] = self.model_dump(mode="json", exclude={"said", "number", "history"})
        return {name: value for name, value in kept.items() if value}
