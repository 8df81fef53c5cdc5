"""Plays fixed conversations of the shipped packs: the same messages, states, clock, names and turn ids every time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from unittest import mock

from constrained import Dialogue, load_policy
from constrained.errors import EffectError, EngineError
from tests.golden_logs.names import RetentionRules, ScriptedEngine, existing, find_pack, load_golden, load_policy_file, retain

FOLDER = Path(__file__).parent
DESK_LOGIC = FOLDER / "desk" / "logic" / "card_desk.py"
APPROVED_AT = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)  # a day on which the approvals of the shipped packs are in force
MOST_STEPS = 5  # that a procedure goes on without a message
FAILING = 4  # every fourth turn with effects is one that the host cannot carry out


@dataclass(frozen=True)
class Script:
    """What one golden log holds.

    Attributes:
        pack: whose golden dialogues are played. names: the dialogues, by how their names begin.
        mode: ``rules`` without an engine, approvals required; ``scripted`` as the golden dialogues intend, drafts allowed;
            ``unsure`` with an engine that gives the intended reply too small a probability; ``poor`` as ``scripted``, and the
            purse is empty when the effects run.
        file: name under ``logs/``.
    """

    pack: str
    mode: str
    names: tuple[str, ...]
    suffix: str = ".jsonl"

    @property
    def file(self) -> str:
        return f"{self.pack}-{self.mode}{self.suffix}"


BANK = ("a parcel", "a stranger", "talked into", "a taxi", "no app", "two fees")
CLINIC = ("from hello", "a late", "una cita", "una urgencia")
TAVERN = ("buys", "haggles", "the trouble", "twice down", "a brawl", "the pelt", "the third")
SCRIPTS = (
    Script("bank_disputes", "scripted", BANK),
    Script("clinic_booking", "scripted", CLINIC),
    Script("tavern", "scripted", TAVERN),
    Script("bank_disputes", "rules", ("a lost purse",)),
    Script("clinic_booking", "rules", ("a life", "recetas")),
    Script("tavern", "rules", ("haggles", "a brawl")),
    Script("bank_disputes", "unsure", ("a gym", "four cases", "a holiday")),
    Script("clinic_booking", "unsure", ("no time", "a distancia")),
    Script("tavern", "unsure", ("the trouble", "supper")),
    Script("tavern", "poor", ("supper", "a bed"), suffix=".db"),
)


def logic_files() -> list[Path]:
    """The logic files whose lines stand in the logs."""
    return [*(find_pack(name).logic_path for name in sorted({script.pack for script in SCRIPTS})), DESK_LOGIC]


@dataclass
class Intended:
    """An engine that answers as it is told for each turn; with the first option where it is told none that is there."""

    probability: float = 0.9
    is_told: bool = True  # a golden dialogue says what each message means
    answers: dict = field(default_factory=dict)
    is_scripted = True

    @property
    def identity(self):
        return {"model": "intended", "tokenizer": "none"}

    def read(self, blanks, scene, deadline=None):
        return ScriptedEngine(lambda message: self.answers).read(blanks, scene, deadline)

    def choose(self, choices, scene, deadline=None):
        return [self._one(choice, scene) for choice in choices]

    def _one(self, choice, scene):
        probability = self.probability if choice.kind == "option" else 0.9
        for answers in (self.answers, {"reply": choice.candidates[0].key}):
            try:
                return ScriptedEngine(lambda message, told=answers: told, probability=probability).choose([choice], scene)[0]
            except EngineError:  # the conversation went another way than the golden dialogue
                continue
        raise AssertionError("the first candidate is always one")


class Conversation:
    """One conversation of a log, with turn ids made of its name and the place of the turn."""

    def __init__(self, policy, name, log, state, *, now, engine=None, minutes=1, **settings):
        self.engine, self.state, self.n_turns, self.n_effects, self.name = engine, state, 0, 0, name
        self.begins, self.minutes = now, minutes
        self.dialogue = Dialogue(policy, engine=engine, log=log, conversation=name, now=self.now, **settings)

    def now(self):
        return self.begins + timedelta(minutes=self.minutes * self.n_turns)

    def reply(self, message, answers=None):
        self.n_turns += 1
        if self.engine is not None:
            self.engine.answers = answers or {}
        with fixed_ids(f"{self.name} {self.n_turns}"):
            return self.dialogue.reply(message, self.state)

    def apply(self, turn, mode):
        self.n_effects += bool(turn.effects)
        if mode == "poor" and turn.effects:
            with suppress(EffectError):  # the log tells it, and the state stays
                self.state = turn.apply(self.state.model_copy(update={"gold": 0})).model_copy(update={"gold": self.state.gold})
        elif mode != "scripted" and turn.effects and self.n_effects % FAILING == 0:
            turn.failed("not carried out")
        else:
            self.state = turn.apply(self.state)


@contextmanager
def fixed_ids(name: str) -> Iterator[None]:
    """Every ``uuid.uuid4`` is the one of this name: modules must call it as ``uuid.uuid4()``."""
    with mock.patch("uuid.uuid4", return_value=uuid.uuid5(uuid.NAMESPACE_URL, name)):
        yield


def play(script: Script, log) -> None:
    """Takes all turns of a script; the entries are in ``log`` afterwards."""
    policy = load_policy(script.pack)
    dialogues = load_golden(find_pack(script.pack).dialogues_path).dialogues
    for begin in script.names:
        (golden,) = [one for one in dialogues if one.name.startswith(begin)]
        _play_one(script, policy, golden, log)


def _play_one(script, policy, golden, log) -> None:
    state = policy.state_type.default() if golden.state is None else policy.state_type.from_json(golden.state)
    is_open = script.mode != "rules"
    engine = Intended(0.25 if script.mode == "unsure" else 0.9) if is_open else None
    settings = {"drafts": True} if is_open else {"channel": "chat", "jurisdiction": "EU"}
    now = _noon(state) if is_open else APPROVED_AT
    talk = Conversation(
        policy, f"{script.mode}: {golden.name}", log, state, now=now, engine=engine, locale=golden.locale, threshold=0.3, **settings
    )
    for one in golden.turns:
        if script.mode != "scripted" and not one.says:
            continue  # only where its procedure goes on
        turn = talk.reply(one.says, _answers(policy, one))
        talk.apply(turn, script.mode)
        for _ in range(MOST_STEPS):
            if script.mode == "scripted" or not turn.goes_on:
                break
            turn = talk.reply("")
            talk.apply(turn, script.mode)


def play_sealed(log) -> None:
    """Two conversations of a desk whose values are marked sensitive, one of the clinic; one person is erased."""
    desk = load_policy_file(DESK_LOGIC)
    for name in ("card, to be erased", "card, kept"):
        talk = Conversation(desk, name, log, desk.state_type.default(), now=APPROVED_AT, engine=Intended(), minutes=6, drafts=True)
        for message, answers in [
            ("My card is gone", {"lost": True, "reply": "blocked"}),
            ("And I have a cold", {"ill": True, "reply": "well"}),
            ("What?", {"reply": "pardon"}),
        ]:
            talk.apply(talk.reply(message, answers), "scripted")
    clinic = Script("clinic_booking", "scripted", ("no time",))
    play(clinic, log)
    log.erase("card, to be erased", by="Demo Officer", reason="asked for", now=lambda: APPROVED_AT)


def play_private(log, keys) -> None:
    """A conversation with a card in it, masked and sealed by day; its messages are erased after a month, one conversation is held."""
    desk = load_policy_file(DESK_LOGIC)
    for name in ("private", "private, held"):
        talk = Conversation(
            desk, name, log, desk.state_type.default(), now=APPROVED_AT, engine=Intended(), minutes=6, drafts=True, mask=True
        )
        for message, answers in [
            ("My card 4111 1111 1111 1111 is gone", {"lost": True, "reply": "blocked"}),
            ("What?", {"reply": "pardon"}),
        ]:
            talk.apply(talk.reply(message, answers), "scripted")
    rules = RetentionRules({"message": 30}, frozenset({"private, held"}), "sha256:0")
    retain(log.log, existing(log.log.path), keys, rules, now=APPROVED_AT + timedelta(days=60), by="Demo Officer")


def _answers(policy, golden) -> dict:
    heard = policy.heard_type.from_json(golden.heard)
    return {name: getattr(heard, name) for name in type(heard).model_fields} | {"reply": golden.expects}


def _noon(state) -> datetime:
    today = getattr(state, "today", None)
    return datetime.combine(today, time(12), UTC) if isinstance(today, date) else APPROVED_AT
