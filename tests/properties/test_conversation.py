"""A conversation driven at random: messages, engines, deadlines, effects, once; whatever comes, the promises hold."""

from __future__ import annotations

import datetime as dt
import sys
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from constrained import Dialogue
from constrained.engines.protocol import Deadline
from constrained.errors import EffectError, EngineError
from constrained.packs import load_policy_file
from constrained.records.chain import check_follows
from constrained.records.replay import replay
from constrained.testing import SABOTAGES, RandomEngine, SabotagedEngine
from tests import oracle
from tests.conftest import DESK
from tests.strategies import messages

TODAY = dt.date(2026, 3, 2)


class Slow(RandomEngine):
    """A random engine that takes time on a clock of its own, and looks at it only sometimes."""

    def __init__(self, seed, clock):
        super().__init__(seed)
        self.clock = clock

    def choose(self, choices, scene, deadline=None):
        self.clock.now += self._random.choice([0.01, 0.1, 1.0])
        if deadline and self._random.random() < 0.7:
            deadline.check()
        return super().choose(choices, scene, deadline)


class Conversation(RuleBasedStateMachine):
    @initialize(threshold=st.sampled_from([0.0, 0.3, 1.0]), locale=st.sampled_from(["en", "es"]), owed=st.sampled_from([0, 2, "2.50"]))
    def begin(self, threshold, locale, owed):
        self.policy = load_policy_file(DESK / "logic" / "library.py")
        self.clock = SimpleNamespace(now=0.0)
        self.clock.monotonic = lambda: self.clock.now
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(sys.modules[Deadline.__module__], "time", self.clock)
        self.dialogue = Dialogue(self.policy, threshold=threshold, locale=locale, now=lambda: dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC))
        self.state, self.said, self.turns, self.pending = self.policy.state_type(owed=owed), {}, [], None

    @rule(
        message=messages,
        seed=st.integers(0, 999),
        kind=st.sampled_from([None, RandomEngine, Slow]),
        within=st.sampled_from([None, 0.0, 0.05, 0.5]),
    )
    def say(self, message, seed, kind, within):
        self.dialogue.engine = Slow(seed, self.clock) if kind is Slow else kind(seed) if kind else None
        before = self.state.model_dump_json()
        turn = self.dialogue.reply(message, self.state, within=within)
        assert self.state.model_dump_json() == before
        oracle.check(turn, oracle.sayable(self.policy, self.state, turn.heard, said=self.said, locale=self.dialogue.locale, today=TODAY))
        assert turn.record.said == self.said
        if turn.decision.mode == "rules" and kind is Slow and len(turn.decision.options) > 1:
            assert turn.effects == ()  # nobody chose it
        if turn.decision.abstained:
            assert (turn.response_id, turn.effects) == ("sorry", ())
        self.turns.append(turn)
        self.said |= dict.fromkeys(turn.said, len(self.turns))
        self.pending = turn

    @rule(message=messages, how=st.sampled_from(SABOTAGES))
    def say_to_a_broken_engine(self, message, how):
        self.dialogue.engine = SabotagedEngine(how)
        n_records = len(self.dialogue.log.records)
        try:
            turn = self.dialogue.reply(message, self.state)
        except EngineError:
            assert len(self.dialogue.log.records) == n_records
            return
        oracle.check(turn, oracle.sayable(self.policy, self.state, turn.heard, said=self.said, locale=self.dialogue.locale, today=TODAY))
        self.turns.append(turn)
        self.said |= dict.fromkeys(turn.said, len(self.turns))

    @precondition(lambda self: self.pending)
    @rule()
    def apply(self):
        """The effects of the last turn, and no other, become the state."""
        turn, self.pending = self.pending, None
        expected = self.state
        for effect in turn.effects:
            expected = effect.kind.run(expected, *effect.args)
        self.state = turn.apply(self.state)
        assert self.state == expected
        assert (self.state != expected.replace()) is False
        if turn.effects:
            with pytest.raises(EffectError):
                turn.apply(self.state)

    @precondition(lambda self: self.pending and self.pending.effects and self.pending.effects[0].name != "count")
    @rule()
    def apply_to_a_state_that_changed(self):
        """A book that was lent meanwhile, a debt that was paid: the precondition is checked again."""
        changed = self.state.replace(shelf=(), owed=0)
        with pytest.raises(EffectError):
            self.pending.apply(changed)

    @precondition(lambda self: hasattr(self, "turns"))
    @invariant()
    def the_log_tells_it_all(self):
        records = self.dialogue.log.records
        assert [one.text for one in records] == [turn.text for turn in self.turns]
        assert [one.number for one in records] == list(range(1, len(records) + 1))
        entries = self.dialogue.log.entries
        for before, entry in zip((None, *entries), entries, strict=False):
            check_follows(entry, before, "log", entry.sequence)
        assert sum("welcome" in turn.said for turn in self.turns) <= 1
        assert sum("secret" in turn.said for turn in self.turns) <= 1

    def teardown(self):
        if hasattr(self, "turns"):
            self.patch.undo()
            assert [one.error for one in replay(self.policy, self.dialogue.log.records) if one.error] == []


Conversation.TestCase.settings = settings(stateful_step_count=15)
TestConversation = Conversation.TestCase
