"""Checkpoints: signed roots of segments, proofs of single records, copies in a sink; against the rules of RFC 6962."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constrained.approval.keys import CommandSigner
from constrained.errors import AuditError, KeyFileError
from constrained.records import chain, verifier
from constrained.records.checkpoints import CheckpointedLog, checkpoint, fingerprint, prove, rotate
from constrained.records.log import Log, MemoryLog, open_log, read_entries
from constrained.records.log_verification import verify_log
from constrained.records.sinks import FolderSink, Sink, WebhookSink, checkpoints_in, sink_at
from tests.records.evidence import KEY, NOON, OTHER_KEY, PUBLIC, THIRD_KEY, signed_log
from tests.strategies import record

lines = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def test_the_roots_are_those_of_the_rfc():
    """The tree over the eight inputs that implementations of RFC 6962 are commonly tested with."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [chain.leaf_hash(bytes.fromhex(one)) for one in inputs]
    assert chain.root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert chain.root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(lines, st.data())
def test_library_and_verifier_agree_on_root_and_path(found, data):
    leaves = [chain.leaf_hash(line) for line in found]
    root = chain.root(leaves)
    assert verifier.root_of(list(leaves)) == root
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = chain.path(leaves, index)
    assert verifier.root_by_path(leaves[index], index, len(leaves), path) == root
    assert verifier.root_by_path(leaves[index], index, len(leaves), [*path, root]) != root
    assert verifier.root_by_path(hashlib.sha256(b"else").digest(), index, len(leaves), path) != root


def test_each_segment_is_signed_once():
    log = signed_log(25)
    bodies = [json.loads(line)["body"] for line in log.checkpoints()]
    assert [(body["number"], body["first"], body["last"]) for body in bodies] == [(1, 1, 10), (2, 11, 20), (3, 21, 25)]
    assert bodies[2]["head"] == log.entries[-1].hash
    assert {body["key"] for body in bodies} == {fingerprint(PUBLIC)}
    assert checkpoint(log, KEY) is None
    assert verify_log(log, PUBLIC).summary == "25 records in an unbroken chain, signed up to record 25"


def test_a_log_signs_when_a_segment_is_full_in_any_store(place, tmp_path):
    log = CheckpointedLog(open_log(place), KEY, every=4, sinks=[FolderSink(tmp_path / "sink")])
    assert isinstance(log, Log)
    for number in range(1, 11):
        log.append(record(number))
    assert [json.loads(line)["body"]["last"] for line in log.store.checkpoints()] == [4, 8]
    assert "signed up to record 8" in verify_log(log.store, PUBLIC).summary
    assert [path.read_bytes() for path in sorted((tmp_path / "sink").iterdir())] == log.store.checkpoints()


def test_another_key_is_refused():
    log = signed_log(5)
    with pytest.raises(AuditError, match="record 1: checkpoint 1 was not signed with this key") as caught:
        verify_log(log, OTHER_KEY.public_key())
    assert caught.value.line == 1


def test_what_does_not_hang_together_is_not_signed():
    log = signed_log(5)
    log.append(record(6))
    log.append(record(7))
    del log._lines[5]
    with pytest.raises(AuditError, match=r"memory:6: the record does not follow"):
        checkpoint(log, KEY)


@given(st.integers(1, 40), st.data())
def test_one_record_is_proved_without_the_others(n_records, data):
    log = signed_log(n_records)
    sequence = data.draw(st.integers(1, n_records))
    (proof,) = prove(log, [sequence])
    assert verifier.check_proof(proof, PUBLIC)["turn_id"] == f"turn-{sequence}"
    content = json.loads(proof)
    others = [entry.turn_id for entry in log.entries if entry.sequence != sequence]
    assert not [one for one in others if f'"{one}"' in proof.decode()]
    for changed in (
        {"line": content["line"].replace("Good evening", "Good morning")},
        {"path": content["path"][1:] if content["path"] else ["00" * 32]},
        {"body": content["body"] | {"root": "sha256:" + "00" * 32}},
        {"signature": "AAAA"},
    ):
        with pytest.raises(verifier.Bad):
            verifier.check_proof(json.dumps(content | changed).encode(), PUBLIC)


def test_a_record_that_no_checkpoint_covers_has_no_proof():
    log = signed_log(5)
    log.append(record(6))
    with pytest.raises(AuditError, match="checkpoints reach to record 5, not to 6") as caught:
        prove(log, [2, 6])
    assert "checkpoint" in caught.value.hint


# -- sinks ---------------------------------------------------------------------------------------------


def test_a_name_is_written_once(tmp_path):
    sink = FolderSink(tmp_path / "sink")
    assert isinstance(sink, Sink)
    assert sink.put("a", b"one")
    assert not sink.put("a", b"one")
    with pytest.raises(AuditError, match="holds something else"):
        sink.put("a", b"two")
    assert [path.name for path in (tmp_path / "sink").iterdir()] == ["a"]


class Failing:
    """A store that is down at times."""

    def __init__(self):
        self.kept, self.is_down = {}, True

    def put(self, name, content):
        if self.is_down:
            raise OSError(110, "Connection timed out")
        return self.kept.setdefault(name, content) is content


def test_a_sink_that_was_down_gets_what_it_missed(caplog):
    sink, store = Failing(), MemoryLog()
    log = CheckpointedLog(store, KEY, every=2, sinks=[sink])
    with caplog.at_level(logging.ERROR):
        for number in range(1, 5):
            log.append(record(number))
    assert "could not be put into a sink" in caplog.text
    sink.is_down = False
    log.append(record(5))
    log.append(record(6))
    assert sorted(sink.kept.values(), key=lambda line: json.loads(line)["body"]["number"]) == store.checkpoints()


def test_a_log_written_anew_is_refused_by_the_sink(tmp_path):
    sink = FolderSink(tmp_path / "sink")
    for message in ("as it was", "as somebody would have it"):
        log = MemoryLog()
        log.append(record(1, message=message))
        if message == "as it was":
            checkpoint(log, KEY, [sink], now=lambda: NOON)
        else:
            with pytest.raises(AuditError, match="holds something else"):
                checkpoint(log, KEY, [sink], now=lambda: NOON)


def test_a_gap_of_long_ago_is_filled_when_all_are_put(tmp_path):
    sink, log = FolderSink(tmp_path / "sink"), signed_log(25)
    checkpoint(log, KEY, [sink])
    names = [path.name for path in sorted((tmp_path / "sink").iterdir())]
    (tmp_path / "sink" / names[1]).unlink()
    checkpoint(log, KEY, [sink])
    assert len(checkpoints_in(sink.folder)) == 2
    checkpoint(log, KEY, [sink], puts_all=True)
    assert checkpoints_in(sink.folder) == log.checkpoints()


def test_a_sink_that_fails_in_its_own_way_holds_up_no_reply(caplog):
    class Bucket:
        def put(self, name, content):
            raise RuntimeError("the bucket's own error")

    log = CheckpointedLog(MemoryLog(), KEY, every=1, sinks=[Bucket()])
    assert log.append(record(1)).sequence == 1
    assert "the bucket's own error" in caplog.text


def test_what_a_sink_took_is_on_the_disk(tmp_path, monkeypatch):
    """Else a power cut could leave an empty file under a name that is never written again."""
    synced, real = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.readlink(f"/proc/self/fd/{handle}")), real(handle)))
    FolderSink(tmp_path / "sink").put("a", b"one")
    assert [path.startswith(str(tmp_path / "sink" / ".a.")) for path in synced] == [True, False]
    assert synced[1] == str(tmp_path / "sink")


@pytest.mark.parametrize("read", [FolderSink, checkpoints_in])
def test_a_folder_that_cannot_be_one_is_told(tmp_path, read, monkeypatch):
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [self / "checkpoint-1.json"])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AuditError, match="cannot be"):
        read(tmp_path / "file" / "sink")


# -- what is signed already ----------------------------------------------------------------------------


def chained_anew(log):
    """Another log of the same length."""
    anew = MemoryLog()
    for number in range(1, len(log.entries) + 1):
        anew.append(record(number, text="something else"))
    anew._checkpoints = log.checkpoints()
    return anew


@pytest.mark.parametrize("n_left", [0, 3, 9])
def test_nothing_is_signed_onto_a_log_that_was_cut(n_left):
    log = signed_log(10)
    del log._lines[n_left:]
    for sign in (checkpoint, CheckpointedLog):
        with pytest.raises(AuditError, match="record 10 is not the one that was signed: the log was cut, changed or begun anew") as caught:
            sign(log, KEY)
        assert caught.value.line == 10


def test_nothing_is_signed_onto_a_log_that_was_written_anew():
    for sign in (checkpoint, CheckpointedLog):
        with pytest.raises(AuditError, match="record 10 is not the one that was signed"):
            sign(chained_anew(signed_log(10)), KEY)


def test_one_key_signs_a_log():
    """A checkpoint of another key could never be taken out again, and the log would verify with neither."""
    log = signed_log(10)
    log.append(record(11))
    for sign in (checkpoint, CheckpointedLog):
        with pytest.raises(AuditError, match="checkpoint 1 was not signed with this key") as caught:
            sign(log, OTHER_KEY)
        assert "one key signs a log" in caught.value.hint
    assert len(log.checkpoints()) == 1


@pytest.mark.parametrize("line", [b"", b"{}\n", b"[1]\n", b'{"body":{"first":1},"signature":""}\n', b'{"body":{"first":1,"last":"2"}}\n'])
def test_a_damaged_checkpoint_is_told(line):
    log = signed_log(10)
    log._checkpoints[0] = line
    for ask in (lambda: checkpoint(log, KEY), lambda: CheckpointedLog(log, KEY), lambda: prove(log, [2])):
        with pytest.raises(AuditError, match="a checkpoint is damaged"):
            ask()


def test_a_key_and_no_checkpoint_is_not_good():
    """Whoever takes the checkpoints away could write the log anew."""
    with pytest.raises(AuditError, match="there is no checkpoint: nothing here is signed"):
        verify_log(_unsigned(signed_log(10)), PUBLIC)
    assert verify_log(_unsigned(signed_log(10))).summary.endswith("none of them signed")
    with pytest.raises(AuditError, match="the sink holds no checkpoint") as told:
        verify_log(_unsigned(signed_log(10)), PUBLIC, [])
    assert told.value.hint.startswith("if it is new: a server signs within --sign-seconds")
    with pytest.raises(AuditError) as emptied:
        verify_log(signed_log(10), PUBLIC, [])
    assert emptied.value.hint.startswith("keep the log as it is")


@pytest.mark.parametrize("n_bytes", [1, 60, 300])
def test_a_checkpoint_that_a_crash_left_torn_is_signed_anew(tmp_path, n_bytes):
    log = CheckpointedLog(open_log(tmp_path / "audit.jsonl"), KEY, every=4)
    for number in range(1, 9):
        log.append(record(number))
    path = tmp_path / "audit.jsonl.checkpoints"
    path.write_bytes(path.read_bytes()[:-n_bytes])
    log = CheckpointedLog(open_log(tmp_path / "audit.jsonl"), KEY, every=4)
    assert len(log.store.checkpoints()) == 1
    for number in range(9, 13):
        log.append(record(number))
    assert len(path.read_bytes().splitlines()) == 2
    assert verify_log(log.store, PUBLIC).summary.endswith("signed up to record 12")


def test_a_folder_in_the_place_of_the_checkpoints_is_told(tmp_path):
    log = open_log(tmp_path / "audit.jsonl")
    (tmp_path / "audit.jsonl.checkpoints").mkdir()
    with pytest.raises(AuditError, match="Is a directory"):
        log.checkpoints()


def _unsigned(log: MemoryLog) -> MemoryLog:
    log._checkpoints.clear()
    return log


# -- a new key takes over, and keys that lie elsewhere -----------------------------------------------------------


def test_a_new_key_takes_over_and_either_verifies_the_whole_log(place, tmp_path):
    store, sink = open_log(place), FolderSink(tmp_path / "sink")
    for number in range(1, 6):
        store.append(record(number))
    checkpoint(store, KEY, [sink])
    assert rotate(store, KEY, OTHER_KEY, by="the desk", sinks=[sink])["key"] == fingerprint(OTHER_KEY.public_key())
    store.append(record(6))
    assert checkpoint(store, OTHER_KEY, [sink])["last"] == 8
    for public in (PUBLIC, OTHER_KEY.public_key()):
        found = verify_log(store, public, checkpoints_in(sink.folder))
        assert found.not_established == ()
        assert found.summary.endswith("signed up to record 8")
    with pytest.raises(AuditError, match="not signed with this key"):
        checkpoint_after_one_more(store, KEY)
    with pytest.raises(AuditError, match="no checkpoint was signed with this key"):
        verify_log(store, THIRD_KEY.public_key())
    kinds = [entry.kind for entry in read_entries(place)]
    assert kinds.count("key_change") == 2


def checkpoint_after_one_more(store, key):
    store.append(record(99))
    return checkpoint(store, key)


def test_nobody_but_the_key_before_hands_over():
    """A key that takes over by itself, and a history of another's making before a trusted key."""
    log = signed_log(5)
    with pytest.raises(AuditError, match="not signed with this key"):
        rotate(log, THIRD_KEY, OTHER_KEY, by="somebody")
    forged = MemoryLog()
    forged.append(record(1))
    checkpoint(forged, THIRD_KEY)
    rotate(forged, THIRD_KEY, OTHER_KEY, by="somebody")
    honest = signed_log(5)
    rotate(honest, KEY, OTHER_KEY, by="the desk")
    for at in range(3):  # the trusted key's checkpoints after a forged history
        mixed = MemoryLog()
        mixed._lines, mixed._checkpoints = list(honest._lines), [*forged.checkpoints()[:at], *honest.checkpoints()[at:]]
        if at:
            with pytest.raises(AuditError):
                verify_log(mixed, OTHER_KEY.public_key())
    handed = honest.checkpoints()[:-1]  # the new key has signed nothing yet: it vouches for nothing
    honest._checkpoints = handed
    with pytest.raises(AuditError, match="no checkpoint was signed with this key"):
        verify_log(honest, OTHER_KEY.public_key())


def test_a_rotation_into_itself_is_refused():
    with pytest.raises(AuditError, match="itself"):
        rotate(signed_log(3), KEY, KEY, by="the desk")


SIGNER = """
import base64, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
signature = Ed25519PrivateKey.from_private_bytes(b"a key for these tests, 32 bytes.").sign(sys.stdin.buffer.read())
sys.stdout.buffer.write({})
"""


@pytest.mark.parametrize("written", ["signature", "base64.b64encode(signature) + b'\\n'"])
def test_a_command_signs_where_the_key_lies_elsewhere(tmp_path, written):
    (tmp_path / "sign.py").write_text(SIGNER.format(written))
    log = MemoryLog()
    log.append(record(1))
    assert checkpoint(log, CommandSigner(shlex.join([sys.executable, str(tmp_path / "sign.py")]), PUBLIC))["last"] == 1
    assert verify_log(log, PUBLIC).summary.endswith("signed up to record 1")


@pytest.mark.parametrize("command", ["", "/no/such/signer", "false", "cat", "echo aGVsbG8=", "echo 'not closed"])
def test_a_signer_that_fails_signs_nothing(command):
    log = MemoryLog()
    log.append(record(1))
    with pytest.raises(KeyFileError, match="signer"):
        checkpoint(log, CommandSigner(command, PUBLIC))
    assert log.checkpoints() == []


# -- a webhook as a sink ----------------------------------------------------------------------------------------


def test_a_webhook_keeps_a_name_once(monkeypatch):
    import httpx

    kept: dict[str, bytes] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        if name in kept:
            return httpx.Response(200 if kept[name] == request.content else 409)
        kept[name] = request.content
        return httpx.Response(201)

    sink = sink_at("https://notary.example/desk/")
    assert isinstance(sink, WebhookSink)
    sink._client = httpx.Client(transport=httpx.MockTransport(answer))
    assert [sink.put("one", b"1"), sink.put("one", b"1"), sink.put("two", b"2")] == [True, False, True]
    with pytest.raises(AuditError, match="holds something else"):
        sink.put("one", b"another")
    log = CheckpointedLog(MemoryLog(), KEY, every=1, sinks=[sink])
    log.append(record(1))
    assert kept["checkpoint-00000001.json"] == log.store.checkpoints()[0]


@pytest.mark.parametrize("status", [301, 404, 500])
def test_a_webhook_that_does_not_keep_it_gets_it_again(status):
    import httpx

    answers = iter([status, 201, 201])
    sink = WebhookSink("https://notary.example")
    sink._client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(next(answers))))
    log = CheckpointedLog(MemoryLog(), KEY, every=1, sinks=[sink])
    log.append(record(1))
    log.append(record(2))
    assert next(answers, None) is None
