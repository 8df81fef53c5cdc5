"""Several speakers in one place: who answers a message is decided by plain rules, and the others leave no trace of having been asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from constrained.dialogue.context import clean_message
from constrained.dialogue.deciding import PreparedTurn
from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.pending import Claim, PendingReply, TurnQueue
from constrained.dialogue.turn import Turn
from constrained.engines.protocol import Deadline
from constrained.errors import SceneError
from constrained.logic.state import State

Why = Literal["addressed", "alone", "faced", "spoke_last", "fits", "nobody"]
"""Why this one answered.

``addressed``: the message calls it by name. ``alone``: nobody else is there. The others have more to say than their fallback:
``faced`` by the user, ``spoke_last``, or the first of the rest whom the message ``fits``. ``nobody`` had: the fallback of the first asked.
"""
States = Mapping[str, State] | State | None
_ARTICLE = re.compile(r"^(?:the|an?|der|die|das|el|la|los|las|le|les|l')\s*\b", re.IGNORECASE)
_CALL = (
    r"hello|hi|hey|ho|oi|oy|ahoy|hail|greetings|well met|good (?:morning|day|afternoon|evening)|thanks|thank you|sorry|excuse me|please"
    r"|listen|dear|my|good|old|you|and|hola|buen[oa]s (?:d[ií]as|tardes|noches)|hallo|guten (?:tag|morgen|abend)|danke"
    r"|bonjour|bonsoir|salut|merci"
)
_ENDS = r"[,.!?;:\u2026\u2013\u2014\n\"*)]"


@dataclass(frozen=True, slots=True)
class SceneTurn:
    """One message to a scene, and its answer.

    Attributes:
        who: name of the one who answers. why: see ``Why``.
        asked: names of those who were asked what they would say, in order; only ``who`` has said something.
    """

    who: str
    why: Why
    turn: Turn
    asked: tuple[str, ...]


class Scene:
    """Several dialogues in one place. Safe from any thread; its messages are answered in the order in which they come.

        inn = Scene({"brom": brom, "maud": maud}, called={"maud": ["ferrywoman"]})
        answer = inn.reply("Maud, take me over!", {"maud": Traveller(silver=3)}, facing="brom")
        answer.who, answer.why, answer.turn.text        # "maud", "addressed", ...

    Who answers: whoever the message calls by name (its name here, its speaker's name and title in the catalog, ``called``); else the
    one whom the user faces; else the one who spoke last; else in the order given here. The first whose decision is not its fallback
    answers; where there is none, the first asked says its fallback. Each that is asked costs a decision.

    Args:
        npcs: name -> its dialogue. called: name -> what it is called besides.

    Raises SceneError for names that are not there.
    """

    def __init__(self, npcs: Mapping[str, Dialogue], *, called: Mapping[str, Collection[str]] | None = None) -> None:
        self.npcs: Mapping[str, Dialogue] = MappingProxyType(dict(npcs))
        self._check(called or ())
        self._calls = {name: _calls((name, *_names_of(npc.catalog.speaker), *(called or {}).get(name, ()))) for name, npc in npcs.items()}
        self.last_speaker = ""
        self._lock = threading.Lock()
        self._turns = TurnQueue()

    def reply(
        self,
        message: str,
        states: States = None,
        *,
        facing: str | None = None,
        present: Collection[str] | None = None,
        within: float | None = None,
        locale: str | None = None,
    ) -> SceneTurn:
        """One message to those who are there.

        Args:
            states: the host's facts, by name, or one State for all; the defaults of those that are not named.
            facing: whom the user faces. present: who is there; all when None. within, locale: as for ``Dialogue.reply``.

        Raises SceneError, and what ``Dialogue.reply`` raises; then nobody said anything.
        """
        here = self._here(facing, present)
        return self._reply(message, states, facing, here, Deadline.after(within) if within is not None else None, locale, Claim())

    def start_reply(
        self,
        message: str,
        states: States = None,
        *,
        facing: str | None = None,
        present: Collection[str] | None = None,
        within: float | None = None,
        locale: str | None = None,
    ) -> PendingReply[SceneTurn]:
        """``reply`` beside the caller, who never waits; see ``Dialogue.start_reply``."""
        here, deadline = self._here(facing, present), Deadline.after(within) if within is not None else None
        return self._turns.start(lambda claim: self._reply(message, states, facing, here, deadline, locale, claim))

    def _check(self, names: Iterable[str]) -> None:
        unknown = [name for name in names if name not in self.npcs]
        if unknown:
            raise SceneError(f"nobody here is called {unknown[0]!r}", hint=f"there are {', '.join(self.npcs) or 'none'}")

    def _here(self, facing: str | None, present: Collection[str] | None) -> tuple[str, ...]:
        self._check([*(present or ()), *([facing] if facing is not None else [])])
        here = tuple(name for name in self.npcs if present is None or name in present)
        if not here:
            raise SceneError("nobody is there to answer", hint="name somebody in present=, or do not ask")
        return here

    def _reply(
        self,
        message: str,
        states: States,
        facing: str | None,
        here: tuple[str, ...],
        deadline: Deadline | None,
        locale: str | None,
        claim: Claim,
    ) -> SceneTurn:
        with self._lock:
            cleaned = clean_message(message)
            called = tuple(name for name in here if self._calls[name].search(cleaned))
            prepared: dict[str, PreparedTurn] = {}
            for name in self._in_order(called or here, facing):
                claim.check()
                npc = self.npcs[name]
                with npc._lock:
                    prepared[name] = npc._prepare(message, state_of(states, name), deadline, locale)
                if not prepared[name].is_missed:
                    break
            first = next(iter(prepared))
            who = first if prepared[name].is_missed else name
            why = self._why(who, called, here, facing, is_missed=prepared[who].is_missed)
            turn = _commit(self.npcs[who], prepared[who], claim)
            if turn is None:
                turn = self.npcs[who]._reply(message, state_of(states, who), deadline, locale, claim)
            self.last_speaker = who
            return SceneTurn(who, why, turn, tuple(prepared))

    def _in_order(self, names: Sequence[str], facing: str | None) -> list[str]:
        return sorted(names, key=lambda name: (name != facing, name != self.last_speaker))  # a stable sort: then as given

    def _why(self, who: str, called: Sequence[str], here: Sequence[str], facing: str | None, *, is_missed: bool) -> Why:
        if called:
            return "addressed"
        if len(here) == 1:
            return "alone"
        if is_missed:
            return "nobody"
        return "faced" if who == facing else "spoke_last" if who == self.last_speaker else "fits"


def _commit(npc: Dialogue, prepared: PreparedTurn, claim: Claim) -> Turn | None:
    """The turn, committed; None where the conversation went on since it was prepared."""
    with npc._lock:
        if npc._memory is not prepared.memory:
            return None
        claim.commit()
        return npc._commit(prepared)


def state_of(states: States, name: str) -> State | None:
    return states if states is None or isinstance(states, State) else states.get(name)


def _names_of(speaker: str) -> tuple[str, ...]:
    """``Brom, the innkeeper`` is called Brom, and innkeeper."""
    return tuple(name for part in speaker.split(",") if (name := _ARTICLE.sub("", part.strip())))


def _calls(names: Iterable[str]) -> re.Pattern[str]:
    """What calls somebody by one of these names: the name set off by punctuation, or behind a greeting. To speak of somebody is no call."""
    name = "|".join(sorted(map(re.escape, filter(None, names)), key=len, reverse=True))
    return re.compile(rf"(?:^|{_ENDS})[\s¡¿\"*(]*(?:(?:{_CALL})\b[\s,!]*)*(?:{name})(?!\w)(?=\s*(?:{_ENDS}|$))", re.IGNORECASE)
