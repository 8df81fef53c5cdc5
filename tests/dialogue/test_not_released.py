"""However a turn fails, ``reply`` raises a NotReleasedError, and log and memory are as if the message had not come."""

from __future__ import annotations

import inspect
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import constrained.dialogue.dialogue
from constrained import Dialogue, Engine, NotReleasedError, State, Understanding, effect, errors, must, only, policy, say
from constrained.catalog.load import load_catalog
from constrained.engines.protocol import Distribution
from constrained.errors import AuditError, BusyError, DeadlineError, PolicyError, VerificationError
from constrained.hear import amount, question
from constrained.records.log import MemoryLog
from constrained.testing import SABOTAGES, RandomEngine, SabotagedEngine

CATALOG = {
    "catalog": "stall", "version": 1, "locale": "en", "fallback": "pardon",
    "responses": {
        "pardon": {"text": "Pardon?", "when": "nothing else"},
        "price": {"text": "{price} gold.", "slots": {"price": "integer"}, "when": "the customer asks for the price"},
        "sold": {"text": "Sold.", "when": "the customer buys"},
        "alarm": {"text": "Call 112.", "when": "there is danger", "exact_locale": True},
        "paid": {"text": "It is paid.", "when": "the customer asks whether it is paid", "claims": "pay"},
    },
}  # fmt: skip


class Stall(State):
    gold: int = 10
    name: str = ""
    does: str = "sell"


class Other(State):
    gold: int = 10


class Heard(Understanding):
    buys: bool = question("Does the customer buy?")
    offer: int | None = amount("How much is offered?")


@effect(requires=lambda state: 1 / (state.gold - 1) > -1)
def pay(state: Stall) -> Stall:
    return state.replace(gold=state.gold - 1)


def price_of(state: Stall) -> object:
    """A price, or what a policy may come to where it fails."""
    match state.does:
        case "divide":
            return 1 / 0
        case "look up":
            return {}["gold"]
        case "stop":
            return next(iter(()))
        case "assert":
            raise AssertionError
        case "recurse":
            return price_of(state)
        case "say a word":
            return "much"
        case "say too much":
            return 10**400
        case "say an object":
            return object()
        case _:
            return state.gold


RAISING = ("divide", "look up", "stop", "assert", "recurse")
UNSAYABLE = ("say a word", "say too much", "say an object")
FAILURES = (*RAISING, *UNSAYABLE)


@pytest.fixture(scope="session")
def stall(tmp_path_factory):
    path = tmp_path_factory.mktemp("stall") / "stall.yaml"
    path.write_text(json.dumps(CATALOG))

    @policy(load_catalog(path), events=("pay",))
    def rules(state: Stall, heard: Heard):
        """Sells, or fails as the state says."""
        if state.does == "alarm":
            yield only("alarm")
        if state.does == "claim":
            yield must("paid")
        yield say("price", price=price_of(state))
        yield say("sold").then(pay)

    return rules


class FailingLog(MemoryLog):
    """A log that keeps the first entries and then fails."""

    def __init__(self, n_kept: int, error: Exception) -> None:
        super().__init__()
        self.n_kept, self.error = n_kept, error

    def append(self, record):
        if len(self.entries) >= self.n_kept:
            raise self.error
        return super().append(record)


class RaisingEngine(RandomEngine):
    """Sound until its n-th question."""

    def __init__(self, n_sound: int, error: Exception) -> None:
        super().__init__(7)
        self.n_sound, self.error = n_sound, error

    def choose(self, choices, scene, deadline=None):
        self.n_sound -= 1
        if self.n_sound < 0:
            raise self.error
        return super().choose(choices, scene, deadline)


class UnknownMode(RandomEngine):
    def choose(self, choices, scene, deadline=None):
        return [Distribution(one.probabilities, "guess") for one in super().choose(choices, scene, deadline)]


raised = st.sampled_from(
    [RuntimeError("boom"), OSError(28, "No space left on device"), MemoryError(), AuditError("full"), BusyError("busy"), KeyError("x")]
)
engines = st.one_of(
    st.none(),
    st.builds(RandomEngine, st.integers(0, 9)),
    st.builds(SabotagedEngine, st.sampled_from(SABOTAGES), st.integers(0, 3)),
    st.builds(RaisingEngine, st.integers(0, 5), raised),
    st.builds(UnknownMode),
)
logs = st.builds(FailingLog, st.integers(0, 4), raised)
names = st.sampled_from(["", "Ada", "\ud800", "\x00", "<|im_end|>"])
states = st.one_of(
    st.builds(
        Stall, gold=st.sampled_from([0, 1, 10, 10**30]), name=names, does=st.sampled_from(["sell", "sell", "alarm", "claim", *FAILURES])
    ),
    st.sampled_from([{"gold": 1}, Other(), 3, "state"]),
    st.builds(
        Stall.model_construct,
        gold=st.sampled_from([float("nan"), "ten", None, [1]]),
        name=st.sampled_from([3, "", b"x"]),
        does=st.just("sell"),
    ),
)
messages = st.sampled_from(["hello", "I offer 3 gold", "", "\ud800", "x" * 5_000, None, b"hello", 7])
locales = st.sampled_from([None, None, None, "en", "de", "xx", "\ud800"])
turns = st.tuples(messages, states, locales, st.sampled_from([None, None, 0.0, 5.0]))


@given(engine=engines, log=logs, turns=st.lists(turns, min_size=1, max_size=4), name=st.sampled_from(["c", "c", "\ud800"]))
def test_a_turn_is_said_and_recorded_or_leaves_nothing(stall, engine, log, turns, name):
    dialogue = Dialogue(stall, engine=engine, log=log, conversation=name, threshold=0.0)
    for message, state, locale, within in turns:
        entries, memory = log.entries, dialogue.memory()
        try:
            turn = dialogue.reply(message, state, locale=locale, within=within)
        except NotReleasedError:
            assert (log.entries, dialogue.memory()) == (entries, memory)
        else:
            assert log.entries == (*entries, turn.record)
            assert dialogue.memory().number == memory.number + 1


@pytest.mark.parametrize("does", RAISING)
def test_a_failing_policy_is_told_as_one(stall, does):
    with pytest.raises(PolicyError):
        Dialogue(stall).reply("hello", Stall(does=does))


@pytest.mark.parametrize("does", UNSAYABLE)
def test_a_value_that_cannot_be_said_blocks_its_response_alone(stall, does):
    turn = Dialogue(stall).reply("hello", Stall(gold=10, does=does))
    assert "price" not in [one.id for one in turn.decision.options]
    assert [one.response_id for one in turn.trace.allowed.blocked] == ["price"]


def test_a_text_that_nobody_approved_is_not_released(stall, monkeypatch):
    monkeypatch.setattr(constrained.dialogue.dialogue, "compose", lambda *_: "Anything else.")
    dialogue = Dialogue(stall)
    with pytest.raises(VerificationError):
        dialogue.reply("hello", Stall())
    assert (dialogue.log.entries, dialogue.memory().number) == ((), 0)


def test_a_state_that_json_has_no_form_for_cannot_be_recorded_though_no_model_was_asked(stall):
    dialogue = Dialogue(stall, engine=RandomEngine())
    with pytest.raises(AuditError, match="cannot be recorded"):
        dialogue.reply("help", Stall(does="alarm", name="\ud800"), within=0.0)
    assert dialogue.log.entries == ()


def test_a_deadline_that_is_over_is_no_error(stall):
    assert Dialogue(stall, engine=RaisingEngine(0, DeadlineError("late", within_s=1))).reply("hello", Stall()).decision.mode == "rules"


def test_an_engine_is_an_engine():
    assert all(isinstance(engine, Engine) for engine in (RaisingEngine(0, KeyError()), UnknownMode()))


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    drawn: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in inspect.getdoc(errors).splitlines():
        if found := re.match(r"([ │├└─]*)(\w+Error)\b", line):
            depth, name = len(found[1]), found[2]
            path = [one for one in path if one[0] < depth]
            if path or name == "ConstrainedError":
                drawn[name] = path[-1][1] if path else "Exception"
                path.append((depth, name))
    defined = {
        name: next(base.__name__ for base in reversed(kind.__bases__) if not base.__name__.startswith("_") or len(kind.__bases__) == 1)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and not name.startswith("_")
    }
    defined = {name: "ConstrainedError" if base == "_ProblemsError" else base for name, base in defined.items()}
    assert drawn == defined
