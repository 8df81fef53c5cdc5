"""Saved games: what dialogues remember, and the host's State, as one JSON value; and back, also into an edited catalog."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from constrained.dialogue.context import MESSAGE_LIMIT
from constrained.dialogue.dialogue import Dialogue
from constrained.dialogue.scene import Scene, States, state_of
from constrained.errors import SaveError, StateError
from constrained.logic.policy import Policy
from constrained.logic.state import Memory, OpenOffer, State
from constrained.logic.variants import fitting, is_asked
from constrained.records.record import library, versions

FORMAT = 1
MOST_TURNS = 2**31  # of a conversation, as far as a save is believed


class _SavedNpc(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    catalog: str
    version: int
    versions: dict[str, str]
    conversation: str = Field(min_length=1, max_length=200)
    memory: Memory
    state: dict[str, Any] | None = None


class _SavedGame(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    library: str
    npcs: dict[str, _SavedNpc]
    last_speaker: str = ""


@dataclass(frozen=True, slots=True)
class LoadedGame:
    """What a save held besides the memories.

    Attributes:
        states: name -> State, of those with one in the save. notes: what could not be kept as it was, a sentence each.
    """

    states: Mapping[str, State]
    notes: tuple[str, ...] = ()


def save(npcs: Scene | Mapping[str, Dialogue], states: States = None) -> dict[str, Any]:
    """What dialogues remember now, as JSON; never waits. A reply that is pending is not in it.

    Args:
        npcs: name -> dialogue. states: the host's facts, by name, or one State for all.
    """
    found = {}
    for name, npc in _dialogues(npcs).items():
        state, catalog = state_of(states, name), npc.catalog
        found[name] = {
            "catalog": catalog.name,
            "version": catalog.version,
            "versions": versions(npc.policy),
            "conversation": npc.conversation,
            "memory": npc._memory.model_dump(mode="json"),
            "state": None if state is None else state.model_dump(mode="json"),
        }
    speaker = npcs.last_speaker if isinstance(npcs, Scene) else ""
    return {"format": FORMAT, "library": library(), "npcs": found, "last_speaker": speaker}


def load(saved: Mapping[str, Any], npcs: Scene | Mapping[str, Dialogue]) -> LoadedGame:
    """Goes on from a save; all of it or, where it cannot be read, nothing. Replies that are pending are cancelled.

    What was said under an earlier id (``aliases`` in the catalog) counts for today's; ids that are gone are forgotten. A procedure
    whose code is another now, or whose past does not lead to where it stands, is over. A dialogue that the save does not know begins
    anew. A save decides by what it remembers alone: what may be said is still what the policy allows and the catalog holds.

    Raises SaveError for what is no save, for one of a newer format, for a State that does not fit its policy, and for catalogs that
    require approvals.
    """
    game, dialogues = _read(saved), _dialogues(npcs)
    for name, npc in dialogues.items():
        if npc.catalog.is_approval_required:  # whoever edits a save says what was told, asked, agreed to and done
            hint = "Dialogue(memory=...) goes on from what you kept yourself"
            raise SaveError(f"{name!r} requires approvals, and nobody vouches for what a save says", format=FORMAT, hint=hint)
    notes = [f"{name}: is not here; what the save holds of it is left out" for name in game.npcs if name not in dialogues]
    memories, states = {}, {}
    for name, npc in dialogues.items():
        kept = game.npcs.get(name)
        if kept is None:
            notes.append(f"{name}: is not in the save; its conversation begins anew")
            memories[name] = Memory()
            continue
        memories[name], told = _fitted(npc.policy, kept)
        notes += [f"{name}: {one}" for one in told]
        if kept.state is not None:
            states[name] = _state(npc.policy, kept.state, name)
    if isinstance(npcs, Scene):
        npcs._turns.cancel()
        npcs.last_speaker = game.last_speaker if game.last_speaker in dialogues else ""
    for name, npc in dialogues.items():
        npc._turns.cancel()
        npc.resume(memories[name], game.npcs[name].conversation if name in game.npcs else uuid.uuid4().hex)
    return LoadedGame(states, tuple(notes))


def _dialogues(npcs: Scene | Mapping[str, Dialogue]) -> Mapping[str, Dialogue]:
    return npcs.npcs if isinstance(npcs, Scene) else npcs


def _read(saved: Mapping[str, Any]) -> _SavedGame:
    number = saved.get("format") if isinstance(saved, Mapping) else None
    if type(number) is not int or number < 1:
        raise SaveError("this is no save: it has no format", hint="give what constrained.games.save gave, read from JSON")
    if number > FORMAT:
        raise SaveError(
            f"the save has format {number}, and this version reads {FORMAT}",
            format=number,
            hint="load it with the newer version of the game",
        )
    try:
        json.dumps(saved, allow_nan=False, ensure_ascii=False).encode()  # lone surrogates, which no log can hold
        game = _SavedGame.model_validate(saved)
    except (ValidationError, ValueError, TypeError, RecursionError) as error:
        what = error.errors()[0] if isinstance(error, ValidationError) else None
        where = f"{'.'.join(map(str, what['loc']))}: {what['msg']}" if what else f"{type(error).__name__}: {error!s:.200}"
        raise SaveError(f"the save cannot be read: {where}", format=number, hint="it was changed or cut; take an older one") from error
    for name, npc in game.npcs.items():
        if not npc.conversation.isprintable() or not _is_sound(npc.memory):
            raise SaveError(f"the save cannot be read: npcs.{name} holds what no conversation can", format=number, hint="take an older one")
    return game


def _is_sound(memory: Memory) -> bool:
    """Whether turns are counted as they can be, and times are times."""
    numbers = [*memory.said.values(), *memory.times.values(), *(turn for turn, _ in memory.outcomes)]
    numbers += [event.number for frame in memory.running for event in frame.events]
    is_counted = 0 <= memory.number <= MOST_TURNS and all(0 <= one <= memory.number for one in numbers)
    return is_counted and 0 <= memory.n_missed <= memory.number and all(math.isfinite(at) for _, at in memory.clock)


def _state(policy: Policy, values: Mapping[str, Any], name: str) -> State:
    try:
        return policy.state_type.from_json(values)
    except StateError as error:
        hint = "give new fields defaults; take fields that are gone out of the save before it is loaded"
        raise SaveError(f"the State of {name!r} in the save does not fit: {error.message}", format=FORMAT, hint=hint) from error


# -- a memory in a catalog that may be another now ------------------------------------------------------------------


def _fitted(policy: Policy, kept: _SavedNpc) -> tuple[Memory, list[str]]:
    """The memory as it can go on with this policy, and what was lost."""
    catalog, memory = policy.catalog, fitting(kept.memory, policy.catalog, kept.conversation)
    notes = [f"the response {one!r} is gone" for one in memory.said if one not in catalog]
    changes = {
        "said": {one: number for one, number in memory.said.items() if one in catalog},
        "times": {one: n_times for one, n_times in memory.times.items() if one in catalog},
        "clock": tuple((one, at) for one, at in memory.clock if not one or one in catalog),
        "open_offers": tuple(_open_offers(policy, memory.open_offers)),
        "history": tuple((speaker, text[:MESSAGE_LIMIT]) for speaker, text in memory.history),
    }
    fitted = memory.model_copy(update=changes)
    broken = _broken_procedure(policy, fitted)
    if broken is not None:
        notes.append(f"the procedure {broken!r} is over: it cannot go on from where it stood")
        fitted = fitted.overtaken().model_copy(update={"running": ()})
    return fitted, notes


def _open_offers(policy: Policy, offers: Iterable[OpenOffer]) -> Iterable[OpenOffer]:
    """Those that a yes can still answer."""
    for offer in offers:
        if offer.id not in policy.catalog or not is_asked(offer, policy.catalog):
            continue
        try:
            if policy.heard_type is not None:
                policy.heard_type.from_json(offer.heard)
        except Exception:  # whatever a made-up value raises, nobody heard it
            continue
        yield offer


def _broken_procedure(policy: Policy, memory: Memory) -> str | None:
    """The name of the first running procedure that cannot be brought to where it stands, as the save has it; None where all can."""
    for depth, frame in enumerate(memory.running, 1):
        try:
            policy.procedures.position(memory.model_copy(update={"running": memory.running[:depth]}))
        except Exception:  # a made-up past may raise anything in a procedure's code
            return frame.name
    return None
