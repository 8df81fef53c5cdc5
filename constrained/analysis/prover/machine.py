"""A pack as a transition system: from one point of a conversation, by what is heard and chosen, to the next.

A point is a tuple of small numbers: one for each field of the state, one for each response of which it matters whether
it was said. The policy runs only where a point differs in something that it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from constrained.analysis.prover.memories import Memories, reads_whole
from constrained.analysis.prover.watch import DoneWatch, Fork, HeardWatch, Key, Known, Memo, SaidWatch, StateWatch, Values, plain_state
from constrained.analysis.samples import Domain
from constrained.approval.in_force import ApprovalSnapshot
from constrained.errors import ConstrainedError
from constrained.logic.allow import TurnOptions, run
from constrained.logic.effects import Effect
from constrained.logic.options import Option
from constrained.logic.policy import Policy
from constrained.logic.state import Memory, State
from constrained.procedures.run import heard_text

Picks = tuple[tuple[str, Any], ...]
Changes = tuple[tuple[int, int], ...]  # (slot, number of its value)


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """What may happen in a turn: something is said, and effects follow.

    Attributes:
        said: every response of the turn, in order; ``chosen`` at this ``place`` among them.
        is_forced: nothing but the fallback might be said.
        memory: number of the memory after it. fails: the host could not carry out the effects.
        is_option: a message can choose it; False for an offer and for the catalog's own, which are said in place of an option.
    """

    number: int
    chosen: str
    said: tuple[str, ...]
    effects: tuple[Effect, ...]
    is_forced: bool
    line: int
    place: int
    memory: int = 0
    fails: bool = False
    is_option: bool = True

    @property
    def events(self) -> frozenset[str]:
        """Names of what happens: responses and effects."""
        return frozenset((*self.said, *self.done))

    @property
    def done(self) -> tuple[str, ...]:
        """Names of the effects, in order; none where they failed."""
        return () if self.fails else tuple(one.name for one in self.effects)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the logic allows when certain things were heard.

    Attributes:
        moves: numbers of moves. blocked: (response id, line, reason).
        error: why the turn cannot be taken; empty when it can.
    """

    moves: tuple[int, ...]
    obliged: tuple[str, ...] = ()
    blocked: tuple[tuple[str, int, str], ...] = ()
    error: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """An effect that could not run, though its option was allowed."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """All turns that one point of a conversation may take.

    Attributes:
        branches: what may be heard, and what comes of it; the defaults first.
        moves: number of a move -> number of the first branch that allows it.
        places: number of a move -> its place among them. reads: slots that decide all this.
        changes: number of a move -> what its effects change, where that is the same at every such point.
        has_errors: some turn cannot be taken.
    """

    number: int
    branches: tuple[tuple[Picks, Outcome], ...]
    moves: dict[int, int]
    places: dict[int, int]
    reads: frozenset[int]
    has_errors: bool
    changes: dict[int, Changes | Failure] = field(default_factory=dict)


class Machine:
    """The transition system of one policy.

    Args:
        domains: what may be heard. standing: which approvals count. today: the day where the state has none.
    """

    def __init__(
        self, policy: Policy, domains: Mapping[str, Domain], *, standing: ApprovalSnapshot, today: date, locale: str | None = None
    ) -> None:
        self.policy, self.domains = policy, dict(domains)
        self.standing, self.today, self.locale = standing, today, locale or policy.catalog.locale
        self.values = Values()
        self.fields = tuple(policy.state_type.model_fields)
        self.slots = {name: self.values.add_slot() for name in self.fields}
        self.memories = Memories(policy)
        self.memory_slot = self.values.add_slot()
        self.said_slots: dict[str, int] = {}
        self.done_slots: dict[str, int] = {}
        self.moves: list[Move] = []
        self.leaves: list[Turns] = []
        self.read_domains: set[str] = set()
        self._heard_names = tuple(self.domains)
        self._move_numbers: dict[Any, int] = {}
        is_plain, heard_type = not reads_whole(policy), policy.heard_type
        self._state_watch = StateWatch(policy.state_type, self._touch, is_plain=is_plain)
        self._heard_watch = HeardWatch(heard_type, self._choose, is_plain=is_plain) if heard_type else None
        self._watching = _watching(policy, self._state_watch, self._heard_watch)
        self._outcomes: Memo[Outcome] = Memo()
        self._turns: Memo[Turns] = Memo()
        self._changes_of: list[Memo[Any]] = []
        self._reads: dict[int, tuple[int, tuple[Any, ...]]] = {}
        self._point: Key = ()
        self._forced: tuple[int, ...] = ()
        self._picks: list[tuple[str, Any]] = []
        self._said, self._done = SaidWatch(self._is_said), DoneWatch(self._is_done)
        for response_id in self.memories.said:
            self.said_slots[response_id] = self.values.add_slot()
        for event in self.memories.done:
            self.done_slots[event] = self.values.add_slot()

    # -- points --------------------------------------------------------------------------------------

    def point(self, state: State) -> Key:
        """Where a conversation begins in a state."""
        numbers = [self.values.number(self.slots[name], getattr(state, name)) for name in self.fields]
        return (*numbers, 0, *(0 for _ in self.said_slots), *(0 for _ in self.done_slots))

    def state(self, point: Key) -> State:
        """The state at a point."""
        values = {name: self.values.value(slot, point[slot]) for name, slot in self.slots.items()}
        return plain_state(self.policy.state_type, values)

    # -- one turn ------------------------------------------------------------------------------------

    def turns(self, point: Key) -> Turns:
        """Every turn from here."""
        known = self._turns.find(point)
        if known is None:
            reads, branches = self._visited(point)
            turns = _gathered(len(self.leaves), branches, frozenset(reads))
            self.leaves.append(turns)
            self._turns.keep([(slot, point[slot]) for slot in reads], turns)
            return turns
        return known.answer

    def after(self, point: Key, turns: Turns, number: int) -> Key | Failure:
        """Where a move leads from a point with these turns, or the effect that cannot run."""
        answer = turns.changes.get(number)
        if answer is None:
            changes = self._changes_of[number]
            known = changes.find(point)
            answer = known.answer if known is not None else self._ran(point, number)
            if turns.reads.issuperset(changes.slots(point)):
                turns.changes[number] = answer
        if isinstance(answer, Failure):
            return answer
        after = list(point)
        for slot, value in answer:
            after[slot] = value
        return tuple(after)

    # -- running the logic ---------------------------------------------------------------------------

    def _touch(self, name: str) -> None:
        slot = self.slots[name]
        if slot not in self._reads:
            self._reads[slot] = (self._point[slot], ())

    def _is_said(self, response_id: str) -> bool:
        return self._is_set(self.said_slots[response_id])

    def _is_done(self, event: str) -> bool:
        return self._is_set(self.done_slots[event])

    def _is_set(self, slot: int) -> bool:
        self._reads.setdefault(slot, (self._point[slot], ()))
        return bool(self._point[slot])

    def _choose(self, name: str) -> Any:
        """The value of a field of what was heard: as the present branch has it, the first one where it is new."""
        is_silent = self.memories.is_silent(self._point[self.memory_slot])
        domain = (self.domains[name].values or (None,))[:1] if is_silent else self.domains[name].in_state(self._watched)
        if self.domains[name].basis == "sample":
            self.read_domains.add(name)
        chosen = self._forced[len(self._picks)] if len(self._picks) < len(self._forced) else 0
        self._reads[~self._heard_names.index(name)] = (chosen, domain)
        self._picks.append((name, domain[chosen]))
        return domain[chosen]

    def _visited(self, point: Key) -> tuple[list[int], list[tuple[Picks, Outcome]]]:
        """The slots that decide what may happen here, and all of that."""
        reads: dict[int, None] = {}
        branches: list[tuple[Picks, Outcome]] = []
        todo: list[tuple[Fork[Outcome] | Known[Outcome] | None, tuple[int, ...], Picks]] = [(self._outcomes.root, (), ())]
        while todo:
            node, forced, picks = todo.pop()
            if node is None:
                self._run(point, forced)
                node = self._found(point, forced)
            while type(node) is Fork and node.slot >= 0:
                reads[node.slot] = None
                following = node.ways.get(point[node.slot])
                if following is None:
                    self._run(point, forced)
                    following = node.ways[point[node.slot]]
                node = following
            if isinstance(node, Known):
                branches.append((picks, node.answer))
            elif isinstance(node, Fork):
                name = self._heard_names[~node.slot]
                for number in reversed(range(len(node.domain))):
                    todo.append((node.ways.get(number), (*forced, number), (*picks, (name, node.domain[number]))))
        return list(reads), branches

    def _found(self, point: Key, forced: tuple[int, ...]) -> Fork[Outcome] | Known[Outcome] | None:
        """Where the tree of outcomes stands right after these were heard."""
        node, left = self._outcomes.root, list(forced)
        while isinstance(node, Fork) and left:
            node = node.ways.get(point[node.slot] if node.slot >= 0 else left.pop(0))
        return node

    def _run(self, point: Key, forced: tuple[int, ...]) -> None:
        """Runs the logic once, and keeps what came of it."""
        self._begin(point, forced)
        outcome = self._outcome()
        reads = [(slot, number) for slot, (number, _) in self._reads.items()]
        self._outcomes.keep(reads, outcome, {slot: domain for slot, (_, domain) in self._reads.items() if slot < 0})

    def _begin(self, point: Key, forced: tuple[int, ...] = ()) -> None:
        self._reads, self._point, self._forced, self._picks = {}, point, forced, []
        self._watched = self._state_watch.make({name: self.values.value(slot, point[slot]) for name, slot in self.slots.items()})

    def _outcome(self) -> Outcome:
        today = getattr(self._watched, "today", None)
        heard = self._heard_watch.make() if self._heard_watch else None
        try:
            ran = run(
                self._watching,
                self._watched,
                heard,
                self._memory(),
                locale=self.locale,
                today=today if isinstance(today, date) else self.today,
                approvals=self.standing,
            )
        except ConstrainedError as error:
            first = next(iter(getattr(error, "problems", ())), None)
            return Outcome((), error=first.message if first else error.message, line=first.line if first else 0)
        return self._outcome_of(ran, heard_text(heard))

    def _memory(self) -> Memory:
        number = self._point[self.memory_slot]
        if not self.memories.is_plain:
            self._reads.setdefault(self.memory_slot, (number, ()))
        return self.memories.memory(number, self._said, self._done)

    def _outcome_of(self, ran: TurnOptions, heard: str) -> Outcome:
        allowed = ran.allowed
        fallback = self.policy.catalog.fallback
        is_forced = len(allowed.options) == 1 and allowed.options[0].id == fallback
        moves, number = [], self._point[self.memory_slot]
        for index, option in enumerate(allowed.sayable):  # the offers and the catalog's own, too: words without an effect
            spoken, is_option = ran.said(option), index < len(allowed.options)
            said, place = tuple(one.id for one in spoken), next(place for place, one in enumerate(spoken) if one is option)
            ends = self.memories.after(number, ran, option, heard)
            moves += [
                self._move(option, said, place, memory, is_forced=is_forced, fails=fails, is_option=is_option) for memory, fails in ends
            ]
        obliged = tuple(one.id for one in allowed.obligations)
        return Outcome(tuple(moves), obliged, tuple((one.response_id, one.source.line, one.reason) for one in allowed.blocked))

    def _move(
        self, option: Option, said: tuple[str, ...], place: int, memory: int, *, is_forced: bool, fails: bool, is_option: bool
    ) -> int:
        effects = tuple((one.name, repr(one.args), repr(sorted(one.kwargs.items()))) for one in option.effects)
        key = (option.id, said, place, effects, is_forced, memory, fails, is_option)
        found = self._move_numbers.get(key)
        if found is None:
            found = self._move_numbers[key] = len(self.moves)
            line = option.source.line
            self.moves.append(Move(found, option.id, said, option.effects, is_forced, line, place, memory, fails, is_option))
            self._changes_of.append(Memo())
        return found

    def _ran(self, point: Key, number: int) -> Any:
        """Runs the effects of a move and keeps what they change: pairs of a slot and a number, or the failure."""
        move = self.moves[number]
        self._begin(point)
        answer: Any = {} if move.fails else self._effects_ran(move)
        reads = [(slot, value) for slot, (value, _) in self._reads.items()]
        if not isinstance(answer, Failure):
            changed = [(self.slots[name], self.values.number(self.slots[name], value)) for name, value in answer.items()]
            changed += [(self.said_slots[one], 1) for one in move.said if one in self.said_slots]
            changed += [(self.done_slots[one], 1) for one in move.done if one in self.done_slots]
            changed += [] if self.memories.is_plain else [(self.memory_slot, move.memory)]
            answer = tuple(changed)
        self._changes_of[number].keep(reads, answer)
        return answer

    def _effects_ran(self, move: Move) -> dict[str, Any] | Failure:
        """As ``Turn.apply`` runs them, one after the other."""
        state: Any = self._watched
        done: list[str] = []
        for effect in move.effects:
            try:
                if not effect.holds(state):
                    return Failure(f"the precondition of {effect} does not hold after {', '.join(done) or 'the option was allowed'}")
                state = effect.kind.run(state, *effect.args, **effect.kwargs)
            except Exception as error:  # an effect is the host's code; that it fails is what is looked for
                return Failure(f"{effect} failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
            if not isinstance(state, self.policy.state_type):
                return Failure(f"{effect} returned {type(state).__name__}, not a {self.policy.state_type.__name__}")
            done.append(str(effect))
        return self._state_watch.changes(state)


def _gathered(number: int, branches: list[tuple[Picks, Outcome]], reads: frozenset[int]) -> Turns:
    """Branches with fewest departures from the defaults first, so that a witness says no more than it needs."""
    ordered = sorted(branches, key=lambda branch: sum(value not in (None, False) for _, value in branch[0]))
    moves: dict[int, int] = {}
    for index, (_, outcome) in enumerate(ordered):
        for move in outcome.moves:
            moves.setdefault(move, index)
    places = {move: place for place, move in enumerate(moves)}
    return Turns(number, tuple(ordered), moves, places, reads, any(outcome.error for _, outcome in ordered))


def _watching(policy: Policy, states: StateWatch, heards: HeardWatch | None) -> Policy:
    """The policy with procedures that hold watched values."""
    heard_type = heards.type if heards else None
    return policy.__replace__(procedures=replace(policy.procedures, state_type=states.type, heard_type=heard_type))
