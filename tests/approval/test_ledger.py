"""The ledger: whatever is done to its file by somebody without a key is found, with the line named."""

from __future__ import annotations

import base64
import datetime as dt
import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constrained._canonical_json import canonical_json, sha256
from constrained.approval import ledger as ledgers
from constrained.approval.keys import sign, to_text
from constrained.approval.ledger import DraftEntry, ledger_path, read_ledger
from constrained.approval.people import load_people, people_path
from constrained.approval.worklist import SigningTerms, draft_of
from constrained.errors import ApprovalError
from tests.approval.office import KEYS, TODAY, Office

DRAFT = DraftEntry(kind="approve", response="hello", locale="en", version="sha256:1", text="Hello.", author="Ada")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A ledger of nine entries by three people."""
    office = Office(tmp_path_factory.mktemp("office"))
    office.approve("Dana")
    office.recall("hello")
    office.approve("Lena", "hello", kind="restore")
    return office


def test_what_was_signed_is_read_back(sound: Office) -> None:
    entries = sound.ledger.entries
    assert [entry.sequence for entry in entries] == list(range(1, 10))
    assert [entry.kind for entry in entries] == ["approve"] * 5 + ["recall"] * 2 + ["restore"] * 2
    assert entries[1].text == "Hello."
    assert {entry.by for entry in entries} == {"Dana", "Tom", "Lena"}
    assert sound.ledger.first(5).entries == entries[:5]
    assert sound.ledger.first(9).head == sound.ledger.head


def refused(office: Office, content: bytes, folder: Path) -> ApprovalError:
    path = folder / "ledger.jsonl"
    path.write_bytes(content)
    with pytest.raises(ApprovalError) as caught:
        read_ledger(path, office.people, "desk")
    return caught.value


def test_every_byte_that_is_changed_is_found_and_its_line_named(sound: Office, tmp_path: Path) -> None:
    content = sound.ledger.content
    for at in range(0, len(content) - 1, 7):
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        error = refused(sound, changed, tmp_path)
        assert error.line in (content[:at].count(b"\n") + 1, content[:at].count(b"\n") + 2), at
        assert f"ledger.jsonl:{error.line}:" in error.message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_lines_taken_out_moved_doubled_or_put_in_are_found(sound: Office, tmp_path: Path, data: st.DataObject) -> None:
    lines = sound.ledger.content.splitlines(keepends=True)
    kind = data.draw(st.sampled_from(["out", "move", "double", "rechain"]))
    at = data.draw(st.integers(0, len(lines) - 2))
    other = list(lines)
    if kind == "out":
        del other[at]
    elif kind == "double":
        other.insert(data.draw(st.integers(0, len(lines))), lines[at])
    elif kind == "move":
        other.append(other.pop(at))
    else:  # change a field and chain everything after it anew, without keys
        content = json.loads(lines[at])
        field = data.draw(st.sampled_from(["by", "text", "until", "response", "version", "kind"]))
        content[field] = "Dana" if content[field] != "Dana" else "Tom"
        other[at] = canonical_json(content) + b"\n"
        for number in range(at + 1, len(other)):
            follower = json.loads(other[number]) | {"previous": sha256(other[number - 1])}
            other[number] = canonical_json(follower) + b"\n"
    error = refused(sound, b"".join(other), tmp_path)
    assert error.line >= 1


def test_a_torn_last_line_was_never_signed_and_the_next_entry_replaces_it(office: Office) -> None:
    office.approve("Dana")
    whole = office.ledger_file.read_bytes()
    for n_bytes in (1, 100):
        office.ledger_file.write_bytes(whole + b'{"torn": "' + b"x" * n_bytes)
        assert office.ledger.content == whole
    office.recall("hello")
    assert office.ledger_file.read_bytes().startswith(whole)
    assert len(office.ledger.entries) == 7


def test_entries_that_were_read_before_cannot_go(office: Office) -> None:
    office.approve("Dana")
    before = office.ledger
    office.recall("hello")
    after = read_ledger(office.ledger_file, office.people, "desk", before)
    assert after.entries[: len(before.entries)] == before.entries
    office.ledger_file.write_bytes(before.content)
    with pytest.raises(ApprovalError, match="read before are gone or changed"):
        read_ledger(office.ledger_file, office.people, "desk", after)


def test_a_signer_cannot_write_an_earlier_day_than_the_entry_above(office: Office) -> None:
    office.approve("Dana", "pardon", "price")
    first, second = office.ledger.content.splitlines(keepends=True)
    content = json.loads(second) | {"at": "2020-01-01T00:00:00+00:00"}
    content["signature"] = base64.b64encode(sign(KEYS["Dana"], ledgers._unsigned(content))).decode()
    office.ledger_file.write_bytes(first + canonical_json(content) + b"\n")
    with pytest.raises(ApprovalError, match=":2: the entry was signed before the one above it"):
        _ = office.ledger


def test_who_may_sign(office: Office) -> None:
    with pytest.raises(ApprovalError, match=r"Eve is not in .*people\.toml"):
        ledgers.append(office.ledger_file, [DRAFT], by="Eve", key=KEYS["Dana"], people=office.people, catalog="desk")
    with pytest.raises(ApprovalError, match="not the key of Tom"):
        ledgers.append(office.ledger_file, [DRAFT], by="Tom", key=KEYS["Dana"], people=office.people, catalog="desk")
    with pytest.raises(ApprovalError, match="Ada wrote 'hello' and cannot approve it"):
        office.sign("Ada", DRAFT)
    office.sign("Ada", DRAFT.model_copy(update={"kind": "recall"}))  # to stop is easy
    assert not [entry for entry in office.ledger.entries if entry.kind == "approve"]


def test_a_ledger_is_of_one_catalog_and_of_known_people(sound: Office, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(sound.ledger.content)
    with pytest.raises(ApprovalError, match=":1: the entry is for the catalog 'desk', not 'bank'"):
        read_ledger(path, sound.people, "bank")
    other = Office(tmp_path)
    other.write_people(Dana=["compliance"])
    with pytest.raises(ApprovalError, match=r":6: the key of Tom is not theirs") as caught:
        read_ledger(path, other.people, "desk")
    assert "put Tom back" in caught.value.hint


def test_a_key_that_ended_signs_no_more_and_its_old_entries_count(office: Office) -> None:
    office.approve("Dana", "hello")
    people = office.root / "catalogs" / "people.toml"
    text, key = people.read_text(), f'"{ledgers.to_text(KEYS["Dana"].public_key())}"'
    people.write_text(text.replace(key, f"{{ key = {key}, until = {TODAY} }}"))
    assert len(office.ledger.entries) == 2
    people.write_text(text.replace(key, f"{{ key = {key}, until = {TODAY - dt.timedelta(days=1)} }}"))
    with pytest.raises(ApprovalError, match=":1: the key of Dana ended on"):
        _ = office.ledger
    with pytest.raises(ApprovalError, match="the key of Dana ended on"):
        office.sign("Dana", DRAFT)


def _sign_many(root: Path, by: str, n_entries: int) -> None:
    catalog = root / "catalogs" / "desk.yaml"
    people = load_people(people_path(catalog), "desk")
    for number in range(n_entries):
        draft = DRAFT.model_copy(update={"version": f"sha256:{number}"})
        ledgers.append(ledger_path(catalog), [draft], by=by, key=KEYS[by], people=people, catalog="desk")


def test_several_processes_keep_one_chain(office: Office) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_sign_many, args=(office.root, by, 8)) for by in ("Dana", "Tom", "Lena")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(office.ledger.entries) == 24


# -- time, restorations, durability --------------------------------------------------------------------------


def forged(office: Office, by: str, **changes: object) -> None:
    """What the holder of a key can append with a program of their own."""
    ledger = office.ledger
    content = json.loads(ledger.content.splitlines()[-1]) | {"sequence": len(ledger.entries) + 1, "previous": ledger.head}
    content |= {"by": by, "key": to_text(KEYS[by].public_key())} | changes
    del content["signature"]
    content["signature"] = base64.b64encode(sign(KEYS[by], ledgers._unsigned(content))).decode()
    office.ledger_file.write_bytes(ledger.content + canonical_json(content) + b"\n")


@pytest.mark.parametrize("at", ["20200101T000000+00:00", "2020-W01-3T00:00:00+00:00", "2020-01-01 00:00:00+00:00", "2020-01-01T00:00:00Z"])
def test_an_ended_key_cannot_go_back_in_time_by_another_way_to_write_it(office: Office, at: str) -> None:
    """Times are compared as text: one written without dashes would sort behind every other."""
    office.approve("Tom")
    ended = to_text(KEYS["Dana"].public_key())
    path = people_path(office.path)
    path.write_text(path.read_text().replace(f'keys = ["{ended}"]', f'keys = [{{key = "{ended}", until = 2020-06-30}}]'))
    forged(office, "Dana", at=at)
    with pytest.raises(ApprovalError, match=r"canonical|not an entry"):
        _ = office.ledger


@pytest.mark.parametrize("days", [{"begins": "20300101"}, {"until": "2030-01-01T00:00:00"}, {"channels": ["sms", 1]}])
def test_a_day_is_written_in_one_way(office: Office, days: dict[str, object]) -> None:
    office.approve("Tom")
    forged(office, "Dana", **days)
    with pytest.raises(ApprovalError, match=r"canonical|not an entry"):
        _ = office.ledger


def test_a_recall_that_the_signer_has_not_seen_is_not_lifted(office: Office) -> None:
    office.approve()
    office.recall("hello")
    catalog, known = office.catalog, len(office.ledger.entries)
    drafts = [draft_of("restore", catalog["hello"], locale, SigningTerms()) for locale in ("en", "es")]
    office.recall("price")  # of something else
    late = office.recall("hello", by="Lena")
    signing = {"by": "Dana", "key": KEYS["Dana"], "people": office.people, "catalog": "desk"}
    with pytest.raises(ApprovalError, match="'hello' was recalled by Lena meanwhile; nothing was signed") as caught:
        ledgers.append(office.ledger_file, drafts, **signing, known=known)
    assert caught.value.line == late[0].sequence
    assert len(ledgers.append(office.ledger_file, drafts, **signing, known=late[-1].sequence)) == 2


def test_the_name_of_a_new_ledger_is_durable_too(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.readlink(f"/proc/self/fd/{handle}")), real(handle)))
    office.recall("hello")
    assert synced == [str(office.ledger_file), str(office.path.parent)]
    office.recall("price")
    assert synced[2:] == [str(office.ledger_file)]


def test_a_disk_that_fails_twice_is_told_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.approve()

    def fail(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(ApprovalError, match="cannot be written: Input/output error") as caught:
        office.recall("hello")
    assert caught.value.__notes__


def test_a_file_system_without_locks_is_told_as_any_other_failure(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.approve("Dana")

    def fail(*_: object, **__: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(ledgers.files, "_lock", fail)
    with pytest.raises(ApprovalError, match="cannot be read: No locks available"):
        office.ledger()
    with pytest.raises(ApprovalError, match="cannot be written: No locks available"):
        office.approve("Tom")
