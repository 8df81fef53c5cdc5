"""Challenge conversations: messages with the replies that a fair person accepts, played against a pack, and what that came to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from benchmarks.challenge_library import DESKS, Library
from benchmarks.measure import ROOT, BenchmarkError
from constrained import Dialogue, State
from constrained.engines.protocol import Engine
from constrained.packs import load_policy
from constrained.quality.golden import GoldenDialogue, GoldenResult, GoldenTurn, load_golden, run_golden

LIES = ROOT / "benchmarks" / "sets" / "lies"
LIE_PACKS = ("tavern", "caravan")  # the packs for games


@dataclass(frozen=True, slots=True)
class Case:
    """One message under test, see ``benchmarks/desks/README.md``.

    Attributes:
        state: fields that differ from the pack's default State, as JSON. setup: messages that lead there;
            setup_expects: the response to each; setup_heard: what each is to be heard to mean.
        accepts: ids of responses. never_effects: names of effects that the turn must not have.
    """

    id: str
    pack: str
    locale: str
    kind: str
    says: str
    accepts: tuple[str, ...]
    never_effects: tuple[str, ...]
    state: Mapping[str, Any] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    setup_expects: tuple[str, ...] = ()
    setup_heard: tuple[Mapping[str, Any], ...] = ()
    heard: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Played:
    """What one case came to.

    Attributes:
        got: the id of what was said. wrong_acts: effects that should not have been.
        has_strayed: a setup turn got another reply than expected, and the expected one was forced. ms: of the tested turn, on the wall.
    """

    case: Case
    got: str
    wrong_acts: tuple[str, ...]
    has_strayed: bool
    ms: float

    @property
    def is_accepted(self) -> bool:
        return self.got in self.case.accepts


def read_cases(path: Path) -> list[Case]:
    """A file of JSON lines. Raises BenchmarkError when it is not there or a line is no case."""
    names = {one.name for one in fields(Case)}
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [Case(**{name: _frozen(value) for name, value in row.items() if name in names}) for row in rows]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"{path} holds no conversations: {error}") from error


def desk_cases(pack: str) -> list[Case]:
    """The messages of one of the packs in ``benchmarks/desks``."""
    return read_cases(DESKS / f"{pack}.jsonl")


def lie_cases(pack: str, part: str) -> list[Case]:
    """The messages of players who lie, order and grab: of one pack, part ``dev`` or ``test`` (``benchmarks/sets/lies``)."""
    read = yaml.safe_load((LIES / f"{pack}.{part}.yaml").read_text(encoding="utf-8"))
    return [
        Case(
            id=f"{pack}-{part}-{place:03}",
            pack=pack,
            locale="en",
            kind=one["kind"],
            says=one["says"],
            accepts=tuple(one["accepts"]),
            never_effects=tuple(read["never"]),
            state=one.get("state", {}),
            setup=tuple(message for message, _ in read["after"][one["after"]]) if "after" in one else (),
            setup_expects=tuple(wanted for _, wanted in read["after"][one["after"]]) if "after" in one else (),
        )
        for place, one in enumerate(read["messages"], start=1)
    ]


def play_all(cases: Sequence[Case], library: Library) -> list[Played]:
    """Every case in a conversation of its own, after one turn a pack and locale that is not timed."""
    for pack, locale in sorted({(case.pack, case.locale) for case in cases}):
        library.begin({"pack": pack, "locale": locale}).reply("warm up", library.state(pack, {}))
    return [play(case, library) for case in cases]


def play(case: Case, library: Library) -> Played:
    """The tested turn after its setup. Raises ConstrainedError where the policy cannot come to that point."""
    dialogue = library.begin({"pack": case.pack, "locale": case.locale})
    state = library.state(case.pack, case.state)
    state, has_strayed = _lead_there(case, library, dialogue, state)
    begun = time.perf_counter()
    turn = library.reply(dialogue, case.says, state)
    ms = 1000 * (time.perf_counter() - begun)
    wrong = tuple(one for one in library.effects(turn) if one in case.never_effects)
    return Played(case, turn.response_id, wrong, has_strayed, ms)


def _lead_there(case: Case, library: Library, dialogue: Dialogue, state: State) -> tuple[State, bool]:
    """The state before the tested turn, and whether a reply had to be forced on the way."""
    has_strayed = False
    for place, (message, wanted) in enumerate(zip(case.setup, case.setup_expects, strict=True)):
        before = library.memory(dialogue)
        turn = library.reply(dialogue, message, state)
        if turn.response_id == wanted:
            state = library.settle(dialogue, turn, state)
            continue
        has_strayed = True
        library.back_to(dialogue, before)
        heard = case.setup_heard[place] if place < len(case.setup_heard) else {}
        fork, turn = library.force(dialogue, case.pack, message, heard, wanted, state)
        state = library.settle(fork, turn, state)
        library.back_to(dialogue, library.memory(fork))
    return state, has_strayed


def by(played: Iterable[Played], key: Callable[[Case], str]) -> dict[str, list[Played]]:
    """The played cases in groups, in the order of their names."""
    found: dict[str, list[Played]] = {}
    for one in played:
        found.setdefault(key(one.case), []).append(one)
    return dict(sorted(found.items()))


# -- golden dialogues and single messages of the shipped packs ---------------------------------------------------


def turns(pack: str, part: str, engine: Engine | None) -> Iterator[GoldenResult]:
    """The turns that count, as an engine takes them: all of the dialogues' (``golden``), or of ``sets/sense`` the message under test."""
    policy = load_policy(pack)
    for dialogue in _dialogues(pack, part):
        for result in run_golden(policy, dialogue, engine, by_rules=engine is None):
            if part == "golden" or result.golden is dialogue.turns[-1]:
                yield result


def _dialogues(pack: str, part: str) -> list[GoldenDialogue]:
    if part == "golden":
        return list(load_golden(ROOT / "dialogues" / f"{pack}.yaml").dialogues)
    path = ROOT / "benchmarks" / "sets" / "sense" / f"{pack}.{part}.yaml"
    return [_single(message) for message in yaml.safe_load(path.read_text(encoding="utf-8"))["messages"]]


def _single(message: Mapping[str, Any]) -> GoldenDialogue:
    """One message; where it answers a question of a procedure, that question comes ``before`` it, and only the message counts."""
    turn = GoldenTurn(says=message["says"], heard=message.get("heard", {}), expects=message["expects"])
    given = message.get("before")
    before = [] if given is None else [GoldenTurn(**({"says": "", "expects": given} if isinstance(given, str) else given))]
    return GoldenDialogue(name=message["says"], locale=message.get("locale"), state=message.get("state", {}), turns=(*before, turn))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
