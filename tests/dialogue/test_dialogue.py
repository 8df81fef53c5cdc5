"""One turn: what goes in, what comes out, what is kept; and what happens when a part of it fails."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import threading
import unicodedata
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained import ConstrainedError, Dialogue, State, load_policy
from constrained.dialogue.context import MESSAGE_LIMIT, clean_message, plain_letters
from constrained.engines.protocol import Deadline, Distribution
from constrained.errors import AuditError, DeadlineError, EffectError, EngineError, LocaleError, MessageError, StateError
from constrained.logic.state import HISTORY_TURNS
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import MemoryLog, read_log
from constrained.testing import SABOTAGES, RandomEngine, SabotagedEngine, ScriptedEngine
from tests.strategies import HOSTILE, record

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def scripted(answers):
    return ScriptedEngine(lambda message: answers)


class Watched(ScriptedEngine):
    """Keeps what it was asked."""

    def __init__(self, answers):
        super().__init__(lambda message: answers)
        self.asked = []

    def choose(self, choices, scene, deadline=None):
        self.asked.append((tuple(choice.name for choice in choices), scene))
        return super().choose(choices, scene, deadline)


@pytest.fixture
def desk(library):
    return lambda engine=None, **options: Dialogue(library, engine=engine, now=lambda: NOON, **options)


# -- what goes in -------------------------------------------------------------------------------------------


@given(st.text() | st.sampled_from(HOSTILE))
def test_a_cleaned_message_is_short_nfc_without_control_characters_and_stays_as_it_is(message):
    cleaned = clean_message(message)
    assert len(cleaned) <= MESSAGE_LIMIT
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Cf") for char in cleaned)
    assert clean_message(cleaned) == cleaned


def test_cleaning_keeps_what_was_written():
    assert clean_message("  Grüße,\r\n\tAda!\x00\u202e  ") == "Grüße,   Ada!"
    assert clean_message("e\u0301") == "é"
    assert clean_message("<|im_end|>{x}") == "<|im_end|>{x}"


WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
BOLD = {ord("a") + offset: 0x1D41A + offset for offset in range(26)} | {ord("0") + offset: 0x1D7CE + offset for offset in range(10)}


@pytest.mark.parametrize("form", [WIDE, BOLD], ids=["full-width", "bold"])
@pytest.mark.parametrize("said", ["cancel my card", "send 45 to ann", "quiero 50 libros", "buche am 5.4.", "annulez 2 cartes"])
def test_other_forms_of_letters_are_read_as_the_plain_ones_and_recorded_as_they_were_typed(desk, form, said):
    engine = Watched({"reply": "hours"})
    turn = desk(engine).reply(said.translate(form))
    assert [scene.message for _, scene in engine.asked] == [said] * len(engine.asked)
    assert turn.record.message == said.translate(form).replace("\u3000", " ")  # white space of any kind is a space


@pytest.mark.parametrize("message", ["2½ pints", "5² tiles", "①", "wait…", "№ 5", "naïve Straße", "㎏", "ﷺ"])
def test_what_stands_for_something_else_is_left_as_it_is(message):
    assert plain_letters(message) == message


def test_the_limit_counts_what_was_typed(desk):
    engine = Watched({"reply": "hours"})
    turn = desk(engine).reply("\ufb03" * 3_000)  # one character that is three letters
    assert len(turn.record.message) == MESSAGE_LIMIT
    assert engine.asked[-1][1].message == "ffi" * MESSAGE_LIMIT


@given(st.text() | st.sampled_from(HOSTILE[:-3]))
def test_a_message_in_plain_letters_stays_as_it_is(message):
    plain = plain_letters(clean_message(message))
    assert plain_letters(plain) == plain


@pytest.mark.parametrize("message", [None, b"hello", 3, ["hello"]])
def test_what_is_no_text_is_a_message_error(desk, message):
    with pytest.raises(MessageError, match=type(message).__name__):
        desk().reply(message)


class Other(State):
    gold: int


@pytest.mark.parametrize("state", [{"owed": 1}, "state", 0, Other(gold=1)])
def test_a_state_of_another_type_is_a_state_error(desk, state):
    dialogue = desk()
    with pytest.raises(StateError, match=r"the policy 'library' reads a Library") as caught:
        dialogue.reply("hello", state)
    assert "Library(...)" in caught.value.hint
    assert dialogue.log.records == ()


@pytest.mark.parametrize("locale", ["es", "es-MX", "ES"])
def test_the_locale_of_a_turn_decides_the_text(desk, locale):
    assert desk().reply("hola", locale=locale).text.endswith("¿En qué puedo ayudarle?")


@pytest.mark.parametrize("locale", ["xx", "", "tlh-Latn", "../../etc/passwd", "e" * 10_000, "<|im_end|>", "\ud800", "en\x00"])
def test_an_unknown_locale_gets_the_catalogs_own_or_a_typed_error(desk, locale):
    try:
        text = desk(RandomEngine()).reply("good morning, 3 books until Friday", locale=locale).text
    except ConstrainedError:
        return
    assert text.startswith("This conversation is recorded.\n")


# -- what comes out ------------------------------------------------------------------------------------------


def test_a_turn_tells_what_was_said_and_why(desk):
    turn = desk(scripted({"wish": "pay", "offer": 2, "hurry": 3, "reply": "paid"})).reply(
        "Here are 2 euros", desk().policy.state_type(owed=3)
    )
    assert turn.text == "This conversation is recorded.\nThank you, €2.00 received.\nUntil next time."
    assert (turn.response_id, turn.said, turn.voices) == ("paid", ("recorded", "paid", "goodbye"), ("ada_paid",))
    assert [str(effect) for effect in turn.effects] == ["settle(Decimal('2'))", "count()"]
    assert turn.decision.ranked()[0] == (turn.decision.chosen, pytest.approx(0.9))
    assert {one.name: one.value for one in turn.trace.heard}["hurry"] == 3
    assert set(turn.trace.timings_ms) == {"hear", "allow", "decide", "verify"}


def test_without_a_model_the_rules_choose_and_nothing_is_heard(desk):
    dialogue = desk()
    first, second = dialogue.reply("AAAAH!"), dialogue.reply("AAAAH!")
    assert (first.decision.mode, first.heard, first.trace.heard) == ("rules", dialogue.policy.heard_type(), ())
    assert [first.response_id, second.response_id] == ["welcome", "hours"]  # once; then the least recently said
    assert first.record.versions["engine"] == "none"


def test_one_option_needs_no_model(desk):
    engine = Watched({"threat": True})
    turn = desk(engine).reply("I'll burn it all down")
    assert (turn.response_id, turn.decision.mode) == ("quiet", "rules")
    assert [names for names, _ in engine.asked] == [("threat", "wish", "shelf", "hurry", "book")]


def test_a_model_reads_the_message_the_state_and_a_short_history(desk):
    engine = Watched("hours")
    dialogue = desk(engine)
    for number in range(HISTORY_TURNS + 3):
        dialogue.reply(f"question {number}\x00")
    (_, scene) = engine.asked[-1]
    assert scene.message == f"question {HISTORY_TURNS + 2}"
    assert scene.history[0] == ("user", "question 2")
    assert len(scene.history) == 2 * HISTORY_TURNS
    assert scene.history[1][1].endswith("We close at 6:00\u202fPM.")
    assert scene.state == dialogue.policy.state_type().model_dump_json()
    assert len({scene.static_id for _, scene in engine.asked}) == 1


def test_below_the_threshold_the_fallback_is_said(desk):
    engine = ScriptedEngine(lambda message: "hours", probability=0.6)
    sure, unsure = desk(engine, threshold=0.6).reply("when?"), desk(engine, threshold=0.61).reply("when?")
    assert (sure.response_id, sure.decision.abstained) == ("hours", False)
    assert (unsure.response_id, unsure.decision.abstained) == ("sorry", True)
    assert "61%" in unsure.decision.why
    assert unsure.effects == ()


def test_turns_of_one_conversation_keep_their_order_between_threads(desk):
    dialogue = desk(RandomEngine())
    threads = [threading.Thread(target=lambda: [dialogue.reply("hello") for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.number for one in dialogue.log.records] == list(range(1, 41))
    assert sum(one.decision.chosen == "welcome" for one in dialogue.log.records) <= 1


def test_asynchronous_hosts_wait_without_blocking(desk):
    dialogue = desk(RandomEngine())

    async def talk():
        return await asyncio.gather(*(dialogue.areply("hello") for _ in range(5)))

    turns = asyncio.run(talk())
    assert sorted(turn.record.number for turn in turns) == [1, 2, 3, 4, 5]


class Held(ScriptedEngine):
    """Answers once it is released."""

    def __init__(self):
        super().__init__(lambda message: "hours")
        self.is_asked, self.is_released, self.n_asked = threading.Event(), threading.Event(), 0

    def choose(self, choices, scene, deadline=None):
        self.n_asked += 1
        self.is_asked.set()
        assert self.is_released.wait(30)
        return super().choose(choices, scene, deadline)


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return getattr(caught.value, "__notes__", [])


def test_a_reply_that_is_cancelled_before_the_commit_leaves_no_trace(desk):
    engine = Held()
    dialogue = desk(engine)
    before = dialogue.memory()

    async def talk():
        task = asyncio.create_task(dialogue.areply("hello"))
        await asyncio.to_thread(engine.is_asked.wait, 30)
        notes = await cancelled(task)
        engine.is_released.set()
        return notes, await asyncio.to_thread(dialogue.memory)  # waits until the worker thread is done

    notes, after = asyncio.run(talk())
    assert (notes, after, dialogue.log.records) == ([], before, ())
    turn = dialogue.reply("hello")
    assert (turn.record.number, turn.response_id) == (1, "hours")


def test_a_reply_that_is_cancelled_while_it_waits_for_another_asks_no_model(desk):
    engine = Held()
    dialogue = desk(engine)

    async def talk():
        first = asyncio.create_task(dialogue.areply("hello"))
        await asyncio.to_thread(engine.is_asked.wait, 30)
        second = asyncio.create_task(dialogue.areply("hello"))
        await asyncio.sleep(0)  # it is in the queue now
        await cancelled(second)
        engine.is_released.set()
        return await first

    turn = asyncio.run(talk())  # ends when the worker threads are done
    n_asked = engine.n_asked
    assert [one.turn_id for one in dialogue.log.records] == [turn.id]
    dialogue.reply("hello")
    assert engine.n_asked == 2 * n_asked
    assert [one.number for one in dialogue.log.records] == [1, 2]


class HeldLog(MemoryLog):
    """Takes a record once it is released."""

    def __init__(self):
        super().__init__()
        self.is_asked, self.is_released = threading.Event(), threading.Event()

    def append(self, entry):
        self.is_asked.set()
        assert self.is_released.wait(30)
        return super().append(entry)


def test_a_reply_that_is_cancelled_after_the_commit_began_is_committed_and_the_error_says_so(desk):
    log = HeldLog()
    dialogue = desk(scripted("welcome"), log=log)

    async def talk():
        task = asyncio.create_task(dialogue.areply("hello"))
        await asyncio.to_thread(log.is_asked.wait, 30)
        notes = await cancelled(task)
        log.is_released.set()
        return notes, await asyncio.to_thread(dialogue.memory)

    notes, memory = asyncio.run(talk())
    assert "had begun" in notes[0]
    assert [one.number for one in log.records] == [memory.number] == [1]


def test_a_fork_goes_on_from_here_and_leaves_the_first_alone(desk):
    dialogue = desk(scripted("welcome"))
    dialogue.reply("hello")
    other = dialogue.fork(scripted("hours"))
    assert other.reply("when?").record.number == 2
    assert "welcome" in other.log.records[0].said
    assert len(dialogue.log.records) == 1
    dialogue.engine = None
    assert dialogue.reply("when?").record.number == 2


# -- deadlines ------------------------------------------------------------------------------------------------


class Slow(ScriptedEngine):
    """Takes seconds on a clock of its own."""

    def __init__(self, answers, clock, seconds, looks_at_the_clock=True):
        super().__init__(lambda message: answers)
        self.clock, self.seconds, self.looks = clock, seconds, looks_at_the_clock

    def choose(self, choices, scene, deadline=None):
        self.clock.now += self.seconds
        if deadline and self.looks:
            deadline.check()
        return super().choose(choices, scene, deadline)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(sys.modules[Deadline.__module__], "time", clock)
    return clock


PAYS = {"wish": "pay", "offer": 2, "reply": "paid"}


def test_in_time_the_model_chooses(desk, clock, library):
    turn = desk(Slow(PAYS, clock, 1.0)).reply("Here are 2 euros", library.state_type(owed=3), within=2.5)
    assert (turn.response_id, turn.decision.mode) == ("paid", "exact")


def test_late_in_hearing_nothing_is_heard_and_the_rules_choose(desk, clock, library):
    turn = desk(Slow(PAYS, clock, 3.0)).reply("Here are 2 euros", library.state_type(owed=3), within=2.0)
    assert (turn.heard, turn.decision.mode, turn.effects) == (library.heard_type(), "rules", ())
    assert "deadline" in turn.decision.why


@pytest.mark.parametrize("looks_at_the_clock", [True, False])
def test_late_in_deciding_the_rules_choose_what_has_no_effects(desk, clock, library, looks_at_the_clock):
    turn = desk(Slow(PAYS, clock, 2.0, looks_at_the_clock)).reply("Here are 2 euros", library.state_type(owed=3), within=1.5)
    assert turn.decision.mode == "rules"
    assert turn.effects == ()
    assert "paid" in [option.id for option in turn.decision.options] or not looks_at_the_clock or turn.heard == library.heard_type()


@pytest.mark.parametrize("within", [0, -1, 1e-300])
def test_no_time_at_all_is_a_rules_turn(desk, clock, within):
    engine = Watched("hours")
    assert desk(engine).reply("when?", within=within).decision.mode == "rules"
    assert engine.asked == [] or within > 0


# -- what fails -------------------------------------------------------------------------------------------------


class Broken(MemoryLog):
    """A log of a host that fails, with an error of the host's own."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def __len__(self):
        return 0  # an empty log is false; it is a log all the same

    def append(self, record):
        if self.error:
            raise self.error
        return super().append(record)


@pytest.mark.parametrize("error", [AuditError("full"), OSError(28, "No space left on device"), RuntimeError("no connection")])
def test_a_log_that_fails_gets_nothing_released_and_nothing_remembered(desk, error):
    log = Broken(error)
    dialogue = desk(scripted("welcome"), log=log)
    with pytest.raises(AuditError):
        dialogue.reply("hello")
    log.error = None
    turn = dialogue.reply("hello")
    assert (turn.response_id, turn.record.number, turn.record.said, turn.record.sequence) == ("welcome", 1, {}, 1)


def test_a_path_is_a_durable_log(desk, tmp_path):
    path = tmp_path / "audit.jsonl"
    dialogue = desk(scripted("welcome"), log=str(path), conversation="tuesday")
    turn = dialogue.reply("hello")
    assert isinstance(dialogue.log, JsonLinesLog)
    assert list(read_log(path)) == [turn.record]
    assert turn.record.conversation == "tuesday"


def test_a_record_that_cannot_be_written_releases_nothing(desk):
    dialogue = desk(conversation="\ud800")
    with pytest.raises(AuditError, match="cannot be recorded"):
        dialogue.reply("hello")


ILL_FORMED = {
    "too_few": "choices were put", "too_many": "choices were put", "nothing": "engine failed: TypeError", "wrong_length": "candidates",
    "nan": "no probability", "infinite": "no probability", "negative": "no probability", "not_one": "sums to 0.5",
    "not_numbers": "ValueError", "rules_mode": "the mode .rules.", "raises": "CUDA error", "identity": "cannot name its model",
}  # fmt: skip


@pytest.mark.parametrize("how", SABOTAGES)
def test_a_broken_engine_is_an_engine_error_or_does_no_harm(desk, how):
    dialogue = desk(SabotagedEngine(how))
    if how in ILL_FORMED:
        with pytest.raises(EngineError, match=ILL_FORMED[how]) as caught:
            dialogue.reply("Emma, please")
        assert caught.value.hint
        assert dialogue.log.records == ()
    else:
        turn = dialogue.reply("Emma, please")
        assert turn.text.startswith("This conversation is recorded.\n")
        assert turn.record.message == "Emma, please"
        assert all(0 <= one.probability <= 1 for one in turn.trace.heard)


def test_an_error_of_an_engine_keeps_its_cause(desk):
    with pytest.raises(EngineError) as caught:
        desk(SabotagedEngine("raises")).reply("hello")
    assert isinstance(caught.value.__cause__, RuntimeError)


class Tensor:
    """A number of another library."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        return self.value


class Numbers(RandomEngine):
    identity = {"catalog": "forged", "engine": "none", 7: 7.5}  # noqa: RUF012

    def choose(self, choices, scene, deadline=None):
        answers = super().choose(choices, scene, deadline)
        return (Distribution(tuple(map(Tensor, one.probabilities)), one.mode) for one in answers)


def test_an_engine_of_tensors_is_recorded_in_plain_numbers_and_cannot_forge_the_catalog(desk):
    versions = desk(Numbers()).reply("hello").record.versions
    assert versions["catalog"].startswith("library 1 sha256:")
    assert versions["7"] == "7.5"


def test_a_deadline_error_without_a_deadline_is_a_rules_turn(desk):
    class Late(RandomEngine):
        def choose(self, choices, scene, deadline=None):
            raise DeadlineError("late", within_s=1)

    assert desk(Late()).reply("hello").decision.mode == "rules"


# -- effects ------------------------------------------------------------------------------------------------------


@pytest.fixture
def payment(desk, library):
    return desk(scripted(PAYS)).reply("Here are 2 euros", library.state_type(owed=3))


def test_effects_run_once(payment, library):
    after = payment.apply(library.state_type(owed=3))
    assert (after.owed, after.visits) == (1, 1)
    with pytest.raises(EffectError, match="ran before"):
        payment.apply(after.replace(owed=3))


def test_effects_whose_precondition_no_longer_holds_do_not_run_and_may_run_later(payment, library):
    with pytest.raises(EffectError, match=r"no effect of turn \w+ was run") as caught:
        payment.apply(library.state_type(owed=1))
    assert caught.value.effect == "settle(Decimal('2'))"
    assert payment.apply(library.state_type(owed=2)).owed == 0


def test_an_effect_that_an_earlier_one_made_impossible_is_told_with_what_ran(payment, library):
    settle = payment.effects[0]
    twice = replace(payment, effects=(settle, settle))
    with pytest.raises(EffectError, match=r"after settle\(Decimal\('2'\)\) ran"):
        twice.apply(library.state_type(owed=3))


def test_effects_run_once_between_threads(payment, library):
    done, failed = [], []

    def apply():
        try:
            done.append(payment.apply(library.state_type(owed=3)))
        except EffectError:
            failed.append(1)

    threads = [threading.Thread(target=apply) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), len(failed)) == (1, 7)


def test_a_turn_without_effects_changes_nothing(desk, library):
    turn, state = desk().reply("hello"), library.state_type(owed=3)
    assert turn.apply(turn.apply(state)) is state


def test_a_small_record_is_made_of_json(desk):
    assert desk(RandomEngine()).reply("hello").record.model_dump().keys() == record().model_dump().keys()


def test_a_conversation_does_not_begin_in_a_locale_that_an_exact_response_lacks():
    clinic = load_policy("clinic_booking")
    with pytest.raises(LocaleError, match="emergency_call") as refused:
        Dialogue(clinic, locale="fr")
    assert refused.value.locale == "fr"
    with pytest.raises(LocaleError):
        Dialogue(clinic).reply("Bonjour", clinic.state_type.default(), locale="fr")
    assert Dialogue(clinic, locale="es-MX").locale == "es-MX"


def test_tomorrow_is_counted_from_the_states_own_day():
    clinic = load_policy("clinic_booking")
    state = clinic.state_type.default()
    engine = Watched({"reply": "pardon"} | dict.fromkeys(clinic.heard_type.model_fields))
    engine.choose = lambda choices, scene, deadline=None: [
        Distribution(tuple(float(index == 0) for index in range(len(choice.candidates))), "exact") for choice in choices
    ]
    turn = Dialogue(clinic, engine=engine, now=lambda: NOON + dt.timedelta(days=400)).reply("Tomorrow, please", state)
    assert turn.heard.day == state.today + dt.timedelta(days=1)
