"""What the library promises holds over HTTP: approvals, places, sealing, what became of effects; no error tells more than it may."""

from __future__ import annotations

import io
import json
import logging

import pytest
from starlette.testclient import TestClient

from constrained.errors import ApprovalError, AuditError, EngineError
from constrained.records.jsonl import JsonLinesLog
from constrained.records.log import read_entries, read_log
from constrained.records.sealing import SubjectKeys, unsealed
from constrained.serve.app import create_app
from constrained.serve.journal import Journal
from constrained.serve.packs import Packs
from constrained.serve.storage.sessions import Sessions
from constrained.testing import ScriptedEngine
from tests.approval.office import Office
from tests.records.test_sensitive import CARD, desk_of
from tests.serve.conftest import OTHER_TOKEN, TOKEN, settings, turn
from tests.serve.test_crash import Process
from tests.serve.test_telemetry import logged_to

WROTE = "what the model wrote"


def serving(policies, engines=None, **changes):
    app = create_app(settings(**changes), Packs(policies), engines or {})
    return TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"}, raise_server_exceptions=False)


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path)


def options_of(client, **values):
    found = client.post("/v1/turns", json={"pack": "desk", "message": "hello", **values})
    assert found.status_code == 200, found.text
    return [one["id"] for one in found.json()["decision"]["options"]]


def test_a_recall_holds_from_the_next_turn_on(office):
    office.approve("Dana")
    with serving({"desk": office.policy}) as client:
        assert options_of(client, conversation="c") == ["hello", "price", "pardon"]
        office.recall("hello")
        assert options_of(client, conversation="c") == ["price", "pardon"]
        office.recall("price")
        office.recall("pardon")
        refused = client.post("/v1/turns", json={"pack": "desk", "message": "hello"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (500, "internal")
        assert "pardon" not in refused.text


def test_what_is_approved_for_one_place_is_said_there_only(office):
    office.approve("Dana", "pardon", "price")
    office.approve("Dana", "hello", channels=("sms",), jurisdictions=("EU",))
    with serving({"desk": office.policy}, channel="sms", jurisdiction="EU") as client:
        assert "hello" in options_of(client)
        assert "hello" not in options_of(client, channel="voice")
        assert "hello" not in options_of(client, jurisdiction="US")
    with serving({"desk": office.policy}) as client:
        assert "hello" not in options_of(client)
        assert "hello" in options_of(client, channel="sms", jurisdiction="EU")


def test_drafts_are_said_only_where_the_server_was_told_so(office):
    office.approve("Dana", "pardon")
    with serving({"desk": office.policy}) as client:
        assert options_of(client) == ["pardon"]
        assert client.post("/v1/turns", json={"pack": "desk", "message": "hello", "drafts": True}).status_code == 422
    with serving({"desk": office.policy}, drafts=True) as client:
        assert options_of(client) == ["hello", "price", "pardon"]


def test_a_ledger_that_cannot_be_trusted_is_told_before_the_first_turn(office, policies):
    office.approve("Dana")
    office.ledger_file.write_bytes(office.ledger_file.read_bytes().replace(b"Dana", b"Tom", 1))
    with pytest.raises(ApprovalError):
        serving({"library": policies["library"], "desk": office.policy})


@pytest.mark.parametrize("name", ["log.jsonl", "log.db"])
def test_a_turn_with_a_marked_value_is_sealed_or_not_taken(tmp_path, name):
    place, keys = str(tmp_path / name), str(tmp_path / "keys")
    body = {"pack": "cards", "message": f"I lost {CARD}", "conversation": "ann"}
    with serving({"cards": desk_of()}, log=place) as client:
        refused = client.post("/v1/turns", json=body)
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "AuditError")
        assert str(tmp_path) not in refused.text
        assert client.get("/v1/conversations/ann").status_code == 404
    with serving({"cards": desk_of()}, log=place, seal=keys) as client:
        reply = client.post("/v1/turns", json=body).json()
        assert CARD in reply["text"]
    (record,) = read_log(place)
    assert (record.text, record.hash) == ("", reply["record"]["hash"])
    assert unsealed(record, SubjectKeys(keys)).text == reply["text"]
    assert CARD.encode() not in b"".join(one.read_bytes() for one in tmp_path.glob("log*"))


def test_a_turn_that_could_not_be_made_durable_is_not_completed_later(policies, tmp_path, monkeypatch):
    """Its caller was told that nothing was said: it must not be recorded, and its effects must not run, with the next turn."""
    place, flush = str(tmp_path / "log"), Sessions.flush

    def fail(self):
        raise AuditError("the disk fails")

    with serving(policies, paying(), log=place, database=f"sqlite:///{tmp_path / 'c.db'}") as client:
        body = {"pack": "library", "message": "2 euros", "conversation": "ann", "state": {"owed": "5"}}
        for owed in ("5", "4"):
            monkeypatch.setattr(Sessions, "flush", fail)
            assert client.post("/v1/turns", json=body).status_code == 503
            monkeypatch.setattr(Sessions, "flush", flush)
            reply = turn(client, "2 euros", conversation="ann", state={"owed": owed})
    records = list(read_log(place))
    assert [(one.number, one.state["owed"]) for one in records] == [(1, "5"), (2, "4")]
    assert [turn_id for turn_id, _ in outcomes(place)] == [one.turn_id for one in records]
    assert reply["turn_id"] == records[-1].turn_id


def paying():
    return {"scripted": ScriptedEngine(lambda message: {"wish": "pay", "offer": 2, "reply": "paid"})}


def outcomes(place):
    return [(one.turn_id, [entry.status for entry in one.outcomes]) for one in read_entries(place) if one.kind == "outcome"]


def test_a_log_that_cannot_tell_of_effects_that_failed_is_not_quoted(policies, tmp_path, monkeypatch):
    original = JsonLinesLog.append

    def full(self, entry):
        if entry.kind == "outcome":
            raise AuditError(f"{self.path}:2: the record could not be written: No space left on device")
        return original(self, entry)

    monkeypatch.setattr(JsonLinesLog, "append", full)
    monkeypatch.setattr("constrained.dialogue.turn.first_failing", lambda effects, state: effects[0])
    with serving(policies, paying(), log=str(tmp_path / "log")) as client:
        reply = turn(client, "2 euros", state={"owed": "5"})
    assert (reply["effects_outcome"], reply["effects_error"]) == ("failed", "AuditError")


@pytest.mark.parametrize("name", ["log.jsonl", "log.db"])
def test_the_log_tells_what_became_of_effects(policies, tmp_path, name):
    place = str(tmp_path / name)
    with serving(policies, paying(), log=place) as client:
        ran = turn(client, "2 euros", state={"owed": "5"})
        turn(client, "2 euros", state={"owed": "5"}, effects="hand_over")
    assert outcomes(place) == [(ran["turn_id"], ["done", "done"])]


def test_effects_that_ran_are_told_as_such_though_the_log_broke_meanwhile(policies, tmp_path, monkeypatch):
    original = JsonLinesLog.append

    def full(self, entry):
        if entry.kind == "outcome":
            raise AuditError("the disk is full")
        return original(self, entry)

    monkeypatch.setattr(JsonLinesLog, "append", full)
    with serving(policies, paying(), log=str(tmp_path / "log")) as client:
        reply = turn(client, "2 euros", state={"owed": "5"})
    assert (reply["effects_outcome"], reply["state_after"]["owed"]) == ("ran", "3")
    assert "log" in reply["effects_error"]


def test_effects_that_run_after_a_crash_are_in_the_log_too(policies, tmp_path, monkeypatch):
    class KilledError(BaseException):
        pass

    def dies(self, entry):
        raise KilledError

    with monkeypatch.context() as dead:
        dead.setattr(Journal, "write", dies)
        process = Process(tmp_path, policies)
        with pytest.raises(KilledError):
            process.take()
        process.kill()
    process = Process(tmp_path, policies)
    reply = process.take()
    process.sessions.close()
    assert reply.effects_outcome == "ran"
    assert outcomes(tmp_path / "log") == [(reply.turn_id, ["done", "done"])]


@pytest.mark.parametrize("name", ["log.jsonl", "log.db"])
def test_what_a_crash_interrupted_is_looked_for_behind_what_was_there_before(policies, tmp_path, name):
    journal = Journal.at(str(tmp_path / name))
    with serving(policies) as client:
        records = [turn(client)["record"] for _ in range(5)]
    from constrained.records.record import Record

    written = [journal.write(Record.model_validate(one)) for one in records]
    assert journal.last == 5
    ids = [one.turn_id for one in written]
    assert journal.find(ids[2:4]) == {ids[2]: written[2], ids[3]: written[3]}
    assert journal.find(ids, after=4) == {ids[4]: written[4]}
    assert journal.find([]) == journal.find(["none"]) == {}


class Talkative:
    """Fails with words of its own: those of a model, or of a user."""

    identity = {"engine": "talkative"}  # noqa: RUF012  # as an engine's may be

    def choose(self, choices, scene, deadline=None):
        raise EngineError(f"it said {WROTE!r} after {scene.message!r}", hint=WROTE)


def test_no_word_of_a_failing_engine_leaves(policies, tmp_path):
    stream = io.StringIO()
    with logged_to(stream), serving(policies, {"talkative": Talkative()}, log=str(tmp_path / "log")) as client:
        found = client.post("/v1/turns", json={"pack": "library", "message": "a secret"})
        asked = {"state": "a secret", "questions": {"q": {"type": "noul", "instructions": "?"}}}
        refused = client.post("/v1/systemone", json=asked)
    assert (found.status_code, found.json()["source"], found.json()["degraded"]) == (200, "fallback", "EngineError")
    assert (refused.status_code, refused.json()["error"]["type"]) == (503, "EngineError")
    for text in (found.text, refused.text, stream.getvalue(), (tmp_path / "log").read_text()):
        assert WROTE not in text
    assert "a secret" not in stream.getvalue() + refused.text


def test_a_record_that_cannot_be_kept_is_told_without_its_place(policies, tmp_path, monkeypatch):
    stream = io.StringIO()
    with logged_to(stream), serving(policies, log=str(tmp_path / "log")) as client:
        (tmp_path / "log").unlink()
        refused = client.post("/v1/turns", json={"pack": "library", "message": "hello"})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert str(tmp_path) not in refused.text
    assert str(tmp_path) in stream.getvalue(), "the operator reads where"


def test_usage_is_told_to_the_tenant_whose_it_is_and_metrics_to_the_operator(start):
    client = start()
    turn(client)
    mine = client.get("/v1/usage").json()
    assert (mine["tenant"], sum(one["n_turns"] for one in mine["usage"])) == ("local", 1)
    other = {"Authorization": f"Bearer {OTHER_TOKEN}"}
    assert client.get("/v1/usage", headers=other).json() == {"tenant": "other", "usage": []}
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers=other).status_code == 403
    assert start(operator="other").get("/metrics", headers=other).status_code == 200


def test_a_catalog_tells_where_its_words_are_from(start):
    entries = {one["id"]: one for one in start().get("/v1/catalogs/tavern").json()["responses"]}
    assert any(one["examples"].get("en") for one in entries.values())
    assert all(one["line"].startswith("tavern.yaml:") for one in entries.values())


def test_the_process_logs_json_without_words(policies, capfd):
    stream = io.StringIO()
    with logged_to(stream), serving(policies) as client:
        turn(client, "a secret")
        logging.getLogger("constrained.records.jsonl").warning("%s bytes", 3)
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["event"] for one in told] == ["turn", "3 bytes"]
    assert "a secret" not in stream.getvalue()
