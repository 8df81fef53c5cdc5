"""Records that were written before: they verify, replay, and come out again byte for byte; see ``normal`` for what may differ."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import runpy
import shutil
from datetime import UTC, datetime

import pytest

from constrained import Record, load_policy
from constrained.errors import AuditError
from tests.golden_logs.names import (
    Erasure,
    Outcome,
    SealedLog,
    SubjectKeys,
    existing,
    load_policy_file,
    open_log,
    read_entries,
    read_log,
    replay,
    unsealed,
    unsealed_parts,
    verify_retention,
)
from tests.golden_logs.normal import from_origin, normalised, origin
from tests.golden_logs.play import DESK_LOGIC, FOLDER, SCRIPTS, logic_files, play, play_private, play_sealed

LOGS = FOLDER / "logs"
ALL = [script.file for script in SCRIPTS] + ["sealed.jsonl", "private.jsonl"]
THEN = json.loads((LOGS / "origins.json").read_text(encoding="utf-8"))
HISTORY = 8  # messages and replies before a turn that a model may read
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.file)


@pytest.fixture
def golden(tmp_path):
    """The path of a copy of a golden log, by its name: to read an SQLite file makes files beside it."""
    return lambda name: shutil.copy(LOGS / name, tmp_path / f"golden-{name}")


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The path of the log of a script as it is written today; each is played once."""
    folder, made = tmp_path_factory.mktemp("played"), {}

    def path(script):
        if script not in made:
            made[script] = folder / script.file
            play(script, open_log(made[script]))
        return made[script]

    return path


def now():
    return {path.name: origin(path) for path in logic_files()}


def lines(path, origins):
    return [normalised(json.loads(line), origins) for line in existing(path).lines()]


def differences(old, new):
    """The entries that differ, shortened to where they do; empty when none does."""
    told = [] if len(old) == len(new) else [f"{len(new)} entries, not {len(old)}"]
    for number, (was, one) in enumerate(zip(old, new, strict=False), 1):
        if was != one:
            pairs = difflib.ndiff(*(text.decode().replace(',"', '\n"').splitlines() for text in (was, one)))
            told.append(f"entry {number}: " + " ".join(pair for pair in pairs if pair[:2] in ("- ", "+ "))[:800])
    return told


def differences_replayed(policy, records):
    """What a replay finds, but for what changes with the imports of the logic file: its hash, and the lines in reasons."""
    found = [(one.record.turn_id, one.differences) for one in replay(policy, records, strict=False)]
    return [f"{turn}: {one}" for turn, differences in found for one in differences if one.what != "policy" and not is_shifted(one)]


def is_shifted(difference):
    """Whether both sides are the same but for where the first statement of the logic files stands."""
    then, today = THEN["logs"], now()
    return from_origin(str(difference.recorded), then) == from_origin(str(difference.replayed), today)


# -- old logs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_an_old_log_verifies(golden, name):
    entries = list(read_entries(golden(name)))
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert any(isinstance(entry, Record) for entry in entries)


@pytest.mark.parametrize("name", [name for name in ALL if name.endswith(".jsonl")])
def test_an_old_log_with_a_changed_byte_does_not_verify(golden, name):
    path = golden(name)
    with open(path, "r+b") as file:
        content = file.read()
        at = content.index(b'"text":"', len(content) // 2) + 9
        file.seek(at)
        file.write(bytes([content[at] ^ 1]))
    with pytest.raises(AuditError):
        list(read_entries(path))


@each_script
def test_an_old_log_replays_without_a_difference(golden, script):
    records = list(read_log(golden(script.file)))
    assert records
    assert differences_replayed(load_policy(script.pack), records) == []


def test_the_old_logs_hold_what_records_can_hold(golden):
    entries = [entry for name in ALL for entry in read_entries(golden(name))]
    turns = [entry for entry in entries if isinstance(entry, Record)]
    statuses = {one.status for entry in entries if isinstance(entry, Outcome) for one in entry.outcomes}
    assert statuses == {"done", "failed", "not_run"}
    assert any(isinstance(entry, Erasure) for entry in entries)
    assert {turn.decision.mode for turn in turns} == {"rules", "exact"}
    assert {turn.locale for turn in turns} >= {"en", "es"}
    for holds in (
        lambda turn: turn.decision.abstained,
        lambda turn: turn.procedure,
        lambda turn: turn.memory.get("running"),
        lambda turn: turn.memory.get("done"),
        lambda turn: turn.obligations,
        lambda turn: any(one.rule for one in turn.obligations),
        lambda turn: turn.blocked,
        lambda turn: turn.heard,
        lambda turn: turn.approvals,
        lambda turn: turn.sealed and turn.sensitive,
        lambda turn: not turn.message and not turn.sealed,  # a procedure went on by itself
    ):
        assert any(map(holds, turns))


# -- the same turns, taken today -------------------------------------------------------------------------


@each_script
def test_the_same_turns_give_the_same_bytes(golden, played, script):
    assert differences(lines(golden(script.file), THEN["logs"]), lines(played(script), now())) == []


@each_script
def test_the_code_of_procedures_has_the_same_hash(golden, played, script):
    def codes(path):
        return [re.findall(r'"code":"(sha256:[0-9a-f]{64})"', line.decode()) for line in existing(path).lines()]

    assert codes(played(script)) == codes(golden(script.file))


@each_script
def test_what_is_written_today_verifies_and_replays_strictly(played, script):
    assert all(one.is_same for one in replay(load_policy(script.pack), read_log(played(script))))


@each_script
def test_the_old_verifier_accepts_what_is_written_today(played, script):
    verifier = runpy.run_path(str(FOLDER / "bundle" / "verify.py"))
    assert "in an unbroken chain" in verifier["check_log"](map(verifier["fact"], existing(played(script)).lines()), [])


@each_script
@pytest.mark.parametrize("is_old", [True, False], ids=["old", "new"])
def test_the_prompt_hash_is_over_what_the_model_was_given(golden, played, script, is_old):
    state_type, history = load_policy(script.pack).state_type, {}
    for record in read_log(golden(script.file) if is_old else played(script)):
        before = history.setdefault(record.conversation, [])
        if record.versions.get("engine") == "none":
            assert record.prompt == ""
        else:
            static = " ".join([*(record.versions[name].split()[-1] for name in ("catalog", "policy")), record.locale])
            state = state_type.from_json(record.state).model_dump_json()
            text = json.dumps([static, state, before[-HISTORY:], record.message], ensure_ascii=False)
            assert record.prompt == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        before += [["user", record.message], ["reply", record.text]]


# -- sealed ----------------------------------------------------------------------------------------------


def keys_in(folder, *, only_secret=False):
    """A copy of the golden keys, or of the secret of the pseudonyms alone."""
    pytest.importorskip("cryptography", reason="cryptography is not installed: pip install 'constrained[evidence]'")
    shutil.copytree(FOLDER / "keys", folder, ignore=shutil.ignore_patterns("*.key") if only_secret else None)
    return SubjectKeys(folder)


def opened(path, keys):
    return [one for record in read_log(path) if (one := unsealed(record, keys)) is not None]


@pytest.fixture(scope="module")
def sealed_today(tmp_path_factory):
    """The log and the keys of the sealed conversations, as they are written today."""
    folder = tmp_path_factory.mktemp("sealed")
    keys = keys_in(folder / "keys", only_secret=True)
    play_sealed(SealedLog(open_log(folder / "log.jsonl"), keys))
    return folder / "log.jsonl", keys


def test_old_sealed_records_open_and_replay(golden, tmp_path):
    path = golden("sealed.jsonl")
    records = opened(path, keys_in(tmp_path / "keys"))
    n_erased = len(list(read_log(path))) - len(records)
    assert n_erased == 3
    assert any(record.memory.get("clock") for record in records)
    for policy in (load_policy_file(DESK_LOGIC), load_policy("clinic_booking")):
        own = [record for record in records if record.versions["policy"].startswith(f"{policy.name} ")]
        assert own
        assert differences_replayed(policy, own) == []


def test_sealed_turns_give_the_same_bytes_sealed_and_open(golden, sealed_today, tmp_path):
    path, keys = sealed_today
    assert differences(lines(golden("sealed.jsonl"), THEN["sealed"]), lines(path, now())) == []
    old, new = opened(golden("sealed.jsonl"), keys_in(tmp_path / "keys")), opened(path, keys)
    assert (
        differences(*([normalised(one.model_dump(), origins) for one in them] for them, origins in ((old, THEN["sealed"]), (new, now()))))
        == []
    )


def test_an_old_sealed_log_holds_no_word_of_it_in_plain():
    content = (LOGS / "sealed.jsonl").read_bytes()
    assert b"Quixotic" not in content
    assert b"I have a cold" not in content


# -- masked, sealed by day, erased by age ------------------------------------------------------------------


def private_keys(folder, *, only_secret=False):
    pytest.importorskip("cryptography", reason="cryptography is not installed: pip install 'constrained[evidence]'")
    shutil.copytree(FOLDER / "keys_by_day", folder, ignore=shutil.ignore_patterns("*.key") if only_secret else None)
    return SubjectKeys(folder)


def test_an_old_tombstone_verifies_and_what_is_not_erased_opens(golden, tmp_path):
    path, keys = golden("private.jsonl"), private_keys(tmp_path / "keys")
    assert verify_retention(existing(path), keys, now=datetime(2027, 3, 1, tzinfo=UTC)).erased == (
        "message of 2 turns by the rule of 30 days",
    )
    found = [unsealed_parts(record, keys) for record in read_log(path)]
    assert [missing for _, missing in found] == [("message",)] * 2 + [()] * 2
    assert [one.message for one, _ in found] == ["", "", "My card [card ••1111] is gone", "What?"]
    assert {one.format for one, _ in found} == {8}
    held = [one for one, missing in found if not missing]
    assert differences_replayed(load_policy_file(DESK_LOGIC), held) == []


def test_private_turns_give_the_same_bytes(golden, tmp_path):
    keys, path = private_keys(tmp_path / "keys", only_secret=True), tmp_path / "log.jsonl"
    play_private(SealedLog(open_log(path), keys, by_day=True), keys)
    assert differences(lines(golden("private.jsonl"), THEN["private"]), lines(path, now())) == []
