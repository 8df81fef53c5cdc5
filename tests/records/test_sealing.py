"""Sealing: what was sealed comes back only with its key; an erased person leaves no plaintext, and the chain stays whole."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constrained import Dialogue
from constrained.errors import AuditError
from constrained.records.checkpoints import checkpoint
from constrained.records.key_files import N_BYTES
from constrained.records.log import MemoryLog, open_log, read_entries, read_log
from constrained.records.log_verification import verify_log
from constrained.records.record import Erasure, Outcome, Record
from constrained.records.replay import replay
from constrained.records.report import usage
from constrained.records.sealing import SENSITIVE, SealedLog, SubjectKeys, readable, sealed, unsealed
from constrained.testing import RandomEngine
from tests.records.evidence import KEY, PUBLIC
from tests.strategies import record, records


@pytest.fixture
def keys(tmp_path):
    return SubjectKeys(tmp_path / "keys")


@settings(max_examples=30)
@given(one=records, sensitive=st.sets(st.sampled_from(SENSITIVE)))
def test_what_was_sealed_comes_back_the_same(keys, one, sensitive):
    hidden = sealed(one, keys, "ann", sensitive)
    assert Record.model_validate_json(hidden.model_dump_json()) == hidden
    assert unsealed(hidden, keys) == one


WORDS = {
    "message": "Xylophone-4711 is my word",
    "state": {"secret": "Yggdrasil-0815"},
    "text": "We noted Zanzibar-2342.",
    "effects": ("note('Quagmire-99')",),
    "blocked": ({"id": "x", "reason": "not for Wolpertinger"},),
}
NEEDLES = [b"Xylophone", b"Yggdrasil", b"Zanzibar", b"Quagmire", b"Wolpertinger"]


def files_of(place, tmp_path):
    """The bytes of everything that a store has written: also write-ahead logs and free pages."""
    if place.startswith("postgresql"):
        from pathlib import Path

        folder = Path(place.rsplit("host=", 1)[1])
        return [path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file() and path.name != "postmaster.pid"]
    return [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]


def test_erasure_leaves_no_plaintext_in_any_file(place, tmp_path, keys):
    store = open_log(place)
    log = SealedLog(store, keys, subject=lambda one: one.conversation)
    for number in range(1, 31):
        log.append(record(number, conversation=f"c{number % 3}", **WORDS))
    checkpoint(store, KEY)
    secret = keys.find(keys.pseudonym("c1"))
    assert log.erase("c1", by="the officer", reason="asked to be forgotten").sequence == 31
    found = files_of(place, tmp_path)
    assert sum(map(len, found)) > 10_000
    assert [needle for needle in (*NEEDLES, secret) if any(needle in content for content in found)] == []
    assert verify_log(store, PUBLIC).summary.startswith("31 records in an unbroken chain")
    told = list(read_log(place))
    assert len(told) == 30
    assert sum(use.n_said for use in usage(told)) == 30
    assert len(list(readable(told, keys))) == 20
    assert all(unsealed(one, keys) is None for one in told if one.conversation == "c1")
    erasure = [one for one in read_entries(place) if isinstance(one, Erasure)]
    assert [(one.by, one.reason, one.subject) for one in erasure] == [("the officer", "asked to be forgotten", keys.pseudonym("c1"))]


def test_the_needles_are_found_where_nothing_is_sealed(place, tmp_path):
    """The search above could find something."""
    store = open_log(place)
    for number in range(1, 31):
        store.append(record(number, **WORDS))
    assert all(any(needle in content for content in files_of(place, tmp_path)) for needle in NEEDLES)


def test_nothing_is_erased_twice_and_who_comes_back_has_another_key(keys):
    store = MemoryLog()
    log = SealedLog(store, keys)
    old = log.append(record(1))
    assert log.erase("c", by="me")
    assert log.erase("c", by="me") is None
    new = log.append(record(2))
    assert unsealed(old, keys) is None
    assert unsealed(new, keys).message == record(2).message


def test_sealed_content_of_one_turn_cannot_be_put_into_another(keys):
    log = SealedLog(MemoryLog(), keys)
    first, second = log.append(record(1)), log.append(record(2))
    with pytest.raises(AuditError, match="what is sealed in turn turn-2 was changed"):
        unsealed(second.model_copy(update={"sealed": first.sealed}), keys)


def test_a_sealed_conversation_replays_with_its_keys(library, keys):
    store = MemoryLog()
    dialogue = Dialogue(library, engine=RandomEngine(8), log=SealedLog(store, keys, sensitive=SENSITIVE))
    state = library.state_type(owed=3)
    for message in ("hello", "Emma until Friday, please", "Here are 2 euros", "bye"):
        state = dialogue.reply(message, state).apply(state)
    assert [one.message for one in store.records] == [""] * 4
    assert not [one for entry in store.entries if isinstance(entry, Outcome) for one in entry.outcomes if "(" in one.effect]
    assert [one.error for one in replay(library, readable(store.records, keys)) if one.error] == []
    assert list(readable(store.records, None)) == []


def test_the_folder_of_keys_belongs_to_its_owner_and_shows_no_names(keys):
    keys.made(keys.pseudonym("Ann Smith, 12 Mill Lane"))
    paths = list(keys.folder.rglob("*"))
    assert not [path for path in paths if "Ann" in str(path)]
    assert all(path.stat().st_mode & 0o077 == 0 for path in [keys.folder, *paths])
    assert SubjectKeys(keys.folder).pseudonym("Ann") == keys.pseudonym("Ann")
    assert SubjectKeys(keys.folder.with_name("other")).pseudonym("Ann") != keys.pseudonym("Ann")


@pytest.mark.parametrize("content", [b"", b"short", bytes(N_BYTES)])
def test_a_damaged_key_stops_the_turn(keys, content):
    keys.made(keys.pseudonym("c"))
    (path,) = keys.folder.rglob("*.key")
    path.write_bytes(content)
    with pytest.raises(AuditError, match="is no key"):
        SealedLog(MemoryLog(), keys).append(record(1))


def test_a_folder_of_keys_that_cannot_be_written_stops_the_turn(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match=r"Not a directory|File exists"):
        SubjectKeys(tmp_path / "file" / "keys")


def test_an_erasure_that_the_log_cannot_tell_says_that_the_key_is_gone(keys):
    class Full:
        def append(self, record):
            raise AuditError("log: No space left on device", file="log", line=3)

    name = keys.pseudonym("ann")
    keys.made(name)
    with pytest.raises(AuditError, match=f"the key of {name} is destroyed, and the log could not tell so: log: No space left") as caught:
        SealedLog(Full(), keys).erase("ann", by="me")
    assert (caught.value.file, caught.value.line) == ("log", 3)
    assert keys.find(name) is None


def test_a_new_key_is_durable_with_the_folders_that_lead_to_it(tmp_path, monkeypatch):
    """Else a power cut could leave the record that was sealed under it, and not the key."""
    synced, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.readlink(f"/proc/self/fd/{handle}")), real(handle)))
    keys = SubjectKeys(tmp_path / "keys")
    assert synced[1:] == [str(tmp_path / "keys"), str(tmp_path)]
    name = keys.pseudonym("ann")
    keys.made(name)
    assert synced[4:] == [str(tmp_path / "keys" / name[:2]), str(tmp_path / "keys")]


@pytest.mark.parametrize("changes", [{"options": ()}, {"heard": ({"name": "x", "value": None, "probability": 1.0},)}])
def test_what_stands_beside_the_seal_is_held_against_it(keys, changes):
    hidden = sealed(record(1, options=({"id": "a", "slots": {"b": 1}, "line": "x"},)), keys, "ann")
    changed = Record.model_validate(hidden.model_dump() | changes)
    with pytest.raises(AuditError, match="was changed"):
        unsealed(changed, keys)
