"""Retention: what has reached its age cannot be read any more, everything else verifies as before, and a forged tombstone is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained.cli.audit import NOT_ESTABLISHED
from constrained.cli.main import main
from constrained.errors import AuditError
from constrained.records.chain import chain_entry
from constrained.records.checkpoints import checkpoint
from constrained.records.log import MemoryLog, existing, open_log, read_entries, verified
from constrained.records.log_verification import verify_log
from constrained.records.record import ErasedField, Record, Retention
from constrained.records.replay import replay
from constrained.records.retention import retain
from constrained.records.retention_rules import RetentionRules, load_rules
from constrained.records.retention_verification import verify_retention
from constrained.records.sealing import SENSITIVE, SealedLog, SubjectKeys, sealed, unsealed, unsealed_parts
from tests.cli.conftest import Ran
from tests.records.evidence import KEY, PUBLIC
from tests.strategies import record, records

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = RetentionRules({"message": 30, "slots": 90, "record": 365})
N_DAYS = 5


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def filled(log, keys, n_days=N_DAYS, conversations=("a", "b")):
    """A turn of each conversation on each day."""
    kept = SealedLog(log, keys, by_day=True)
    for number in range(n_days):
        for name in conversations:
            kept.append(
                record(number + 1, turn_id=f"{name}-{number}", conversation=name, at=day(number).isoformat(), message=f"Said by {name}.")
            )
    return log


@pytest.fixture
def keys(tmp_path):
    return SubjectKeys(tmp_path / "keys")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Keys and a log, made once: each new key is flushed to the disk."""
    keys = SubjectKeys(tmp_path_factory.mktemp("written") / "keys")
    return keys, filled(MemoryLog(), keys)


@pytest.fixture
def desk(written, tmp_path):
    """A copy of them."""
    folder = Path(shutil.copytree(written[0].folder, tmp_path / "copied"))
    log = MemoryLog()
    log._entries, log._lines = list(written[1].entries), list(written[1].lines())
    return log, SubjectKeys(folder)


def readable_fields(store, keys):
    """Turn -> the fields that can be read."""
    found = {}
    for entry in verified(store.lines(), store.name):
        if isinstance(entry, Record):
            _, missing = unsealed_parts(entry, keys)
            found[entry.turn_id] = set(entry.sealed.fields) - set(missing)
    return found


@settings(max_examples=20, deadline=None)
@given(one=records, fields=st.sets(st.sampled_from(SENSITIVE)))
def test_what_is_sealed_by_day_comes_back_the_same_and_without_a_key_it_does_not(tmp_path_factory, one, fields):
    keys = SubjectKeys(tmp_path_factory.mktemp("keys"))
    hidden = sealed(one, keys, "ann", fields, by_day=True)
    assert Record.model_validate_json(hidden.model_dump_json()) == hidden
    assert unsealed(hidden, keys) == one.model_copy(update={"format": hidden.format})
    for name in sorted(fields)[:1]:
        keys.days.destroy(one.at[:10], name)
        found, missing = unsealed_parts(hidden, keys)
        assert missing == (name,)
        assert found.sealed.fields == (name,)
        assert unsealed(hidden, keys) is None


def test_fields_go_by_their_age_and_the_log_verifies_to_the_byte(place, keys):
    log = filled(open_log(place), keys)
    checkpoint(log, KEY)
    before = list(log.lines())
    run = retain(log, existing(place), keys, RULES, now=day(33), by="the officer")
    assert [(one.field, one.kept_days, len(one.days), one.n_records) for one in run.erased] == [("message", 30, 3, 6)]
    assert list(log.lines())[: len(before)] == before, "no line changes"
    assert "signed up to record 10" in verify_log(existing(place), PUBLIC).summary
    found = readable_fields(log, keys)
    assert all(("message" in found[f"{name}-{number}"]) == (number > 2) for name in "ab" for number in range(N_DAYS))
    assert all(found[f"{name}-{number}"] >= set(SENSITIVE) - {"message"} for name in "ab" for number in range(N_DAYS))
    told = verify_retention(existing(place), keys, RULES)
    assert told.erased == ("message of 6 turns by the rule of 30 days",)
    assert told.not_established == ()
    assert not any(b"Said by" in line for line in log.lines())
    assert retain(log, existing(place), keys, RULES, now=day(33), by="again").erased == (), "nothing is left to do"
    later = retain(log, existing(place), keys, RULES, now=day(400), by="the officer")
    assert {one.field for one in later.erased} == set(SENSITIVE)
    assert not any(readable_fields(log, keys).values())
    verify_retention(existing(place), keys, RULES, now=day(400))


def test_a_dry_run_changes_nothing_and_says_the_same(desk):
    log, keys = desk
    lines = list(log.lines())
    held = RetentionRules({"message": 30, "persons": 10}, frozenset({"a"}))
    told = retain(log, log, keys, held, now=day(60), by="x", is_dry=True)
    assert (list(log.lines()), len(list(keys.days.present())), list(keys.days.held())) == (lines, N_DAYS * len(SENSITIVE), [])
    done = retain(log, log, keys, held, now=day(60), by="x")
    assert (told.erased, told.persons, told.n_held) == (done.erased, done.persons, done.n_held)
    assert list(told.lines("would be erased")) == [
        "would be erased: message of 5 turns older than 30 days",
        "would be erased: the keys of 1 person",
        "held: 5 fields of conversations under legal hold",
    ]


def test_what_is_held_can_be_read_until_it_is_let_go(desk):
    log, keys = desk
    held = RetentionRules(RULES.days, frozenset({"a"}))
    retain(log, log, keys, held, now=day(40), by="x")
    assert {turn for turn, fields in readable_fields(log, keys).items() if "message" in fields} == {
        f"a-{number}" for number in range(N_DAYS)
    }
    verify_retention(log, keys, held, now=day(40))
    run = retain(log, log, keys, RULES, now=day(41), by="x")
    assert (run.n_let_go, bool(run.sequence)) == (N_DAYS, True)
    assert not any("message" in fields for fields in readable_fields(log, keys).values())
    verify_retention(log, keys, RULES, now=day(41))


def test_what_is_held_and_cannot_be_read_is_found(desk):
    log, keys = desk
    held = RetentionRules(RULES.days, frozenset({"a"}))
    retain(log, log, keys, held, now=day(40), by="x")
    for field, turn in list(keys.days.held())[:1]:
        keys.days.let_go(field, turn)
    with pytest.raises(AuditError, match="though its conversation is held"):
        verify_retention(log, keys, held, now=day(40))


def test_a_person_is_erased_where_nothing_newer_is_there(desk):
    log, keys = desk
    SealedLog(log, keys, by_day=True).append(record(9, turn_id="late", conversation="b", at=day(300).isoformat()))
    run = retain(log, log, keys, RetentionRules({"persons": 100}), now=day(310), by="x")
    assert run.persons == (keys.pseudonym("a"),)
    assert {turn[0] for turn, fields in readable_fields(log, keys).items() if fields} == {"b", "l"}
    verify_retention(log, keys, RULES, now=day(310))


def test_what_was_not_sealed_by_day_is_told_as_out_of_reach(keys):
    log = MemoryLog()
    SealedLog(log, keys).append(record(1))
    log.append(record(2))
    run = retain(log, log, keys, RULES, now=day(60), by="x")
    assert (run.erased, run.n_out_of_reach, run.sequence) == ((), 2, 0)
    assert "out of reach: 2 turns" in "\n".join(run.lines())


def test_a_run_that_was_interrupted_is_finished_by_the_next(desk, monkeypatch):
    log, keys = desk
    destroy = keys.days.destroy
    monkeypatch.setattr(keys.days, "destroy", lambda day, field: day < "2026-03-02" and destroy(day, field))
    retain(log, log, keys, RULES, now=day(40), by="x")
    with pytest.raises(AuditError, match="run audit retain again"):
        verify_retention(log, keys, RULES, now=day(40))
    monkeypatch.undo()
    retain(log, log, keys, RULES, now=day(40), by="x")
    assert verify_retention(log, keys, RULES, now=day(40)).erased == ("message of 10 turns by the rule of 30 days",)


def test_records_with_erased_fields_are_no_replay(library, tmp_path, keys):
    from constrained import Dialogue
    from constrained.testing import RandomEngine

    log = MemoryLog()
    dialogue = Dialogue(library, engine=RandomEngine(1), log=SealedLog(log, keys, by_day=True), now=lambda: START)
    dialogue.reply("good day")
    (whole,) = [unsealed(one, keys) for one in log.records]
    assert all(one.is_same for one in replay(library, [whole]))
    retain(log, log, keys, RULES, now=day(40), by="x")
    assert [unsealed(one, keys) for one in log.records] == [None]


# -- tampering ----------------------------------------------------------------------------------------------------


Tamper = Callable[[MemoryLog, SubjectKeys], None]


def rewritten(log: MemoryLog, change: Callable[[int, object], object]) -> None:
    """The whole log with some entries changed and all hashes computed again, as whoever holds the files could."""
    before, lines = None, []
    for number, entry in enumerate(list(log.entries)):
        changed = change(number, entry)
        if changed is not None:
            before, line = chain_entry(changed, before)
            lines.append(line)
    log._lines = lines


def tombstone_with(**changes) -> Tamper:
    def tamper(log, keys):
        def change(_, entry):
            return entry.model_copy(update=changes) if isinstance(entry, Retention) else entry

        rewritten(log, change)

    return tamper


def erased_with(**changes) -> Tamper:
    def tamper(log, keys):
        def change(_, entry):
            if not isinstance(entry, Retention):
                return entry
            return entry.model_copy(update={"erased": tuple(one.model_copy(update=changes) for one in entry.erased)})

        rewritten(log, change)

    return tamper


def forge(field: str, days: tuple[str, ...], kept_days: int, n_records: int, at: datetime, *, destroys: bool = True) -> Tamper:
    """A tombstone of one's own making, with the keys destroyed as it says."""

    def tamper(log, keys):
        erased = ErasedField(field=field, kept_days=kept_days, days=days, n_records=n_records)
        log.append(Retention(at=at.isoformat(), by="somebody", rules="", erased=(erased,)))
        for one in days if destroys else ():
            keys.days.destroy(one, field)

    return tamper


def swap_parts(log, keys):
    def change(number, entry):
        if number != N_DAYS:
            return entry
        parts = dict(entry.sealed.parts)
        parts["text"], parts["state"] = parts["state"], parts["text"]
        return entry.model_copy(update={"sealed": entry.sealed.model_copy(update={"parts": parts})})

    rewritten(log, change)


def part_of_another(log, keys):
    other = log.entries[N_DAYS + 2].sealed.parts["text"]

    def change(number, entry):
        if number != N_DAYS:
            return entry
        return entry.model_copy(update={"sealed": entry.sealed.model_copy(update={"parts": {**entry.sealed.parts, "text": other}})})

    rewritten(log, change)


def moved_to_an_older_day(log, keys):
    def change(number, entry):
        if number != N_DAYS:
            return entry
        return entry.model_copy(update={"sealed": entry.sealed.model_copy(update={"day": "2026-03-01"})})

    rewritten(log, change)


def without_tombstone(log, keys):
    rewritten(log, lambda _, entry: None if isinstance(entry, Retention) else entry)


def destroy(day: str, field: str) -> Tamper:
    return lambda log, keys: keys.days.destroy(day, field) and None


def person_gone(log, keys):
    keys.erase(keys.pseudonym("a"))


# where it is found: by the log alone, with the rules, with the keys
ALONE, WITH_RULES, WITH_KEYS = range(3)
NOW = day(40)


def ways() -> Iterator[tuple[str, int, Tamper]]:
    yield "a field erased before its age", ALONE, forge("text", ("2026-03-01",), 90, 2, NOW)
    yield "a field erased before its age, dated in the future", ALONE, forge("text", ("2026-03-01",), 90, 2, day(95))
    yield "a field erased before its age, by a rule of one's own", WITH_RULES, forge("text", ("2026-03-01",), 1, 2, NOW)
    yield "a field that no rule erases", WITH_RULES, forge("prompt", ("2026-03-01",), 20, 2, NOW)
    yield "a tombstone without its erasure", WITH_KEYS, forge("text", ("2026-03-01",), 1, 2, NOW, destroys=False)
    yield "a count that is too low", ALONE, erased_with(n_records=1)
    yield "a count that is too high", ALONE, erased_with(n_records=11)
    yield "a day more", ALONE, erased_with(days=tuple(day(number).date().isoformat() for number in range(N_DAYS + 1)), n_records=11)
    yield "a day twice", ALONE, erased_with(days=("2026-03-01", "2026-03-01"), n_records=2)
    yield "another field in the tombstone", WITH_KEYS, erased_with(field="state")
    yield "another age in the tombstone", WITH_RULES, erased_with(kept_days=20)
    yield "another day of the run", ALONE, tombstone_with(at=day(20).isoformat())
    yield "a hold in the tombstone that was not kept", ALONE, tombstone_with(held=("a",))
    yield "the tombstone taken out", WITH_KEYS, without_tombstone
    yield "a key destroyed without a tombstone", WITH_KEYS, destroy("2026-03-02", "text")
    yield "the key of a person destroyed without an erasure", WITH_KEYS, person_gone
    yield "two sealed fields swapped", WITH_KEYS, swap_parts
    yield "the sealed field of another turn", WITH_KEYS, part_of_another
    yield "a turn moved to a day that was erased", ALONE, moved_to_an_older_day


@pytest.mark.parametrize(("name", "least", "tamper"), [pytest.param(*way, id=way[0]) for way in ways()])
def test_forged_tombstones_and_forged_turns_are_found(name, least, tamper, desk):
    log, keys = desk
    retain(log, log, keys, RULES, now=NOW, by="the officer")
    tamper(log, keys)
    any_age = RetentionRules({"record": 0})
    given = {ALONE: (None, None), WITH_RULES: (None, RULES if least == WITH_RULES else any_age), WITH_KEYS: (keys, any_age)}
    for means, (with_keys, rules) in given.items():
        if means < least:
            found = verify_retention(log, with_keys, rules, now=NOW)
            assert found.not_established, f"{name}: it looks whole, and nothing says that this is not known"
        elif means == least:
            with pytest.raises(AuditError):
                verify_retention(log, with_keys, rules, now=NOW)


def test_with_a_key_every_line_of_it_is_signed(place, keys):
    """What the hashes hold: an edited tombstone breaks the chain, a rewritten one the signed root."""
    log = filled(open_log(place), keys)
    retain(log, existing(place), keys, RULES, now=NOW, by="x")
    checkpoint(log, KEY)
    assert "11 records" in verify_log(existing(place), PUBLIC).summary
    copy = MemoryLog()
    copy._entries, copy._lines, copy._checkpoints = list(read_entries(place)), list(log.lines()), log.checkpoints()
    erased_with(n_records=9)(copy, keys)
    with pytest.raises(AuditError, match="not the record that was signed"):
        verify_log(copy, PUBLIC)


# -- rules and the command ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[days]\nmessage = 30\nmesage = 3", ":3: mesage is no field"),
        ("[days]\nmessage = -1", ":2: message = -1 is no number of days"),
        ("[days]\nmessage = true", ":2: message = True"),
        ("keep = 1\n[days]\nmessage = 1", ":1: keep is no rule"),
        ("hold = 'a'\n[days]\nmessage = 1", ":1: hold is no list"),
        ("hold = ['a']", "there are no days"),
        ("[days", "not TOML"),
    ],
)
def test_a_wrong_rule_is_named_with_its_line(tmp_path, text, told):
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AuditError, match=told.replace("[", r"\[")):
        load_rules(path)


def test_the_command_erases_and_the_verification_tells(written, tmp_path: Path, capsys):
    def run(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main(["audit", *map(str, arguments)])
        printed = capsys.readouterr()
        return Ran(ended.value.code, printed.out, printed.err)

    keys, log, rules = tmp_path / "keys", tmp_path / "audit.jsonl", tmp_path / "rules.toml"
    shutil.copytree(written[0].folder, keys)
    log.write_bytes(b"".join(written[1].lines()))
    rules.write_text("[days]\nmessage = 30\nconversations = 30\n", encoding="utf-8")
    dry = run("retain", log, "--rules", rules, "--keys", keys, "--dry-run")
    assert dry.out.splitlines() == ["would be erased: message of 10 turns older than 30 days"]
    assert len(list(read_entries(log))) == 10
    done = run("retain", log, "--rules", rules, "--keys", keys, "--by", "the officer")
    assert done.out.splitlines() == ["erased: message of 10 turns older than 30 days", "told in record 11"]
    verified = run("verify", log, "--keys", keys, "--rules", rules)
    assert "erased: message of 10 turns by the rule of 30 days" in verified.out
    assert verified.status == NOT_ESTABLISHED, "nobody signed it"
    shown = run("show", log, "a-0", "--keys", keys)
    assert '"message": "[sealed]"' in shown.out
    assert '"text": "Good evening."' in shown.out
    shutil.rmtree(keys / "days")
    assert "cannot be read" in run("verify", log, "--keys", keys, "--rules", rules).err
    assert run("retain", log, "--rules", rules, "--keys", tmp_path / "nothing").status == 1
