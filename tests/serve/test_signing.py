"""A server that signs its log: beside the turns, by count and by time, with the rest signed when it ends."""

from __future__ import annotations

import logging

import pytest
from starlette.testclient import TestClient

from constrained.approval.keys import load_public, new_pair
from constrained.errors import AuditError, ConstrainedError
from constrained.records.log import existing
from constrained.records.log_verification import verify_log
from constrained.records.sinks import checkpoints_in
from constrained.serve.app import create_app
from constrained.serve.packs import Packs
from constrained.serve.settings import Signing
from constrained.serve.signing import LogSigner
from tests.serve.conftest import TOKEN, settings


@pytest.fixture
def key(tmp_path):
    new_pair(tmp_path / "desk.pem")
    return tmp_path / "desk.pem"


def served(policies, log, signing, n_turns):
    """Takes turns at a server and ends it."""
    app = create_app(settings(log=str(log), signing=signing), Packs(policies), {})
    with TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        for number in range(n_turns):
            answer = client.post("/v1/turns", json={"pack": "tavern", "message": f"hello {number}", "conversation": f"c{number % 3}"})
            assert answer.status_code == 200


@pytest.mark.parametrize("name", ["turns.jsonl", "turns.db"])
def test_all_that_was_said_is_signed_when_the_server_ends(policies, tmp_path, key, name):
    log, sink, public = tmp_path / name, tmp_path / "sink", load_public(tmp_path / "desk.pub.pem")
    for n_runs in (1, 2):
        served(policies, log, Signing(key=str(key), sinks=(str(sink),), every=4), 10)
        found = verify_log(existing(log), public, checkpoints_in(sink))
        assert found.not_established == ()
        assert n_entries(log) >= 10 * n_runs


def n_entries(log):
    return len(list(existing(log).lines()))


class Recorder:
    """Stands for a journal: the last durable sequence, and who wants to know of it."""

    def __init__(self) -> None:
        self.last = 0

    def signed_by(self, notice):
        self.notice = notice


def test_it_signs_no_further_than_what_is_durable(tmp_path, key, policies):
    log = tmp_path / "turns.jsonl"
    served(policies, log, Signing(), 6)
    journal = Recorder()
    signer = LogSigner(journal, existing(log), _private(key), every=2)
    assert len(existing(log).checkpoints()) == 1, "what an earlier process left is signed at the start"
    served(policies, log, Signing(), 4)
    journal.last = n_entries(log) - 1
    signer.close()
    assert verify_log(existing(log), load_public(tmp_path / "desk.pub.pem")).summary.endswith(f"signed up to record {journal.last}")


def test_a_signature_that_fails_stops_no_turn_and_is_made_up_for(tmp_path, key, policies, caplog):
    log = tmp_path / "turns.jsonl"
    served(policies, log, Signing(), 3)
    private, fails = _private(key), [False]

    class Broken:
        def public_key(self):
            return private.public_key()

        def sign(self, data):
            if fails[0]:
                raise OSError("the card was pulled out")
            return private.sign(data)

    journal = Recorder()
    signer = LogSigner(journal, existing(log), Broken(), every=1)
    served(policies, log, Signing(), 2)
    journal.last, fails[0] = n_entries(log), True
    with caplog.at_level(logging.ERROR):
        signer._sign()
    assert (signer.n_failures, signer.signed) == (1, 0)
    assert f"could not be signed up to record {journal.last}" in caplog.text
    fails[0] = False
    signer.close()
    assert verify_log(existing(log), private.public_key()).summary.endswith(f"signed up to record {journal.last}")


def test_a_wrong_key_and_a_log_in_memory_are_told_before_the_first_request(policies, tmp_path, key):
    log = tmp_path / "turns.jsonl"
    served(policies, log, Signing(key=str(key)), 2)
    new_pair(tmp_path / "other.pem")
    for changes in ({"log": str(log), "signing": Signing(key=str(tmp_path / "other.pem"))}, {"signing": Signing(key=str(key))}):
        with pytest.raises(AuditError):
            create_app(settings(**changes), Packs(policies), {})
    with pytest.raises(ConstrainedError, match="no-such"):
        create_app(settings(log=str(log), signing=Signing(key=str(tmp_path / "no-such.pem"))), Packs(policies), {})


def _private(path):
    from constrained.approval.keys import load_private

    return load_private(path)
